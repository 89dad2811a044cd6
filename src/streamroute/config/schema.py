"""The shape of the TOML file: names, types and ranges. Beside it, `fields`, `gate` and `routing_schema`, only
`feeds.document` uses pydantic.

Defaults are those of the Options classes, read from them, so that there is one place for each. What spans
several tables (references, keys, deadlines against each other) is checked by the modules that build the
Options, because pydantic stops at a table's first level of trouble and we report everything at once.
"""

from decimal import Decimal
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import Field, SecretStr

from streamroute.config.fields import (
    AcceptAt,
    CallDollars,
    Count,
    Minutes,
    Number,
    Qualities,
    SinceMs,
    Table,
    Text,
    TokenDollars,
)
from streamroute.config.gate import Assess, AuditTable
from streamroute.config.locate import Path
from streamroute.config.model import LogFormat, LogLevel, LogOptions
from streamroute.config.routing_schema import RequirementsTable, RoutingTable
from streamroute.core.cost.budget_line import Scope
from streamroute.core.cost.price_book import Tier
from streamroute.core.health.options import HEDGE_SPEND, HealthOptions
from streamroute.core.request import WireFormatName
from streamroute.core.upstream import (
    Continuation,
    Deadlines,
    LatencyClass,
    Midstream,
    PlanName,
    PolicyName,
    Reasoning,
    RetryOptions,
    Route,
    Sampling,
    Steering,
    UpstreamId,
)
from streamroute.feeds.options import FeedOptions, StaleAction
from streamroute.providers.options import (
    AuthScheme,
    RateLimitScope,
    SimulationOptions,
    UsageOnStream,
)
from streamroute.server.options import ServerOptions
from streamroute.stores.options import LedgerOptions

_SERVER = ServerOptions()
_LOG = LogOptions()
_DEADLINES = Deadlines()
_RETRY = RetryOptions()
_HEALTH = HealthOptions()
_ROUTE = Route(name="", upstreams=(UpstreamId(""),))
_SIMULATION = SimulationOptions()
_LEDGER = LedgerOptions()
_FEED = FeedOptions(name="", url="")


class ServerTable(Table):
    """`[server]`, see `server.options.ServerOptions`."""

    listen: str = f"{_SERVER.host}:{_SERVER.port}"
    api_keys: list[SecretStr] = Field(default_factory=list)
    cors_origins: list[str] = Field(default_factory=list)
    keepalive_s: Number = Field(default=_SERVER.keepalive_s, ge=0, le=300)
    max_body_bytes: Count = Field(default=_SERVER.max_body_bytes, ge=1024, le=1024**3)
    header_timeout_s: Number = Field(default=_SERVER.header_timeout_s, ge=0.1, le=300)
    body_timeout_s: Number = Field(default=_SERVER.body_timeout_s, ge=0.1, le=3600)
    drain_delay_s: Number = Field(default=_SERVER.drain_delay_s, ge=0, le=300)
    drain_timeout_s: Number = Field(default=_SERVER.drain_timeout_s, ge=0, le=3600)
    cost_in_usage: bool = _SERVER.cost_in_usage
    max_write_buffer_bytes: Count = Field(default=_SERVER.max_write_buffer_bytes, ge=4096, le=64 * 1024**2)


class LogTable(Table):
    """`[log]`, see `config.model.LogOptions`."""

    level: LogLevel = _LOG.level
    format: LogFormat = _LOG.format


class HedgeSpendTable(Table):
    """`hedge_spend` of `[health]`: a share for each latency class."""

    batch: Number = Field(default=HEDGE_SPEND["batch"], ge=0, le=1)
    standard: Number = Field(default=HEDGE_SPEND["standard"], ge=0, le=1)
    interactive: Number = Field(default=HEDGE_SPEND["interactive"], ge=0, le=1)
    latency_critical: Number = Field(default=HEDGE_SPEND["latency_critical"], ge=0, le=1)


class HealthTable(Table):
    """`[health]`, see `core.health.options.HealthOptions`."""

    slo_factor: Number = Field(default=_HEALTH.slo_factor, ge=1.2, le=20)
    false_steers_per_hour: Number = Field(default=_HEALTH.false_steers_per_hour, ge=0.01, le=60)
    probe_budget_usd_per_day: Number = Field(default=_HEALTH.probe_budget_usd_per_day, ge=0, le=100)
    probe_silence_s: Number = Field(default=_HEALTH.probe_silence_s, ge=1, le=3600)
    is_probing: bool = _HEALTH.is_probing
    hedge_spend: HedgeSpendTable = HedgeSpendTable()


class QuirksTable(Table):
    """`quirks` of a provider, see `providers.options.Quirks`; what is not given is the preset's."""

    usage_on_stream: UsageOnStream | None = None
    finish_reason_optional: bool | None = None
    rate_limit_scope: RateLimitScope | None = None
    takes_google_notes: bool | None = None
    takes_reasoning_details: bool | None = None
    bills_cancelled_streams: bool | None = None
    continuation_chat_path: str | None = Field(default=None, pattern=r"^/")
    default_max_tokens: Count | None = Field(default=None, ge=1, le=1_000_000)
    sampling: Sampling | None = None
    reasoning: Reasoning | None = None


class SimulationTable(Table):
    """`simulation` of a provider, see `providers.options.SimulationOptions`."""

    ttft_s: Number = Field(default=_SIMULATION.ttft_s, ge=0, le=60)
    tokens_per_s: Number = Field(default=_SIMULATION.tokens_per_s, gt=0, le=10_000)
    answer_tokens: Count = Field(default=_SIMULATION.answer_tokens, ge=1, le=100_000)
    seed: Count = _SIMULATION.seed
    script: Text | None = None


class ProviderTable(Table):
    """`[providers.NAME]`, see `providers.options.ProviderOptions`; what is not given is the preset's."""

    kind: Text
    base_url: Text | None = None
    api_key: SecretStr | None = None
    auth: AuthScheme | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    wire_format: WireFormatName | None = None
    chat_path: str | None = Field(default=None, pattern=r"^/")
    quirks: QuirksTable = QuirksTable()
    price_list: Text | None = None
    residency: Text | None = None
    simulation: SimulationTable | None = None


class TokenPriceTable(Table):
    """What tokens cost, in US dollars for a million of them."""

    input_per_mtok: TokenDollars
    output_per_mtok: TokenDollars
    cached_input_per_mtok: TokenDollars | None = None
    cache_write_per_mtok: TokenDollars | None = None
    cache_write_1h_per_mtok: TokenDollars | None = None
    reasoning_per_mtok: TokenDollars | None = None


class LongContextTable(TokenPriceTable):
    """One of `long_context` of a price, see `core.upstream.LongContext`."""

    above_tokens: Count = Field(ge=1, le=1_000_000_000)


class PriceTable(TokenPriceTable):
    """`price` of an upstream in US dollars, see `core.upstream.TokenPrice`."""

    per_request: CallDollars = Decimal(0)
    per_image: CallDollars = Decimal(0)
    long_context: list[LongContextTable] = Field(default_factory=list)


class PriceLineTable(PriceTable):
    """One of `[[prices]]`, see `core.cost.price_book.DatedPrice`."""

    upstream: Text | None = None
    provider: Text | None = None
    model: Text | None = None
    tier: Tier = "standard"
    since: SinceMs = 0
    hours_utc: Minutes | None = None


class FeedTable(Table):
    """One of `[[price_feeds]]`, see `feeds.options.FeedOptions`."""

    name: Text
    url: Text
    poll_interval_s: Number = Field(default=_FEED.poll_interval_s, ge=1, le=3600)
    max_age_s: Number = Field(default=_FEED.max_age_s, ge=1, le=604_800)
    stale_action: StaleAction = _FEED.stale_action


class BudgetTable(Table):
    """One of `[[budgets]]`, see `core.cost.budget_line.BudgetLine`."""

    scope: Scope
    name: Text | None = None
    amount: Text
    warn_at: Number | None = Field(default=None, gt=0, le=1)
    may_use_unpriced: bool = False


class LedgerTable(Table):
    """`[ledger]`, see `stores.options.LedgerOptions`."""

    url: Text | None = None
    flush_interval_s: Number = Field(default=_LEDGER.flush_interval_s, ge=0, le=1)
    keep_days: int = Field(default=_LEDGER.keep_days, ge=0, le=36_500)
    spool_dir: Text | None = None


class CapabilitiesTable(Table):
    """`capabilities` of an upstream, see `core.upstream.Capabilities`."""

    tools: bool | None = None
    vision: bool | None = None
    audio: bool | None = None
    files: bool | None = None
    json_schema: bool | None = None
    continuation: Continuation | None = None
    context_tokens: Count | None = Field(default=None, ge=1, le=1_000_000_000)
    bills_cancelled_streams: bool | None = None
    logprobs: bool | None = None
    sampling: Sampling | None = None
    reasoning: Reasoning | None = None


class UpstreamTable(Table):
    """`[upstreams.ID]`, see `core.upstream.Upstream`."""

    provider: Text
    model: Text
    price: PriceTable | None = None
    quality: Qualities | None = None
    domains: list[Text] = Field(default_factory=list)
    residency: Text | None = None
    capabilities: CapabilitiesTable = CapabilitiesTable()
    failure_domain: Text | None = None


class RetryTable(Table):
    """`retry` of a route, see `core.upstream.RetryOptions`."""

    same_upstream: Count = Field(default=_RETRY.same_upstream, ge=0, le=5)
    wait_for_preferred_s: Number = Field(default=_RETRY.wait_for_preferred_s, ge=0, le=60)
    backoff_s: Number = Field(default=_RETRY.backoff_s, ge=0, le=10)


class DeadlinesTable(Table):
    """`deadlines` of a route, see `core.upstream.Deadlines`."""

    connect_s: Number = Field(default=_DEADLINES.connect_s, ge=0.01, le=300)
    headers_s: Number = Field(default=_DEADLINES.headers_s, ge=0.01, le=3600)
    first_token_s: Number = Field(default=_DEADLINES.first_token_s, ge=0.01, le=3600)
    stall_s: Number = Field(default=_DEADLINES.stall_s, ge=0.01, le=3600)
    total_s: Number = Field(default=_DEADLINES.total_s, ge=0.01, le=86_400)
    answer_s: Number = Field(default=_DEADLINES.answer_s, ge=0.01, le=86_400)


class RouteTable(Table):
    """`[routes.NAME]`, see `core.upstream.Route`."""

    upstreams: list[str] = Field(default_factory=list)
    tiers: list[list[str]] = Field(default_factory=list)
    accept_at: AcceptAt = _ROUTE.accept_at
    tier_policy: Text | None = None
    assess: Assess = Field(default_factory=list)
    agree_with: Text | None = None
    judge: Text | None = None
    audit: AuditTable | None = None
    speculate_after_s: Number | None = Field(default=_ROUTE.speculate_after_s, gt=0, le=600)
    plan: PlanName = _ROUTE.plan
    steering: Steering = _ROUTE.steering
    policy: PolicyName | None = _ROUTE.policy
    requirements: RequirementsTable = RequirementsTable()
    latency_class: LatencyClass = _ROUTE.latency_class
    midstream: Midstream = _ROUTE.midstream
    race_width: Count = Field(default=_ROUTE.race_width, ge=2, le=4)
    retry: RetryTable = RetryTable()
    deadlines: DeadlinesTable = DeadlinesTable()


class FileTable(Table):
    """The whole file."""

    version: Literal[1]
    server: ServerTable = ServerTable()
    log: LogTable = LogTable()
    health: HealthTable = HealthTable()
    ledger: LedgerTable = LedgerTable()
    prices: list[PriceLineTable] = Field(default_factory=list)
    price_feeds: list[FeedTable] = Field(default_factory=list)
    budgets: list[BudgetTable] = Field(default_factory=list)
    providers: dict[str, ProviderTable] = Field(default_factory=dict)
    upstreams: dict[str, UpstreamTable] = Field(default_factory=dict)
    routing: RoutingTable = RoutingTable()
    routes: dict[str, RouteTable] = Field(default_factory=dict)


def config_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the file, for editors and for checks outside of Python."""
    schema = FileTable.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "streamroute config.toml"}


def is_secret(path: Path) -> bool:
    """Say whether the value at `path` must never be shown."""
    match path:
        case ("server", "api_keys", *_):
            return True
        case ("providers", _, "api_key" | "headers", *_):
            return True
        case _:
            return False


def shape_at(path: Path) -> type[Table] | Literal["free", "list", "leaf"] | None:
    """Return what may stand at `path`: a table with fixed keys, one with free keys, a list, a value, or nothing."""
    annotation: Any = FileTable
    for part in path:
        if isinstance(annotation, type) and issubclass(annotation, Table):
            field = annotation.model_fields.get(str(part))
            if field is None:
                return None
            annotation = _without_none(field.annotation)
        elif get_origin(annotation) in (dict, list):
            annotation = get_args(annotation)[-1]
        else:
            return None
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return annotation
    origin = get_origin(annotation)
    return "free" if origin is dict else "list" if origin is list else "leaf"


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, UnionType):
        kept = [part for part in get_args(annotation) if part is not type(None)]
        return kept[0] if len(kept) == 1 else annotation
    return annotation
