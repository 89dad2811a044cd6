"""One request, from what the client asked to the end of its answer: resolve, decide, plan, run, report."""

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import anyio

from streamroute.clock import now
from streamroute.core.cost.bill import Bill
from streamroute.core.cost.pricing import Terms
from streamroute.core.execution.admission import Admission
from streamroute.core.execution.commands import Start
from streamroute.core.execution.events import AttemptEvent, Doubted
from streamroute.core.execution.hedge_delay import HedgeDelays
from streamroute.core.execution.plans import PlanRequest, build_plan, deadlines_by_upstream
from streamroute.core.execution.rescue import RescueOptions
from streamroute.core.health.attempt_budget import AttemptBudget
from streamroute.core.health.board import HealthBoard
from streamroute.core.health.options import HealthOptions
from streamroute.core.observation import AttemptObservation
from streamroute.core.outcome import Failure
from streamroute.core.requirements import NO_REQUIREMENTS
from streamroute.core.routing.decision import Decision
from streamroute.core.routing.decision_log import DecisionLog, Judged, Made, NotMade
from streamroute.core.routing.explorer import Explorer
from streamroute.core.routing.learned.policy_walk import PolicyWalk
from streamroute.core.routing.refusal import kept
from streamroute.core.routing.route import Catalog
from streamroute.core.routing.steering import decide
from streamroute.core.upstream import Deadlines, ProviderName, Upstream, UpstreamId
from streamroute.engine.attempt import Attempt
from streamroute.engine.auditor import Auditor
from streamroute.engine.bidding import Bidding
from streamroute.engine.call import Call
from streamroute.engine.choice import choose, nobody, translatable
from streamroute.engine.continuations import Continuations, is_continuable, midstream_of
from streamroute.engine.course import Course
from streamroute.engine.cross_checks import CrossChecks
from streamroute.engine.gates import Gates
from streamroute.engine.holding import Holding, Oversight
from streamroute.engine.judging import Judging
from streamroute.engine.needs import Needs, Settled, cap_of, matched_tiers
from streamroute.engine.opening import Opening
from streamroute.engine.request_end import request_ended
from streamroute.engine.routing_figures import RoutingCounter
from streamroute.engine.runner import Runner
from streamroute.engine.sink import AnswerSink
from streamroute.engine.spending import Spending
from streamroute.errors import RequestError
from streamroute.providers.addressing import ATTEMPT_HEADER
from streamroute.providers.provider import Provider
from streamroute.providers.transport import Transport
from streamroute.telemetry.bus import Bus

_JITTER_DRAWS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Whom the dispatcher can ask; replaced as a whole when the configuration is reloaded."""

    catalog: Catalog
    providers: Mapping[ProviderName, Provider]


@dataclass(frozen=True, slots=True, kw_only=True)
class Foresight:
    """What would be done for a call."""

    decision: Decision
    hedge_after_s: float | None
    deadlines: Mapping[UpstreamId, Deadlines]
    """That each candidate would be given."""
    refusal: str | None = None
    """What the client would be told; None: there are candidates."""


class Dispatcher:
    """Serves calls; keeps track of the ones that are running."""

    def __init__(
        self,
        directory: Directory,
        *,
        transport: Transport,
        board: HealthBoard,
        bus: Bus,
        rng: random.Random,
        spending: Spending,
    ) -> None:
        self.directory = directory
        self.spending = spending
        self.board = board
        self._bus = bus
        self._rng = rng
        self.budget = AttemptBudget(board.options.hedge_spend)
        self._opening = Opening(
            transport=transport,
            spending=spending,
            admission=Admission(board, self.budget),
            in_flight=lambda: self.in_flight,
            note=self._note,
        )
        self._delays = HedgeDelays()
        self._explorer = Explorer()
        self.needs = Needs()
        self.bidding: Bidding | None = None
        """None: no bidder is configured."""
        self.decisions = DecisionLog()
        bus.subscribe(Judging(self.decisions, bus.publish))
        self.routing = RoutingCounter(self.decisions, lambda: self.directory.catalog.upstreams)
        bus.subscribe(self.routing)
        self.gates = Gates()
        bus.subscribe(self.gates)
        self.auditor = Auditor(board, bus.publish)
        self._running: set[Runner] = set()
        board.on_doubt = self._on_doubt
        self._idle = anyio.Event()
        self.is_closed = False
        """New calls are refused: the process is about to stop."""

    def apply(self, directory: Directory, options: HealthOptions) -> None:
        """Serve new calls by a new configuration; running ones go on, and what was learned stays."""
        self.directory = directory
        self.board.apply(options, now())
        self.budget.hedges.shares = options.hedge_spend

    def reprice(self, priced: Callable[[Mapping[UpstreamId, Upstream]], Mapping[UpstreamId, Upstream]]) -> None:
        """Let new calls see other prices; `priced` returns the upstreams with theirs."""
        catalog = self.directory.catalog
        upstreams = priced(catalog.upstreams)
        if upstreams != catalog.upstreams:
            self.directory = replace(self.directory, catalog=replace(catalog, upstreams=upstreams))

    @property
    def in_flight(self) -> int:
        """How many requests are being served."""
        return len(self._running)

    async def idle(self) -> None:
        """Return once no request is being served."""
        while self._running:
            self._idle = anyio.Event()
            await self._idle.wait()

    def shut_down(self) -> None:
        """End every running request with an error that says so."""
        for runner in list(self._running):
            runner.shut_down()

    def _on_doubt(self, upstream: UpstreamId) -> None:
        """Tell every running plan, once the board is done with what it is doing."""
        with suppress(RuntimeError):  # at the very end of the process there is no loop any more, and nobody to tell
            asyncio.get_running_loop().call_soon(self._tell_doubt, upstream)

    def _tell_doubt(self, upstream: UpstreamId) -> None:
        for runner in list(self._running):
            runner.feed(Doubted(upstream))

    def check_open(self) -> None:
        """Raise RequestError 503 once no new call may begin."""
        if self.is_closed:
            raise RequestError("The sidecar is shutting down.", status=503, code="shutting_down", type_="server_error")

    async def dispatch(self, call: Call, sink: AnswerSink) -> Bill:
        """Serve one call into `sink`; returns when it is over, with what it has cost. Cancel it when the client goes
        away.

        Raises RequestError, before anything reached the sink, where nobody can serve the call as it is.
        """
        self.check_open()
        directory, terms = self.directory, self.spending.pricing.terms
        settled = self._settled(call, directory)
        try:
            if self.bidding is not None:
                settled = await self.bidding.joined(settled)
                self.check_open()
            return await self._serve(call, sink, settled, directory, terms)
        finally:
            settled.forget_text()

    async def _serve(self, call: Call, sink: AnswerSink, settled: Settled, directory: Directory, terms: Terms) -> Bill:
        decision, walk = self._decide(call, settled, self._explorer)
        if not decision.candidates:
            raise self._refused(call, decision)
        midstream = midstream_of(call.chat, call.midstream or decision.route.midstream)
        rescue = RescueOptions(midstream=midstream, is_continuable=is_continuable(call.chat))
        continuations = Continuations(call.chat) if call.chat.stream else None
        plan = build_plan(decision, self._request(call, None if midstream == "error" else rescue), self._delays)
        if call.decision_id is not None:
            record = self.decisions.add(
                call.decision_id, decision, call.arrived_at, plan.hedge_after_s, call.attribution, call.chat
            )
            record.requirements = call.requirements
            self.needs.remember(call.decision_id, settled)
        bill, requirements = Bill(), NO_REQUIREMENTS if decision.matched is None else decision.matched.requirements
        course: Course = Course(
            decision=decision,
            providers=directory.providers,
            terms=terms,
            continuations=continuations,
            holding=Holding(
                call,
                decision,
                bill,
                note=partial(self._note, call),
                publish=self._bus.publish,
                checks=CrossChecks(
                    call,
                    lambda aside, start, notify: self._opening.open(aside, course, start, notify),
                    upstreams=directory.catalog.upstreams,
                    providers=directory.providers,
                    requirements=requirements,
                    bill=bill,
                    most=self.spending.most,
                ),
                oversight=Oversight(self.gates, self.auditor, self._rng.random),
                walk=walk,
            ),
            bill=bill,
            cap=cap_of(decision, bill),
        )

        def open_attempt(start: Start, notify: Callable[[AttemptEvent], None]) -> Attempt | Failure:
            numbered = replace(call, forwarded={**call.forwarded, ATTEMPT_HEADER: str(call.attempt + runner.attempts)})
            return self._opening.open(numbered, course, start, notify)

        runner = Runner(
            plan,
            sink,
            open_attempt,
            arrived_at=call.arrived_at,
            transcript=None if continuations is None else continuations.transcript,
            judge=course.holding.judge,
            decided=course.holding.decided,
        )
        self._running.add(runner)
        try:
            await runner.run()
            self.needs.heed(settled, now())
        finally:
            self._running.discard(runner)
            if not self._running:
                self._idle.set()
            course.holding.decided(None)
            course.holding.ended(continuations, is_finished=runner.summary.is_finished)
            self._publish(call, decision, runner, course.failures)
        return course.bill

    def foresee(self, call: Call) -> Foresight:
        """Return what would be done for a call now, without a trace; raises RequestError where there is nothing to
        decide, as `dispatch` does."""
        decision, _ = self._decide(call, self._settled(call, self.directory), None)
        if not decision.candidates:
            error = nobody(call.chat.model, decision.rejected, decision.matched)
            return Foresight(decision=kept(decision), hedge_after_s=None, deadlines={}, refusal=error.message)
        request = self._request(call, None)
        return Foresight(
            decision=decision,
            hedge_after_s=build_plan(decision, request, self._delays).hedge_after_s,
            deadlines=deadlines_by_upstream(decision, request),
        )

    def _settled(self, call: Call, directory: Directory) -> Settled:
        catalog, chat = directory.catalog, call.chat
        return self.needs.settle(
            call,
            catalog,
            lambda model, caller: translatable(choose(model, catalog, caller), chat, directory.providers),
            partial(self.spending.most, chat),
        )

    def _decide(self, call: Call, settled: Settled, explorer: Explorer | None) -> tuple[Decision, PolicyWalk | None]:
        chat, choice = call.chat, settled.choice
        if not choice.upstreams:
            return Decision(route=choice.route, candidates=(), rejected=choice.rejected), None
        decide_one = partial(
            decide,
            chat,
            board=self.board,
            now=now(),
            uniform=self._rng.random,
            affinity_key=call.affinity_key or chat.affinity_key,
            latency_class=settled.latency_class,
            explorer=explorer,
        )
        decision = matched_tiers(chat, choice, settled.wanted, decide_one)
        upstreams, is_asked = self.directory.catalog.upstreams, explorer is not None
        affords = partial(self.spending.affords, call.attribution, chat, may_use_unpriced=call.caller.may_use_unpriced)
        decision, walk = self.gates.begun(
            decision, call, self._rng.random, upstreams, affords=affords, is_asked=is_asked
        )
        if choice.rejected:
            decision = replace(decision, rejected=(*choice.rejected, *decision.rejected))
        return decision, walk

    def _refused(self, call: Call, decision: Decision) -> RequestError:
        """Keep a decision that nobody will do, and return what the client is told."""
        error = nobody(call.chat.model, decision.rejected, decision.matched)
        if call.decision_id is not None:
            decision = kept(decision)
            record = self.decisions.add(call.decision_id, decision, call.arrived_at, attribution=call.attribution)
            record.requirements, record.refusal, record.outcome = call.requirements, error.message, "failed"
        return error

    def _request(self, call: Call, rescue: RescueOptions | None) -> PlanRequest:
        return PlanRequest(
            stream=call.chat.stream,
            arrived_at=call.arrived_at,
            timeout_s=call.timeout_s,
            first_token_timeout_s=call.first_token_timeout_s,
            max_attempts=call.max_attempts if call.attempt == 1 else 1,
            rescue=rescue,
            jitter=tuple(self._rng.random() for _ in range(_JITTER_DRAWS)),
            task=call.attribution.task,
        )

    def _publish(self, call: Call, decision: Decision, runner: Runner, failures: list[AttemptObservation]) -> None:
        ended = request_ended(call, decision, runner, failures)
        if call.decision_id is not None:
            self.decisions.ended(call.decision_id, ended.outcome, ended.upstream)
        self._bus.publish(ended)

    def _note(self, call: Call, what: Made | NotMade | Judged) -> None:
        """Keep what became of a decision, where it is kept."""
        if call.decision_id is None:
            return
        self.decisions.called(call.decision_id, what)
        if isinstance(what, Judged):
            self._bus.publish(what.outcome(call.decision_id))
