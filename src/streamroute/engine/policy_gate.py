"""A fitted tier policy at work: where a request begins, and what is done about every answer that is held.

Audits work on top of it, as on anything else that delivers small models' answers: what a domain asks for besides
(`domain_guard`) is added to the utility of the largest tier.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from streamroute.core.quality.verdict import Ruling, Verdict
from streamroute.core.routing.decision import Decision
from streamroute.core.routing.learned.domain_drift import STRANGE_WORDS
from streamroute.core.routing.learned.domain_guard import DomainGuard, Trust
from streamroute.core.routing.learned.fitted_policy import FittedPolicy
from streamroute.core.routing.learned.policy_walk import Choice, PolicyWalk
from streamroute.core.routing.tiers import begun_at
from streamroute.core.upstream import Upstream, UpstreamId
from streamroute.engine.cross_checks import Checked


@dataclass(frozen=True, slots=True)
class Ruled:
    """What a policy says of one answer."""

    ruling: Ruling
    margin: float
    """Utility of the best answer that is there less that of asking the largest tier, before the guard had its say."""
    is_backed: bool
    """An earlier answer agrees with it."""


def begins_at(tier: Decision, affords: Callable[[Upstream], bool]) -> bool:
    """Return whether a request may begin with a tier, past smaller ones: somebody in it can be asked, and paid, now."""
    return tier.can_begin and any(affords(each.upstream) for each in tier.candidates)


def begun(
    walk: PolicyWalk, decision: Decision, guard: DomainGuard | None, affords: Callable[[Upstream], bool]
) -> Decision:
    """Return the decision from the tier on that the policy begins with; `affords` as in `begins_at`."""
    places = _places(walk.fitted, decision)
    ready = [place for place, at in places.items() if begins_at(decision.tiers[at], affords)]
    choice = walk.choose(ready or places, 0.0 if guard is None else guard.caution)
    if choice.move is None:
        return decision
    position = places[choice.move.tier]
    why = f"policy {walk.fitted.name} begins with {_name(decision, position)}: {_utilities(walk, choice)}"
    if walk.has_strange_words:
        why = f"{why}; its domain is taken for a new one: {STRANGE_WORDS}"
    elif walk.is_elsewhere:
        why = f"{why}; it was not fitted on this domain"
    return begun_at(decision, position, why)


def ruled(walk: PolicyWalk, decision: Decision, checked: Checked, verdict: Verdict, guard: DomainGuard | None) -> Ruled:
    """Return what is done about an answer of the decision's tiers; ValueError: it is from elsewhere."""
    places = _places(walk.fitted, decision)
    tier = walk.fitted.place_of(checked.upstream)
    if tier not in places:
        raise ValueError(f"{checked.upstream} is in no tier of the policy that was decided on")
    is_backed = walk.heard(tier, checked.draft, checked.wanted, verdict)
    open_ = [place for place in places if place > tier]
    caution = 0.0 if guard is None else guard.caution
    choice = walk.choose(open_, caution)
    move, score = choice.move, walk.probability(tier)
    why = f"policy {walk.fitted.name}: {_utilities(walk, choice)}"
    if verdict.is_unusable:
        why = f"it cannot be used; {why}"
    if guard is not None and caution == inf:
        state = "is new here" if guard.trust is Trust.NEW else "has lost quality to small models"
        if guard.trust is Trust.NEW and walk.has_strange_words:
            state = f"{state}, for {STRANGE_WORDS}"
        why = f"its domain {state}; {why}"
    elif caution:
        why = f"{why}; its domain asks for {caution:.2f} more"
    if move is None:  # nothing that can be used is there, and nobody is left: the best there is will be delivered
        return Ruled(Ruling(score=score, is_accepted=False, reason=why), choice.margin, is_backed)
    ruling = Ruling(
        score=score,
        is_accepted=move.kind == "deliver" and move.tier == tier,
        next_tier=places[move.tier] if move.kind == "ask" else 0,
        delivers=places[move.tier] if move.kind == "deliver" and move.tier != tier else None,
        reason=why,
    )
    return Ruled(ruling, choice.margin, is_backed)


def _places(fitted: FittedPolicy, decision: Decision) -> dict[int, int]:
    """Return the position of each of the policy's tiers that were decided on."""
    found = {fitted.place_of(tier.candidates[0].upstream.id): at for at, tier in enumerate(decision.tiers)}
    return {place: at for place, at in found.items() if place is not None}


def _name(decision: Decision, position: int) -> UpstreamId:
    return decision.tiers[position].candidates[0].upstream.id


def _utilities(walk: PolicyWalk, choice: Choice) -> str:
    """Put utilities in words. They are no chances: what a way costs is taken off, at the price that was fitted."""
    named = walk.fitted.tiers
    told = ", ".join(f"{move.kind} {named[move.tier][0]} {each:.3f}" for move, each in choice.utilities.items())
    price = "price" if walk.price is None else f"{walk.price:.4g} per usd"
    return f"utilities {told} (quality less cost x {price})"
