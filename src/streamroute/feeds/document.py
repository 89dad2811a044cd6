"""What a price feed says: a JSON document, believed as a whole or not at all.

    {"version": 1,
     "as_of": "2026-11-25T10:00:00Z",
     "prices": [{"upstream": "gpu-eu", "input_per_mtok": 0.08, "output_per_mtok": 0.31},
                {"provider": "lab", "model": "m", "tier": "flex", "input_per_mtok": "0.05", "output_per_mtok": "0.2"}]}

Its JSON Schema is made from these classes (`document_json_schema`) and stands in `docs/reference`.
"""

import json
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from streamroute.core.cost.price_book import DatedPrice, Tier
from streamroute.core.upstream import ProviderName, TokenPrice, UpstreamId
from streamroute.errors import FeedError

MAX_PRICES = 10_000
"""Of one document: twenty for each upstream that a configuration can have."""
MAX_AHEAD_S = 300.0
"""How far `as_of` may lie in the future: clocks differ by seconds, a wrong time zone by an hour at least."""
_TOKEN = Decimal("0.000001")
_CALL = Decimal("0.000000000001")


def _refuse_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("expected a number")  # noqa: TRY004 - pydantic takes a ValueError for a finding
    return value


def _rounded(unit: Decimal) -> AfterValidator:
    return AfterValidator(lambda amount: amount.quantize(unit, ROUND_HALF_EVEN))


TokenUsd = Annotated[Decimal, BeforeValidator(_refuse_bool), Field(ge=0, le=100_000), _rounded(_TOKEN)]
"""US dollars for a million tokens; rounded to six decimals."""
CallUsd = Annotated[Decimal, BeforeValidator(_refuse_bool), Field(ge=0, le=1000), _rounded(_CALL)]
Name = Annotated[str, Field(min_length=1, max_length=256)]


class FeedPrice(BaseModel):
    """The price of an upstream, or of a provider's model."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    upstream: Name | None = None
    provider: Name | None = None
    model: Name | None = None
    tier: Tier = "standard"
    input_per_mtok: TokenUsd
    output_per_mtok: TokenUsd
    cached_input_per_mtok: TokenUsd | None = None
    cache_write_per_mtok: TokenUsd | None = None
    cache_write_1h_per_mtok: TokenUsd | None = None
    reasoning_per_mtok: TokenUsd | None = None
    per_request: CallUsd = Decimal(0)
    per_image: CallUsd = Decimal(0)


class FeedDocument(BaseModel):
    """All that a feed says at one moment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    as_of: AwareDatetime
    """When these prices were true."""
    prices: Annotated[list[FeedPrice], Field(max_length=MAX_PRICES)]


def read_document(body: bytes, *, source: str, now_s: float) -> tuple[int, list[DatedPrice]]:
    """Return when the prices were true, in milliseconds, and the prices; raises FeedError where it is no such document.

    `now_s` is the wall clock's.
    """
    try:
        document = FeedDocument.model_validate(json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise FeedError(f"{where}: {first['msg']}" if where else first["msg"], is_refused=True) from None
    except (ValueError, RecursionError) as error:
        raise FeedError(f"it is not JSON: {error}", is_refused=True) from None
    as_of_s = document.as_of.timestamp()
    if as_of_s > now_s + MAX_AHEAD_S:
        raise FeedError(f"as_of {_iso(document.as_of)} lies in the future", is_refused=True)
    lines = [_line(index, price, source) for index, price in enumerate(document.prices)]
    seen: set[object] = set()
    for index, line in enumerate(lines):
        if (key := (line.subject, line.tier)) in seen:
            raise FeedError(f"prices.{index}: there is one for the same subject and tier already", is_refused=True)
        seen.add(key)
    return round(as_of_s * 1000), lines


def document_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the document."""
    schema = FeedDocument.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "streamroute price feed"}


def _line(index: int, price: FeedPrice, source: str) -> DatedPrice:
    upstream, provider, model = price.upstream, price.provider, price.model
    if (upstream is None) == (provider is None) or (provider is None) != (model is None):
        raise FeedError(f"prices.{index}: needs either upstream, or provider and model", is_refused=True)
    amounts = {name: getattr(price, name) for name in _AMOUNTS}
    subject = UpstreamId(upstream) if upstream is not None else (ProviderName(provider or ""), model or "")
    return DatedPrice(subject=subject, price=TokenPrice(**amounts), tier=price.tier, source=source)


_AMOUNTS = tuple(name for name in FeedPrice.model_fields if name not in {"upstream", "provider", "model", "tier"})


def _iso(at: datetime) -> str:
    return at.isoformat()


def _refuse_constant(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")
