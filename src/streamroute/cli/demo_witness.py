"""What the sidecar itself reports while the demo runs: every attempt, every request, and how its upstreams stood."""

from dataclasses import dataclass, field

from streamroute.core.health.standing import BreakerState, StandingKind
from streamroute.core.observation import AttemptObservation, Observation, RequestObservation
from streamroute.core.upstream import UpstreamId


@dataclass(frozen=True, slots=True, kw_only=True)
class Stood:
    """How an upstream stood from a moment on."""

    at: float
    """Monotonic seconds, as in observations."""
    upstream: UpstreamId
    kind: StandingKind
    breaker: BreakerState
    reason: str
    """In words; may be empty."""


@dataclass(slots=True, kw_only=True)
class Witness:
    """A listener of the sidecar's bus; bounded by the length of the demo."""

    is_listening: bool = True
    attempts: list[AttemptObservation] = field(default_factory=list)
    requests: list[RequestObservation] = field(default_factory=list)
    stood: list[Stood] = field(default_factory=list)
    """Changes alone."""

    def __call__(self, observation: Observation) -> None:
        """Take note of an observation."""
        if not self.is_listening:
            return
        match observation:
            case AttemptObservation():
                self.attempts.append(observation)
            case RequestObservation():
                self.requests.append(observation)

    def note(self, stood: Stood) -> None:
        """Take note of how an upstream stands, if that is news."""
        last = next((each for each in reversed(self.stood) if each.upstream == stood.upstream), None)
        if last is None or (last.kind, last.breaker, last.reason) != (stood.kind, stood.breaker, stood.reason):
            self.stood.append(stood)
