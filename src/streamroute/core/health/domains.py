"""Evidence that belongs together: upstreams of one failure domain, and trouble that is our own.

Where two of a domain are in trouble at once, their siblings probably are. Where everybody fails to connect at once, the
fault is ours ("local origin" failures in Envoy's words), and nobody is to blame.
"""

from collections.abc import Mapping

from streamroute.core.upstream import UpstreamId

TOGETHER_S = 5.0
"""Alarms within this time belong together."""
MIN_SUSPECTS = 2
LENT = 0.5
"""Of the evidence that siblings lend."""
ACTIVE_S = 30.0
"""An upstream that was asked within this time must fail too before we suspect ourselves."""
LOCAL_TROUBLE_S = 5.0
LAG_FACTOR = 2.0
"""Times the lag of our event loop during which times are not believed: what was late is read late, too."""


class Domains:
    """Who was suspect when, by failure domain."""

    __slots__ = ("_of", "_suspects", "alarmed_at")

    def __init__(self) -> None:
        self._of: dict[UpstreamId, str] = {}
        self._suspects: dict[str, dict[UpstreamId, tuple[float, float]]] = {}
        self.alarmed_at = float("-inf")
        """When an upstream was suspect last."""

    def meet(self, upstream: UpstreamId, domain: str) -> None:
        """Learn whose domain an upstream is in."""
        self._of[upstream] = domain

    def of(self, upstream: UpstreamId) -> str:
        """Return an upstream's domain; its own name where it is unknown."""
        return self._of.get(upstream, upstream)

    def forget(self, upstream: UpstreamId) -> None:
        """Forget an upstream."""
        domain = self._of.pop(upstream, None)
        if domain is not None:
            self._suspects.get(domain, {}).pop(upstream, None)

    def suspected(self, upstream: UpstreamId, ratio: float, now: float) -> None:
        """Note that an upstream is suspect by its own evidence."""
        self._suspects.setdefault(self.of(upstream), {})[upstream] = (now, ratio)
        self.alarmed_at = now

    def echo(self, upstream: UpstreamId, now: float) -> float:
        """Return the ratio that an upstream's siblings lend it: 0 unless two of them are suspect together."""
        suspects = self._suspects.get(self._of.get(upstream, upstream))
        if suspects is None or len(suspects) < MIN_SUSPECTS:
            return 0.0
        fresh = [ratio for who, (at, ratio) in suspects.items() if who != upstream and now - at <= TOGETHER_S]
        return LENT * max(fresh) if len(fresh) >= MIN_SUSPECTS else 0.0


class Ourselves:
    """Whether the trouble is our own."""

    __slots__ = ("_asked", "_refused", "until")

    def __init__(self) -> None:
        self._asked: dict[UpstreamId, float] = {}
        self._refused: dict[UpstreamId, float] = {}
        self.until = float("-inf")
        """Until when nothing is held against anybody (monotonic seconds)."""

    def lagged(self, now: float, lag_s: float) -> None:
        """Learn that our event loop was `lag_s` late."""
        self.until = max(self.until, now + LAG_FACTOR * lag_s)

    def asked(self, upstream: UpstreamId, now: float) -> None:
        """Count an upstream as active."""
        self._asked[upstream] = now

    def forget(self, upstream: UpstreamId) -> None:
        """Forget an upstream."""
        self._asked.pop(upstream, None)
        self._refused.pop(upstream, None)

    @property
    def is_anyone_refused(self) -> bool:
        """Some upstream could not be reached the last time."""
        return bool(self._refused)

    def reached(self, upstream: UpstreamId) -> None:
        """Learn that an upstream can be reached."""
        self._refused.pop(upstream, None)

    def unreachable(self, upstream: UpstreamId, now: float, domains: Mapping[UpstreamId, str]) -> list[UpstreamId]:
        """Learn that a connection failed. Where that makes it everybody's, return them all: it is our own trouble."""
        self._refused[upstream] = now
        active = [who for who, at in self._asked.items() if now - at <= ACTIVE_S]
        refused = [who for who in active if now - self._refused.get(who, float("-inf")) <= TOGETHER_S]
        if len(refused) < len(active) or len({domains.get(who, who) for who in refused}) < MIN_SUSPECTS:
            return []
        self.until = max(self.until, now + LOCAL_TROUBLE_S)
        return refused
