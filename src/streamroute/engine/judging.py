"""Brings what was found out about an answer together with the decision that led to it: a listener for the bus.

Whoever finds out publishes a `QualityOutcome`. All that learns, counts or keeps hears one `QualityObservation` of it,
however often it is said: the first word of each source about each upstream counts.
"""

from collections.abc import Callable

from streamroute.core.observation import Observation, QualityObservation
from streamroute.core.quality.quality_outcome import QualityOutcome
from streamroute.core.routing.decision_log import DecisionLog


class Judging:
    """Adds what is still known of the request."""

    def __init__(self, decisions: DecisionLog, publish: Callable[[Observation], None]) -> None:
        self._decisions = decisions
        self._publish = publish

    def __call__(self, observation: Observation) -> None:
        """Hear an observation."""
        if not isinstance(observation, QualityOutcome):
            return
        record = self._decisions.get(observation.decision_id)
        if record is None:
            self._publish(QualityObservation(outcome=observation))
        elif record.judged(observation) is observation:
            self._publish(
                QualityObservation(
                    outcome=observation,
                    route=record.decision.route.name,
                    attribution=record.attribution,
                    traits=record.traits(observation.upstream),
                )
            )
