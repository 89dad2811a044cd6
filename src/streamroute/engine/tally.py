"""What the attempts of one request have come to."""

from dataclasses import dataclass, field

from streamroute.core.cost.bill import Bill
from streamroute.core.observation import AttemptObservation
from streamroute.core.outcome import FailureKind

_REPLACEABLE = frozenset({"first", "failover"})
"""Causes of calls whose failure another call makes good; one made beside them fails without consequence."""


@dataclass(slots=True)
class Tally:
    """Hears of every attempt that has ended."""

    failures: list[AttemptObservation] = field(default_factory=list)
    bill: Bill = field(default_factory=Bill)

    def add(self, observation: AttemptObservation) -> None:
        """Take note of one that is charged."""
        if observation.failure is not None:
            self.failures.append(observation)
        self.bill.add(None if observation.charged is None else observation.charged.cost)

    def replaced(self, *, is_answered: bool) -> tuple[FailureKind, ...]:
        """Return why attempts failed that were replaced before the client noticed; the last one was not where nobody
        answered."""
        kinds = [
            each.failure.kind
            for each in self.failures
            if each.failure is not None and not each.is_committed and each.cause in _REPLACEABLE
        ]
        return tuple(kinds if is_answered else kinds[:-1])

    def broken(self) -> tuple[FailureKind, ...]:
        """Return why answers broke off that the client had a part of."""
        return tuple(each.failure.kind for each in self.failures if each.failure is not None and each.is_committed)
