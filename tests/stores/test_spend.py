"""What budgets read from every database of the ledger."""

from contextlib import closing

import pytest

from streamroute.core.cost.elsewhere import HOUR_MS, SpentElsewhere
from streamroute.core.money import MAX_MONEY, Money
from streamroute.errors import StoreError
from streamroute.stores.ledger import Ledger
from streamroute.stores.spend import MAX_NAMES, SpendReader
from tests.support.entries import NOON_MS, attempt_entry


def test_what_others_have_spent(url: str) -> None:
    """By hour and name, without who has none; before and after the moment up to which it is certain."""
    with closing(Ledger(url)) as ledger, closing(SpendReader(url, "own")) as reader:
        ledger.write(
            [
                attempt_entry("r1", sidecar="own", user="ann"),
                attempt_entry("r2", sidecar="other", user="ann", cost=MAX_MONEY),
                attempt_entry("r3", sidecar=None, user="ann", cost=MAX_MONEY, ended_at_ms=NOON_MS + 5),
                attempt_entry("r4", sidecar="other", cost=Money(3), ended_at_ms=NOON_MS + HOUR_MS),
                attempt_entry("r5", sidecar="other", user="bob", cost=None),
                attempt_entry("r6", sidecar="other", user="bob", ended_at_ms=NOON_MS - 1),
            ]
        )
        found = reader.others(["global", "user"], NOON_MS, NOON_MS + 5)
    shown = {(each.scope, each.name, each.hour_ms - NOON_MS, each.is_certain): each.cost for each in found}
    assert len(shown) == len(found)
    assert shown == {
        ("global", None, 0, True): MAX_MONEY,
        ("global", None, 0, False): MAX_MONEY,
        ("global", None, HOUR_MS, False): 3,
        ("user", "ann", 0, True): MAX_MONEY,
        ("user", "ann", 0, False): MAX_MONEY,
    }
    assert all(isinstance(each, SpentElsewhere) for each in found)


@pytest.mark.parametrize("many", [0, MAX_NAMES])
def test_what_was_spent_before(url: str, many: int) -> None:
    """Of everybody up to the moment from which others are heard, from then on of this process; by name or of all."""
    with closing(Ledger(url)) as ledger, closing(SpendReader(url, "own")) as reader:
        ledger.write(
            [
                attempt_entry("r1", sidecar="own", task="a", cost=Money(1)),
                attempt_entry("r2", sidecar="other", task="b", cost=Money(20)),
                attempt_entry("r3", sidecar="own", task="a", cost=Money(300), ended_at_ms=NOON_MS + 10),
                attempt_entry("r4", sidecar="other", task="a", cost=Money(4000), ended_at_ms=NOON_MS + 10),
                attempt_entry("r5", sidecar="own", task="a", cost=Money(50000), ended_at_ms=NOON_MS + 20),
                attempt_entry("r6", sidecar="own", cost=Money(600000), ended_at_ms=NOON_MS + 10),
            ]
        )
        span = (NOON_MS, NOON_MS + 20)
        names = ["a", *(f"n{i}" for i in range(many))]
        assert reader.before("task", names, *span, heard_from_ms=NOON_MS + 10)["a"] == 301
        assert reader.before("task", [None], *span, heard_from_ms=NOON_MS + 10) == {"a": 301, "b": 20}
        assert reader.before("global", [None], *span, heard_from_ms=NOON_MS + 10) == {None: 600321}
        assert reader.before("task", ["a"], *span, heard_from_ms=NOON_MS + 99) == {"a": 4301}
        assert reader.before("task", ["a"], *span, heard_from_ms=NOON_MS - 99) == {"a": 301}


def test_a_reader_that_comes_too_early() -> None:
    """Says so, and finds the database when it is there."""
    with closing(SpendReader("sqlite:////nowhere/ledger.db", "own")) as reader, pytest.raises(StoreError):
        reader.others(["global"], 0, 0)
