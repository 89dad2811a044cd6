"""What routing writes to disk while it runs: what was learned, and, where that is asked for, every decision.

Put together by `app`. Nothing here is waited for by a request: the state is saved in a thread now and then and at the
end, lines of the log are written by a thread of their own.
"""

from functools import partial

import anyio
import anyio.lowlevel
import anyio.to_thread
import numpy as np
import structlog

from streamroute.clock import wall, wall_iso
from streamroute.core.routing.decision_log import DecisionLog
from streamroute.core.routing.file_figures import RoutingFileFigures
from streamroute.engine.gates import Gates
from streamroute.engine.learning import Learning
from streamroute.engine.routing_log import RoutingLog
from streamroute.errors import StoreError
from streamroute.stores.line_log import LineLog
from streamroute.stores.options import RoutingFiles
from streamroute.stores.state_file import State, load_state, put_aside, save_state
from streamroute.telemetry.bus import Bus

CLOSE_TIMEOUT_S = 2.0
GATES = "gates/"
"""How the names of what the gates of routes with tiers have learned begin."""

_log = structlog.get_logger(__name__)


class RoutingMemory:
    """Remembers across restarts. `open` it, then let `run` run in a task of its owner."""

    def __init__(self, options: RoutingFiles, learning: Learning, gates: Gates) -> None:
        self._options = options
        self._learning = learning
        self._gates = gates
        self._saved = self._version
        self._saved_at: float | None = None
        self._trouble: str | None = None
        self._lines: LineLog | None = None
        self._writing = anyio.Lock()
        """Two that write at once would write into one file."""

    @property
    def _version(self) -> int:
        return self._learning.version + self._gates.version

    async def _state(self) -> State:
        """Copy what was learned, part by part: all at once would keep the event loop for 14 ms. What is learned in
        between is of the next version, and so saved the next time."""
        state = {f"{GATES}{name}": each for name, each in self._gates.state().items()}
        for part in self._learning.parts():
            state |= part
            await anyio.lowlevel.checkpoint()
        return state

    async def open(self, decisions: DecisionLog, bus: Bus) -> None:
        """Take over what was learned before, and begin the log."""
        options = self._options
        if options.state is not None:
            state = await anyio.to_thread.run_sync(load_state, options.state)
            if state is not None:
                try:
                    _require_finite(state)
                    self._learning.restore(state)
                    gates = {name: each for name, each in state.items() if name.startswith(GATES)}
                    self._gates.restore({name.removeprefix(GATES): each for name, each in gates.items()})
                except Exception as error:  # noqa: BLE001 - whatever is in the file, requests are served
                    await anyio.to_thread.run_sync(put_aside, options.state, f"{type(error).__name__}: {error}"[:200])
                else:
                    self._saved = self._version
                    _log.info("routing.remembered", file=str(options.state))
        if options.log is not None:
            self._lines = LineLog(options.log, max_bytes=options.log_max_mb << 20, keep=options.log_keep)
            bus.subscribe(RoutingLog(decisions, self._lines.write))

    async def run(self) -> None:
        """Save now and then until cancelled."""
        while self._options.state is not None:
            await anyio.sleep(self._options.save_interval_s)
            await self.save()

    async def save(self) -> None:
        """Save what was learned since the last time; trouble is kept for `figures`."""
        async with self._writing:
            await self._save()

    async def _save(self) -> None:
        path, version = self._options.state, self._version
        if path is None or version == self._saved:
            return
        try:
            await anyio.to_thread.run_sync(partial(save_state, path, await self._state()))
        except StoreError as error:
            if self._trouble is None:
                _log.error("routing.state_not_saved", reason=str(error))
            self._trouble = str(error)
            return
        if self._trouble is not None:
            _log.info("routing.state_saved_again", file=str(path))
        self._saved, self._saved_at, self._trouble = version, wall(), None

    def figures(self) -> dict[str, object]:
        """Return what is written where, for `/status`."""
        lines, state = self._lines, self._options.state
        return {
            "state": None
            if state is None
            else {
                "file": str(state),
                "saved_at": None if self._saved_at is None else wall_iso(self._saved_at),
                "is_saved": self._saved == self._version,
                "trouble": self._trouble,
            },
            "log": None
            if lines is None
            else {"file": str(lines.path), "written": lines.written, "dropped": lines.dropped},
        }

    def file_figures(self) -> RoutingFileFigures:
        """Return how all that fares, for metrics."""
        lines = self._lines
        return RoutingFileFigures(
            state_trouble=self._trouble,
            log_written=0 if lines is None else lines.written,
            log_dropped=0 if lines is None else lines.dropped,
        )

    async def aclose(self) -> None:
        """Write what there is; bounded."""
        with anyio.move_on_after(CLOSE_TIMEOUT_S):
            await self.save()
        if self._lines is not None:
            await anyio.to_thread.run_sync(self._lines.close, CLOSE_TIMEOUT_S)


def _require_finite(state: State) -> None:
    """Raise ValueError for numbers that are none: all that is learned afterwards would be none, too."""
    for name, array in state.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} has numbers that are not finite")
