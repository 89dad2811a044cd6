"""`price` of upstreams and `[[prices]]` -> the lines of the price book."""

from typing import Any

from streamroute.config.draft import Draft, dotted
from streamroute.config.locate import Path
from streamroute.config.model import Config
from streamroute.config.schema import PriceLineTable, PriceTable, TokenPriceTable
from streamroute.config.suggestion import suggestion
from streamroute.config.validate import validate
from streamroute.core.cost.price_book import DatedPrice, PriceBook, Subject
from streamroute.core.upstream import LongContext, ProviderName, TokenPrice, UpstreamId
from streamroute.feeds.price_list import PublicPrices


def build_price(table: PriceTable) -> TokenPrice:
    """Return a price. What is paid beside tokens does not depend on the length of the prompt."""
    beside: dict[str, Any] = {"per_request": table.per_request, "per_image": table.per_image}
    longer = sorted(table.long_context, key=lambda each: each.above_tokens)
    return TokenPrice(
        **_tokens(table),
        **beside,
        long_context=tuple(
            LongContext(above_tokens=each.above_tokens, price=TokenPrice(**_tokens(each), **beside)) for each in longer
        ),
    )


def _tokens(table: TokenPriceTable) -> dict[str, Any]:
    return {name: getattr(table, name) for name in TokenPriceTable.model_fields}


def build_prices(draft: Draft) -> tuple[DatedPrice, ...]:
    """Return the lines of `[[prices]]`, also those of what is disabled: a key can come later."""
    given = draft.tree.get("prices", [])
    if not isinstance(given, list):
        draft.report(("prices",), "expected tables such as [[prices]]")
        return ()
    lines = []
    for index, value in enumerate(given):
        path: Path = ("prices", index)
        table = validate(draft, PriceLineTable, path, value)
        subject = None if table is None else _subject(draft, path, table)
        if table is not None and subject is not None:
            lines.append(
                DatedPrice(
                    subject=subject,
                    price=build_price(table),
                    tier=table.tier,
                    since_ms=table.since,
                    hours=table.hours_utc,
                    source=dotted(path),
                )
            )
    return tuple(lines)


def price_book(config: Config) -> PriceBook:
    """Compile all prices: of upstreams, of `[[prices]]`, and of the public list for what is left."""
    own = [
        DatedPrice(subject=upstream.id, price=upstream.price, source=dotted(("upstreams", upstream.id, "price")))
        for upstream in config.upstreams.values()
        if upstream.price is not None
    ]
    lists = {name: each.price_list for name, each in config.providers.items() if each.price_list is not None}
    return PriceBook([*own, *config.prices], listed=PublicPrices(lists) if lists else None)


def _subject(draft: Draft, path: Path, table: PriceLineTable) -> Subject | None:
    """Return whose price it is, or None where a problem was reported."""
    upstream, provider, model = table.upstream, table.provider, table.model
    if (upstream is None) == (provider is None) or (provider is None) != (model is None):
        draft.report(path, "needs either upstream, or provider and model")
        return None
    kind, name = ("upstreams", upstream) if upstream is not None else ("providers", provider or "")
    known = draft.table(kind)
    if name not in known:
        at = (*path, kind[:-1])
        draft.report(at, f"there is no {kind[:-1]} {draft.shown(at, name)}{suggestion(name, known)}")
        return None
    return UpstreamId(name) if upstream is not None else (ProviderName(name), model or "")
