"""Watches what a policy thinks of the providers, and notes when it changes its mind."""

from collections.abc import Iterable
from typing import Literal, Protocol

from failover_lab.records import RunRecord

MIN_APART_S = 1.0
"""Two times of keeping away that begin within this are one."""


View = Literal["used", "avoided", "shut_out"]
"""`avoided`: it gets less than a tenth of its share. `shut_out`: it gets no traffic: open, ejected, cooling down. Half
open counts as shut out."""


class Opinion(Protocol):
    """What a policy thinks of a provider at one moment."""

    def view(self, provider: str, now: float) -> View:
        """Return it."""


class Watcher:
    """Keeps the openings and the times of keeping away of one run."""

    def __init__(self, providers: Iterable[str], opinion: Opinion, record: RunRecord) -> None:
        self._opinion = opinion
        self._record = record
        self._shut_out = dict.fromkeys(providers, False)
        self._avoided = dict(self._shut_out)
        self._last_steer: dict[str, float] = {}

    def look(self, now: float) -> None:
        """Note what has changed."""
        for provider, before in self._shut_out.items():
            view = self._opinion.view(provider, now)
            is_shut_out = view == "shut_out"
            if is_shut_out and not before:
                self._record.openings.append((now, provider))
            self._shut_out[provider] = is_shut_out
            is_avoided = view != "used"
            if is_avoided and not self._avoided[provider]:
                if now - self._last_steer.get(provider, -MIN_APART_S) >= MIN_APART_S:
                    self._record.steers.append((now, provider))
                self._last_steer[provider] = now
            self._avoided[provider] = is_avoided
