"""The pace of an upstream's streams: the usual time of a token, and a gap between two that is unlike it."""

from math import exp

from streamroute.core.health.sketch import LogSketch, ln_of
from streamroute.core.health.ttft import Norm
from streamroute.core.observation import AttemptObservation

MIN_CONTENT_EVENTS = 10
"""Chunks that a stream needs for its pace to say something."""
STALL_GAPS, STALL_MAX_GAPS, STALL_LEAST_S = 8.0, 2.0, 0.5
"""A stall is eight usual gaps, twice a stream's longest, and half a second, whichever is longest."""
STALL_QUANTILE = 0.98
STALL_SAMPLES = 8


class Pace(Norm):
    """What is normal for the seconds per token of one upstream's streams, and for the longest gap of each.

    Every decision reads both figures, and a quantile takes 2 us: they are kept until something is learned.
    """

    __slots__ = ("_gaps", "_stall_soft_s", "_tpot_s")

    def __init__(self) -> None:
        super().__init__()
        self._gaps = LogSketch()
        self._tpot_s: float | None = None
        self._stall_soft_s: float | None = None

    @property
    def tpot_s(self) -> float | None:
        """Seconds per token; None before the first sample."""
        if self._tpot_s is None and self._n:
            self._tpot_s = exp(self.level)
        return self._tpot_s

    @property
    def stall_soft_s(self) -> float | None:
        """A gap between two tokens that is unlike it; None before it is known."""
        if self._stall_soft_s is None and self._gaps.count >= STALL_SAMPLES:
            gap_s = exp(self._gaps.quantiles(STALL_QUANTILE)[0])
            self._stall_soft_s = max(STALL_GAPS * exp(self.level), STALL_MAX_GAPS * gap_s, STALL_LEAST_S)
        return self._stall_soft_s

    def gap(self, max_gap_s: float, now: float) -> None:
        """Take the longest gap of a stream that went well."""
        self._gaps.add(ln_of(max_gap_s), now)
        self._stall_soft_s = None

    def _refresh(self) -> None:
        super()._refresh()
        self._tpot_s = self._stall_soft_s = None


def pace_ln(observation: AttemptObservation) -> float | None:
    """Return ln(seconds per token) of a stream; None where it was too short to say."""
    events, ttft_s = observation.content_events, observation.ttft_s
    if events < MIN_CONTENT_EVENTS or ttft_s is None or not observation.stream:
        return None
    streamed_s = observation.duration_s - ttft_s - observation.paused_s
    return ln_of(streamed_s / (events - 1)) if streamed_s > 0.0 else None
