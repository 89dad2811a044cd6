"""What routing has decided for one request, and why."""

from dataclasses import dataclass

from streamroute.core.health.board import Standing
from streamroute.core.upstream import Route, Upstream, UpstreamId


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An upstream that may serve the request, and how it stood when that was decided."""

    upstream: Upstream
    standing: Standing = Standing(kind="ready")

    @property
    def is_ready(self) -> bool:
        """Nothing speaks against asking it now."""
        return self.standing.kind == "ready"


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
