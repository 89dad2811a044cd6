"""Writes down what was decided and what came of it, for replays: a listener for the bus."""

from collections.abc import Callable
from functools import partial

from streamroute.clock import wall_iso
from streamroute.core.observation import Observation, QualityObservation, RequestObservation
from streamroute.core.routing.decision_log import DecisionLog
from streamroute.wire.routing_log import decision_line, outcome_line


class RoutingLog:
    """Hands lines on, one for each request and one for each judgement."""

    def __init__(self, decisions: DecisionLog, write: Callable[[Callable[[], bytes]], None]) -> None:
        """`write` takes what makes a line, and calls it elsewhere."""
        self._decisions = decisions
        self._write = write
        decisions.keeps_requests = True

    def __call__(self, observation: Observation) -> None:
        """Hear an observation."""
        if isinstance(observation, RequestObservation):
            record = self._decisions.get(observation.ledger_id)
            if record is not None:
                self._write(partial(decision_line, record, observation, wall_iso()))
        elif isinstance(observation, QualityObservation):
            self._write(partial(outcome_line, observation, wall_iso()))
