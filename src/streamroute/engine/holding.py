"""Answers of smaller models that are held back: what is asked of them besides, and what they are worth."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import structlog

from streamroute.core.quality.checks import assess
from streamroute.core.quality.verdict import Finding, Verdict
from streamroute.core.request import ChatRequest
from streamroute.core.routing.decision import Decision
from streamroute.core.routing.decision_log import Judged
from streamroute.core.upstream import Upstream
from streamroute.engine.attempt import Attempt
from streamroute.engine.call import Call
from streamroute.wire.openai_chat.draft import read_draft, wanted_of, with_logprobs, without_logprobs

_log = structlog.get_logger(__name__)


class Holding:
    """Judges the held answers of one request."""

    def __init__(self, call: Call, decision: Decision, note: Callable[[Judged], None]) -> None:
        """`note` is told of every verdict."""
        self._chat = call.chat
        self._task = call.attribution.task
        self._decision = decision
        self._note = note

    def asked(self, chat: ChatRequest, upstream: Upstream) -> tuple[ChatRequest, Callable[[bytes], bytes] | None]:
        """Return what is asked of an upstream, and what takes out of its answer what the client has not asked for."""
        is_wanted = upstream.capabilities.logprobs is True and self._decision.is_held(upstream.id)
        if not is_wanted or chat.wants_logprobs:
            return chat, None
        return replace(chat, payload=with_logprobs(chat.payload)), partial(without_logprobs, stream=chat.stream)

    def judge(self, attempt: Attempt) -> Verdict:
        """Return what a held answer is worth."""
        try:
            verdict = assess(read_draft(attempt.held, stream=self._chat.stream), wanted_of(self._chat))
        except Exception:  # noqa: BLE001 - what nobody can read is no good, and there are larger models
            _log.exception("draft.broke", upstream=attempt.upstream.id)
            verdict = Verdict(score=0.0, findings={"form": Finding(0.0, "it cannot be read")})
        upstream, route = attempt.upstream.id, self._decision.route
        accept_at = route.accept_at.of(route.tier_of(upstream), self._task)
        self._note(Judged(upstream, verdict, accept_at, verdict.score >= accept_at))
        return verdict
