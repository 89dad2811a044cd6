"""Opens calls: money and a permit for each before it is made, and both back when it is over, or never was."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from streamroute.clock import now
from streamroute.core.execution.admission import Admission
from streamroute.core.execution.commands import Start
from streamroute.core.execution.events import AttemptEvent
from streamroute.core.observation import AttemptObservation
from streamroute.core.outcome import CROSS_CHECKS, Failure
from streamroute.core.rate_limit import RateLimitReport
from streamroute.core.request import ChatRequest
from streamroute.core.routing.decision_log import Made, NotMade
from streamroute.core.upstream import Rung
from streamroute.engine.attempt import Attempt
from streamroute.engine.attempt_options import AttemptOptions
from streamroute.engine.call import Call
from streamroute.engine.continuations import NOT_CONTINUABLE
from streamroute.engine.course import Course
from streamroute.engine.decoding import StreamDecoder
from streamroute.engine.spending import Spending
from streamroute.providers.provider import CostOf
from streamroute.providers.transport import Transport

_BESIDE = frozenset({"hedge", "race", "probe", "speculation", *CROSS_CHECKS})


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an upstream is asked, and how its answer is read; see `AttemptOptions`."""

    chat: ChatRequest
    rung: Rung | None
    decoder: Callable[[], StreamDecoder]
    clean: Callable[[bytes], bytes] | None


class Opening:
    """Opens the calls of all requests."""

    def __init__(
        self,
        *,
        transport: Transport,
        spending: Spending,
        admission: Admission,
        in_flight: Callable[[], int],
        note: Callable[[Call, Made | NotMade], None],
    ) -> None:
        """`in_flight`: how many requests are being served; `note` is told what became of each call."""
        self._transport = transport
        self._spending = spending
        self._admission = admission
        self._in_flight = in_flight
        self._note = note

    def open(
        self, call: Call, course: Course, start: Start, notify: Callable[[AttemptEvent], None]
    ) -> Attempt | Failure:
        """Take money and a permit and make the attempt that returns them, or say why the upstream must not be
        called."""
        upstream = start.upstream
        is_held = course.holding.holds(upstream, start.cause)
        begun = self._spending.pricing.begun(upstream.id, course.terms)
        tells_cost = call.tells_cost and not is_held
        cost_of = partial(self._spending.cost_usd, course.bill, upstream, call.chat, begun) if tells_cost else None
        asked = _asked(call, course, start, cost_of, is_held=is_held)
        if isinstance(asked, Failure):
            return asked
        chat = asked.chat
        reservation = self._spending.reserve(
            call.attribution,
            upstream,
            chat,
            cap=course.cap,
            is_beside=start.cause in _BESIDE,
            may_use_unpriced=call.caller.may_use_unpriced,
        )
        if isinstance(reservation, Failure):
            self._note(call, NotMade(upstream.id, start.cause, reservation.message))
            return reservation

        try:
            leave = self._admission.admit(
                start,
                now(),
                latency_class=course.decision.latency_class,
                prompt_tokens=chat.prompt_tokens,
                is_stream=chat.stream,
                in_flight=self._in_flight(),
            )
        except BaseException:
            self._spending.give_back(reservation)
            raise
        if isinstance(leave, Failure):
            self._spending.give_back(reservation)
            self._note(call, NotMade(upstream.id, start.cause, leave.message))
            return leave

        def connected() -> None:
            self._admission.connected(leave, now())

        def first_token() -> None:
            self._admission.first_token(leave, now())

        def reported(report: RateLimitReport) -> None:
            self._admission.reported(leave, report, now())

        def settled(observation: AttemptObservation) -> None:
            if observation.failure is not None:
                course.failures.append(observation)
            self._admission.settle(leave, observation)
            observation = self._spending.settle(observation, reservation, begun)
            if observation.charged is not None:
                course.bill.add(observation.charged)
            self._note(call, Made(observation, start.deadlines))
            course.holding.settled(observation, is_held=is_held)

        try:
            return Attempt(
                AttemptOptions(
                    attempt=start.attempt,
                    cause=start.cause,
                    request_id=call.request_id,
                    ledger_id=call.ledger_id,
                    attribution=call.attribution,
                    route=course.decision.route.name,
                    chat=chat,
                    rung=asked.rung,
                    decoder=asked.decoder,
                    clean=asked.clean,
                    upstream=upstream,
                    provider=course.providers[upstream.provider],
                    transport=self._transport,
                    forwarded=call.forwarded,
                    notify=notify,
                    connected=connected,
                    first_token=first_token,
                    reported=reported,
                    settled=settled,
                )
            )
        except BaseException:
            self._admission.give_back(leave, now())
            self._spending.give_back(reservation)
            raise


def _asked(call: Call, course: Course, start: Start, cost_of: CostOf | None, *, is_held: bool) -> _Asked | Failure:
    """Return what is asked: what the client has, or how it goes on, and of an answer that is judged what tells more."""
    provider, continuations = course.providers[start.upstream.provider], course.continuations
    chat, rung = call.chat, None
    decoder: Callable[[], StreamDecoder] = partial(provider.decoder, chat, cost_of)
    if start.rung is not None:
        continuation = continuations.call(start, provider, cost_of) if continuations is not None else NOT_CONTINUABLE
        if isinstance(continuation, Failure):
            return continuation
        chat, rung, decoder = continuation.chat, continuation.rung, continuation.decoder
    chat, clean = course.holding.asked(chat, start.upstream) if is_held else (chat, None)
    return _Asked(chat, rung, decoder, clean)
