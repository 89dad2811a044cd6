"""Who calls: what the key that a client showed allows, and whom its spend is attributed to."""

from dataclasses import dataclass

from streamroute.core.attribution import NOBODY, Attribution
from streamroute.core.requirements import NO_REQUIREMENTS, Requirements
from streamroute.core.upstream import UpstreamId


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One client."""

    key_id: str | None = None
    """None: it showed no key of the key store, because none is asked for or because the configuration lists it."""
    defaults: Attribution = NOBODY
    """Task and team where the request names none, and the key's name."""
    routes: frozenset[str] | None = None
    """What it may put in `model`; None: anything."""
    upstreams: frozenset[UpstreamId] | None = None
    """That may serve it; None: any."""
    requests_per_min: int | None = None
    tokens_per_min: int | None = None
    """Prompt and answer together."""
    may_use_unpriced: bool = False
    """Whether a call whose price nobody knows may be made in its name, although it has a budget."""
    requirements: Requirements = NO_REQUIREMENTS
    """What its requests are held to; see `Requirements.within`."""
    is_admin: bool = False
    """May do what operators do: `/admin`."""


ANYONE = Caller(is_admin=True)
"""Whoever reaches a sidecar that asks for no key, and whoever shows one of the configuration's: all of it is theirs."""
