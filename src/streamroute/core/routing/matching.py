"""What each upstream offers a request, and whether that meets what was required.

What is not known rules nobody out, with three exceptions, where a promise would have to be broken: an unknown quality
where a floor is required, an unknown price where there is a limit of cost, an unknown region where one is required.
An upstream whose speed is not known yet is not held to be slow.

A limit of time is held against what an upstream takes when it is well; those that miss it at the moment only come after
all others, for they may be the last resort.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from streamroute.core.cost.pricing import assumed_answer_tokens
from streamroute.core.health.standing import Estimate
from streamroute.core.money import Money, usd_text
from streamroute.core.request import ChatRequest
from streamroute.core.requirements import Requirements
from streamroute.core.routing.analysis import Analysis, Features
from streamroute.core.routing.rules import Rule
from streamroute.core.routing.weight import LONG_ANSWER_TOKENS
from streamroute.core.upstream import LatencyClass, PolicyName, Upstream, UpstreamId

USUAL_TPOT_S = 0.02
"""Seconds an output token where nobody's pace is known: 50 a second, about what hosted models give."""
LEAST_CHARS_PER_TOKEN = 8
"""A prompt has at least a token for so many characters, in any script (`ChatRequest.least_prompt_tokens`): only who is
too small beyond doubt is ruled out, since a larger one is asked anyway when one is too small."""
TABLE_SD = 0.05
"""What a quality of the configuration is held to be uncertain by, against one that was learned: about the standard
error of 60 judged answers."""

LEAST_SD = 1e-3
"""Of what was learned: nothing is surer."""


@dataclass(slots=True, unsafe_hash=True)
class QualityEstimate:
    """How good the answer of an upstream will be. Nobody changes one; thirty are made for a decision over ten
    upstreams, which would take 15 us if it were frozen."""

    mean: float
    """0..1: the probability that it is right or good enough."""
    sd: float
    """Standard error of the mean; 0: the operator's word."""
    source: str
    """Where it is from: `configured`, `learned`, ..."""
    outcomes: int = 0
    """Answers to requests of the same domain that were judged."""
    domain_sd: float | None = None
    """What `sd` is for any question of the domain; None: the same. Sources are weighed by it, and it is what is left of
    two: what a question's own words leave open, no operator knows either."""
    judged: int = 0
    """Answers that it goes by, in all domains."""
    prior: "QualityEstimate | None" = None
    """What else it goes by."""

    def told(self) -> str:
        """Return where it is from, for people: `configured, learned (120 outcomes)`."""
        own = f"{self.source} ({self.judged} outcomes)" if self.judged else self.source
        return own if self.prior is None else f"{self.prior.told()}, {own}"


class QualityEstimates(Protocol):
    """Knows how good upstreams are."""

    def of(self, analysis: Analysis, upstreams: Sequence[Upstream]) -> Sequence[QualityEstimate | None]:
        """Return an estimate for each, in their order; None where nothing is known. Called on the decision path."""


class ConfiguredQualities:
    """Goes by `quality` of the configuration."""

    def of(self, analysis: Analysis, upstreams: Sequence[Upstream]) -> Sequence[QualityEstimate | None]:
        """Return the configured quality in the domain of the request."""
        domain = analysis.domain
        return [_configured(None if each.quality is None else each.quality.of(domain)) for each in upstreams]


class MergedQualities:
    """Goes by two sources, each by how sure it is."""

    def __init__(self, prior: QualityEstimates, learned: QualityEstimates) -> None:
        self._prior = prior
        self._learned = learned

    def of(self, analysis: Analysis, upstreams: Sequence[Upstream]) -> Sequence[QualityEstimate | None]:
        """Return the mean of both, weighted by one over the variance."""
        pairs = zip(self._prior.of(analysis, upstreams), self._learned.of(analysis, upstreams), strict=True)
        return [merged(prior, learned) for prior, learned in pairs]


def merged(prior: QualityEstimate | None, learned: QualityEstimate | None) -> QualityEstimate | None:
    """Return what two estimates come to together; a prior that claims to be certain counts as `TABLE_SD`."""
    if prior is None or learned is None:
        return learned if prior is None else prior
    own = learned.sd if learned.domain_sd is None else learned.domain_sd
    one = max(TABLE_SD, prior.sd if prior.domain_sd is None else prior.domain_sd) ** -2
    two = max(LEAST_SD, own) ** -2
    mean, variance = (prior.mean * one + learned.mean * two) / (one + two), 1.0 / (one + two)
    outcomes = prior.outcomes + learned.outcomes
    return QualityEstimate(mean, variance**0.5, learned.source, outcomes, None, learned.judged, prior)


def _configured(mean: float | None) -> QualityEstimate | None:
    return None if mean is None else QualityEstimate(mean, 0.0, "configured")


class Shortfall(NamedTuple):
    """A requirement that an upstream does not meet."""

    requirement: str
    """As clients name it; "" for what is no requirement of theirs."""
    offered: float | None
    """What it offers, in the requirement's unit; None: not known, or no number."""
    reason: str


@dataclass(slots=True, kw_only=True)
class Bid:
    """What one upstream offers one request, and what that is worth. Nobody changes one once it is decided."""

    upstream: Upstream
    quality: QualityEstimate | None = None
    cost_usd: float | None = None
    """Expected, for ranking."""
    most: Money | None = None
    """What one call may cost at most; None: not known, or not asked for."""
    ttft_s: float | None = None
    """Predicted, as it is now; None: not known yet."""
    normal_ttft_s: float | None = None
    total_s: float | None = None
    """Until the end of the answer, as it is now; None: not known yet."""
    normal_total_s: float | None = None
    is_late: bool = False
    """It misses a limit of time at the moment, but not when it is well."""
    utility: float | None = None
    """What it is worth to this request, in points of quality (0..1); None: there was no auction."""
    promised: float | None = None
    """The quality that a bidder promised; None: none did."""
    bidder: str | None = None
    """Who made an offer in its name; None: it is our own estimate."""
    shortfalls: tuple[Shortfall, ...] = ()
    """Why it is not a candidate."""


@dataclass(slots=True, kw_only=True)
class Wanted:
    """What one request is matched by. Nobody changes one."""

    requirements: Requirements
    analysis: Analysis
    qualities: QualityEstimates
    most: Callable[[Upstream], Money | None]
    """What one call may cost at most; asked where there is a limit of cost."""
    policy: PolicyName = "balanced"
    answer_value_usd: float = 0.02
    """See `RoutingOptions`."""
    preferred: frozenset[UpstreamId] = frozenset()
    """By rules."""
    rules: tuple[Rule, ...] = ()
    """Those that apply: whom they leave out is nobody's last resort."""
    offers: Mapping[UpstreamId, "Offer"] | None = None
    """Of bidders that were asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a bidder says of an upstream; None: nothing."""

    bidder: str
    weight: float
    """0..1: what was promised before and came true."""
    quality: float | None = None
    cost_usd: float | None = None
    ttft_s: float | None = None


@dataclass(slots=True, kw_only=True)
class Matched:
    """What a decision was matched by: as much as is kept and shown; the text goes when the request is over."""

    requirements: Requirements
    analysis: Analysis
    policy: PolicyName
    latency_class: LatencyClass
    answer_value_usd: float
    rules: tuple[str, ...]
    bids: tuple[Bid, ...]
    """Of all that can serve it, those that meet the requirements and those that do not; of many the best."""
    others: int = 0
    """Further bids, that are not kept."""
    assumed_tokens: int | None = None
    """Of the answer, in what a call may cost at most; None: the request limits it."""

    @property
    def domain(self) -> str | None:
        """What the request is about."""
        return self.analysis.domain

    @property
    def features(self) -> Features:
        """What the request is like."""
        return self.analysis.features


def best_first(bid: Bid) -> tuple[bool, bool, float]:
    """Sort bids: those that fall short last, before them those that are late now, the others by their worth."""
    return bool(bid.shortfalls), bid.is_late, -(bid.utility or 0.0)


def with_bids(one: Matched | None, two: Matched | None) -> Matched | None:
    """Return `one` with the bids of both, for tiers that are decided as one."""
    return one if one is None or two is None else replace(one, bids=(*one.bids, *two.bids))


def bids_of(wanted: Wanted, request: ChatRequest, upstreams: Sequence[Upstream]) -> list[Bid]:
    """Return what each offers in quality and cost, with what of that falls short."""
    analysis, limit = wanted.analysis, request.longest_output_tokens
    inputs = max(1, analysis.tokens)
    outputs = LONG_ANSWER_TOKENS * request.choices if limit is None else min(limit, LONG_ANSWER_TOKENS)
    is_capped = wanted.requirements.max_cost is not None
    found = []
    for upstream, quality in zip(upstreams, wanted.qualities.of(analysis, upstreams), strict=True):
        price = upstream.price
        bid = Bid(upstream=upstream, quality=quality)
        if price is not None:
            bid.cost_usd = price.rough_usd(inputs, outputs)
        elif upstream.is_simulated:
            bid.cost_usd = 0.0
        if is_capped:
            bid.most = wanted.most(upstream)
        offer = None if wanted.offers is None else wanted.offers.get(upstream.id)
        if offer is not None:
            _take(offer, bid)
        bid.shortfalls = _shortfalls(wanted, bid, request)
        found.append(bid)
    return found


def _take(offer: Offer, bid: Bid) -> None:
    """Believe a bidder as far as it has earned it: its quality is a second opinion, its price our own where we know
    none, because what is paid does not follow from what a bidder says."""
    bid.bidder, bid.promised = offer.bidder, offer.quality
    if offer.quality is not None and offer.weight > 0.0:
        said = QualityEstimate(offer.quality * offer.weight, TABLE_SD / offer.weight, f"bid of {offer.bidder}")
        bid.quality = merged(bid.quality, said)
    if bid.cost_usd is None:
        bid.cost_usd = offer.cost_usd


def _shortfalls(wanted: Wanted, bid: Bid, request: ChatRequest) -> tuple[Shortfall, ...]:
    needs, upstream = wanted.requirements, bid.upstream
    found: list[Shortfall] = []
    if upstream.domains and wanted.analysis.domain not in upstream.domains:
        found.append(Shortfall("", None, f"it is for {', '.join(upstream.domains)} only"))
    if wanted.rules:
        found += [
            Shortfall("", None, f'rule "{rule.name}" leaves it out')
            for rule in wanted.rules
            if rule.then.leaves_out(upstream.id)
        ]
    if needs.floor is not None:
        floor, quality = needs.floor, bid.quality
        if quality is None:
            found.append(Shortfall("min_quality", None, f"its quality is not known, and {floor:g} is required"))
        elif quality.mean < floor:
            found.append(Shortfall("min_quality", quality.mean, f"quality {quality.mean:.4g} is below {floor:g}"))
    if needs.max_cost is not None:
        cap = needs.max_cost
        if bid.most is None:
            found.append(Shortfall("max_cost_usd", None, f"its price is not known, and ${usd_text(cap)} is the most"))
        elif bid.most > cap:
            assumed = assumption(assumed_answer_tokens(request))
            reason = f"a call may cost ${usd_text(bid.most)}{assumed}, above ${usd_text(cap)}"
            found.append(Shortfall("max_cost_usd", float(bid.most), reason))
    if needs.residency is not None and upstream.residency != needs.residency:
        where = "where it keeps data is not known" if upstream.residency is None else f"it is in {upstream.residency}"
        found.append(Shortfall("residency", None, f"{where}, and {needs.residency} is required"))
    room = upstream.capabilities.context_tokens
    if room is not None and wanted.analysis.question.chars // LEAST_CHARS_PER_TOKEN > room:
        reason = f"the prompt has some {wanted.analysis.tokens} tokens, and it takes {room}"
        found.append(Shortfall("context_tokens", float(room), reason))
    return tuple(found)


def assumption(tokens: int | None) -> str:
    """Say what of the answer is assumed in what a call may cost at most; see `Matched.assumed_tokens`."""
    return "" if tokens is None else f" with {tokens} tokens of answer, as the request sets no `max_tokens`"


def expect(wanted: Wanted, bids: Sequence[Bid], estimates: Sequence[Estimate], tokens: int) -> None:
    """Add to each bid how long it takes, and what of that falls short. `tokens`: of the answer, beyond the first."""
    needs, offers = wanted.requirements, wanted.offers
    known = [each.tpot_s for each in estimates if each.tpot_s is not None]
    usual_s = sum(known) / len(known) if known else USUAL_TPOT_S
    for bid, estimate in zip(bids, estimates, strict=True):
        if estimate.is_cold:
            offer = None if offers is None else offers.get(bid.upstream.id)
            if offer is None or offer.ttft_s is None:
                continue
            bid.ttft_s = bid.normal_ttft_s = offer.ttft_s
        else:
            bid.ttft_s, bid.normal_ttft_s = estimate.ttft_s, estimate.normal_ttft_s
        rest_s = tokens * (usual_s if estimate.tpot_s is None else estimate.tpot_s)
        bid.total_s, bid.normal_total_s = bid.ttft_s + rest_s, bid.normal_ttft_s + rest_s
        if needs.max_ttft_s is not None:
            _hold(bid, "max_ttft_s", needs.max_ttft_s, bid.ttft_s, bid.normal_ttft_s)
        if needs.max_total_s is not None:
            _hold(bid, "max_total_s", needs.max_total_s, bid.total_s, bid.normal_total_s)


def _hold(bid: Bid, name: str, limit_s: float, now_s: float, normal_s: float) -> None:
    """Hold a time against its limit."""
    if min(now_s, normal_s) > limit_s:
        until = "to the first token" if name == "max_ttft_s" else "to the end"
        reason = f"it takes some {normal_s:.3g} s {until}, above {limit_s:g} s"
        bid.shortfalls = (*bid.shortfalls, Shortfall(name, normal_s, reason))
    elif now_s > limit_s:
        bid.is_late = True


def answer_tokens(request: ChatRequest) -> int:
    """Return how many tokens an answer is expected to have."""
    limit = request.max_output_tokens
    return LONG_ANSWER_TOKENS if limit is None else min(limit, LONG_ANSWER_TOKENS)
