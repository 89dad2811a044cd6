"""What a decision was matched by, in plain values that can be written as JSON: requirements, features and bids."""

from collections.abc import Mapping, Sequence
from dataclasses import fields

from streamroute.core.money import usd_text
from streamroute.core.requirements import Requirements
from streamroute.core.routing.analysis import Features
from streamroute.core.routing.matching import Bid, Matched, best_first
from streamroute.core.routing.options import DOUBTS, SECOND_COSTS


def explain_match(matched: Matched) -> Mapping[str, object]:
    """Return what was required, what the question is like, what counted, and the table of bids, best first."""
    bids = sorted(matched.bids, key=best_first)
    return {
        "requirements": explain_requirements(matched.requirements),
        "features": {**explain_features(matched.features), **_history(bids)},
        "rules": list(matched.rules),
        "policy": {
            "name": matched.policy,
            "answer_value_usd": matched.answer_value_usd,
            "second_costs": SECOND_COSTS[matched.latency_class],
            "doubts": DOUBTS[matched.policy],
        },
        "bids": [_bid(each) for each in bids],
        "other_bids": matched.others,
    }


def explain_requirements(needs: Requirements) -> dict[str, object]:
    """Return what was said, by the names that clients use."""
    values = {
        "min_quality": needs.min_quality,
        "max_cost_usd": None if needs.max_cost is None else usd_text(needs.max_cost),
        "max_ttft_s": needs.max_ttft_s,
        "max_total_s": needs.max_total_s,
        "domain": needs.domain,
        "task": needs.task,
        "class": needs.latency_class,
        "residency": needs.residency,
        "policy": needs.policy,
    }
    return {name: value for name, value in values.items() if value is not None}


def explain_features(features: Features) -> dict[str, object]:
    """Return what the question is like, by name."""
    return {
        each.name: round(value, 4) if isinstance(value := getattr(features, each.name), float) else value
        for each in fields(features)
    }


def _history(bids: Sequence[Bid]) -> dict[str, object]:
    """Return how like requests fared, where anything was learned of them: the answers that were judged, and the mean of
    what the bidders are expected to reach on this one."""
    known = [each.quality for each in bids if each.quality is not None and each.quality.outcomes]
    if not known:
        return {}
    success = sum(each.mean for each in known) / len(known)
    return {"history": {"outcomes": sum(each.outcomes for each in known), "success": round(success, 4)}}


def _bid(bid: Bid) -> dict[str, object]:
    quality = bid.quality
    return {
        "upstream": bid.upstream.id,
        "utility": _rounded(bid.utility, 6),
        "quality": None
        if quality is None
        else {"mean": round(quality.mean, 4), "sd": round(quality.sd, 4), "source": quality.told()},
        "cost_usd": _rounded(bid.cost_usd, 9),
        "most_usd": None if bid.most is None else usd_text(bid.most),
        "ttft_s": _rounded(bid.ttft_s, 4),
        "total_s": _rounded(bid.total_s, 4),
        "is_late": bid.is_late,
        "bidder": bid.bidder,
        "promised": bid.promised,
        "shortfalls": [each.reason for each in bid.shortfalls],
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
