"""What routing has decided for one request, and why."""

from dataclasses import dataclass

from streamroute.core.health.board import Standing
from streamroute.core.upstream import Route, Upstream, UpstreamId


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An upstream that may serve the request, and how it stood when that was decided."""

    upstream: Upstream
    standing: Standing = Standing(kind="ready")

    def is_ready_at(self, now: float) -> bool:
        """Nothing that was known then speaks against asking it now; who gives the permit knows better."""
        return self.standing.kind == "ready" or (self.standing.until is not None and self.standing.until <= now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """An upstream that may not, and the reason in words."""

    upstream: UpstreamId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whom to ask, in order."""

    route: Route
    candidates: tuple[Candidate, ...]
    """In the order of preference."""
    rejected: tuple[Rejected, ...] = ()
