"""Follows what the ledger says of spend, in the background, so that budgets hold across restarts and sidecars.

    rows that ended      before `heard_from`      from then on
    of others            read once (`before`)     read every few seconds (`others`)
    of this process      read once (`before`)     read once, up to when the budget came; later ones count as they end

Rules of the file:

1. `heard_from` begins some minutes before the process, so that what is still on its way to the ledger then is not
   missed, and follows at that distance. It stands still while a budget waits to be read, and for as long again after
   the database was away: then the entries of others are late.
2. Missed until the next start is only what another sidecar could not write for minutes while this one could read.
3. The event loop is never held for more than `CHUNK` accounts; a database that does not answer keeps nobody from
   ending.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
import structlog

from streamroute.clock import now
from streamroute.core.cost.budget import Elsewhere, Identity, Key, window_start_ms
from streamroute.core.cost.budget_line import BudgetLine
from streamroute.core.cost.elsewhere import heard_of
from streamroute.core.money import Money
from streamroute.engine.spending import Spending, now_ms
from streamroute.errors import StoreError
from streamroute.stores.spend import SpendReader

LOOK_S = 0.1
"""For budgets that have come."""
REFRESH_S = 3.0
"""Between readings of what others spend: what they spend in that time may go beyond a budget."""
SHARE = 20
"""A reading that takes long is followed by a wait of so many times as long: a twentieth of a thread at most."""
RETRY_S = 5.0
"""A database that is away is away for seconds at least."""
SETTLED_AFTER_MS = 1500
"""What was spent before a budget came here is in the database by then: the longest interval, and half of it."""
CERTAIN_AFTER_MS = 300_000
"""Entries are written within a second, and from a spool some seconds after the database is back."""
CHUNK = 500
"""Accounts: a few milliseconds."""

ANSWER_S = 60.0
"""A first reading of a day of five million rows takes a tenth of that."""
_SILENT = f"the database has not answered for {ANSWER_S:g} s"
_T = TypeVar("_T")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether the ledger can be asked."""

    has_taken_over: bool
    """What other processes have left for it is in it."""
    has_own: bool
    """So is what this one has settled, up to the last interval."""


class SpendWatch:
    """Reads, and tells `Spending`."""

    def __init__(
        self, spending: Spending, reader: SpendReader, readiness: Callable[[], Readiness], *, began_ms: int
    ) -> None:
        """`began_ms`: when this process began to write."""
        self._spending = spending
        self._reader = reader
        self._readiness = readiness
        self._began_ms = self._well_since_ms = began_ms
        self._heard_from_ms = self._began_ms - CERTAIN_AFTER_MS
        self._passing: set[Key] = set()
        self._due_at = 0.0

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            while True:
                wait_s = await self.look()
                await anyio.sleep(wait_s)
        finally:
            self._reader.close()

    async def look(self) -> float:
        """Read what is to be read now; return how many seconds to wait."""
        budgets, readiness = self._spending.budgets, self._readiness()
        if not readiness.has_taken_over:
            return LOOK_S
        at_ms = now_ms()
        ripe = {
            identity: came_ms
            for identity, came_ms in budgets.unknown.items()
            if came_ms <= self._began_ms or (readiness.has_own and at_ms - came_ms >= SETTLED_AFTER_MS)
        }
        if not ripe and not (budgets.lines and now() >= self._due_at):
            return LOOK_S
        try:
            await self._hear(ripe)
            await self._recall(ripe)
        except (StoreError, TimeoutError) as error:
            if self._spending.trouble is None:
                _log.warning("budgets.spend_unknown", reason=str(error) or _SILENT)
            return self._again_later(str(error) or _SILENT)
        except Exception as error:  # noqa: BLE001 - a watch that breaks must not take the sidecar with it
            _log.exception("budgets.broke")
            return self._again_later(f"{type(error).__name__}: {error}"[:200])
        self._spending.trouble = None
        return LOOK_S

    def _again_later(self, trouble: str) -> float:
        self._spending.trouble = trouble
        self._well_since_ms = now_ms()
        return RETRY_S

    async def _hear(self, ripe: Mapping[Identity, int]) -> None:
        """Read what others have spent of late; also for budgets of which the rest is read next."""
        budgets, at_ms, began_at = self._spending.budgets, now_ms(), now()
        came = dict(budgets.unknown)
        lines = [line for line in budgets.lines if line.identity not in came or line.identity in ripe]
        certain_before_ms = self._heard_from_ms if came else self._certain_before_ms(at_ms)
        found = await _in_thread(partial(self._heard, lines, certain_before_ms, at_ms))
        for index, (key, heard) in enumerate(found, 1):
            if budgets.unknown.get(key[:3]) == came.get(key[:3]):  # else it was taken away, and has come back
                self._spending.hear(key, heard)
            if index % CHUNK == 0:
                await anyio.lowlevel.checkpoint()
        self._heard_from_ms = certain_before_ms
        self._passing = {key for key, heard in found if heard.passing}
        self._due_at = now() + max(REFRESH_S, SHARE * (now() - began_at))

    def _certain_before_ms(self, at_ms: int) -> int:
        """Return up to when what others wrote is held to be complete."""
        certain_ms = at_ms - CERTAIN_AFTER_MS
        is_time = certain_ms - self._heard_from_ms >= CERTAIN_AFTER_MS
        return certain_ms if is_time and certain_ms >= self._well_since_ms else self._heard_from_ms

    def _heard(self, lines: Sequence[BudgetLine], certain_before_ms: int, at_ms: int) -> list[tuple[Key, Elsewhere]]:
        spent = self._reader.others(sorted({line.scope for line in lines}), self._heard_from_ms, certain_before_ms)
        return heard_of(lines, spent, self._passing, at_ms)

    async def _recall(self, ripe: Mapping[Identity, int]) -> None:
        """Read what was spent before budgets came; those that are alike with one question."""
        alike: dict[tuple[str, str, int], list[Identity]] = {}
        for identity, came_ms in ripe.items():
            scope, _, window = identity
            alike.setdefault((scope, window, came_ms), []).append(identity)
        for (_, _, came_ms), identities in alike.items():
            scope, _, window = identities[0]
            spent = await _in_thread(
                partial(
                    self._reader.before,
                    scope,
                    [name for _, name, _ in identities],
                    window_start_ms(window, came_ms),
                    came_ms,
                    heard_from_ms=self._heard_from_ms,
                )
            )
            for identity in identities:
                name = identity[1]
                each = {name: spent[name]} if name is not None and name in spent else {}
                await self._tell_before(identity, came_ms, list((spent if name is None else each).items()))

    async def _tell_before(self, identity: Identity, came_ms: int, spent: Sequence[tuple[str | None, Money]]) -> None:
        starts = range(0, max(1, len(spent)), CHUNK)
        for start in starts:
            if self._spending.budgets.unknown.get(identity) != came_ms:
                return  # it was taken away, and may have come back
            self._spending.recall(identity, spent[start : start + CHUNK], is_all=start == starts[-1])
            await anyio.lowlevel.checkpoint()


async def _in_thread(read: Callable[[], _T]) -> _T:
    """Raises StoreError, and TimeoutError where the database says nothing."""
    with anyio.fail_after(ANSWER_S):
        return await anyio.to_thread.run_sync(read, abandon_on_cancel=True)
