"""What happens to a call, by common random numbers.

The draws depend on the seed, the provider, the request's number and how many calls that request has made there
before; not on the policy. So policies are compared on the same luck.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from failover_lab.weather import Condition, Provider
from streamroute.core.outcome import FailureKind
from streamroute.core.rate_limit import RateLimitReport

NORMAL_PROMPT_TOKENS = 550
NORMAL_OUTPUT_TOKENS = 150
"""The shape of requests that llmperf uses by default."""
PROMPT_SHARE = 0.2
"""Part of a normal time to first token that grows with the prompt."""
TOKEN_CHARS = 11
INPUT_PRICE_USD_PER_MTOK = 1.0
OUTPUT_PRICE_USD_PER_MTOK = 4.0
"""Output costs 3 to 5 times as much as input at most providers."""
_QUOTA_WINDOW_S = 60.0
_BURST = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One client request."""

    number: int
    arrived_at: float
    prompt_tokens: int = NORMAL_PROMPT_TOKENS
    output_tokens: int = NORMAL_OUTPUT_TOKENS


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCourse:
    """How one call goes if nobody ends it. Times are absolute seconds; infinity: never."""

    connected_at: float
    head_at: float = math.inf
    first_token_at: float = math.inf
    gap_s: float = 0.0
    """Between two tokens."""
    max_gap_s: float | None = None
    tokens: int = 0
    """How many come, counted from where the answer is carried on."""
    ends_at: float = math.inf
    failure: FailureKind | None = None
    """How it ends; None: with a whole answer."""
    status: int | None = 200
    retry_after_s: float | None = None
    rate_limit: RateLimitReport | None = None

    def tokens_by(self, now: float) -> int:
        """Return how many tokens have come."""
        if now < self.first_token_at or self.tokens == 0:
            return 0
        if self.gap_s <= 0 or math.isinf(now):
            return self.tokens
        return min(self.tokens, 1 + int((now - self.first_token_at) / self.gap_s + 1e-9))

    def last_token_at(self, now: float) -> float:
        """Return when the latest token came; only after the first one."""
        return self.first_token_at + (self.tokens_by(now) - 1) * self.gap_s


class World:
    """All providers of a run, and the luck of a seed."""

    def __init__(self, providers: Sequence[Provider], seed: int) -> None:
        self.providers: Mapping[str, Provider] = {each.name: each for each in providers}
        self._index = {each.name: i for i, each in enumerate(providers)}
        self._seed = seed
        self.in_flight = dict.fromkeys(self._index, 0)
        self._bucket = dict.fromkeys(self._index, (0.0, _BURST))
        self._quota = dict.fromkeys(self._index, (-1, 0))

    def call(self, name: str, request: Request, nth: int, now: float, *, from_token: int = 0) -> CallCourse:
        """Return how the `nth` (0-based) call of a request to a provider goes; `from_token` of a continuation.

        It counts as in flight until `ended`.
        """
        provider = self.providers[name]
        condition, slow = provider.weather.at(now)
        draw = Random(((self._seed * 16 + self._index[name]) * 10_000_019 + request.number) * 64 + nth)
        z_ttft, z_pace, z_gap = draw.gauss(0, 1), draw.gauss(0, 1), draw.gauss(0, 1)
        u_tail, u_far, u_token, u_quick = draw.random(), draw.random(), draw.random(), draw.random()
        self.in_flight[name] += 1
        busy = 1.0
        if condition.congestion_at is not None:
            busy = max(1.0, self.in_flight[name] / condition.congestion_at)
        connected_at = now + 0.01 + 0.02 * u_quick
        refusal = self._refusal(name, condition, draw, now)
        report = self._report(name, condition, now)
        if refusal is not None:
            kind, status, retry_after_s = refusal
            if kind == "connect_error":
                return CallCourse(connected_at=math.inf, ends_at=now + 0.005, failure=kind, status=None)
            at = connected_at + 0.03 + 0.05 * u_far
            return CallCourse(
                connected_at=connected_at, head_at=at, ends_at=at, failure=kind, status=status,
                retry_after_s=retry_after_s, rate_limit=report,
            )  # fmt: skip
        prompt = 1 - PROMPT_SHARE + PROMPT_SHARE * request.prompt_tokens / NORMAL_PROMPT_TOKENS
        ttft_s = provider.ttft_s * slow * prompt * busy**2 * math.exp(provider.sigma * z_ttft)
        if u_tail < condition.tail:
            ttft_s *= condition.tail_from + (condition.tail_to - condition.tail_from) * u_far
        gap_s = provider.tpot_s * condition.pace * busy * math.exp(0.1 * z_pace)
        tokens = max(1, request.output_tokens - from_token)
        first_at = connected_at + ttft_s
        head_at = connected_at + 0.3 * ttft_s
        hangs = draw.random()
        if hangs < condition.hang + condition.hang_after_head:
            says_head = hangs >= condition.hang / 2
            at = connected_at + 0.3 * provider.ttft_s
            return CallCourse(connected_at=connected_at, head_at=at if says_head else math.inf, rate_limit=report)
        max_gap_s = gap_s * math.exp(0.5 * (2.6 + 0.4 * z_gap))
        end = self._breaks(condition, draw)
        if end is None:
            ends_at, failure = first_at + gap_s * (tokens - 1) + 0.002, None
        else:
            tokens = min(tokens, 1 + int(u_token * (tokens - 1)))
            ends_at = math.inf if end == "stall" else first_at + gap_s * (tokens - 1) + 0.002
            failure = None if end == "stall" else end
        return CallCourse(
            connected_at=connected_at, head_at=head_at, first_token_at=first_at, gap_s=gap_s, max_gap_s=max_gap_s,
            tokens=tokens, ends_at=ends_at, failure=failure, rate_limit=report,
        )  # fmt: skip

    def ended(self, name: str) -> None:
        """Note that a call is over."""
        self.in_flight[name] -= 1

    def _refusal(
        self, name: str, condition: Condition, draw: Random, now: float
    ) -> tuple[FailureKind, int | None, float | None] | None:
        u_refused, u_error, u_limited, u_auth = draw.random(), draw.random(), draw.random(), draw.random()
        if u_refused < condition.refused:
            return "connect_error", None, None
        if u_auth < condition.auth:
            return "auth_failed", 401, None
        if u_limited < condition.limited:
            return "rate_limited", 429, condition.retry_after_s
        if condition.quota_rpm is not None and not self._take_quota(name, condition.quota_rpm, now):
            return "rate_limited", 429, _QUOTA_WINDOW_S - now % _QUOTA_WINDOW_S
        if condition.capacity_rps is not None and not self._take_capacity(name, condition.capacity_rps, now):
            return "overloaded", 529, None
        if u_error < condition.error:
            return "overloaded" if condition.status in {503, 529} else "server_error", condition.status, None
        return None

    def _breaks(
        self, condition: Condition, draw: Random
    ) -> Literal["reset", "stall", "truncated", "server_error"] | None:
        draws = [draw.random() for _ in range(4)]
        if draws[0] < condition.cut:
            return "reset"
        if draws[1] < condition.stall:
            return "stall"
        if draws[2] < condition.truncated:
            return "truncated"
        if draws[3] < condition.stream_error:
            return "server_error"
        return None

    def _take_quota(self, name: str, quota: int, now: float) -> bool:
        window, used = self._quota[name]
        if window != int(now / _QUOTA_WINDOW_S):
            window, used = int(now / _QUOTA_WINDOW_S), 0
        self._quota[name] = (window, used + 1)
        return used < quota

    def _report(self, name: str, condition: Condition, now: float) -> RateLimitReport | None:
        if condition.quota_rpm is None:
            return None
        return RateLimitReport(
            limit_requests=condition.quota_rpm,
            remaining_requests=max(0, condition.quota_rpm - self._quota[name][1]),
            reset_requests_s=_QUOTA_WINDOW_S - now % _QUOTA_WINDOW_S,
        )

    def _take_capacity(self, name: str, capacity_rps: float, now: float) -> bool:
        at, level = self._bucket[name]
        level = min(_BURST, level + (now - at) * capacity_rps)
        took = level >= 1
        self._bucket[name] = (now, level - took)
        return took
