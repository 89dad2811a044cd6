"""What others do, in a page each: retries alone, and the breakers of Envoy, LiteLLM and Resilience4j.

They choose round robin, try twice more on failure before the first token, and give up after 30 s: what their clients
and defaults do. A clairvoyant router is the bound: it knows the truth about every provider and wastes nothing.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Protocol

from failover_lab.weather import Provider


class Peer(Protocol):
    """Chooses providers for the client with retries. `now` is seconds of the run."""

    def pick(self, tried: Sequence[str], now: float) -> str | None:
        """Return whom to ask, None where nobody is left; `tried` by this request before."""

    def ended(self, provider: str, now: float, *, is_success: bool) -> None:
        """Learn from a call: its first token came, or it failed."""

    def is_shut_out(self, provider: str, now: float) -> bool:
        """Return whether it gets no traffic at all."""

    def is_avoided(self, provider: str, now: float) -> bool:
        """Return whether it gets less than a tenth of its share."""


class RoundRobin:
    """Rotates over those that are not shut out; asks anyone where all are."""

    def __init__(self, providers: Sequence[Provider], seed: int) -> None:
        self._names = [each.name for each in providers]
        self._turn = seed
        self._providers = {each.name: each for each in providers}
        self._random = Random(seed)

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

    def is_shut_out(self, provider: str, now: float) -> bool:
        """See `Peer`."""
        return False

    def is_avoided(self, provider: str, now: float) -> bool:
        """See `Peer`."""
        return self.is_shut_out(provider, now)

    def _is_refused(self, provider: str, now: float) -> bool:
        return self.is_shut_out(provider, now)


class ConsecutiveErrors(RoundRobin):
    """Envoy's outlier detection: five errors in a row eject for 30 s x the number of ejections, at most 300 s."""

    def __init__(self, providers: Sequence[Provider], seed: int) -> None:
        super().__init__(providers, seed)
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
        """See `Peer`."""
        return now < self._until[provider]


class CooldownRatio(RoundRobin):
    """LiteLLM's router: more than half of the clock minute's calls failed, five at least: 5 s of cooling down."""

    def __init__(self, providers: Sequence[Provider], seed: int) -> None:
        super().__init__(providers, seed)
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
        """See `Peer`."""
        return now < self._until[provider]


class Window100(RoundRobin):
    """Resilience4j's defaults: half of the last hundred calls failed, open for 60 s, then ten calls decide."""

    def __init__(self, providers: Sequence[Provider], seed: int) -> None:
        super().__init__(providers, seed)
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
        """See `Peer`."""
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


class Oracle(RoundRobin):
    """Knows every provider's state: of those that fail least and are not slow, by the square of their speed."""

    def pick(self, tried: Sequence[str], now: float) -> str | None:
        """See `Peer`."""
        names = [name for name in self._names if name not in tried]
        if not names:
            return None
        state = {name: self._providers[name].weather.at(now) for name in self._names}
        least = min(state[name][0].failing for name in names)
        names = [name for name in names if state[name][0].failing <= least + 0.02]
        fastest = min(state[name][1] for name in names)
        names = [name for name in names if state[name][1] <= fastest * 1.2]
        times_s = [self._providers[name].ttft_s * state[name][1] for name in names]
        return self._random.choices(names, [(min(times_s) / time_s) ** 2 for time_s in times_s])[0]

    def is_avoided(self, provider: str, now: float) -> bool:
        """See `Peer`."""
        return not self._providers[provider].weather.is_well(now)


PEERS: Mapping[str, Callable[[Sequence[Provider], int], Peer]] = {
    "round_robin_retry": RoundRobin,
    "consecutive_5": ConsecutiveErrors,
    "cooldown_ratio": CooldownRatio,
    "window_100": Window100,
    "oracle": Oracle,
}
