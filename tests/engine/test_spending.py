"""Money on the way: what is told to whoever is over budget."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from streamroute.core.attribution import NOBODY, Attribution
from streamroute.core.cost.bill import Bill
from streamroute.core.cost.budget import Budgets, window_end_ms
from streamroute.core.cost.budget_line import BudgetLine, Window
from streamroute.core.cost.cap import Cap
from streamroute.core.cost.price_book import DatedPrice, PriceBook
from streamroute.core.cost.pricing import Pricing, Terms
from streamroute.core.money import Money
from streamroute.core.outcome import Failure
from streamroute.core.request import ChatRequest
from streamroute.core.upstream import TokenPrice
from streamroute.engine.spending import NEAR_S, Spending, now_ms
from tests.support.observations import upstream

CHAT = ChatRequest(wire_format="openai_chat", payload={}, model="chat", prompt_bytes=300)
A = upstream("a")


@pytest.mark.parametrize("window", ["hour", "month", "total"])
def test_when_the_budget_begins_anew_is_told_where_that_is_soon(window: Window) -> None:
    """A client that waits for a minute is better off for it; one that waits for a month is not."""
    price = DatedPrice(subject=A.id, price=TokenPrice(input_per_mtok=Decimal(1), output_per_mtok=Decimal(1)))
    pricing = Pricing(Terms(prices=PriceBook([price]), find={A.id: A}.get))
    spending = Spending(pricing, Budgets((BudgetLine(scope="global", limit=Money(1), window=window),)))
    found = spending.reserve(NOBODY, A, CHAT)
    end_ms = window_end_ms(window, now_ms())
    assert isinstance(found, Failure)
    assert found.kind == "over_budget"
    assert spending.refused == 1
    left_s = None if end_ms is None else (end_ms - now_ms()) / 1000
    if left_s is None or left_s > NEAR_S:
        assert found.retry_after_s is None
    else:
        assert found.retry_after_s == pytest.approx(left_s, abs=1)


@pytest.mark.parametrize(("facts", "hint"), [({}, "4096"), ({"choices": 3}, "12288"), ({"max_output_tokens": 9}, None)])
def test_what_is_assumed_of_the_answer_is_told(facts: dict[str, Any], hint: str | None) -> None:
    """Of budgets and of what a request may cost alike, where nobody has limited it."""
    price = DatedPrice(subject=A.id, price=TokenPrice(input_per_mtok=Decimal(1), output_per_mtok=Decimal(1)))
    pricing = Pricing(Terms(prices=PriceBook([price]), find={A.id: A}.get))
    spending = Spending(pricing, Budgets((BudgetLine(scope="global", limit=Money(1), window="total"),)))
    for cap in (None, Cap(Money(1), Bill())):
        found = spending.reserve(NOBODY, A, replace(CHAT, **facts), cap=cap)
        assert isinstance(found, Failure)
        assert ("tokens of answer are assumed" in found.message) is (hint is not None)
        assert hint is None or f"; without `max_tokens` {hint} tokens of answer are assumed" in found.message


def test_what_is_unpriced_says_what_to_change() -> None:
    """Whose budget is in the way, and the three things that would do."""
    lines = (
        BudgetLine(scope="global", limit=Money(10**18), window="day", may_use_unpriced=True),
        BudgetLine(scope="team", name="ops", limit=Money(10**18), window="day"),
    )
    spending = Spending(Pricing(Terms(prices=PriceBook([]), find={A.id: A}.get)), Budgets(lines))
    found = spending.reserve(Attribution(team="ops"), A, CHAT)
    assert isinstance(found, Failure)
    assert found.message == (
        "nobody knows its price, and without one nobody is asked under the budget of team 'ops': give upstream a a "
        "`price`, that budget `may_use_unpriced = true`, or the client a key made with `--allow-unpriced`"
    )
    assert not isinstance(spending.reserve(Attribution(team="ops"), A, CHAT, may_use_unpriced=True), Failure)
    assert not isinstance(spending.reserve(NOBODY, A, CHAT), Failure)


def test_a_price_that_a_reload_took_away_lets_no_new_call_be_made() -> None:
    """It is still known for calls under way alone: nobody knows what a new one will cost."""
    price = DatedPrice(subject=A.id, price=TokenPrice(input_per_mtok=Decimal(1), output_per_mtok=Decimal(1)))
    pricing = Pricing(Terms(prices=PriceBook([price]), find={A.id: A}.get))
    spending = Spending(pricing, Budgets((BudgetLine(scope="global", limit=Money(10**18), window="day"),)))
    assert not isinstance(spending.reserve(NOBODY, A, CHAT), Failure)
    pricing.apply(Terms(prices=PriceBook([]), find={A.id: A}.get))
    found = spending.reserve(NOBODY, A, CHAT)
    assert isinstance(found, Failure)
    assert "nobody knows its price" in found.message
