"""`POST /v1/feedback`: how good an answer was, by whoever used it.

The body is read by `wire.feedback`. A key may only judge the answers that it got. The first word counts: the same again
is answered as before, another score is refused. A client may have the whole answer a moment before its request is over,
so one that is under way is waited for. Decisions that are not in memory any more, because there were many or
because of a restart, are looked for in the ledger.
"""

from collections.abc import Callable

import anyio
import anyio.to_thread
from aiohttp import web

from streamroute.core.attribution import Attribution
from streamroute.core.caller import Caller
from streamroute.core.observation import Observation, QualityObservation, RequestObservation, Traits
from streamroute.core.quality.quality_outcome import QualityOutcome
from streamroute.core.routing.decision_log import DecisionLog
from streamroute.core.upstream import UpstreamId
from streamroute.errors import ForbiddenError, RequestError, StoreError
from streamroute.server.books import Books
from streamroute.server.call import read_body
from streamroute.server.options import ServerOptions
from streamroute.server.replies import json_reply
from streamroute.stores.request_reader import KeptRequest
from streamroute.wire.feedback import Feedback, decode_feedback

WAIT_S = 2.0
"""For a request that is under way: calls that lost may still be ending."""
TIMEOUT_S = 2.0
"""A look by primary key takes a millisecond; a database that needs longer is in trouble."""
MAX_LOOKING = 16
"""Requests that wait for the ledger; one at a time looks."""
MAX_REMEMBERED = 1000
"""What was said of requests that are only in the ledger, until it is there too."""


class FeedbackHandler:
    """Takes clients' judgements; a listener for the bus."""

    def __init__(self, decisions: DecisionLog, publish: Callable[[Observation], None], books: Books) -> None:
        self._decisions = decisions
        self._publish = publish
        self._books = books
        self._looking = 0
        self._turn = anyio.Lock()
        self._said: dict[str, QualityOutcome] = {}
        self._waiting: dict[str, list[anyio.Event]] = {}
        """By decision that is under way, one for each that waits."""
        self.options = ServerOptions()

    async def __call__(self, request: web.BaseRequest, caller: Caller, headers: dict[str, str]) -> web.Response:
        """Answer one request; raises RequestError."""
        feedback = decode_feedback(await read_body(request, self.options))
        record = self._decisions.get(feedback.decision_id)
        if record is not None:
            _require_own(caller, record.attribution)
            if record.outcome is None:
                await self._over(record.id)
            if record.outcome is None:
                raise RequestError("The request is still under way.", status=409, code="request_under_way")
            outcome = _outcome(feedback, record.answered_by)
            known = next((each for each in record.outcomes if _is_same(each, outcome)), None)
            if known is None:
                self._publish(outcome)
        else:
            outcome, known = await self._judge_kept(feedback, caller)
        if known is not None and (known.score, known.label) != (outcome.score, outcome.label):
            raise _already(known)
        document = {
            "object": "feedback",
            "decision_id": outcome.decision_id,
            "upstream": outcome.upstream,
            "score": outcome.score,
            "label": outcome.label,
            "is_new": known is None,
        }
        return json_reply(document, headers={**headers, "Cache-Control": "no-store"})

    def listen(self, observation: Observation) -> None:
        """Hear an observation: a request that is over may be waited for."""
        if isinstance(observation, RequestObservation) and observation.ledger_id in self._waiting:
            for event in self._waiting.pop(observation.ledger_id):
                event.set()

    async def _over(self, id_: str) -> None:
        """Wait for the end of a request, for a moment."""
        event = anyio.Event()
        self._waiting.setdefault(id_, []).append(event)
        try:
            with anyio.move_on_after(WAIT_S):
                await event.wait()
        finally:
            left = self._waiting.get(id_, [])
            if event in left:
                left.remove(event)
            if not left:
                self._waiting.pop(id_, None)

    async def _judge_kept(self, feedback: Feedback, caller: Caller) -> tuple[QualityOutcome, QualityOutcome | None]:
        """Judge the answer of a request that is only in the ledger; return that, and what was said before."""
        kept = await self._find(feedback.decision_id)
        if kept is None:
            raise self._not_found(feedback.decision_id)
        entry = kept.request
        attribution = Attribution(task=entry.task, user=entry.user, team=entry.team, key=entry.key)
        _require_own(caller, attribution)
        outcome = _outcome(feedback, None if entry.upstream is None else UpstreamId(entry.upstream))
        known = self._said.get(feedback.decision_id)
        for each in kept.quality:
            if (each.source, each.upstream) == (outcome.source, outcome.upstream):
                known = _outcome(
                    Feedback(decision_id=each.ledger_id, score=each.score, label=each.label), outcome.upstream
                )
        if known is None:
            self._said[feedback.decision_id] = outcome
            if len(self._said) > MAX_REMEMBERED:
                del self._said[next(iter(self._said))]
            traits = Traits(
                domain=entry.domain, tier=entry.route_tier, predicted=entry.predicted, propensity=entry.propensity
            )
            self._publish(
                QualityObservation(outcome=outcome, route=entry.route, attribution=attribution, traits=traits)
            )
        return outcome, known

    async def _find(self, id_: str) -> KeptRequest | None:
        if self._books.find_request is None:
            return None
        if self._looking >= MAX_LOOKING:
            raise RequestError("Many are looked for in the ledger; try again.", status=429, code="feedback_busy")
        self._looking += 1
        try:
            async with self._turn:
                return await anyio.to_thread.run_sync(self._books.find_request, id_, TIMEOUT_S, abandon_on_cancel=True)
        except StoreError as error:
            raise RequestError(
                f"The decision is not in memory, and the ledger cannot be read: {error}.",
                status=503,
                code="ledger_unavailable",
                type_="server_error",
            ) from error
        finally:
            self._looking -= 1

    def _not_found(self, id_: str) -> RequestError:
        memory = f"the latest {self._decisions.size} are kept in memory"
        if self._books.find_request is None:
            where = f"{memory}, none across a restart, and there is no ledger"
        elif self._books.keep_days:
            where = f"{memory}, and requests in the ledger for {self._books.keep_days} days (`ledger.keep_days`)"
        else:
            where = f"{memory}, and requests in the ledger for ever"
        return RequestError(
            f"There is no decision {id_!r}: {where}.", status=404, code="decision_not_found", param="decision_id"
        )


def _outcome(feedback: Feedback, upstream: UpstreamId | None) -> QualityOutcome:
    if upstream is None:
        raise RequestError(
            "Nobody has answered that request: there is nothing to judge.",
            status=409,
            code="nothing_to_judge",
            param="decision_id",
        )
    return QualityOutcome(
        decision_id=feedback.decision_id,
        upstream=upstream,
        score=feedback.score,
        source="feedback",
        label=feedback.label,
    )


def _is_same(one: QualityOutcome, two: QualityOutcome) -> bool:
    return (one.source, one.upstream) == (two.source, two.upstream)


def _require_own(caller: Caller, attribution: Attribution) -> None:
    if not caller.is_admin and caller.defaults.key != attribution.key:
        raise ForbiddenError(
            f"The API key {caller.defaults.key!r} may judge the answers that it got; this was another's request.",
            param="decision_id",
        )


def _already(known: QualityOutcome) -> RequestError:
    label = "" if known.label is None else f" ({known.label!r})"
    return RequestError(
        f"That answer was given {known.score:g}{label} already: the first word counts.",
        status=409,
        code="already_judged",
        param="score",
    )
