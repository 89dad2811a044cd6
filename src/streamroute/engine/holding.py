"""Answers of smaller models that are held back: what is asked of them besides, what they are worth, and whose answer
the client gets in the end.

What a held answer has cost is known at its end, whether it was an answer or was in vain only when another one is
delivered or it is itself. Until then its observation is kept back, so that the ledger has it once and right: it is
published before the client gets anything.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import structlog

from streamroute.core.cost.bill import Bill
from streamroute.core.money import usd_text
from streamroute.core.observation import AttemptObservation
from streamroute.core.outcome import CROSS_CHECKS, AttemptCause
from streamroute.core.quality.checks import assess
from streamroute.core.quality.verdict import Finding, Verdict
from streamroute.core.request import ChatRequest
from streamroute.core.routing.decision import Decision
from streamroute.core.routing.decision_log import Judged
from streamroute.core.upstream import Upstream
from streamroute.engine.attempt import Attempt
from streamroute.engine.call import Call
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
    ) -> None:
        """`note` is told of every verdict, `publish` of every attempt that has ended."""
        self._call = call
        self._chat = call.chat
        self._decision = decision
        self._bill = bill
        self._note = note
        self._publish = publish
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

    def judge(self, attempt: Attempt) -> Verdict:
        """Return what a held answer is worth."""
        try:
            verdict = assess(read_draft(attempt.held, stream=self._chat.stream), wanted_of(self._chat))
        except Exception:  # noqa: BLE001 - what nobody can read is no good, and there are larger models
            _log.exception("draft.broke", upstream=attempt.upstream.id)
            verdict = Verdict(score=0.0, findings={"form": Finding(0.0, "it cannot be read")})
        upstream, route = attempt.upstream.id, self._decision.route
        accept_at = route.accept_at.of(route.tier_of(upstream), self._call.attribution.task)
        self._note(Judged(upstream, verdict, accept_at, verdict.score >= accept_at))
        return verdict
