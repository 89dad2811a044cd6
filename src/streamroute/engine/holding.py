"""Answers of smaller models that are held back: what is asked of them besides, what they are worth, and whose answer
the client gets in the end.

What a held answer has cost is known at its end, whether it was an answer or was in vain only when another one is
delivered or it is itself. Until then its observation is kept back, so that the ledger has it once and right: it is
published before the client gets anything.
"""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

import structlog

from streamroute.clock import now
from streamroute.core.cost.bill import Bill
from streamroute.core.gate import CallingAssessor
from streamroute.core.money import usd_text
from streamroute.core.observation import AttemptObservation
from streamroute.core.outcome import CROSS_CHECKS, AttemptCause, Failure
from streamroute.core.quality.checks import assess
from streamroute.core.quality.verdict import Finding, Verdict, verdict_of
from streamroute.core.request import ChatRequest
from streamroute.core.routing.decision import Decision
from streamroute.core.routing.decision_log import Judged
from streamroute.core.upstream import Upstream, UpstreamId
from streamroute.engine.attempt import Attempt
from streamroute.engine.call import Call
from streamroute.engine.cross_checks import Checked, CrossChecks
from streamroute.wire.openai_chat.draft import read_draft, wanted_of, with_cost_told, with_logprobs, without_logprobs

_log = structlog.get_logger(__name__)


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
    ) -> None:
        """`note` is told of every verdict, `publish` of every attempt that has ended; `checks` asks other models."""
        self._call = call
        self._chat = call.chat
        self._decision = decision
        self._bill = bill
        self._note = note
        self._publish = publish
        self._checks = checks
        self._kept: list[AttemptObservation] = []

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

    def judge(self, attempt: Attempt) -> Verdict | Callable[[], Coroutine[Any, Any, Verdict]]:
        """Return what a held answer is worth, or how to find out: others are asked only where the answer itself leaves
        a doubt, which is wherever nothing speaks against it."""
        upstream, chat = attempt.upstream.id, self._chat
        try:
            draft, wanted = read_draft(attempt.held, stream=chat.stream), wanted_of(chat)
            verdict = assess(draft, wanted)
        except Exception:  # noqa: BLE001 - what nobody can read is no good, and there are larger models
            _log.exception("draft.broke", upstream=upstream)
            return self._ruled(upstream, Verdict(score=0.0, findings={"form": Finding(0.0, "it cannot be read")}))
        asked = self._decision.route.assessors(upstream)
        if not asked or verdict.score < self._accept_at(upstream):
            return self._ruled(upstream, verdict)
        return partial(self._looked_into, Checked(chat, draft, wanted, upstream), verdict, asked)

    async def _looked_into(self, checked: Checked, verdict: Verdict, asked: Sequence[CallingAssessor]) -> Verdict:
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
                findings[name] = Finding(0.0, f"nobody could be asked ({found.kind})")
                continue
            if found is not None:
                findings = {other: each for other, each in findings.items() if other not in asked} | {name: found}
                break
        return self._ruled(checked.upstream, verdict_of(findings))

    async def _asked(self, name: CallingAssessor, checked: Checked) -> Finding | Failure | None:
        route, call = self._decision.route, self._call
        left_s = call.arrived_at + min(route.deadlines.total_s, call.timeout_s or inf) - now()
        if name == "agreement":
            return None if route.agree_with is None else await self._checks.agreement(checked, route.agree_with, left_s)
        return None if route.judge is None else await self._checks.judgement(checked, route.judge, _as_it_is, left_s)

    def _accept_at(self, upstream: UpstreamId) -> float:
        route = self._decision.route
        return route.accept_at.of(route.tier_of(upstream), self._call.attribution.task)

    def _ruled(self, upstream: UpstreamId, verdict: Verdict) -> Verdict:
        accept_at = self._accept_at(upstream)
        self._note(Judged(upstream, verdict, accept_at, verdict.score >= accept_at))
        return verdict


def _as_it_is(score: float) -> float:
    return score
