"""Board, budgets and admission together, driven at random against a model that only counts.

Whatever happens in whatever order, calls that are cancelled at any moment included: permits are conserved, budgets are
never negative, an upstream is refused for good reasons only, and nothing stays shut for ever.
"""

import typing
from dataclasses import dataclass
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streamroute.core.execution.admission import Admission, Leave
from streamroute.core.execution.commands import Start
from streamroute.core.execution.events import AttemptId
from streamroute.core.health.attempt_budget import TOKENS, AttemptBudget
from streamroute.core.health.board import HealthBoard, OperatorAction
from streamroute.core.health.breaker import PROBES
from streamroute.core.health.classify import disposition
from streamroute.core.observation import AttemptObservation
from streamroute.core.outcome import AttemptCause, Failure, FailureKind
from streamroute.core.rate_limit import RateLimitReport
from streamroute.core.upstream import LatencyClass, Upstream, UpstreamId
from tests.support.observations import attempt, failed_attempt, upstream

WHO = (
    upstream("a", credential="shared", provider="one"),
    upstream("b", credential="shared", provider="one"),
    upstream("c", credential="own", provider="two"),
)
SECONDS = st.sampled_from([0.0, 0.001, 0.3, 1.0, 2.0, 5.0, 12.0, 45.0, 400.0])
UPSTREAMS = st.sampled_from(WHO)
KINDS: tuple[FailureKind, ...] = typing.get_args(FailureKind)
CAUSES: tuple[AttemptCause, ...] = typing.get_args(AttemptCause)
CLASSES: tuple[LatencyClass, ...] = typing.get_args(LatencyClass)
ACTIONS: tuple[OperatorAction, ...] = typing.get_args(OperatorAction)
WHICH = st.integers(0, 99)
SOMEBODY_WAITS = precondition(lambda self: bool(self.live))
LONGEST_WAIT_S = 400.0
"""Rejected keys rest for 300 s, rate limits for at most 120 s and a fifth, breakers for 30 s and a fifth."""


@dataclass(eq=False)
class Flight:
    """A call under way, as the model sees it."""

    leave: Leave
    upstream: Upstream
    cause: AttemptCause
    started_at: float
    is_stream: bool
    ttft_s: float | None = None


class Machine(RuleBasedStateMachine):
    """A sidecar's mind; each rule is something that may happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.board = HealthBoard(Random(1).random)
        self.budget = AttemptBudget()
        self.admission = Admission(self.board, self.budget)
        self.live: list[Flight] = []
        self.failures = dict.fromkeys([each.id for each in WHO], 0)
        """That count, since the breaker was last seen closed and without any."""
        self.is_blocked = dict.fromkeys([each.id for each in WHO], False)
        """An operator or a rejected key may open it at once."""
        self.states = {each.id: self.board.health(each.id, self.now).breaker.state for each in WHO}
        self.is_forced = dict.fromkeys([each.id for each in WHO], False)
        self.drained: set[UpstreamId] = set()

    # -- what happens

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(
        who=UPSTREAMS,
        cause=st.sampled_from(CAUSES),
        of=st.sampled_from(CLASSES),
        is_last_resort=st.booleans(),
        is_stream=st.booleans(),
        tokens=st.sampled_from([0, 500, 20_000]),
    )
    def ask(
        self, who: Upstream, cause: AttemptCause, of: LatencyClass, is_last_resort: bool, is_stream: bool, tokens: int
    ) -> None:
        leave = self.admitted(who, cause, of=of, is_last_resort=is_last_resort, is_stream=is_stream, tokens=tokens)
        if isinstance(leave, Leave):
            self.live.append(Flight(leave, who, cause, self.now, is_stream))

    @rule()
    def nobody_is_refused_without_a_reason(self) -> None:
        """A first request finds somebody, unless keys, rate limits or operators forbid it: a last resort is admitted
        in every state."""
        for who in WHO:
            standing = self.board.standing(who, self.now)
            leave = self.admitted(who, "first", is_last_resort=True)
            is_forbidden = who.id in self.drained or self.is_forced[who.id] or standing.kind == "rate_limited"
            if isinstance(leave, Leave):
                assert not is_forbidden
                self.admission.give_back(leave, self.now)
            else:
                assert is_forbidden, leave

    @SOMEBODY_WAITS
    @rule(which=WHICH)
    def connect(self, which: int) -> None:
        self.admission.connected(self.one(which).leave, self.now)

    @SOMEBODY_WAITS
    @rule(which=WHICH)
    def first_token(self, which: int) -> None:
        flight = self.one(which)
        if flight.is_stream and flight.ttft_s is None:
            flight.ttft_s = self.now - flight.started_at
            self.admission.first_token(flight.leave, self.now)

    @SOMEBODY_WAITS
    @rule(which=WHICH)
    def succeed(self, which: int) -> None:
        flight = self.one(which)
        self.ended(flight, attempt(flight.upstream, **self.times(flight)))

    @SOMEBODY_WAITS
    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        flight = self.one(which)
        self.ended(flight, attempt(flight.upstream, outcome="cancelled", **self.times(flight)))

    @SOMEBODY_WAITS
    @rule(which=WHICH, kind=st.sampled_from(KINDS), wait_s=st.sampled_from([None, 0.0, 3.0, 60.0]))
    def fail(self, which: int, kind: FailureKind, wait_s: float | None) -> None:
        flight = self.one(which)
        self.ended(flight, failed_attempt(kind, flight.upstream, retry_after_s=wait_s, **self.times(flight)))
        self.failures[flight.upstream.id] += disposition(kind).counts
        self.is_blocked[flight.upstream.id] |= disposition(kind).blocks_for_s is not None

    @rule(who=UPSTREAMS)
    def outage(self, who: Upstream) -> None:
        """Enough for its breaker to open, where calls may be made at all."""
        for _ in range(4):
            self.ask(who, "first", "standard", is_last_resort=True, is_stream=True, tokens=0)
            if self.live and self.live[-1].upstream is who:
                self.fail(len(self.live) - 1, "server_error", None)

    @SOMEBODY_WAITS
    @rule(which=WHICH)
    def never_made(self, which: int) -> None:
        flight = self.one(which)
        self.live.remove(flight)
        self.admission.give_back(flight.leave, self.now)

    @rule(who=UPSTREAMS, action=st.sampled_from(ACTIONS))
    def operate(self, who: Upstream, action: OperatorAction) -> None:
        self.board.operate(who, action, self.now)
        match action:
            case "drain":
                self.drained.add(who.id)
            case "enable":
                self.drained.discard(who.id)
            case "open" | "close":
                self.is_forced[who.id] = action == "open"
                self.is_blocked[who.id] |= action == "open"

    @rule(who=UPSTREAMS, left=st.integers(-1, 3), limit=st.integers(0, 3), reset_s=st.sampled_from([None, 0.0, 9.0]))
    def report(self, who: Upstream, left: int, limit: int, reset_s: float | None) -> None:
        told = RateLimitReport(remaining_requests=left, limit_requests=limit, reset_requests_s=reset_s)
        self.board.reported(who, told, self.now)

    @rule(lag_s=st.sampled_from([0.1, 3.0]))
    def lag(self, lag_s: float) -> None:
        self.board.local_trouble(self.now, lag_s)

    # -- what must hold

    @invariant()
    def permits_are_conserved(self) -> None:
        for who in WHO:
            mine = [each for each in self.live if each.upstream is who]
            health = self.board.health(who.id, self.now)
            assert health.in_flight == len(mine)
            probes = [each for each in mine if each.leave.permit.is_probe and not each.leave.permit.is_proved]
            assert len(probes) <= 2 * max(PROBES), "of this generation and of late ones"
        hedges = [each for each in self.live if each.leave.hedge is not None and each.ttft_s is None]
        assert self.budget.figures(self.now).hedges_in_flight == len(hedges)

    @invariant()
    def budgets_are_never_negative(self) -> None:
        figures = self.budget.figures(self.now)
        assert 0.0 <= figures.global_tokens <= TOKENS
        assert figures.spent_usd >= 0.0
        assert figures.hedge_spent_usd >= 0.0

    @invariant()
    def a_breaker_opens_on_more_than_one_piece_of_evidence(self) -> None:
        for who in WHO:
            self.board.standing(who, self.now)
            breaker = self.board.health(who.id, self.now).breaker
            before, state = self.states[who.id], breaker.state
            if before == "closed" and state == "open" and not self.is_blocked[who.id]:
                silent = [each for each in self.live if each.upstream is who and each.started_at < self.now]
                is_hang = breaker.reason.endswith("hang")
                assert (len(silent) if is_hang else self.failures[who.id]) >= 2, breaker.reason
            if state == "closed" and before != "closed":
                self.failures[who.id] = 0
                self.is_blocked[who.id] = False
            self.states[who.id] = state

    @invariant()
    def what_is_said_makes_sense(self) -> None:
        """Times lie ahead, shares are shares, and looking changes nothing."""
        for who in WHO:
            standing = self.board.standing(who, self.now)
            estimate = self.board.estimate(who, self.now, prompt_tokens=500)
            assert standing == self.board.standing(who, self.now)
            assert standing.until is None or standing.until > self.now
            assert 0.0 <= standing.risk <= 1.0
            assert 0.0 <= estimate.capacity <= 1.0
            assert 0.0 <= estimate.penalty < 100.0
            assert 0.0 < estimate.normal_ttft_s <= estimate.ttft_s < float("inf")
        together = self.board.outlook(WHO, self.now, prompt_tokens=0)
        assert list(together.standings) == [self.board.standing(each, self.now) for each in WHO]

    @SOMEBODY_WAITS
    @rule()
    def everybody_leaves(self) -> None:
        """All clients go at once."""
        for flight in list(self.live):
            self.ended(flight, attempt(flight.upstream, outcome="cancelled", **self.times(flight)))

    def teardown(self) -> None:
        """Nothing stays shut: with every call cancelled, operators content and time passed, all can be asked."""
        for flight in list(self.live):
            self.ended(flight, attempt(flight.upstream, outcome="cancelled", **self.times(flight)))
        self.permits_are_conserved()
        for who in WHO:
            self.board.operate(who, "enable", self.now)
            if self.is_forced[who.id]:
                self.board.operate(who, "close", self.now)
        self.now += LONGEST_WAIT_S
        for who in WHO:
            assert self.board.standing(who, self.now).can_ask
            assert isinstance(self.admitted(who, "first"), Leave)

    # -- small steps

    def admitted(
        self,
        who: Upstream,
        cause: AttemptCause,
        *,
        of: LatencyClass = "interactive",
        is_last_resort: bool = False,
        is_stream: bool = True,
        tokens: int = 0,
    ) -> Leave | Failure:
        start = Start(AttemptId(1), who, is_last_resort, cause)
        return self.admission.admit(
            start, self.now, latency_class=of, prompt_tokens=tokens, is_stream=is_stream, in_flight=len(self.live)
        )

    def one(self, which: int) -> Flight:
        return self.live[which % len(self.live)]

    def times(self, flight: Flight) -> dict[str, typing.Any]:
        return {
            "ended_at": self.now,
            "duration_s": self.now - flight.started_at,
            "ttft_s": flight.ttft_s,
            "stream": flight.is_stream,
            "cause": flight.cause,
            "prompt_tokens": 500,
            "content_events": 0 if flight.ttft_s is None else 20,
        }

    def ended(self, flight: Flight, observation: AttemptObservation) -> None:
        self.live.remove(flight)
        self.admission.settle(flight.leave, observation)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
