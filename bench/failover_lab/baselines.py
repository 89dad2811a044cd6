"""What others do, in a page each: retries alone, and the breakers of Envoy, LiteLLM and Resilience4j.

They choose round robin, try twice more on failure before the first token, and give up after 30 s: what their clients
and defaults do. A clairvoyant router is the bound: it knows the truth about every provider and wastes nothing.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from failover_lab.opinions import View
from failover_lab.world import Outlook


class Peer(Protocol):
    """Chooses providers for the client with retries. `now` is seconds of the run."""

    def pick(self, tried: Sequence[str], now: float) -> str | None:
        """Return whom to ask, None where nobody is left; `tried` by this request before."""

    def ended(self, provider: str, now: float, *, is_success: bool) -> None:
        """Learn from a call: its first token came, or it failed."""

    def view(self, provider: str, now: float) -> View:
        """See `Opinion`."""


class RoundRobin:
    """Rotates over those that are not shut out; asks anyone where all are."""

    def __init__(self, names: Sequence[str], seed: int) -> None:
        self._names = list(names)
        self._turn = seed

    def pick(self, tried: Sequence[str], now: float) -> str | None:
        """See `Peer`."""
        for names in (
            [name for name in self._names if name not in tried and not self._is_refused(name, now)],
            [name for name in self._names if name not in tried],
        ):
            if names:
                if not tried:
                    self._turn += 1
                return names[self._turn % len(names)]
        return None

    def ended(self, provider: str, now: float, *, is_success: bool) -> None:
        """See `Peer`; it does not learn."""

    def view(self, provider: str, now: float) -> View:
        """See `Peer`."""
        return "shut_out" if self.is_shut_out(provider, now) else "used"

    def is_shut_out(self, provider: str, now: float) -> bool:
        """Return whether it gets no traffic at all."""
        return False

    def _is_refused(self, provider: str, now: float) -> bool:
        return self.is_shut_out(provider, now)


class ConsecutiveErrors(RoundRobin):
    """Envoy's outlier detection: five errors in a row eject for 30 s x the number of ejections, at most 300 s."""

    def __init__(self, names: Sequence[str], seed: int) -> None:
        super().__init__(names, seed)
        self._row = dict.fromkeys(self._names, 0)
        self._ejections = dict.fromkeys(self._names, 0)
        self._until = dict.fromkeys(self._names, 0.0)

    def ended(self, provider: str, now: float, *, is_success: bool) -> None:
        """See `Peer`."""
        self._row[provider] = 0 if is_success else self._row[provider] + 1
        if self._row[provider] >= 5 and now >= self._until[provider]:
            self._row[provider] = 0
            self._ejections[provider] += 1
            self._until[provider] = now + min(300.0, 30.0 * self._ejections[provider])

    def is_shut_out(self, provider: str, now: float) -> bool:
        """See `RoundRobin`."""
        return now < self._until[provider]


class CooldownRatio(RoundRobin):
    """LiteLLM's router: more than half of the clock minute's calls failed, five at least: 5 s of cooling down."""

    def __init__(self, names: Sequence[str], seed: int) -> None:
        super().__init__(names, seed)
        self._minute = dict.fromkeys(self._names, (-1, 0, 0))
        self._until = dict.fromkeys(self._names, 0.0)

    def ended(self, provider: str, now: float, *, is_success: bool) -> None:
        """See `Peer`."""
        minute, calls, failures = self._minute[provider]
        if minute != int(now / 60):
            minute, calls, failures = int(now / 60), 0, 0
        calls, failures = calls + 1, failures + (not is_success)
        self._minute[provider] = (minute, calls, failures)
        if not is_success and calls >= 5 and failures > calls / 2:
            self._until[provider] = now + 5.0

    def is_shut_out(self, provider: str, now: float) -> bool:
        """See `RoundRobin`."""
        return now < self._until[provider]


class Window100(RoundRobin):
    """Resilience4j's defaults: half of the last hundred calls failed, open for 60 s, then ten calls decide."""

    def __init__(self, names: Sequence[str], seed: int) -> None:
        super().__init__(names, seed)
        self._window: dict[str, deque[bool]] = {name: deque(maxlen=100) for name in self._names}
        self._until = dict.fromkeys(self._names, 0.0)
        self._trial: dict[str, list[bool] | None] = dict.fromkeys(self._names)
        self._given = dict.fromkeys(self._names, 0)

    def ended(self, provider: str, now: float, *, is_success: bool) -> None:
        """See `Peer`."""
        trial = self._trial[provider]
        if trial is not None:
            if now < self._until[provider]:
                return
            trial.append(is_success)
            if len(trial) >= 10:
                self._trial[provider] = None
                self._window[provider].clear()
                if trial.count(False) >= 5:
                    self._open(provider, now)
            return
        window = self._window[provider]
        window.append(is_success)
        if len(window) == 100 and window.count(False) >= 50:
            self._open(provider, now)

    def is_shut_out(self, provider: str, now: float) -> bool:
        """See `RoundRobin`."""
        return now < self._until[provider]

    def pick(self, tried: Sequence[str], now: float) -> str | None:
        """See `Peer`."""
        picked = super().pick(tried, now)
        if picked is not None and self._trial[picked] is not None:
            self._given[picked] += 1
        return picked

    def _is_refused(self, provider: str, now: float) -> bool:
        has_enough = self._trial[provider] is not None and self._given[provider] >= 10
        return self.is_shut_out(provider, now) or has_enough

    def _open(self, provider: str, now: float) -> None:
        self._until[provider] = now + 60.0
        self._trial[provider] = []
        self._given[provider] = 0


class Unhedged(RoundRobin):
    """Asks in the order of preference, and the next one on failure alone: a client without any of it."""

    def pick(self, tried: Sequence[str], now: float) -> str | None:
        """See `Peer`."""
        return next((name for name in self._names if name not in tried), None)


class Oracle(RoundRobin):
    """Knows every provider's state: of those that are well the one with the quickest first token to be expected, where
    none is, of those that fail least."""

    def __init__(self, names: Sequence[str], seed: int, outlook: Callable[[str, float], Outlook]) -> None:
        super().__init__(names, seed)
        self._outlook = outlook

    def pick(self, tried: Sequence[str], now: float) -> str | None:
        """See `Peer`."""

        def badness(name: str) -> tuple[bool, float, float]:
            found = self._outlook(name, now)
            return not found.is_well, found.failing, found.ttft_s

        return min((name for name in self._names if name not in tried), key=badness, default=None)

    def view(self, provider: str, now: float) -> View:
        """See `Peer`."""
        return "used" if self._outlook(provider, now).is_well else "avoided"


PEERS: Mapping[str, Callable[[Sequence[str], int], Peer]] = {
    "round_robin_retry": RoundRobin,
    "unhedged": Unhedged,
    "consecutive_5": ConsecutiveErrors,
    "cooldown_ratio": CooldownRatio,
    "window_100": Window100,
}
"""Those that know no more than what they have seen."""
