"""Notices when an upstream stands otherwise than at the last look, and says so once: for the log.

What changed and changed back between two looks is not told; `/status` has when and why a breaker moved last.
"""

from collections.abc import Sequence

from streamroute.core.health.standing import BreakerState, Standing, StandingKind
from streamroute.core.observation import StandingObservation
from streamroute.core.upstream import Upstream, UpstreamId

_WELL: tuple[BreakerState, StandingKind] = ("closed", "healthy")


class Lookout:
    """Remembers how the upstreams stood."""

    def __init__(self) -> None:
        self._seen: dict[UpstreamId, tuple[BreakerState, StandingKind]] = {}

    def look(self, upstreams: Sequence[tuple[Upstream, Standing]]) -> list[StandingObservation]:
        """Return what has changed; `upstreams` are all that there are now. A new one was well before."""
        changes = []
        seen: dict[UpstreamId, tuple[BreakerState, StandingKind]] = {}
        for upstream, standing in upstreams:
            found = seen[upstream.id] = (standing.breaker, standing.kind)
            if found != self._seen.get(upstream.id, _WELL):
                changes.append(
                    StandingObservation(
                        upstream=upstream.id,
                        provider=upstream.provider,
                        breaker=standing.breaker,
                        standing=standing.kind,
                        risk=standing.risk,
                        reason=standing.reason,
                    )
                )
        self._seen = seen
        return changes
