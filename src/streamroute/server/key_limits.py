"""The rate limits of keys: a request is let in or refused with 429, and its tokens are settled when it is over.

What is counted in the end are the tokens of the calls whose text the client got, as the provider counted them, else
as `core.cost.charge` does. Hedges that lost and retries are our own affair and no part of a client's limit.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from streamroute.clock import now
from streamroute.core.caller import Caller
from streamroute.core.cost.charge import EXPECTED_OUTPUT_TOKENS, charge
from streamroute.core.cost.key_rates import KeyRates, OverLimit
from streamroute.core.cost.key_ring import KeyRing
from streamroute.core.observation import AttemptObservation, Observation
from streamroute.core.outcome import CROSS_CHECKS
from streamroute.core.rate_limit import RateLimitReport
from streamroute.core.request import ChatRequest
from streamroute.core.upstream import Capabilities
from streamroute.engine.call import Call
from streamroute.errors import RequestError
from streamroute.wire.rate_limit import duration_text, rate_limit_headers

_UNKNOWN = Capabilities()


class KeyLimits:
    """Keeps all keys within their limits; a listener for the bus."""

    def __init__(self) -> None:
        self._rates = KeyRates()
        self._used: dict[str, int] = {}
        """Tokens so far of the requests that are running, by `ledger_id`."""
        self.refused: Counter[tuple[str, str]] = Counter()
        """Requests, by the key's name and the limit that they went over."""

    def headers(self, caller: Caller) -> dict[str, str]:
        """Return what a caller is told of its limits with every answer; nothing where it has none."""
        report = self.report(caller)
        return {} if report is None else rate_limit_headers(report)

    def report(self, caller: Caller) -> RateLimitReport | None:
        """Return what is left of a caller's limits."""
        return self._rates.report(caller, now())

    @contextmanager
    def held(self, call: Call) -> Iterator[None]:
        """Hold what the call needs of its caller's limits until it is over; raises RequestError 429."""
        prompt, output = _estimate(call.chat)
        reservation = self._rates.reserve(call.caller, prompt_tokens=prompt, output_tokens=output, now=now())
        if isinstance(reservation, OverLimit):
            self.refused[call.caller.defaults.key or "", reservation.kind] += 1
            raise _refusal(reservation, call)
        if reservation.key_id is None:
            yield
            return
        self._used[call.ledger_id] = 0
        try:
            yield
        finally:
            self._rates.settle(reservation, self._used.pop(call.ledger_id))

    def __call__(self, observation: Observation) -> None:
        """Count the tokens that a client got."""
        if not isinstance(observation, AttemptObservation) or observation.ledger_id not in self._used:
            return
        # A whole answer, and one that was held, is committed only after it has ended.
        is_aside = observation.is_rejected or observation.cause == "probe" or observation.cause in CROSS_CHECKS
        is_answer = observation.is_committed or (observation.outcome == "succeeded" and not is_aside)
        charged = charge(observation, _UNKNOWN) if is_answer else None
        if charged is not None:
            self._used[observation.ledger_id] += charged.usage.input_tokens + charged.usage.output_tokens

    def apply(self, ring: KeyRing) -> None:
        """Forget keys that are gone."""
        self._rates.keep({key.id for key in ring.keys})
        names = {key.name for key in ring.keys}
        self.refused = Counter({each: count for each, count in self.refused.items() if each[0] in names})


def _estimate(chat: ChatRequest) -> tuple[int, int]:
    """Return the tokens of the prompt, as far as they are sure, and all others that may come.

    The bytes of an image say little of its tokens: they must not make a request too large for good.
    """
    each = EXPECTED_OUTPUT_TOKENS if chat.max_output_tokens is None else chat.max_output_tokens
    output = each * chat.choices
    return (0, chat.prompt_tokens + output) if chat.uses_vision else (chat.prompt_tokens, output)


def _refusal(over: OverLimit, call: Call) -> RequestError:
    what = {"requests": "requests per min (RPM)", "tokens": "tokens per min (TPM)"}[over.kind]
    figures = f"Limit {over.limit}, Used {over.used}, Requested {over.requested}."
    key = call.caller.defaults.key
    if over.retry_after_s is None:
        text = f"The request is too large for the key {key!r} on {what}: {figures} Send less."
    else:
        wait = duration_text(over.retry_after_s)
        text = f"Rate limit reached for the key {key!r} on {what}: {figures} Please try again in {wait}."
    return RequestError(
        text,
        status=429,
        code="rate_limit_exceeded",
        type_=over.kind,
        is_final=over.retry_after_s is None,
        retry_after_s=over.retry_after_s,
    )
