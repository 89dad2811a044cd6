"""Calls that find out what an answer is worth: agreement with another model, and the word of a judge.

Each is an attempt like any other, under its breaker, its budgets and on the ledger, with a cause of its own. It is made
beside a request, so the last money is not for it; and it has little time, for a client may be waiting.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from streamroute.core.cost.bill import Bill
from streamroute.core.execution.commands import Start
from streamroute.core.execution.events import AttemptEvent, AttemptId, Failed, Succeeded
from streamroute.core.money import NOTHING, Money
from streamroute.core.observation import AttemptObservation
from streamroute.core.outcome import AttemptCause, Failure
from streamroute.core.quality.comparison import agrees, is_comparable
from streamroute.core.quality.judge import read_judgement
from streamroute.core.quality.verdict import NOTHING_AGAINST, Draft, Finding, Wanted
from streamroute.core.request import ChatRequest
from streamroute.core.requirements import Requirements
from streamroute.core.routing.eligibility import why_not as unable
from streamroute.core.routing.scope import may_serve
from streamroute.core.upstream import ProviderName, Upstream, UpstreamId
from streamroute.engine.attempt import Attempt
from streamroute.engine.call import Call
from streamroute.providers.addressing import ATTEMPT_HEADER
from streamroute.providers.provider import Provider
from streamroute.wire.openai_chat.cross_check import asked_again, judge_request
from streamroute.wire.openai_chat.draft import read_draft

FIRST_NUMBER = 101
"""Of the attempts of a request that are made for us: those of its plan are fewer."""
MOST_S = 10.0
"""As long as a first token may take by default."""
NO_JUDGEMENT = Failure(kind="malformed", message="the judge's answer was no judgement")
_TOO_LATE = Failure(kind="answer_timeout", message="not answered in the time that there is", is_clients_limit=True)


class Open(Protocol):
    """Makes an attempt ready to run, or says why the call must not be made."""

    def __call__(self, call: Call, start: Start, notify: Callable[[AttemptEvent], None], /) -> Attempt | Failure: ...


@dataclass(frozen=True, slots=True)
class Checked:
    """An answer that is to be looked into."""

    chat: ChatRequest
    draft: Draft
    wanted: Wanted
    upstream: UpstreamId
    """Who gave it."""


class CrossChecks:
    """Makes them for one request."""

    def __init__(
        self,
        call: Call,
        open_attempt: Open,
        *,
        upstreams: Mapping[UpstreamId, Upstream],
        providers: Mapping[ProviderName, Provider],
        requirements: Requirements,
        bill: Bill,
        most: Callable[[ChatRequest, Upstream], Money | None],
    ) -> None:
        """`call`: of the client; `bill`: of all its calls, these included; `most` is what one call may cost."""
        self._call = call
        self._open = open_attempt
        self.upstreams = upstreams
        self._providers = providers
        self._requirements = requirements
        self._bill = bill
        self.most = most
        self._next = FIRST_NUMBER
        self._paid: dict[int, Callable[[Money], None]] = {}

    def settled(self, observation: AttemptObservation) -> None:
        """Tell who wants to know what one of these calls has cost, as far as that is known."""
        paid = self._paid.pop(observation.attempt, None)
        if paid is not None and observation.charged is not None:
            paid(observation.charged.cost or NOTHING)

    async def agreement(self, checked: Checked, with_: UpstreamId, left_s: float) -> Finding | Failure | None:
        """Ask another model the same; None where the two could not be compared anyway."""
        if not is_comparable(checked.draft, checked.wanted):
            return None
        chat = asked_again(checked.chat, is_second_sample=with_ == checked.upstream)
        other = await self.ask(chat, with_, "agreement", left_s)
        if isinstance(other, Failure):
            return other
        found = agrees(checked.draft, other, checked.wanted)
        if found is None:
            return None
        return NOTHING_AGAINST if found else Finding(0.0, f"{with_} comes to another answer")

    async def score(
        self,
        chat: ChatRequest,
        draft: Draft,
        judge: UpstreamId,
        cause: AttemptCause,
        left_s: float,
        *,
        paid: Callable[[Money], None] | None = None,
    ) -> float | Failure | None:
        """Return what a judge thinks of an answer, 0..1 and not calibrated; `NO_JUDGEMENT` where it says something
        else."""
        asked = judging(chat, draft)
        if asked is None:
            return None
        said = await self.ask(asked, judge, cause, left_s, paid=paid)
        if isinstance(said, Failure):
            return said
        score = read_judgement(said.text)
        return NO_JUDGEMENT if score is None else score

    async def ask(
        self,
        chat: ChatRequest,
        upstream: UpstreamId,
        cause: AttemptCause,
        left_s: float,
        *,
        most_s: float = MOST_S,
        paid: Callable[[Money], None] | None = None,
    ) -> Draft | Failure:
        """Make one call, and return its answer or why there is none; `paid` is told what it has cost."""
        known = self.upstreams.get(upstream)
        reason = "it is disabled" if known is None else self.why_not(chat, known)
        if known is None or reason is not None:
            return Failure(kind="blocked", message=f"{upstream}: {reason}")
        ends: list[Succeeded | Failed] = []

        def notify(event: AttemptEvent) -> None:
            if isinstance(event, Succeeded | Failed):
                ends.append(event)

        number, self._next = AttemptId(self._next), self._next + 1
        forwarded = {**self._call.forwarded, ATTEMPT_HEADER: "1"}
        aside = replace(self._call, chat=chat, tells_cost=False, forwarded=forwarded)
        attempt = self._open(aside, Start(number, known, cause=cause), notify)
        if isinstance(attempt, Failure):
            return attempt
        if paid is not None:
            self._paid[number] = paid
        too_late = asyncio.get_running_loop().call_later(
            max(0.0, min(left_s, most_s)), attempt.cancel, "lost", _TOO_LATE
        )
        try:
            await attempt.run()
        finally:
            too_late.cancel()
        end = ends[0] if ends else Failed(number, _TOO_LATE)
        return end.failure if isinstance(end, Failed) else read_draft(attempt.held, stream=False)

    def why_not(self, chat: ChatRequest, upstream: Upstream) -> str | None:
        """Return why an upstream must not be asked what a client has asked: the same limits hold as for the request."""
        if not may_serve(self._call.caller, upstream):
            return f"the key {self._call.caller.defaults.key!r} may not use it"
        region = self._requirements.residency
        if region is not None and upstream.residency != region:
            return f"it is not known to keep data in {region}"
        limit, most = self._requirements.max_cost, self._bill.plus(self.most(chat, upstream))
        if limit is not None and (most is None or most > limit):
            return "the request may not cost that much"
        return unable(chat, upstream) or self._providers[upstream.provider].why_not(chat, upstream)


def judging(chat: ChatRequest, draft: Draft) -> ChatRequest | None:
    """Return what a judge is asked about an answer; None where it cannot be put in words."""
    return judge_request(chat, draft.text) if draft.text and not draft.tool_arguments else None
