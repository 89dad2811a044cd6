"""The last decisions and what came of them, for people who ask why a request went where it went."""

from collections.abc import Sequence
from itertools import islice

from streamroute.core.observation import AttemptObservation
from streamroute.core.routing.decision import Decision

MAX_DECISIONS = 1000
"""About 5 kB each with ten upstreams, so 5 MB at most."""
MAX_ATTEMPTS = 16
"""Of one request; more than any plan makes."""


class DecisionRecord:
    """One decision, when it was made (monotonic seconds), and the attempts that have ended since."""

    __slots__ = ("at", "attempts", "decision", "id")

    def __init__(self, id_: str, decision: Decision, at: float) -> None:
        self.id = id_
        self.decision = decision
        self.at = at
        self.attempts: Sequence[AttemptObservation] = ()


class DecisionLog:
    """Keeps the newest `size` decisions as they are: nothing is put into words before somebody reads it."""

    def __init__(self, size: int = MAX_DECISIONS) -> None:
        self.size = size
        self._records: dict[str, DecisionRecord] = {}

    def __len__(self) -> int:
        return len(self._records)

    def add(self, decision_id: str, decision: Decision, at: float) -> None:
        """Keep a decision, and forget the oldest where there are too many."""
        self._records.pop(decision_id, None)
        self._records[decision_id] = DecisionRecord(decision_id, decision, at)
        if len(self._records) > self.size:
            del self._records[next(iter(self._records))]

    def attempt(self, decision_id: str, observation: AttemptObservation) -> None:
        """Add an attempt that has ended; one of a decision that is forgotten, or beyond `MAX_ATTEMPTS`, is not kept."""
        record = self._records.get(decision_id)
        if record is not None and len(record.attempts) < MAX_ATTEMPTS:
            record.attempts = (*record.attempts, observation)

    def get(self, decision_id: str) -> DecisionRecord | None:
        """Return a decision that is still kept."""
        return self._records.get(decision_id)

    def latest(self, count: int) -> list[DecisionRecord]:
        """Return the newest, newest first."""
        return list(islice(reversed(self._records.values()), count))
