"""Why nobody can serve a request as it was required, and what would do: the words for the client, and what is kept for
those who ask."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from streamroute.core.money import usd_text
from streamroute.core.routing.decision import Decision
from streamroute.core.routing.matching import Bid, Matched, assumption
from streamroute.core.routing.narrowing import MOST_KEPT

_SHOWN = 5
"""Upstreams that are named one by one."""


def refusal(matched: Matched) -> str:
    """Return a sentence for each requirement that nobody meets, with the nearest offer; where each is met by somebody,
    but no upstream meets all of them, say what is in the way of each."""
    bids, names = matched.bids, _met_by_nobody(matched.bids)
    if names:
        return " ".join([_SENTENCES[name](matched) for name in names])
    shown = "; ".join(
        f"{bid.upstream.id}: {', '.join(each.reason for each in bid.shortfalls)}" for bid in _nearest(bids)[:_SHOWN]
    )
    more = f"; and {len(bids) - _SHOWN} more" if len(bids) > _SHOWN else ""
    is_apart = len(bids) > 1 and not all(any(not each.requirement for each in bid.shortfalls) for bid in bids)
    return f"Nobody meets {'all that is required at once' if is_apart else 'what is required'} ({shown}{more})."


def unmet(matched: Matched) -> tuple[str, ...]:
    """Return the requirements that nobody meets, by name; `combination` where each is met by somebody, but no upstream
    meets all of them."""
    return tuple(_met_by_nobody(matched.bids)) or ("combination",)


def _met_by_nobody(bids: Sequence[Bid]) -> list[str]:
    return [
        name
        for name in _SENTENCES
        if bids and all(any(each.requirement == name for each in bid.shortfalls) for bid in bids)
    ]


def kept(decision: Decision) -> Decision:
    """Return a decision that nobody will do as it is kept and shown: of many upstreams with those that came nearest."""
    matched, rejected = decision.matched, decision.rejected
    if len(rejected) <= MOST_KEPT:
        return decision
    if matched is not None and len(matched.bids) > MOST_KEPT:
        nearest = tuple(_nearest(matched.bids)[:MOST_KEPT])
        matched = replace(matched, bids=nearest, others=matched.others + len(matched.bids) - MOST_KEPT)
        names = {bid.upstream.id for bid in nearest}
        rejected = tuple([each for each in rejected if each.upstream in names])
    reasons = (*decision.reasons, f"{len(decision.rejected) - MOST_KEPT} more are rejected than are kept here")
    return replace(decision, matched=matched, rejected=rejected[:MOST_KEPT], reasons=reasons)


def _nearest(bids: Sequence[Bid]) -> list[Bid]:
    return sorted(bids, key=lambda bid: len(bid.shortfalls))


def _quality(matched: Matched) -> str:
    about = "" if matched.domain is None else f" for {matched.domain}"
    known = [(bid.quality.mean, bid.upstream.id) for bid in matched.bids if bid.quality is not None]
    wanted = f"Nobody offers quality {matched.requirements.min_quality:g}{about}"
    if not known:
        return f"{wanted}: no upstream's quality is known, neither configured (`quality`) nor learned."
    quality, name = max(known, key=lambda each: each[0])
    return f"{wanted}: the best is {name} with {quality:.4g}."


def _cost(matched: Matched) -> str:
    known = [(bid.most, bid.upstream.id) for bid in matched.bids if bid.most is not None]
    wanted = f"Nobody is sure to cost at most ${usd_text(matched.requirements.max_cost or 0)}"
    if not known:
        return f"{wanted}: no upstream's price is known."
    most, name = min(known)
    how = assumption(matched.assumed_tokens) or " (a lower `max_tokens` makes that less)"
    return f"{wanted}: the cheapest is {name}, which may cost ${usd_text(most)}{how}."


def _slow(name: str, until: str) -> Callable[[Matched], str]:
    def words(matched: Matched) -> str:
        offered = [
            (each.offered or 0.0, bid.upstream.id)
            for bid in matched.bids
            for each in bid.shortfalls
            if each.requirement == name
        ]
        soonest, who = min(offered)
        limit = getattr(matched.requirements, name)
        return f"Nobody is {until} within {limit:g} s: the quickest is {who} with some {soonest:.3g} s."

    return words


def _region(matched: Matched) -> str:
    known = sorted({bid.upstream.residency for bid in matched.bids if bid.upstream.residency is not None})
    where = f"; known are {', '.join(known)}" if known else ": no upstream's `residency` is known"
    return f"Nobody is known to keep data in {matched.requirements.residency}{where}."


def _context(matched: Matched) -> str:
    rooms = [(bid.upstream.capabilities.context_tokens or 0, bid.upstream.id) for bid in matched.bids]
    room, name = max(rooms)
    return f"The prompt is too long for everybody: {name} takes most, {room} tokens."


_SENTENCES: dict[str, Callable[[Matched], str]] = {
    "min_quality": _quality,
    "max_cost_usd": _cost,
    "max_ttft_s": _slow("max_ttft_s", "at the first token"),
    "max_total_s": _slow("max_total_s", "done"),
    "residency": _region,
    "context_tokens": _context,
}
"""By the name of the requirement."""
