"""What retries and hedges may add: tokens that failures use up, and a share of the money that is being spent.

Both fall with success and not with time: retries and hedges are load, and load that grows while an upstream fails is
how an overload outlives its cause (Bronson et al., Metastable Failures, HotOS 2021). Amounts here throttle and are no
bill, so they are floats; bills are exact decimals.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from streamroute.core.health.options import HEDGE_SPEND
from streamroute.core.upstream import LatencyClass, Upstream, UpstreamId

TOKENS = 20.0
"""gRPC A6 names `maxTokens` 10 in its example. Twice that: with everyone failing at 30 %, runs of bad luck took the
usual two retries from one request in a hundred (3.5 % client errors where plain retries have 2.6 %)."""
SUCCESS_TOKENS = 2.0
"""A6's example names 0.1, for retries of the same service. Here another provider is asked: with all of them failing at
30 % the usual two retries must stay possible (measured: 0.1 to 1.0 deny them), and they end where two thirds fail."""
HEDGE_SHARE = 0.2
"""Of what is in flight, and the least: failsafe-go's hedge budget allows 20 % and 3. One more, because when an upstream
hangs everyone who waits for it needs one at the same moment; money is what bounds them over time."""
MIN_HEDGES = 4
FAILED_HEDGE_FACTOR = 2.0
"""A hedge that fails is charged twice: it was load where there was trouble (AWS SDKs charge 10 for 5 likewise)."""
WINDOW_S = 60.0
BUCKETS = 12
MAX_TRACKED = 1000
"""Upstreams whose tokens are remembered; the one that is nearest to full is forgotten first."""
NOMINAL_INPUT_USD_PER_MTOK = 1.0
NOMINAL_OUTPUT_USD_PER_MTOK = 4.0
"""Of an upstream without a price: output at four times input, the middle of the 3..5 times of list prices. The amounts
cancel out, for budgets are shares, as long as upstreams of one route are priced alike."""

HedgeDenial = Literal["tokens", "in_flight", "spend", "off"]


def attempt_cost_usd(upstream: Upstream, input_tokens: int, output_tokens: int) -> float:
    """Return what one call costs about: full price for all input, cached or not."""
    if upstream.price is not None:
        return upstream.price.rough_usd(input_tokens, output_tokens)
    return (input_tokens * NOMINAL_INPUT_USD_PER_MTOK + output_tokens * NOMINAL_OUTPUT_USD_PER_MTOK) / 1e6


class RetryTokens:
    """The throttle of gRPC A6: a failure takes a token, a success gives some back, extra calls only above half."""

    __slots__ = ("tokens",)

    def __init__(self) -> None:
        self.tokens = TOKENS

    @property
    def allows(self) -> bool:
        """Whether retries and hedges are allowed."""
        return self.tokens > TOKENS / 2

    def ended(self, *, is_success: bool) -> None:
        """Count a call that is over and says something about its upstream."""
        change = SUCCESS_TOKENS if is_success else -1.0
        self.tokens = min(TOKENS, max(0.0, self.tokens + change))


class SpendWindow:
    """Sum of the last `WINDOW_S` seconds, to the nearest bucket: constant memory at any rate."""

    __slots__ = ("_bucket", "_ring")

    def __init__(self) -> None:
        self._ring = [0.0] * BUCKETS
        self._bucket = 0

    def add(self, usd: float, now: float) -> None:
        """Count `usd` as spent now; a negative amount corrects an estimate."""
        self._turn(now)
        self._ring[self._bucket % BUCKETS] += usd

    def sum_usd(self, now: float) -> float:
        """Return what was spent in the window; corrections never make it negative."""
        self._turn(now)
        return max(0.0, sum(self._ring))

    def _turn(self, now: float) -> None:
        bucket = int(now / (WINDOW_S / BUCKETS))
        for passed in range(max(self._bucket + 1, bucket - BUCKETS + 1), bucket + 1):
            self._ring[passed % BUCKETS] = 0.0
        self._bucket = max(bucket, self._bucket)


@dataclass(slots=True, eq=False)
class HedgeSpend:
    """A hedge under way; goes back to `HedgeBudget.settle` exactly once, on every path."""

    latency_class: LatencyClass
    cost_usd: float
    """What was expected of it when it began."""
    is_decided: bool = False
    """It has won or is over: no extra load any more."""
    is_settled: bool = False


class HedgeBudget:
    """A share of the last minute's spend, for each latency class."""

    __slots__ = ("_hedged", "_spent", "in_flight", "shares")

    def __init__(self, shares: Mapping[LatencyClass, float] = HEDGE_SPEND) -> None:
        """`shares`: 0..1 of the spend in the window that hedges may add, by latency class."""
        self.shares = shares
        self._spent: dict[LatencyClass, SpendWindow] = {each: SpendWindow() for each in HEDGE_SPEND}
        self._hedged: dict[LatencyClass, SpendWindow] = {each: SpendWindow() for each in HEDGE_SPEND}
        self.in_flight = 0
        """Hedges without a first token yet."""

    def denial(self, latency_class: LatencyClass, cost_usd: float, now: float, in_flight: int) -> HedgeDenial | None:
        """Return what forbids a hedge of about `cost_usd`, or None. `in_flight`: calls under way, all upstreams.

        Where nothing was spent on hedges in the window one is allowed, however low the traffic: 5 % of three requests
        would be none.
        """
        share = self.shares.get(latency_class, 0.0)
        if share <= 0:
            return "off"
        if self.in_flight >= max(MIN_HEDGES, int(HEDGE_SHARE * in_flight)):
            return "in_flight"
        hedged = self._hedged[latency_class].sum_usd(now)
        is_first = hedged <= 1e-12  # sums of floats that cancel out
        within = hedged + cost_usd <= share * self._spent[latency_class].sum_usd(now)
        return None if is_first or within else "spend"

    def start(self, latency_class: LatencyClass, cost_usd: float, now: float) -> HedgeSpend:
        """Charge a hedge that begins with what it is expected to cost."""
        self.in_flight += 1
        self._hedged[latency_class].add(cost_usd, now)
        return HedgeSpend(latency_class, cost_usd)

    def settle(self, spend: HedgeSpend, now: float, *, cost_usd: float | None = None, is_failure: bool = False) -> None:
        """Charge what it really cost, None: as expected; a failure twice. Idempotent."""
        if spend.is_settled:
            return
        spend.is_settled = True
        self.decided(spend)
        real_usd = (spend.cost_usd if cost_usd is None else cost_usd) * (FAILED_HEDGE_FACTOR if is_failure else 1.0)
        self._hedged[spend.latency_class].add(real_usd - spend.cost_usd, now)

    def decided(self, spend: HedgeSpend) -> None:
        """Note that a hedge has its first token, so that it is the answer now and no call beside it. Idempotent."""
        self.in_flight -= not spend.is_decided
        spend.is_decided = True

    def spent(self, latency_class: LatencyClass, cost_usd: float, now: float) -> None:
        """Count what any call has cost, hedges included: it is what the shares are taken of."""
        self._spent[latency_class].add(cost_usd, now)

    def sums_usd(self, now: float) -> tuple[float, float]:
        """Return (spent, of it reserved or spent on hedges) in the window, over all classes."""
        return (
            sum(each.sum_usd(now) for each in self._spent.values()),
            sum(each.sum_usd(now) for each in self._hedged.values()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetFigures:
    """What `/status` and metrics show. Counters count from the start of the process."""

    hedges_in_flight: int
    spent_usd: float
    """In the last minute, all calls."""
    hedge_spent_usd: float
    global_tokens: float
    retries_allowed: int
    retries_denied: Mapping[str, int]
    hedges_allowed: int
    hedges_denied: Mapping[str, int]
    """By reason: `tokens`, `in_flight`, `spend`, `off`."""


class AttemptBudget:
    """The budgets of all routes together. Ask `may_*`; what `hedge_started` returns goes back to `hedge_ended`."""

    __slots__ = (
        "_global", "_hedges_allowed", "_hedges_denied", "_retries_allowed", "_retries_denied",
        "_tokens", "hedges",
    )  # fmt: skip

    def __init__(self, shares: Mapping[LatencyClass, float] = HEDGE_SPEND) -> None:
        """`shares`: as of `HedgeBudget`."""
        self.hedges = HedgeBudget(shares)
        self._global = RetryTokens()
        self._tokens: dict[UpstreamId, RetryTokens] = {}
        self._retries_allowed = self._hedges_allowed = 0
        self._retries_denied: dict[str, int] = {}
        self._hedges_denied: dict[str, int] = {}

    def may_retry(self, upstream: UpstreamId) -> bool:
        """Return whether a request may be tried again at `upstream`.

        How many do so at once is not bounded: when an upstream goes down everyone who waits for it moves on in the same
        moment, and whoever was held back would fail for nothing.
        """
        if self._has_tokens(upstream):
            self._retries_allowed += 1
            return True
        self._retries_denied["tokens"] = self._retries_denied.get("tokens", 0) + 1
        return False

    def tokens_of(self, upstream: UpstreamId) -> float:
        """Return what is left of an upstream's tokens."""
        known = self._tokens.get(upstream)
        return TOKENS if known is None else known.tokens

    def may_hedge(
        self,
        latency_class: LatencyClass,
        cost_usd: float,
        now: float,
        in_flight: int,
        upstream: UpstreamId | None = None,
    ) -> bool:
        """Return whether a hedge of about `cost_usd` may begin, at `upstream` where that is known already."""
        reason: HedgeDenial | None = "tokens"
        if self._global.allows and (upstream is None or self._has_tokens(upstream)):
            reason = self.hedges.denial(latency_class, cost_usd, now, in_flight)
        if reason is None:
            self._hedges_allowed += 1
        else:
            self._hedges_denied[reason] = self._hedges_denied.get(reason, 0) + 1
        return reason is None

    def hedge_started(self, latency_class: LatencyClass, cost_usd: float, now: float) -> HedgeSpend:
        """Charge a hedge that begins."""
        return self.hedges.start(latency_class, cost_usd, now)

    def hedge_decided(self, spend: HedgeSpend) -> None:
        """Note that a hedge has its first token."""
        self.hedges.decided(spend)

    def hedge_ended(
        self, spend: HedgeSpend, now: float, *, cost_usd: float | None = None, is_failure: bool = False
    ) -> None:
        """Charge what a hedge has cost at its end, however it ended. Idempotent."""
        self.hedges.settle(spend, now, cost_usd=cost_usd, is_failure=is_failure)

    def spent(self, latency_class: LatencyClass, cost_usd: float, now: float) -> None:
        """Count what a call has cost at its end, hedges included."""
        self.hedges.spent(latency_class, cost_usd, now)

    def ended(self, upstream: UpstreamId, *, is_success: bool) -> None:
        """Count a call that is over and says something about its upstream: no cancels, no client's errors."""
        self._global.ended(is_success=is_success)
        tokens = self._tokens.get(upstream)
        if tokens is None:
            if is_success:
                return  # full anyway
            if len(self._tokens) >= MAX_TRACKED:
                del self._tokens[max(self._tokens, key=lambda each: self._tokens[each].tokens)]
            tokens = self._tokens[upstream] = RetryTokens()
        tokens.ended(is_success=is_success)
        if tokens.tokens >= TOKENS:
            del self._tokens[upstream]

    def figures(self, now: float) -> BudgetFigures:
        """Return the figures as they stand."""
        spent_usd, hedge_spent_usd = self.hedges.sums_usd(now)
        return BudgetFigures(
            hedges_in_flight=self.hedges.in_flight,
            spent_usd=spent_usd,
            hedge_spent_usd=hedge_spent_usd,
            global_tokens=self._global.tokens,
            retries_allowed=self._retries_allowed,
            retries_denied=dict(self._retries_denied),
            hedges_allowed=self._hedges_allowed,
            hedges_denied=dict(self._hedges_denied),
        )

    def _has_tokens(self, upstream: UpstreamId) -> bool:
        """Return whether an upstream may be asked again or besides. One that nothing is held against always may: that
        others fail must not keep a request from it."""
        tokens = self._tokens.get(upstream)
        return tokens is None or (tokens.allows and self._global.allows)
