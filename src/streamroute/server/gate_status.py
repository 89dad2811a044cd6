"""How the gate of a route with tiers, and audits of any route, stand, for `/status`."""

from math import isfinite

from streamroute.core.money import usd_text
from streamroute.core.routing.figures import tier_number
from streamroute.core.routing.learned.domain_drift import STRANGE_WORDS
from streamroute.core.upstream import Route
from streamroute.engine.gates import RouteGate
from streamroute.engine.spending import today


def gate_status(gate: RouteGate, route: Route) -> dict[str, object]:
    """Return what is trusted, what was learned, and what audits came to."""
    if not route.tiers:
        return {"audits": _audits(gate, route), "no_judgements": gate.no_judgements}
    accepted = {
        domain: {
            str(tier_number(tier)): round(share, 3)
            for tier in sorted(ascent.judged)
            if (share := ascent.share(tier)) is not None
        }
        for domain, ascent in gate.ascents.items()
    }
    audits = _audits(gate, route)
    if audits is not None:
        audits |= {
            "looks": {str(tier_number(tier)): looks for tier, looks in gate.keeper.looks.items()},
            "domains": {
                each.domain: {
                    "trust": each.trust.value,
                    "changed": STRANGE_WORDS if each.has_changed else None,
                    "looks": each.looks,
                    "look_share": round(each.look_share, 4),
                    "caution": round(each.caution, 4) if isfinite(each.caution) else None,
                    "loss": round(each.loss, 4),
                }
                for each in gate.keeper.figures()
            },
        }
    return {
        "accept_at": None if route.tier_policy else str(route.accept_at),
        "tiers": {str(tier_number(tier)): list(names) for tier, names in enumerate(route.tiers)},
        "tier_policy": route.tier_policy,
        "accepted_share": accepted,
        "audits": audits,
        "no_judgements": gate.no_judgements,
    }


def _audits(gate: RouteGate, route: Route) -> dict[str, object] | None:
    if route.audit is None:
        return None
    return {
        "made": dict(gate.audits),
        "spent_today_usd": usd_text(gate.money.spent_on(today())),
        "max_usd_per_day": str(route.audit.max_usd_per_day),
    }
