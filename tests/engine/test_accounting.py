"""From observations to entries: what is charged, at which price, to whom."""

import json
import sys
import tomllib
from decimal import Decimal

import pytest

from streamroute.core.attribution import Attribution
from streamroute.core.cost.budget import Budgets
from streamroute.core.cost.entry import AttemptEntry, Entry, RequestEntry
from streamroute.core.cost.price_book import DatedPrice, PriceBook
from streamroute.core.cost.pricing import Pricing, Terms
from streamroute.core.observation import AttemptObservation, Observation, RefusalObservation
from streamroute.core.upstream import Capabilities, TokenPrice, Upstream
from streamroute.core.usage import Usage
from streamroute.engine.accounting import Accounting
from streamroute.engine.spending import Spending
from streamroute.telemetry.logs import configure_logs
from tests.support.observations import attempt, failed_attempt, request, upstream

PRICE = TokenPrice(input_per_mtok=Decimal(1), output_per_mtok=Decimal(10))
A = upstream("a", price=PRICE, capabilities=Capabilities(bills_cancelled_streams=True))
FREE = upstream("free", is_simulated=True)
WHO = Attribution(task="support", user="ann", team="north")
USAGE = Usage(input_tokens=100, output_tokens=20, cached_input_tokens=60, reasoning_tokens=5)


def terms(*upstreams: Upstream) -> Terms:
    lines = [
        DatedPrice(subject=each.id, price=each.price, source=f"upstreams.{each.id}.price")
        for each in upstreams
        if each.price is not None
    ]
    return Terms(find={each.id: each for each in upstreams}.get, prices=PriceBook(lines))


class Books:
    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.ledger = Accounting(self.entries.append, sidecar="s1")
        self.spending = Spending(Pricing(terms(A, FREE)), Budgets())
        self.begun = self.spending.pricing.terms
        """Of the calls that end."""

    def accounting(self, observation: Observation) -> None:
        """Let a call pass on its way from the engine to the ledger."""
        if isinstance(observation, AttemptObservation):
            observation = self.spending.spent(observation, self.begun)
        self.ledger(observation)

    def last(self) -> AttemptEntry:
        entry = self.entries[-1]
        assert isinstance(entry, AttemptEntry)
        return entry


@pytest.fixture
def books() -> Books:
    return Books()


def test_an_attempt_is_charged_what_the_provider_counted(books: Books) -> None:
    """And its entry says for whom, and by which line of the configuration."""
    books.accounting(attempt(A, usage=USAGE, ledger_id="dec_1", attribution=WHO, tier="default"))
    entry = books.last()
    assert (entry.ledger_id, entry.task, entry.user, entry.team, entry.key) == (
        "dec_1",
        "support",
        "ann",
        "north",
        None,
    )
    assert (entry.input_tokens, entry.output_tokens, entry.cached_input_tokens, entry.reasoning_tokens) == (
        100,
        20,
        60,
        5,
    )
    assert (entry.cost, entry.price_source, entry.is_counted) == (300_000_000, "upstreams.a.price", True)
    assert entry.tier == "default"


def test_a_failure_before_anything_costs_nothing(books: Books) -> None:
    """Zero is a known cost, also where no price is."""
    books.accounting(failed_attempt("server_error", upstream("new"), connect_s=0.01, prompt_tokens=100))
    entry = books.last()
    assert (entry.cost, entry.input_tokens, entry.failure, entry.price_source) == (0, 0, "server_error", None)
    assert books.ledger.unpriced_attempts == 0


def test_a_loser_is_charged_by_our_count(books: Books) -> None:
    """A whole expected answer where cancelling does not stop the bill; the entry says that it is an estimate."""
    books.accounting(attempt(A, outcome="cancelled", cancel_reason="lost", connect_s=0.01, prompt_tokens=50))
    entry = books.last()
    assert (entry.input_tokens, entry.output_tokens, entry.is_counted) == (50, 200, False)
    assert entry.cost == 50 * 1_000_000 + 200 * 10_000_000


def test_an_unknown_price_is_null_counted_and_told_once(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    """For each upstream and tier; it is never taken for zero."""
    configure_logs("info", "json")
    for tier in (None, None, "flex"):
        books.accounting(attempt(upstream("new"), usage=USAGE, tier=tier))
    books.accounting(attempt(A, usage=USAGE, tier="flex"))
    logs = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [entry.cost for entry in books.entries if isinstance(entry, AttemptEntry)] == [None] * 4
    assert books.ledger.unpriced_attempts == 4
    assert [(each["event"], each["upstream"], each["tier"]) for each in logs] == [
        ("price.unknown", "new", None),
        ("price.unknown", "new", "flex"),
        ("price.unknown", "a", "flex"),
    ]
    line = tomllib.loads(logs[1]["add"])["prices"][0]
    assert line == {
        "provider": "lab", "model": logs[1]["model"], "tier": "flex",
        "input_per_mtok": "DOLLARS", "output_per_mtok": "DOLLARS",
    }, "pasted as it stands it is refused, and does not make the model free"  # fmt: skip
    assert "tier" not in logs[0]["add"]


def test_without_the_list_the_warning_says_how_to_get_it(
    books: Books, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing where it is there and does not know the model; a tier that cannot have a price is named."""
    configure_logs("info", "json")
    books.accounting(attempt(upstream("new"), usage=USAGE, tier="scale"))
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    books.accounting(attempt(upstream("new"), usage=USAGE))
    with_list, without = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert with_list["hint"] is None
    assert with_list["add"].startswith("nothing: there are no prices for a service tier 'scale'")
    assert without["hint"] == "pip install 'streamroute[prices]' knows the list prices of many models"


def test_made_up_answers_cost_nothing(books: Books) -> None:
    """Simulated upstreams have no provider to pay, unless they are given a price."""
    books.accounting(attempt(FREE, usage=USAGE))
    assert (books.last().cost, books.last().price_source) == (0, "simulated")


def test_calls_under_way_keep_the_price_that_a_reload_took_away(books: Books) -> None:
    """However many reloads there are until they end. New prices win where there are any."""
    for _ in range(2):
        books.spending.pricing.apply(terms(FREE))
        books.accounting(attempt(A, usage=USAGE))
        assert books.last().cost == 300_000_000
    books.spending.pricing.apply(
        terms(upstream("a", price=TokenPrice(input_per_mtok=Decimal(0), output_per_mtok=Decimal(1))))
    )
    books.accounting(attempt(A, usage=USAGE))
    assert books.last().cost == 20_000_000


def test_calls_begun_after_a_reload_are_not_charged_a_price_that_it_took_away(books: Books) -> None:
    """Nobody knows what they cost, from the reload on and not from the next one on."""
    unpriced, pricing, before = upstream("a"), books.spending.pricing, books.begun
    pricing.apply(terms(unpriced, FREE))
    books.begun = pricing.begun(unpriced.id, before)
    books.accounting(attempt(unpriced, usage=USAGE))
    assert (books.last().cost, books.last().price_source) == (None, None)


def test_an_upstream_that_is_gone_keeps_its_price_for_requests_under_way(books: Books) -> None:
    """They may still ask it, and have nothing else to go by."""
    pricing, before = books.spending.pricing, books.begun
    pricing.apply(terms(FREE))
    books.begun = pricing.begun(A.id, before)
    books.accounting(attempt(A, usage=USAGE))
    assert books.last().cost == 300_000_000


def test_requests_have_an_entry_and_refusals_none(books: Books) -> None:
    """Whoever was refused cost nobody anything."""
    books.accounting(request(ledger_id="dec_1", attribution=WHO, model="m-1"))
    books.accounting(RefusalObservation(request_id="r", http_status=400, code=None))
    [entry] = books.entries
    assert isinstance(entry, RequestEntry)
    assert (entry.ledger_id, entry.task, entry.model) == ("dec_1", "support", "m-1")
