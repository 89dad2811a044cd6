"""When a second call pays: stub until the rule is here."""

import math

from streamroute.core.health.standing import Estimate


def ttft_deadline_s(estimate: Estimate, configured_s: float) -> float:
    """Return how long to wait for a first token."""
    return configured_s


def stall_limits(estimate: Estimate, configured_s: float) -> tuple[float, float]:
    """Return the gap that gives cause for concern, and the one that ends the attempt."""
    return math.inf if estimate.stall_soft_s is None else estimate.stall_soft_s, configured_s


class HedgeDelays:
    """Remembers delays."""

    def delay_s(self, primary: Estimate, backup: Estimate, *, is_suspect: bool) -> float | None:
        """Return when a second call pays, None where it does not."""
        return None
