"""The file that comes with the product, and the page that explains it."""

import dataclasses
import re
from pathlib import Path

import pytest

from streamroute.config.fields import Table
from streamroute.config.gate import AuditTable
from streamroute.config.load import load_config
from streamroute.config.model import LogOptions
from streamroute.config.routing_schema import (
    AnswerValueTable,
    BidderTable,
    RequirementsTable,
    RoutingTable,
    RuleTable,
    ThenTable,
)
from streamroute.config.schema import (
    CapabilitiesTable,
    DeadlinesTable,
    FeedTable,
    FileTable,
    HealthTable,
    HedgeSpendTable,
    LedgerTable,
    LogTable,
    PriceLineTable,
    PriceTable,
    ProviderTable,
    QuirksTable,
    RetryTable,
    RouteTable,
    ServerTable,
    SimulationTable,
    UpstreamTable,
)
from streamroute.core.gate import AuditOptions
from streamroute.core.health.options import HEDGE_SPEND, HealthOptions
from streamroute.core.routing.options import ANSWER_VALUE_USD, RoutingOptions
from streamroute.core.upstream import Capabilities, Deadlines, RetryOptions, Route, TokenPrice, UpstreamId
from streamroute.feeds.options import FeedOptions
from streamroute.providers.options import Quirks, SimulationOptions
from streamroute.providers.presets import PRESETS
from streamroute.server.options import ServerOptions
from streamroute.stores.options import LedgerOptions, RoutingFiles

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "config.toml"
KEYS = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GROQ_API_KEY", "OPENROUTER_API_KEY"]


def test_it_works_without_any_key_and_says_that_answers_are_made_up() -> None:
    """A newcomer's first start succeeds: every route is served, all by simulated upstreams."""
    config = load_config(SHIPPED, environ={})
    assert set(config.routes) >= {"chat", "fast"}
    assert config.is_simulated
    for route in config.routes.values():
        assert len(route.upstreams) >= 2
        assert all(config.upstreams[upstream].is_simulated for upstream in route.upstreams)
    assert all(provider.is_simulated for provider in config.providers.values())
    assert {"openai", "anthropic"} <= {off.name for off in config.disabled if off.kind == "provider"}


@pytest.mark.parametrize("key", KEYS)
def test_one_key_makes_its_routes_real(key: str) -> None:
    """As soon as one real provider is there, no made-up answer is."""
    config = load_config(SHIPPED, environ={key: "sk-test"})
    chat = [config.upstreams[upstream] for upstream in config.routes["chat"].upstreams]
    assert chat
    assert not any(upstream.is_simulated for upstream in chat)


def test_with_all_keys_there_is_nothing_simulated_left() -> None:
    """Nor is a simulated server started for nothing."""
    config = load_config(SHIPPED, environ=dict.fromkeys(KEYS, "sk-test"))
    assert not config.is_simulated
    assert not any(provider.is_simulated for provider in config.providers.values())
    assert all(upstream.price is not None for upstream in config.upstreams.values())
    assert config.routes["chat"].upstreams[0] == "openai-mini"


TABLES: dict[type[Table], tuple[type, set[str], set[str]]] = {
    ServerTable: (ServerOptions, {"listen"}, {"host", "port"}),
    LogTable: (LogOptions, set(), set()),
    HealthTable: (HealthOptions, set(), set()),
    RouteTable: (Route, {"requirements"}, {"name"}),
    RoutingTable: (RoutingOptions, {"bidders", *(each.name for each in dataclasses.fields(RoutingFiles))}, set()),
    QuirksTable: (Quirks, set(), set()),
    SimulationTable: (SimulationOptions, set(), set()),
    PriceTable: (TokenPrice, set(), set()),
    LedgerTable: (LedgerOptions, set(), set()),
    FeedTable: (FeedOptions, set(), set()),
    CapabilitiesTable: (Capabilities, set(), set()),
    AuditTable: (AuditOptions, set(), set()),
    RetryTable: (RetryOptions, set(), set()),
    DeadlinesTable: (Deadlines, set(), set()),
}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_option_can_be_set(table: type[Table]) -> None:
    """An Options field without a key in the file, or a key without a field, is a setting that does nothing."""
    options, only_in_file, only_in_code = TABLES[table]
    in_code = {field.name for field in dataclasses.fields(options) if field.init}
    assert set(table.model_fields) - only_in_file == in_code - only_in_code


def test_the_reference_names_every_setting_and_default() -> None:
    """docs/reference/config.md has a row for each key of each table, with its default."""
    page = (ROOT / "docs/reference/config.md").read_text()
    tables: list[type[Table]] = [
        FileTable, ProviderTable, UpstreamTable, HedgeSpendTable, PriceLineTable, AnswerValueTable, RequirementsTable,
        RuleTable, ThenTable, BidderTable,
        *TABLES,
    ]  # fmt: skip
    missing = [f"{table.__name__}.{name}" for table in tables for name in table.model_fields if f"`{name}`" not in page]
    assert missing == []
    route = Route(name="", upstreams=(UpstreamId(""),))
    for options in (
        ServerOptions(),
        HealthOptions(),
        LedgerOptions(),
        route,
        Deadlines(),
        RetryOptions(),
        AuditOptions(),
        SimulationOptions(),
    ):
        for field in dataclasses.fields(options):
            value = getattr(options, field.name)
            if isinstance(value, float | int) and field.name != "port":
                assert_documented(page, field.name, value)
    for name in ("plan", "steering", "latency_class", "midstream"):
        assert_documented(page, name, getattr(route, name))
    for policy, value in ANSWER_VALUE_USD.items():
        assert_documented(page, policy, value)
    for latency_class, share in HEDGE_SPEND.items():
        assert_documented(page, latency_class, share)


def assert_documented(page: str, name: str, default: float | str) -> None:
    rows = re.findall(rf"^\| `{name}` \|.*$", page, re.MULTILINE)
    text = (
        str(default).lower() if isinstance(default, bool) else default if isinstance(default, str) else f"{default:g}"
    )
    assert any(f"| {text} |" in row or f"| {default} |" in row for row in rows), (name, rows)


def test_the_spend_of_every_latency_class_can_be_set() -> None:
    """One key a class."""
    assert set(HedgeSpendTable.model_fields) == set(HEDGE_SPEND)


def test_the_provider_page_names_every_preset() -> None:
    """docs/reference/providers.md is the list of kinds, with address and variable."""
    page = (ROOT / "docs/reference/providers.md").read_text()
    for preset in PRESETS.values():
        row = next((line for line in page.splitlines() if line.startswith(f"| `{preset.kind}` |")), None)
        assert row is not None, preset.kind
        assert preset.base_url is None or preset.base_url in row
        assert preset.env is None or preset.env in row
