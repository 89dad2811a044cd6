"""Who calls: what the key that a client showed allows, and whom its spend is attributed to."""

from dataclasses import dataclass

from streamroute.core.attribution import NOBODY, Attribution
from streamroute.core.upstream import UpstreamId


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One client."""

    key_id: str | None = None
    """None: it showed no key of the key store, because none is asked for or because the configuration lists it."""
    defaults: Attribution = NOBODY
    """Task and team where the request names none, and the key's name."""
    routes: frozenset[str] | None = None
    """That it may ask for; None: any."""
    upstreams: frozenset[UpstreamId] | None = None
    """That may serve it; None: any."""
    may_use_unpriced: bool = False
    """Whether a call whose price nobody knows may be made in its name, although it has a budget."""


ANYONE = Caller()
