"""What a provider knows of its own traffic when a request comes. The same for sockets and for timelines."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """See the fields of the same names of `Moment`."""

    in_flight: int = 0
    recent_rps: float = 0.0
    window_requests: int = 0


class Meter:
    """Counts requests. Times are seconds since the script began, and never go back."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._recent: deque[float] = deque()
        self._window = 0
        self._in_window = 0

    def begin(self, elapsed_s: float, *, limit_window_s: float = 60.0, rate_window_s: float = 1.0) -> Traffic:
        """Count a request in and return what it finds. Every `begin` needs its `end`."""
        found = self.found(elapsed_s, limit_window_s=limit_window_s, rate_window_s=rate_window_s)
        self._recent.append(elapsed_s)
        self._in_window += 1
        self.in_flight += 1
        return found

    def found(self, elapsed_s: float, *, limit_window_s: float = 60.0, rate_window_s: float = 1.0) -> Traffic:
        """Return what a request would find, without counting one in."""
        while self._recent and self._recent[0] <= elapsed_s - rate_window_s:
            self._recent.popleft()
        window = int(elapsed_s / limit_window_s)
        if window != self._window:
            self._window, self._in_window = window, 0
        return Traffic(
            in_flight=self.in_flight,
            recent_rps=len(self._recent) / rate_window_s,
            window_requests=self._in_window,
        )

    def turn_away(self) -> None:
        """Take the request that began last out of the rates: refused, it costs nothing. It still needs its `end`."""
        if self._recent:
            self._recent.pop()
        self._in_window = max(0, self._in_window - 1)

    def end(self) -> None:
        """Count a request out: answered, failed or given up."""
        self.in_flight -= 1
