"""Every effective value with where it came from, for `streamroute check`; secrets only by their source."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass

from streamroute.clock import wall_iso
from streamroute.config.draft import dotted
from streamroute.config.locate import Path
from streamroute.config.model import Config, Source
from streamroute.config.schema import TokenPriceTable, is_secret
from streamroute.core.cost.client_key import amount_text
from streamroute.core.cost.price_book import DatedPrice
from streamroute.core.gate import Thresholds
from streamroute.core.requirements import Requirements
from streamroute.core.routing.explain_match import explain_requirements
from streamroute.core.routing.rules import Rule
from streamroute.core.upstream import QualityTable, TokenPrice

_DERIVED = frozenset({"name", "id", "is_simulated", "credential"})
"""Fields that repeat a table's name or follow from others."""
_ROUGH = frozenset({"rough_input", "rough_output"})
"""The same for a price, at any depth."""
_OPTIONAL = frozenset({"simulation", "price", "quality", "policy", "residency", "tier_policy"})
"""Fields that are not shown where they are not given."""
_PASSWORD = re.compile(r"(://[^/@]*:).*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One effective value."""

    path: str
    value: str
    """As it may be shown."""
    source: Source


def effective(config: Config) -> tuple[Setting, ...]:
    """Return all settings in force, in the order of the file's tables."""
    found: list[Setting] = []
    server = config.server
    host = f"[{server.host}]" if ":" in server.host else server.host
    found.append(_setting(config, ("server", "listen"), f"{host}:{server.port}"))
    skip = ("host", "port")
    found += [_setting(config, p, v) for p, v in _leaves(("server",), server) if p[-1] not in skip]
    found += [_setting(config, p, v) for p, v in _leaves(("log",), config.log)]
    found += [_setting(config, p, v) for p, v in _leaves(("health",), config.health)]
    found += [_setting(config, p, v) for p, v in _leaves(("ledger",), config.ledger)]
    found += [_setting(config, p, v) for p, v in _leaves(("routing",), config.routing)]
    found += [_setting(config, p, v) for p, v in _leaves(("routing",), config.routing_files)]
    for index, bidder in enumerate(config.bidders):
        found += [_setting(config, p, v) for p, v in _leaves(("routing", "bidders", index), bidder)]
    for kind in ("providers", "upstreams", "routes"):
        for name, item in getattr(config, kind).items():
            found += [_setting(config, p, v) for p, v in _leaves((kind, name), item)]
    for name, needs in config.requirements.items():
        found += [_setting(config, p, v) for p, v in _leaves(("routes", name, "requirements"), needs)]
    for index, line in enumerate(config.prices):
        found.append(_setting(config, ("prices", index), _price_line(line)))
    for index, budget in enumerate(config.budgets):
        whose = budget.scope if budget.name is None else f"{budget.scope} {budget.name}"
        soft = "" if budget.warn_at is None else f", warns at {amount_text(budget.warn_at, budget.window)}"
        found.append(_setting(config, ("budgets", index), f"{whose}: {amount_text(budget.limit, budget.window)}{soft}"))
    for index, feed in enumerate(config.price_feeds):
        found += [_setting(config, p, v) for p, v in _leaves(("price_feeds", index), feed)]
    return tuple(found)


def _price_line(line: DatedPrice) -> str:
    """Write one of `[[prices]]` for people."""
    subject = line.subject if isinstance(line.subject, str) else "/".join(line.subject)
    since = f" since {wall_iso(line.since_ms / 1000)}" if line.since_ms else ""
    hours = (
        ""
        if line.hours is None
        else " {:02}:{:02}-{:02}:{:02}".format(*divmod(line.hours[0], 60), *divmod(line.hours[1], 60))
    )
    longer = [f"; above {each.above_tokens} tokens {_amounts(each.price)}" for each in line.price.long_context]
    return f"{subject} {line.tier}{since}{hours}: {_amounts(line.price)}{''.join(longer)}"


def _amounts(price: TokenPrice) -> str:
    names = (*TokenPriceTable.model_fields, "per_request", "per_image")
    given = {name.removesuffix("_per_mtok"): getattr(price, name) for name in names}
    return ", ".join(f"{name} {amount}" for name, amount in given.items() if amount) or "free"


def _leaves(path: Path, value: object) -> Iterator[tuple[Path, object]]:
    if isinstance(value, Thresholds):
        yield path, value
    elif isinstance(value, QualityTable):
        yield from (((*path, name), number) for name, number in (("default", value.default), *value.domains))
    elif isinstance(value, Requirements):
        yield from (((*path, name), given) for name, given in explain_requirements(value).items())
    elif isinstance(value, Rule):
        yield path, str(value)
    elif is_dataclass(value):
        for field in fields(value):
            item = getattr(value, field.name)
            is_unused = field.name in _ROUGH or (item is None and field.name in _OPTIONAL)
            if not is_unused and not (len(path) == 2 and field.name in _DERIVED):
                yield from _leaves((*path, field.name), item)
    elif isinstance(value, tuple) and any(map(is_dataclass, value)):
        for index, item in enumerate(value):
            yield from _leaves((*path, index), item)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves((*path, str(key)), item)
    else:
        yield path, value


def _setting(config: Config, path: Path, value: object) -> Setting:
    text = dotted(path)
    if path == ("ledger", "url"):
        value = None if value is None else _PASSWORD.sub(r"\1***@", str(value))
    source = config.sources.get(text) or _source_within(config, text)
    if (is_secret(path) or source.is_sensitive) and value:
        origin = _secret_origin(config, text, source)
        return Setting(path=text, value=f"(set, from {origin})", source=source)
    return Setting(path=text, value=_shown(value), source=source)


def _source_within(config: Config, text: str) -> Source:
    """Return the source of a value that the file may spread over a table."""
    within = (source for path, source in config.sources.items() if path.startswith((f"{text}.", f"{text}[")))
    return next(within, Source(where="default"))


def _secret_origin(config: Config, path: str, source: Source) -> str:
    items = [item for name, item in config.sources.items() if name.startswith(f"{path}[")]
    references = dict.fromkeys(ref for item in (source, *items) for ref in item.references)
    return ", ".join(references) or source.detail or source.where


def _shown(value: object) -> str:
    match value:
        case None | "":
            return "-"
        case bool():
            return "true" if value else "false"
        case tuple():
            return ", ".join(f"[{_shown(item)}]" if isinstance(item, tuple) else str(item) for item in value) or "-"
        case float():
            return f"{value:g}"
        case _:
            return str(value)
