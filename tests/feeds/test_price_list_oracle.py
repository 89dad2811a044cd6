"""Our prices beside those of genai-prices itself, for every model of every provider that it knows."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from streamroute.core.cost.price_book import PriceBook
from streamroute.core.money import PER_USD
from streamroute.core.upstream import ProviderName, UpstreamId
from streamroute.core.usage import Usage
from streamroute.feeds.price_list import PublicPrices, known_lists
from streamroute.providers.presets import PRESETS

genai_prices = pytest.importorskip("genai_prices")

MOMENTS = 50
FIRST, LAST = datetime(2023, 6, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)
LENGTHS = (
    1_000,
    31_000,
    33_000,
    99_000,
    101_000,
    127_000,
    129_000,
    199_999,
    200_000,
    200_001,
    271_999,
    272_001,
    600_000,
)
"""Of prompts: on both sides of every limit that the list has."""
TOKEN_KINDS = {"input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok",
               "output_reasoning_mtok", "requests_kcount"}  # fmt: skip
TIERS = {"flex": {"service_tier": "flex"}, "priority": {"service_tier": "priority"}, "batch": {"processing": "batch"}}


def snapshot() -> Any:
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - where it is installed

    return get_snapshot()


def words(clause: Any) -> Iterator[str]:
    """Return the texts of a rule by which models are recognized."""
    for value in vars(clause).values():
        if isinstance(value, str):
            yield value
        else:
            for each in value:
                yield from words(each)


def models(lists: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Return each provider with a name that leads to each of its models; an id alone does not always."""
    for provider in snapshot().providers:
        for model in provider.models if provider.id in lists else ():
            for name in (model.id, *words(model.match)):
                if provider.find_model(name) is model:
                    yield provider.id, name
                    break
            else:
                UNREACHABLE.append(f"{provider.id}/{model.id}")


UNREACHABLE: list[str] = []
"""Models that another one of the list stands before, so that nothing is ever priced by them."""


def usages(rng: random.Random) -> Iterator[Usage]:
    while True:
        input_tokens = rng.choice(LENGTHS)
        cached = rng.choice((0, rng.randint(0, input_tokens)))
        written = rng.choice((0, rng.randint(0, input_tokens - cached)))
        output_tokens = rng.randint(0, 60_000)
        yield Usage(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_input_tokens=cached,
            cache_write_tokens=written,
            cache_write_1h_tokens=rng.choice((0, rng.randint(0, written))),
            reasoning_tokens=rng.choice((0, rng.randint(0, output_tokens))),
        )


def theirs(model: Any, provider: Any, usage: Usage, at: datetime, context: dict[str, str] | None) -> Decimal:
    """Return what genai-prices says, in picodollars."""
    counted = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
    )
    total = model.calc_price(counted, provider, genai_request_timestamp=at, price_context=context).total_price
    return total * PER_USD


def is_exact(price: Any) -> bool:
    """Say whether all prices have six decimals at most."""
    values = [value for value in vars(price).values() if value is not None]
    amounts = [each for each in values if isinstance(each, Decimal)]
    for tiered in [each for each in values if not isinstance(each, Decimal)]:
        amounts += [tiered.base, *(tier.price for tier in tiered.tiers)]
    return all(each == each.quantize(Decimal("0.000001")) for each in amounts)


def compare(lists: tuple[str, ...], moments: int) -> tuple[int, int, list[str]]:
    """Return how many costs were equal, how many equal but for rounded prices, and where there is a difference."""
    rng = random.Random(4)
    book = PriceBook(listed=PublicPrices({ProviderName(name): name for name in lists}))
    times = [FIRST + rng.random() * (LAST - FIRST) for _ in range(moments)]
    times = [each + timedelta(microseconds=-each.microsecond) for each in times]
    some = usages(rng)
    equal, rounded, wrong = 0, 0, []
    for list_, name in models(lists):
        provider, model = snapshot().find_provider_model(name, None, list_, None)
        is_own = any(model is each for each in provider.models)
        for at in times:
            for tier in (None, *TIERS) if is_own and model.price_variants else (None,):
                context = TIERS.get(tier or "")
                usage, at_ms = next(some), round(at.timestamp() * 1000)
                quote = book.find(UpstreamId(""), ProviderName(list_), name, tier, at_ms)
                price = model.get_prices(at, context)
                has_kinds = {key for key, value in vars(price).items() if value is not None}
                if quote is None:
                    has_variant = context is not None and price != model.get_prices(at)
                    if (has_kinds & TOKEN_KINDS or not has_kinds) and (context is None or has_variant):
                        wrong.append(f"{list_}/{name} {tier} {at}: we have no price")
                    continue
                cost, expected = quote.price.cost(usage), theirs(model, provider, usage, at, context)
                tokens = usage.input_tokens + usage.output_tokens
                if cost == expected:
                    equal += 1
                elif not is_exact(price) and abs(cost - expected) <= Decimal(tokens) / 2:
                    rounded += 1
                else:
                    wrong.append(f"{list_}/{name} {tier} {at} {usage}: {cost}, not {expected}")
    return equal, rounded, wrong


def test_presets_cost_what_the_list_says() -> None:
    """Every model of every provider that we have a preset for; nothing differs by a picodollar."""
    lists = tuple(preset.price_list for preset in PRESETS.values() if preset.price_list is not None)
    assert set(lists) <= set(known_lists())
    equal, rounded, wrong = compare(tuple(each for each in lists if each != "openrouter"), 4)
    assert wrong == []
    assert equal > 2000
    assert rounded == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_all_models_cost_what_the_list_says() -> None:
    """Every model of every provider at 50 dates and times, cache and reasoning included, to the last picodollar.

    Prices of more than six decimals are rounded to a picodollar a token: half of one for each token at most.
    """
    equal, rounded, wrong = compare(known_lists(), MOMENTS)
    assert wrong == []
    assert equal > 100_000
    assert rounded < equal / 50
    assert not UNREACHABLE
