"""Whom an audit of an auction asks beside who has answered: other bidders, by how much better they may be.

What is not known well may be much better: the expected lead of one bidder over another is the mean of what the
difference of their worths is above 0 (the knowledge gradient of Frazier, Powell and Dayanik, 2008, in its simplest
form). Of several one is picked with a chance that goes by the root of its lead: where always the one with the largest
was asked, what was believed of all was off by .10 on A2's stream (expected calibration error; audits of 5 and 6 %, ten
orders), by a draw .06. Gains differed by no more than their noise.
"""

from collections.abc import Sequence
from math import hypot, sqrt
from typing import NamedTuple

from streamroute.core.routing.auction import UNKNOWN_QUALITY, UNKNOWN_SD
from streamroute.core.routing.learned.exploration import expected_lead
from streamroute.core.routing.matching import TABLE_SD, Bid, Matched
from streamroute.core.routing.options import DOUBTS
from streamroute.core.upstream import UpstreamId

EVEN = 0.5
"""Share of picks that leads do not decide: see `exploration`."""


class Rival(NamedTuple):
    """A bidder that was not asked."""

    upstream: UpstreamId
    lead: float
    """Expected, over who was asked: points of quality, at least 0."""
    is_better: bool
    """Its answers are held to be the better ones, whatever they cost; of equals, those of the dearer one."""


def rivals(matched: Matched, asked: UpstreamId) -> list[Rival]:
    """Return the other bidders that meet what was required, the one with the largest lead first; none where `asked` has
    made no bid."""
    bids = [each for each in matched.bids if each.utility is not None and not each.shortfalls]
    own = next((each for each in bids if each.upstream.id == asked), None)
    if own is None:
        return []
    doubts = DOUBTS[matched.policy]
    worth, doubt, rank = _worth(own, doubts), _doubt(own), _rank(own)
    found = [
        Rival(
            each.upstream.id,
            expected_lead(_worth(each, doubts) - worth, hypot(doubt, _doubt(each))),
            _rank(each) >= rank,
        )
        for each in bids
        if each is not own
    ]
    return sorted(found, key=lambda each: (-each.lead, each.upstream))


def picked(among: Sequence[Rival], drawn: float) -> tuple[Rival, float]:
    """Return one of some rivals (at least one), and the chance with which it is picked; `drawn` is from [0, 1)."""
    roots = [sqrt(each.lead) for each in among]
    total = sum(roots)
    even = 1.0 / len(among)
    chances = [EVEN * even + (1.0 - EVEN) * (root / total if total > 0.0 else even) for root in roots]
    for rival, chance in zip(among, chances, strict=True):
        drawn -= chance
        if drawn < 0.0:
            return rival, chance
    return among[-1], chances[-1]


def _worth(bid: Bid, doubts: float) -> float:
    """Return what it is worth in the mean: its bid with what was taken off it for doubt."""
    sd = UNKNOWN_SD if bid.quality is None else bid.quality.sd
    return (bid.utility or 0.0) + doubts * sd


def _doubt(bid: Bid) -> float:
    """Return the standard error of its quality; an operator's word is held to be as sure as elsewhere."""
    if bid.quality is None:
        return UNKNOWN_SD
    return bid.quality.sd or TABLE_SD


def _rank(bid: Bid) -> tuple[float, float]:
    return UNKNOWN_QUALITY if bid.quality is None else bid.quality.mean, bid.cost_usd or 0.0
