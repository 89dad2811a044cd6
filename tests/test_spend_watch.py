"""What the ledger says of spend comes to the budgets: of before, and of other sidecars."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from streamroute.core.attribution import Attribution
from streamroute.core.cost.budget import Budgets, Exhausted, Reservation
from streamroute.core.cost.budget_line import BudgetLine, Scope
from streamroute.core.cost.elsewhere import SpentElsewhere
from streamroute.core.cost.price_book import PriceBook
from streamroute.core.cost.pricing import Pricing, Terms
from streamroute.core.money import Money
from streamroute.engine.spending import Spending, now_ms
from streamroute.spend_watch import CERTAIN_AFTER_MS, LOOK_S, RETRY_S, SETTLED_AFTER_MS, Readiness, SpendWatch
from streamroute.stores.ledger import Ledger
from streamroute.stores.spend import SpendReader
from tests.support.entries import attempt_entry

LIMIT = Money(1000)
MINUTE_MS = 60_000
LINES = (
    BudgetLine(scope="global", limit=LIMIT, window="total"),
    BudgetLine(scope="user", limit=LIMIT, window="total"),
    BudgetLine(scope="task", name="triage", limit=LIMIT, window="total"),
)


class Desk:
    """A sidecar's budgets beside a ledger that others write too."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/ledger.db"
        self.ledger = Ledger(self.url)
        self.spending = Spending(Pricing(Terms(prices=PriceBook({}), find=lambda _: None)), Budgets())
        self.readiness = Readiness(has_taken_over=True, has_own=True)
        self._entries = 0

    def watch(self, *, began_ms: int | None = None) -> SpendWatch:
        began_ms = now_ms() if began_ms is None else began_ms
        return SpendWatch(self.spending, SpendReader(self.url, "own"), lambda: self.readiness, began_ms=began_ms)

    def apply(self, *lines: BudgetLine, at_ms: int | None = None) -> None:
        self.spending.budgets.apply(lines, now_ms() if at_ms is None else at_ms)

    def write(self, cost: int | None, *, ago_ms: int = 1000, sidecar: str | None = "other", **more: object) -> None:
        self._entries += 1
        values = {
            "cost": None if cost is None else Money(cost),
            "ended_at_ms": now_ms() - ago_ms,
            "sidecar": sidecar,
            **more,
        }
        self.ledger.write([attempt_entry(f"dec_{self._entries}", **values)])

    def spend(self, cost: int, **who: str) -> None:
        """Spend here; the entry is still on its way."""
        held = self.spending.budgets.reserve(Attribution(**who), Money(cost), now_ms())
        assert isinstance(held, Reservation)
        self.spending.budgets.settle(held, Money(cost), now_ms())

    def spent(self) -> dict[str | None, int]:
        return {each.subject.name: each.spent for each in self.spending.budgets.figures(now_ms()) if each.spent}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path)
    with closing(found.ledger):
        yield found


async def test_what_was_spent_before_and_elsewhere(desk: Desk) -> None:
    """Earlier processes, versions that did not say who they were, and others now; what was spent here counts once."""
    desk.write(100, ago_ms=90 * MINUTE_MS, sidecar=None, user="ann", task="triage")
    desk.write(10, ago_ms=MINUTE_MS, user="ann")
    desk.write(None, ago_ms=MINUTE_MS)
    desk.apply(*LINES)
    watch = desk.watch()
    desk.spend(3, user="ann")
    assert desk.spending.budgets.unknown
    await watch.look()
    assert not desk.spending.budgets.unknown
    assert desk.spent() == {None: 113, "ann": 113, "triage": 100}
    desk.write(3, sidecar="own", ago_ms=0, user="ann")
    desk.write(1, ago_ms=0, user="bob", task="triage")
    watch._due_at = 0.0
    await watch.look()
    assert desk.spent() == {None: 114, "ann": 113, "bob": 1, "triage": 101}
    found = desk.spending.budgets.reserve(Attribution(user="cid"), Money(900), now_ms())
    assert isinstance(found, Exhausted)


async def test_late_entries_of_others_are_counted_and_none_twice(desk: Desk) -> None:
    """What was on its way when this sidecar began, and what becomes certain."""
    began_ms = now_ms() - 20 * MINUTE_MS
    desk.apply(*LINES, at_ms=began_ms)
    watch = desk.watch(began_ms=began_ms)
    desk.write(50, ago_ms=20 * MINUTE_MS + CERTAIN_AFTER_MS + 1000)
    await watch.look()
    desk.write(5, ago_ms=20 * MINUTE_MS + 1000)
    desk.write(6, ago_ms=10 * MINUTE_MS)
    for more, total in ((0, 61), (0, 61), (8, 69), (1, 70)):
        if more:
            desk.write(more)
        watch._due_at = 0.0
        await watch.look()
        assert desk.spent()[None] == total
    desk.write(1000, ago_ms=19 * MINUTE_MS)
    watch._due_at = 0.0
    await watch.look()
    assert desk.spent()[None] == 70, "what was certain is not read again"


async def test_a_budget_that_comes_later(desk: Desk) -> None:
    """It learns what this process had spent too, once that is on the ledger, and keeps what is spent meanwhile."""
    desk.apply(LINES[0])
    watch = desk.watch(began_ms=now_ms() - 2 * MINUTE_MS)
    await watch.look()
    desk.write(20, sidecar="own", ago_ms=10_000, task="triage")
    desk.write(4, ago_ms=10_000, task="triage")
    desk.write(2, ago_ms=60 * MINUTE_MS, task="triage")
    desk.apply(*LINES, at_ms=now_ms() - 100)
    watch._due_at = 0.0
    await watch.look()
    assert "triage" not in desk.spent(), "its last entries may be on their way"
    desk.apply(LINES[0])
    desk.apply(*LINES, at_ms=now_ms() - SETTLED_AFTER_MS - 100)
    desk.spend(1, task="triage")
    desk.readiness = Readiness(has_taken_over=True, has_own=False)
    watch._due_at = 0.0
    await watch.look()
    assert desk.spent()["triage"] == 1, "what is spooled is not there yet"
    desk.readiness = Readiness(has_taken_over=True, has_own=True)
    await watch.look()
    assert desk.spent()["triage"] == 27


async def test_many_budgets_come_at_once(desk: Desk) -> None:
    """A thousand keys cost one question."""
    for i in range(0, 1000, 100):
        desk.write(1 + i, key=f"k{i}")
    desk.apply(*(BudgetLine(scope="key", name=f"k{i}", limit=LIMIT, window="total") for i in range(1000)))
    await desk.watch().look()
    assert desk.spent() == {f"k{i}": 1 + i for i in range(0, 1000, 100)}


async def test_a_ledger_that_cannot_be_read(desk: Desk) -> None:
    """It is told, and tried again; what was heard goes on counting."""
    watch = desk.watch()
    assert await watch.look() == LOOK_S, "there are no budgets"
    desk.apply(*LINES)
    desk.readiness = Readiness(has_taken_over=False, has_own=True)
    assert await watch.look() == LOOK_S
    assert desk.spending.trouble is None
    desk.readiness = Readiness(has_taken_over=True, has_own=True)
    assert await watch.look() == RETRY_S
    assert "no ledger" in str(desk.spending.trouble)
    assert desk.spending.budgets.unknown
    desk.write(5)
    assert await watch.look() == LOOK_S
    assert desk.spending.trouble is None
    assert desk.spent()[None] == 5


async def test_whatever_breaks_does_not_end_the_watch(desk: Desk) -> None:
    """Also what is no error of a store: it is told as trouble, and looked again."""

    class Broken(SpendReader):
        def others(self, scopes: Iterable[Scope], since_ms: int, certain_before_ms: int) -> list[SpentElsewhere]:
            if desk.readiness.has_own:
                raise MemoryError("no room")
            return super().others(scopes, since_ms, certain_before_ms)

    desk.apply(*LINES)
    desk.write(5)
    watch = SpendWatch(desk.spending, Broken(desk.url, "own"), lambda: desk.readiness, began_ms=now_ms())
    assert await watch.look() == RETRY_S
    assert desk.spending.trouble == "MemoryError: no room"
    desk.readiness = Readiness(has_taken_over=True, has_own=False)
    assert await watch.look() == LOOK_S
    assert (desk.spending.trouble, desk.spent()[None]) == (None, 5)
