"""The public price list: whom it knows, at which hours and in which tiers."""

import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from streamroute.core.cost.price_book import PriceBook, Quote
from streamroute.core.upstream import ProviderName, UpstreamId
from streamroute.feeds.price_list import PublicPrices, is_installed, list_at

pytest.importorskip("genai_prices")

LAB = ProviderName("lab")


def quote(list_: str, model: str, tier: str | None = None, at: str = "2026-11-25T12:00") -> Quote | None:
    at_ms = round(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() * 1000)
    return PriceBook(listed=PublicPrices({LAB: list_})).find(UpstreamId("u"), LAB, model, tier, at_ms)


def test_a_model_is_known_by_any_of_its_names() -> None:
    """Dated names and names with a suffix are matched as the list matches them; the source names its version."""
    plain, dated = quote("openai", "gpt-4o"), quote("openai", "gpt-4o-2024-11-20")
    assert plain is not None
    assert dated is not None
    assert plain.listed.input_per_mtok == dated.listed.input_per_mtok == Decimal("2.5")
    assert plain.source.startswith("genai-prices 0.")


def test_who_is_not_known_has_no_price() -> None:
    """Neither a model that the list lacks nor a provider that is not on it."""
    assert quote("openai", "no-such-model") is None
    assert PublicPrices({}).lines(LAB, "gpt-4o") == ()


def test_a_tier_without_prices_of_its_own_is_unpriced() -> None:
    """At the standard price the bill would be wrong; with prices of its own it has them."""
    standard, flex = quote("openai", "gpt-5"), quote("openai", "gpt-5", "flex")
    assert standard is not None
    assert flex is not None
    assert flex.listed.input_per_mtok == standard.listed.input_per_mtok / 2
    assert quote("openai", "gpt-4", "flex") is None
    assert quote("azure", "gpt-5", "flex") is None


def test_hours_are_those_of_the_list() -> None:
    """DeepSeek's off-peak hours of 2025: half past midnight to half past sixteen, UTC, is the day."""
    night = quote("deepseek", "deepseek-reasoner", at="2025-07-01T00:29")
    day = quote("deepseek", "deepseek-reasoner", at="2025-07-01T00:30")
    assert night is not None
    assert day is not None
    assert night.price.input < day.price.input


def test_what_no_chat_answer_counts_has_no_price() -> None:
    """A model that is paid by hours of audio is not free."""
    assert quote("groq", "whisper-large-v3") is None


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://api.moonshot.cn/v1", "moonshotai"),
        ("https://mine.openai.azure.com/openai/v1", "azure"),
        ("http://127.0.0.1:8000/v1", None),
        ("https://llm.example.com/v1", None),
    ],
)
def test_addresses_tell_who_is_paid(url: str, name: str | None) -> None:
    """Regional ones included; a proxy of one's own is nobody."""
    assert list_at(url) == name


def test_without_the_package_there_is_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    assert not is_installed()
