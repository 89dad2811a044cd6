"""The one publication point: every observation goes to every listener, and no listener can break the others."""

from collections.abc import Callable, Sequence

import structlog

from streamroute.core.observation import Observation

Listener = Callable[[Observation], None]

_log = structlog.get_logger(__name__)


class Bus:
    """Hands observations on, synchronously, in order."""

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        self._listeners = list(listeners)

    def subscribe(self, listener: Listener) -> None:
        """Add a listener; it must be quick and must not block."""
        self._listeners.append(listener)

    def publish(self, observation: Observation) -> None:
        """Tell every listener. A listener that raises is logged and the rest still told: an answer must not suffer."""
        for listener in self._listeners:
            try:
                listener(observation)
            except Exception:  # noqa: BLE001 - whatever it is, the other listeners must be told
                _log.exception("observation.listener_failed", listener=repr(listener))
