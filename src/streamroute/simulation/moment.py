"""Where one request stands: in the script, in chance, and in the provider's traffic."""

from dataclasses import dataclass

from streamroute.simulation.seeded import fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a fault may look at when it decides what a request will see."""

    seed: int
    elapsed_s: float
    """Seconds since the phase began; since the script began where no phase decides."""
    ordinal: int
    """0-based number of the request within the phase."""
    draw: int = 0
    """What chance is keyed by: the same (seed, draw) draws the same, whoever asks and however often."""
    prompt_tokens: int = 0
    in_flight: int = 0
    """Requests that the provider was serving when this one came."""
    recent_rps: float = 0.0
    """Requests a second just before this one, over the profile's `rate_window_s`."""
    window_requests: int = 0
    """Requests of the current window of the rate limit before this one."""
    script_s: float = 0.0
    """Seconds since the script began; the windows of rate limits count from there."""

    def fraction(self, what: str, *more: object) -> float:
        """Return this request's number in [0, 1) for the purpose `what`."""
        return fraction(self.seed, self.draw, what, *more)
