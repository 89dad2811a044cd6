"""The stream of `online`, served as a running sidecar serves it: by the product's own parts, from nothing.

Estimates are what `engine.learning` tells, from outcomes that it heard; bids are valued as in an auction of policy
`balanced`, which takes doubt off, but for time, and with the price of quality of the other modes; audits ask one other
upstream, drawn as `core.routing.rivals` and the budget of audits draw it. Scores are those that were recorded, as if a
judge were always right; what a judge costs is not in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from routing_lab.online import PRICE, Costs, Run, Stream
from streamroute.core.observation import QualityObservation, Traits
from streamroute.core.quality.quality_outcome import QualityOutcome, QualitySource
from streamroute.core.requirements import NO_REQUIREMENTS
from streamroute.core.routing.analysis import Analysis, analyse
from streamroute.core.routing.auction import UNKNOWN_QUALITY, UNKNOWN_SD
from streamroute.core.routing.learned.exploration import AuditBudget
from streamroute.core.routing.matching import Bid, Matched, QualityEstimate
from streamroute.core.routing.options import ANSWER_VALUE_USD, DOUBTS
from streamroute.core.routing.question import Question
from streamroute.core.routing.rivals import picked, rivals
from streamroute.core.upstream import CredentialId, PolicyName, ProviderName, Upstream, UpstreamId
from streamroute.engine.learning import Learning

Floats = NDArray[np.float64]

_POLICY: PolicyName = "balanced"
_UNKNOWN = QualityEstimate(UNKNOWN_QUALITY, UNKNOWN_SD, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuctionMode:
    """How auctions learn."""

    name: str
    audits: float
    """Share of requests, at most."""
    labelled: float
    """Share of requests whose own outcome is known, besides audits."""


AUCTIONS = (
    AuctionMode(name="auctions, no audits", audits=0.0, labelled=1.0),
    AuctionMode(name="auctions, 5 % audits", audits=0.05, labelled=1.0),
    AuctionMode(name="auctions, 5 % audits, 20 % of outcomes known", audits=0.05, labelled=0.2),
    AuctionMode(name="auctions, 5 % audits, nothing else known", audits=0.05, labelled=0.0),
)


def analyses(stream: Stream) -> list[Analysis]:
    """Read all requests once, for all runs."""
    return [
        analyse(Question(text=text), domain=domain) for text, domain in zip(stream.texts, stream.domains, strict=True)
    ]


def serve_auctions(stream: Stream, read: list[Analysis], mode: AuctionMode, seed: int) -> Run:
    """Serve a stream once."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(read))
    learning, budget, costs = Learning(), AuditBudget(mode.audits), Costs(stream.costs_usd.mean(axis=0))
    upstreams = [_upstream(name) for name in stream.upstreams]
    places = {each.id: place for place, each in enumerate(upstreams)}
    shape = (len(order), len(upstreams))
    run = Run(order, np.zeros(len(order)), np.zeros(len(order)), np.zeros(len(order), np.bool_), *_tables(shape))
    for at, request in enumerate(order.tolist()):
        analysis, scores, usd = read[request], stream.scores[request], stream.costs_usd[request]
        domain = stream.domains[request]
        found = [each or _UNKNOWN for each in learning.of(analysis, upstreams)]
        run.calibrated[at] = [each.mean for each in found]
        run.believed[at] = run.calibrated[at]
        known = [name for name in places if learning.table.count(name)]
        if known:
            raw = learning.quality.estimates(analysis.words.read(), domain, known).means
            run.believed[at, [places[name] for name in known]] = raw
        matched = _matched(analysis, upstreams, found, PRICE * costs.of(domain))
        chosen = max(matched.bids, key=lambda each: each.utility or 0.0).upstream.id
        others = rivals(matched, chosen)
        chance = budget.chance(others[0].lead)
        run.is_audited[at] = rng.random() < chance
        run.utility[at] = scores[places[chosen]] - PRICE * usd[places[chosen]]
        learning.remember(str(request), analysis)
        if run.is_audited[at]:
            rival, pick = picked(others, float(rng.random()))
            run.audit_usd[at] = usd[places[rival.upstream]]
            heard: Mapping[UpstreamId, float] = {chosen: chance, rival.upstream: chance * pick}
            source: QualitySource = "audit"
        else:
            heard = {chosen: 1.0} if rng.random() < mode.labelled else {}
            source = "feedback"
        costs.learn(domain, [places[each] for each in heard] or [places[chosen]], usd)
        for upstream, propensity in heard.items():
            outcome = QualityOutcome(
                decision_id=str(request),
                upstream=upstream,
                score=float(scores[places[upstream]]),
                source=source,
                propensity=propensity,
            )
            learning(QualityObservation(outcome=outcome, traits=Traits(domain=domain)))
    return run


def _tables(shape: tuple[int, int]) -> tuple[Floats, Floats]:
    return np.zeros(shape), np.zeros(shape)


def _matched(analysis: Analysis, upstreams: list[Upstream], found: list[QualityEstimate], prices: Floats) -> Matched:
    bids = [
        Bid(upstream=upstream, quality=each, cost_usd=price, utility=each.mean - DOUBTS[_POLICY] * each.sd - price)
        for upstream, each, price in zip(upstreams, found, prices.tolist(), strict=True)
    ]
    return Matched(
        requirements=NO_REQUIREMENTS,
        analysis=analysis,
        policy=_POLICY,
        latency_class="batch",
        answer_value_usd=ANSWER_VALUE_USD[_POLICY],
        rules=(),
        bids=tuple(bids),
    )


def _upstream(name: str) -> Upstream:
    return Upstream(
        id=UpstreamId(name),
        provider=ProviderName("recorded"),
        model=name,
        credential=CredentialId("recorded"),
        failure_domain="recorded",
    )
