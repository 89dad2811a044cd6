"""The providers of a run: what becomes of a call is what their scripts say, by common random numbers.

The draws depend on the seed, the provider, the request's number and how many calls that request has made there before;
not on the policy. So policies are compared on the same luck.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from streamroute.core.outcome import FailureKind
from streamroute.core.rate_limit import RateLimitReport
from streamroute.simulation.meter import Meter
from streamroute.simulation.moment import Moment
from streamroute.simulation.pace import load_factors, mean_first_token_s, refusal_status
from streamroute.simulation.script import Script
from streamroute.simulation.timeline import Timeline
from streamroute.simulation.traffic import Load
from streamroute.wire.openai_chat.errors import read_error_response

TOKEN_CHARS = 11
INPUT_PRICE_USD_PER_MTOK = 1.0
OUTPUT_PRICE_USD_PER_MTOK = 4.0
"""Output costs 3 to 5 times as much as input at most providers."""
_USUAL_PROMPT_TOKENS = Load().prompt.median
_ANOTHER_CALL = 10_000_019
"""How far apart the draws of two calls of one request are: no run has so many requests."""
_EPSILON_S = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One client request."""

    number: int
    arrived_at: float
    prompt_tokens: int = 550
    output_tokens: int = 150


class CallCourse:
    """How one call goes if nobody ends it: a timeline in absolute seconds; infinity: never."""

    __slots__ = ("_told", "at", "connected_at", "ends_at", "first_token_at", "head_at")

    def __init__(self, told: Timeline, at: float) -> None:
        self._told = told
        self.at = at
        self.connected_at = math.inf if told.is_refused else at + told.connect_s
        self.head_at = _after(at, told.head_s)
        self.first_token_at = _after(at, told.ttft_s if told.ends_at_token else None)
        self.ends_at = _after(at, told.end_s)

    @property
    def tokens(self) -> int:
        """How many come, counted from where the answer is carried on."""
        return self._told.ends_at_token

    @property
    def failure(self) -> FailureKind | None:
        """How it ends; None: with a whole answer, or never."""
        return _failure(self._told)

    @property
    def status(self) -> int | None:
        """Of the response; None: there is none."""
        return self._told.status

    @property
    def retry_after_s(self) -> float | None:
        """What a refusal asks for."""
        return self._told.retry_after_s

    @property
    def rate_limit(self) -> RateLimitReport | None:
        """What the headers say."""
        return self._told.rate_limit

    @property
    def max_gap_s(self) -> float:
        """The longest silence between two tokens."""
        return self._told.max_gap_s()

    def tokens_by(self, now: float) -> int:
        """Return how many tokens have come."""
        return self.tokens if now >= self.ends_at else self._told.tokens_by(now - self.at + _EPSILON_S)

    def last_token_at(self, now: float) -> float:
        """Return when the latest token came; only after the first one."""
        return self.at + self._told.token_at_s(self.tokens_by(now) - 1)


class Outlook:
    """What someone who knows everything expects of a provider now."""

    __slots__ = ("failing", "is_well", "ttft_s")

    def __init__(self, *, is_well: bool, failing: float, ttft_s: float) -> None:
        self.is_well = is_well
        self.failing = failing
        """Share of the calls, 0 to 1."""
        self.ttft_s = ttft_s
        """Seconds to the first token on average, for a usual prompt."""


class World:
    """All providers of a run, and what they are asked."""

    def __init__(self, scripts: Mapping[str, Script]) -> None:
        self._scripts = scripts
        self._meters = {name: Meter() for name in scripts}

    @property
    def names(self) -> list[str]:
        """The providers, in the order of preference."""
        return list(self._scripts)

    def call(self, name: str, request: Request, nth: int, now: float, *, from_token: int = 0) -> CallCourse:
        """Return how the `nth` (0-based) call of a request to a provider goes; `from_token` of a continuation.

        It counts as in flight until `ended`.
        """
        told = self._scripts[name].serve(
            self._meters[name],
            elapsed_s=now,
            ordinal=request.number + nth * _ANOTHER_CALL,
            tokens=max(1, request.output_tokens - from_token),
            prompt_tokens=request.prompt_tokens,
        )
        return CallCourse(told, now)

    def ended(self, name: str) -> None:
        """Note that a call is over."""
        self._meters[name].end()

    def outlook(self, name: str, now: float) -> Outlook:
        """Return what becomes of a call that is made now."""
        script = self._scripts[name]
        severity, profile = script.severity_at(now), script.profile_at(now)
        found = self._meters[name].found(
            now, limit_window_s=profile.limit_window_s, rate_window_s=profile.rate_window_s
        )
        moment = Moment(
            seed=0, elapsed_s=now, ordinal=0, in_flight=found.in_flight, recent_rps=found.recent_rps,
            window_requests=found.window_requests,
        )  # fmt: skip
        is_refused = refusal_status(profile, moment) is not None
        usual_s = mean_first_token_s(profile, _USUAL_PROMPT_TOKENS)
        return Outlook(
            is_well=severity.is_none and not is_refused,
            failing=1.0 if is_refused else round(severity.failing, 6),
            ttft_s=usual_s * severity.slow * load_factors(profile, moment)[0],
        )


def _after(at: float, seconds: float | None) -> float:
    return math.inf if seconds is None else at + seconds


def _failure(told: Timeline) -> FailureKind | None:
    if told.is_refused:
        return "connect_error"
    if told.status is not None and told.status != 200:
        return _refusal(told.status)
    match told.ending:
        case "reset":
            return "reset"
        case "error_event":
            return "server_error"
        case "eof":
            return "truncated"
        case "hang":
            return None
        case "done":
            return None if told.is_good else "truncated"


@cache
def _refusal(status: int) -> FailureKind:
    """Return what the product makes of such a response."""
    return read_error_response(status, b"").kind
