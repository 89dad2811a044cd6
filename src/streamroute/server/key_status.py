"""The keys in `/status`: names and limits, never secrets."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from streamroute.clock import wall, wall_iso
from streamroute.core.cost.client_key import ClientKey

if TYPE_CHECKING:
    from streamroute.server.site import Site

KEYS_SHOWN = 200
"""The first by name of those that are not revoked."""


def key_status(site: "Site") -> dict[str, object] | None:
    """Return how the keys fare; None where there can be none."""
    figures = site.keys.figures()
    if figures is None:
        return None
    kept = [key for key in site.keys.ring.keys if key.revoked_at_ms is None]
    return {**asdict(figures), "named": {key.name: _key(site, key) for key in kept[:KEYS_SHOWN]}}


def _key(site: "Site", key: ClientKey) -> dict[str, object]:
    return {
        "shown": key.shown,
        "state": key.state(int(wall() * 1000)),
        "expires_at": None if key.expires_at_ms is None else wall_iso(key.expires_at_ms / 1000),
        "team": key.team,
        "task": key.task,
        "routes": None if key.routes is None else sorted(key.routes),
        "upstreams": None if key.upstreams is None else sorted(key.upstreams),
        "is_admin": key.is_admin,
        "rate_limit": asdict(report) if (report := site.limits.report(key.caller())) is not None else None,
        "refused": {kind: site.limits.refused[key.name, kind] for kind in ("requests", "tokens")},
    }
