"""Answers of smaller models that are held back: what is asked of them besides, what they are worth, and whose answer
the client gets in the end.

What a held answer has cost is known at its end, whether it was an answer or was in vain only when another one is
delivered or it is itself. Until then its observation is kept back, so that the ledger has it once and right: it is
published before the client gets anything.
"""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import Any

import structlog

from streamroute.clock import now
from streamroute.core.cost.bill import Bill
from streamroute.core.execution.events import AttemptId
from streamroute.core.gate import CallingAssessor
from streamroute.core.money import usd_text
from streamroute.core.observation import AttemptObservation
from streamroute.core.outcome import CROSS_CHECKS, AttemptCause, Failure
from streamroute.core.quality.checks import assess
from streamroute.core.quality.comparison import agrees, is_comparable
from streamroute.core.quality.verdict import Draft, Finding, Ruling, Verdict, Wanted, verdict_of
from streamroute.core.request import ChatRequest
from streamroute.core.routing.decision import Decision
from streamroute.core.routing.decision_log import Judged
from streamroute.core.routing.learned.domain_guard import Trust
from streamroute.core.routing.learned.gate_features import gate_features
from streamroute.core.routing.learned.gatekeeper import Look
from streamroute.core.routing.learned.policy_walk import PolicyWalk
from streamroute.core.upstream import Route, Upstream, UpstreamId
from streamroute.engine.attempt import Attempt
from streamroute.engine.auction_audits import drawn
from streamroute.engine.auditor import Audit, Auditor
from streamroute.engine.call import Call
from streamroute.engine.continuations import Continuations
from streamroute.engine.cross_checks import NO_JUDGEMENT, Checked, CrossChecks
from streamroute.engine.gates import Gates, RouteGate, domain_of, next_tier
from streamroute.engine.policy_gate import ruled
from streamroute.wire.openai_chat.draft import read_draft, wanted_of, with_cost_told, with_logprobs, without_logprobs

_log = structlog.get_logger(__name__)


LEAST_SHARE = 1e-6
"""A share of 0 is none that anything could be weighed by."""


@dataclass(frozen=True, slots=True)
class Oversight:
    """What outlives requests: what was learned, and who looks into answers afterwards."""

    gates: Gates
    auditor: Auditor
    uniform: Callable[[], float]
    """Draws from [0, 1)."""


@dataclass(frozen=True, slots=True)
class Held:
    """An answer that was judged."""

    number: AttemptId
    checked: Checked
    look: Look
    is_accepted: bool


class Holding:
    """Keeps and judges the held answers of one request."""

    def __init__(
        self,
        call: Call,
        decision: Decision,
        bill: Bill,
        *,
        note: Callable[[Judged], None],
        publish: Callable[[AttemptObservation], None],
        checks: CrossChecks,
        oversight: Oversight,
        walk: PolicyWalk | None = None,
    ) -> None:
        """`note` is told of every verdict, `publish` of every attempt that has ended; `checks` asks other models.
        `walk`: what a fitted policy knows of the request; None: its route goes by none."""
        self._call = call
        self._chat = call.chat
        self._decision = decision
        self._bill = bill
        self._note = note
        self._publish = publish
        self._checks = checks
        self._oversight = oversight
        self._walk = walk
        is_holding = decision.next_tier is not None
        self._domain = domain_of(decision, call) if is_holding or walk is not None else ""
        self._gate = self._gate_of(decision.route) if is_holding else None
        self._draw = drawn(decision, call, oversight.gates, oversight.uniform)
        self._answering: AttemptId | None = None
        self._answered_by: UpstreamId | None = None
        self._whole: bytes | None = None
        """The answer that was delivered, where it does not stream."""
        self._judged: list[Held] = []
        self._kept: list[AttemptObservation] = []

    def _gate_of(self, route: Route) -> RouteGate | None:
        try:
            return self._oversight.gates.of(route)
        except Exception:  # noqa: BLE001 - answers are judged by their findings then
            _log.exception("gate.broke", route=route.name)
            return None

    def holds(self, upstream: Upstream, cause: AttemptCause) -> bool:
        """Return whether what an upstream says is held back, to be judged."""
        return cause not in CROSS_CHECKS and self._decision.is_held(upstream.id)

    def asked(self, chat: ChatRequest, upstream: Upstream) -> tuple[ChatRequest, Callable[[bytes], bytes]]:
        """Return what is asked of an upstream whose answer is held, and what makes that answer the client's: without
        what it has not asked for, and with what the whole request has cost by then."""
        is_asked_for_more = upstream.capabilities.logprobs is True and not chat.wants_logprobs
        if is_asked_for_more:
            chat = replace(chat, payload=with_logprobs(chat.payload))
        return chat, partial(self._clean, is_asked_for_more)

    def _clean(self, is_asked_for_more: bool, body: bytes) -> bytes:  # noqa: FBT001 - partial takes no names of others
        if is_asked_for_more:
            body = without_logprobs(body, stream=self._chat.stream)
        total = self._bill.total
        if self._call.tells_cost and self._chat.stream and total is not None:
            body = with_cost_told(body, usd_text(total))
        return body

    def settled(self, observation: AttemptObservation, *, is_held: bool) -> None:
        """Publish what an attempt came to, now or once it is known whose answer is delivered."""
        self._checks.settled(observation)
        if is_held and observation.outcome == "succeeded":
            self._kept.append(observation)
        else:
            self._publish(observation)

    def decided(self, answering: Attempt | None) -> None:
        """Learn whose answer the client is about to get; None: nobody's."""
        kept, self._kept = self._kept, []
        for each in kept:
            is_delivered = answering is not None and each.attempt == answering.number
            self._publish(replace(each, is_committed=is_delivered, is_rejected=not is_delivered))
        if answering is not None:
            self._answering, self._answered_by = answering.number, answering.upstream.id
            self._whole = None if self._chat.stream else answering.held

    def judge(self, attempt: Attempt) -> Verdict | Callable[[], Coroutine[Any, Any, Verdict]]:
        """Return what a held answer is worth, or how to find out: others are asked only where the answer itself leaves
        a doubt, which is wherever nothing speaks against it."""
        upstream, chat = attempt.upstream.id, self._chat
        try:
            draft, wanted = read_draft(attempt.held, stream=chat.stream), wanted_of(chat)
            verdict = assess(draft, wanted)
        except Exception:  # noqa: BLE001 - what nobody can read is no good, and there are larger models
            _log.exception("draft.broke", upstream=upstream)
            verdict = Verdict(score=0.0, findings={"form": Finding(0.0, "it cannot be read")})
            return self._ruled(attempt, Checked(chat, Draft(), Wanted(), upstream), verdict)
        checked, asked = Checked(chat, draft, wanted, upstream), self._decision.route.assessors(upstream)
        if not asked or verdict.score < self._accept_at(upstream):
            return self._ruled(attempt, checked, verdict)
        return partial(self._looked_into, attempt, checked, verdict, asked)

    async def _looked_into(
        self, attempt: Attempt, checked: Checked, verdict: Verdict, asked: Sequence[CallingAssessor]
    ) -> Verdict:
        """Ask others, until one of them has said something. A doubt that nobody could resolve stays one: the next tier
        is asked, or this answer delivered for want of a better one."""
        findings = dict(verdict.findings)
        for name in asked:
            try:
                found = await self._asked(name, checked)
            except Exception:  # noqa: BLE001 - a defect here must not end the request
                _log.exception("assessor.broke", assessor=name)
                found = Failure(kind="malformed", message="an assessor broke")
            if isinstance(found, Failure):
                why = found.message if found is NO_JUDGEMENT else f"nobody could be asked ({found.kind})"
                findings[name] = Finding(0.0, why)
                continue
            if found is not None:
                findings = {other: each for other, each in findings.items() if other not in asked} | {name: found}
                break
        return self._ruled(attempt, checked, verdict_of(findings))

    async def _asked(self, name: CallingAssessor, checked: Checked) -> Finding | Failure | None:
        route, call = self._decision.route, self._call
        left_s = call.arrived_at + min(route.deadlines.total_s, call.timeout_s or inf) - now()
        if name == "agreement":
            return None if route.agree_with is None else await self._checks.agreement(checked, route.agree_with, left_s)
        if route.judge is None or self._gate is None:
            return None
        raw = await self._checks.score(checked.chat, checked.draft, route.judge, "judge", left_s)
        if raw is NO_JUDGEMENT:
            self._gate.no_judgement(route, now())
        if raw is None or isinstance(raw, Failure):
            return raw
        self._oversight.gates.judged_by_model(call, route, checked.upstream, raw)
        score = self._gate.keeper.calibrated(raw)
        return Finding(score, f"{route.judge} gives it {raw:.1f}, which is worth {score:.2f}")

    def _accept_at(self, upstream: UpstreamId) -> float:
        route = self._decision.route
        return route.accept_at.of(route.tier_of(upstream), self._call.attribution.task, self._domain)

    def _ruled(self, attempt: Attempt, checked: Checked, verdict: Verdict) -> Verdict:
        """Say what is done about an answer: by its findings, and by what was learned where answers are audited."""
        upstream, accept_at = checked.upstream, self._accept_at(checked.upstream)
        gate, route = self._gate, self._decision.route
        walk = self._walk
        ruling = Ruling(score=verdict.score, is_accepted=verdict.score >= accept_at)
        try:
            if gate is not None and walk is not None:
                ruling = self._by_policy(gate, walk, attempt, checked, verdict)
            elif gate is not None:
                ruling = self._by_what_was_learned(gate, attempt, checked, verdict, accept_at) or ruling
                if route.audit is None or gate.keeper.guard(self._domain).trust is Trust.TRUSTED:
                    gate.ascent(self._domain).was_judged(route.tier_of(upstream), is_accepted=ruling.is_accepted)
                if not ruling.is_accepted:
                    ruling = self._going_up(gate, upstream, ruling)
        except Exception:  # noqa: BLE001 - the findings are there
            _log.exception("gate.broke", route=route.name)
        verdict = replace(verdict, ruling=ruling)
        asked_for = None if gate is not None and walk is not None else accept_at
        self._note(Judged(upstream, verdict, asked_for, ruling.is_accepted))
        return verdict

    def _is_audited(self, checked: Checked) -> bool:
        route = self._decision.route
        return route.audit is not None and (is_comparable(checked.draft, checked.wanted) or route.judge is not None)

    def _by_what_was_learned(
        self, gate: RouteGate, attempt: Attempt, checked: Checked, verdict: Verdict, accept_at: float
    ) -> Ruling | None:
        """Return what the gate says; None where nothing can be learned of such answers."""
        if not self._is_audited(checked):
            return None
        route = self._decision.route
        place, features = route.tier_of(checked.upstream), gate_features(checked.draft, verdict)
        expected = gate.keeper.expected_gain(place, verdict, features)
        ruling = gate.keeper.rule(self._domain, verdict, expected, accept_at)
        look = Look(
            tier=place,
            domain=self._domain,
            features=features,
            margin=1.0 - expected - accept_at,
            share=1.0,
            is_backed="agreement" in verdict.findings and verdict.findings["agreement"].score >= 1.0,
            gain=None,
        )
        self._judged.append(Held(attempt.number, checked, look, is_accepted=ruling.is_accepted))
        return ruling

    def _by_policy(
        self, gate: RouteGate, walk: PolicyWalk, attempt: Attempt, checked: Checked, verdict: Verdict
    ) -> Ruling:
        """Return what the route's policy says; where an earlier answer is delivered, that is the accepted one."""
        decision, is_audited = self._decision, self._is_audited(checked)
        guard = gate.keeper.guard(self._domain) if is_audited else None
        found = ruled(walk, decision, checked, verdict, guard)
        if not is_audited:
            return found.ruling
        if found.ruling.delivers is not None:
            delivered = {each.upstream.id for each in decision.tiers[found.ruling.delivers].candidates}
            self._judged = [
                replace(each, is_accepted=True, look=replace(each.look, margin=found.margin))
                if each.checked.upstream in delivered
                else each
                for each in self._judged
            ]
        look = Look(
            tier=decision.route.tier_of(checked.upstream),
            domain=self._domain,
            features=gate_features(checked.draft, verdict),
            margin=found.margin,
            share=1.0,
            is_backed=found.is_backed,
            gain=None,
        )
        self._judged.append(Held(attempt.number, checked, look, is_accepted=found.ruling.is_accepted))
        return found.ruling

    def _going_up(self, gate: RouteGate, upstream: UpstreamId, ruling: Ruling) -> Ruling:
        """Say which tier is asked next: the best of those that are left."""
        tiers = self._decision.tiers
        here = next(i for i, tier in enumerate(tiers) if any(each.upstream.id == upstream for each in tier.candidates))
        following = next_tier(gate, self._decision, self._domain, self._chat, self._checks.upstreams, here + 1)
        skipped = [each.upstream.id for tier in tiers[here + 1 : following] for each in tier.candidates]
        why = [f"skips {', '.join(skipped)}: too few of their answers are accepted"] if skipped else []
        return replace(ruling, next_tier=following, reason="; ".join(filter(None, [ruling.reason, *why])))

    def ended(self, continuations: Continuations | None, *, is_finished: bool) -> None:
        """Learn from the request, now that the client has its answer. Whatever it is, it must not harm that."""
        try:
            self._learn(continuations, is_finished=is_finished)
            if self._draw is not None and self._answered_by is not None and is_finished:
                body = self._whole if continuations is None else continuations.transcript.events
                self._draw.offer(body, self._answered_by, self._oversight.auditor, self._checks)
        except Exception:  # noqa: BLE001 - the answer is there
            _log.exception("gate.broke", route=self._decision.route.name)

    def _learn(self, continuations: Continuations | None, *, is_finished: bool) -> None:
        """Take pairs of answers that are there for nothing, and draw audits; `continuations` has what streamed."""
        gate, judged, route = self._gate, self._judged, self._decision.route
        if self._decision.next_tier is None and self._walk is not None and route.audit is not None:
            self._oversight.gates.of(route).keeper.passed(self._domain)  # the largest was asked at once
        if gate is None or not judged or not is_finished:
            return
        own = next((each for each in judged if each.number == self._answering), None)
        if own is not None:
            if own.is_accepted:
                self._drawn(gate, own)
            return  # a draft that was delivered for want of a better one tells nothing
        text = None if continuations is None else continuations.text
        other = Draft(text=text, finish_reason="stop") if text else None
        if self._whole is not None:
            other = read_draft(self._whole, stream=False)
        if other is None:
            return
        for each in judged:
            found = agrees(each.checked.draft, other, each.checked.wanted)
            if not found and each.look.margin >= 0.0 and self._decision.route.judge is not None:
                self._offer(gate, each, each.look, other)
            elif found is not None:
                gain = gate.keeper.gain_of(agrees=found, is_backed=each.look.is_backed)
                gate.keeper.learn(replace(each.look, gain=gain))

    def _drawn(self, gate: RouteGate, held: Held) -> None:
        share = gate.keeper.guard(self._domain).look_share
        look = replace(held.look, share=max(share, LEAST_SHARE))
        if self._oversight.uniform() < share:
            self._offer(gate, held, look, None)
        else:
            gate.keeper.learn(look)

    def _offer(self, gate: RouteGate, held: Held, look: Look, other: Draft | None) -> None:
        route = self._decision.route
        self._oversight.auditor.offer(
            Audit(
                route=route,
                gate=gate,
                checked=held.checked,
                checks=self._checks,
                share=look.share,
                against=route.tiers[-1],
                better=route.upstreams,
                look=look,
                decision_id=self._call.decision_id,
                other=other,
                other_upstream=None if other is None else self._answered_by,
            )
        )
