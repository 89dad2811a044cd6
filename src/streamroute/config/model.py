"""What a configuration comes to: the values that the rest of the program is built from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from streamroute.core.cost.budget_line import BudgetLine
from streamroute.core.cost.price_book import DatedPrice
from streamroute.core.health.options import HealthOptions
from streamroute.core.requirements import Requirements
from streamroute.core.routing.learned.fitted_policy import FittedPolicy
from streamroute.core.routing.options import RoutingOptions
from streamroute.core.routing.route import AUTO
from streamroute.core.upstream import ProviderName, Route, Upstream, UpstreamId
from streamroute.feeds.options import BidderOptions, FeedOptions
from streamroute.providers.options import ProviderOptions
from streamroute.server.options import ServerOptions
from streamroute.stores.options import LedgerOptions, RoutingFiles

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "console"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """What is logged, to standard error, and how."""

    level: LogLevel = "info"
    """`info` tells of state changes; `debug` of every attempt."""
    format: LogFormat = "auto"
    """`auto`: `console` on a terminal, `json` elsewhere, because there a machine reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where an effective value came from."""

    where: Literal["default", "file", "env", "flag", "preset"]
    detail: str = ""
    """`config.toml:12`, a variable's name, a flag or a preset's name."""
    references: tuple[str, ...] = ()
    """What the text in the file referred to, such as `${OPENAI_API_KEY}`."""
    is_sensitive: bool = False
    """Its value is not to be shown, because of what it was read from."""

    def __str__(self) -> str:
        """For people: `config.toml:12 via ${OPENAI_API_KEY}`."""
        place = self.detail if self.where != "preset" else f"preset {self.detail}"
        return " via ".join(part for part in (place or self.where, ", ".join(self.references)) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disabled:
    """Something that is configured but takes no part, and what would change that."""

    kind: Literal["provider", "upstream", "route"]
    name: str
    reason: str


_DIFFERING = {True: "", False: "; where two differ, the one that is held to be better is believed"}
"""What is said besides of audits without a judge, on routes with tiers or without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A valid configuration. Secrets are in fields that `repr` leaves out."""

    file: Path
    server: ServerOptions
    log: LogOptions
    health: HealthOptions = field(default_factory=HealthOptions)
    ledger: LedgerOptions = field(default_factory=LedgerOptions)
    prices: tuple[DatedPrice, ...] = ()
    """Beside those of the upstreams themselves."""
    price_feeds: tuple[FeedOptions, ...] = ()
    """The first one that knows a price is right."""
    budgets: tuple[BudgetLine, ...] = ()
    providers: Mapping[ProviderName, ProviderOptions]
    """Enabled ones, in the order of the file."""
    upstreams: Mapping[UpstreamId, Upstream]
    """Enabled ones, in the order of the file."""
    routes: Mapping[str, Route]
    """Those with at least one enabled upstream; they list enabled ones only."""
    tiers: Mapping[str, tuple[tuple[UpstreamId, ...], ...]] = field(default_factory=dict)
    """Of all routes as they stand in the file, with what is disabled."""
    tier_policies: Mapping[str, FittedPolicy] = field(default_factory=dict, repr=False)
    """By route, of those that go by one."""
    auto: Route | None = None
    """What `model = "auto"` means where no route is called that."""
    requirements: Mapping[str, Requirements] = field(default_factory=dict)
    """Of routes, for requests that say nothing else; of those that have any."""
    routing: RoutingOptions = field(default_factory=RoutingOptions)
    bidders: tuple[BidderOptions, ...] = ()
    rule_warnings: Mapping[str, str] = field(default_factory=dict)
    routing_files: RoutingFiles = field(default_factory=RoutingFiles)
    disabled: tuple[Disabled, ...]
    is_simulated: bool
    """A route, or `auto`, is served by simulated upstreams: its answers are made up."""
    sources: Mapping[str, Source]
    """By dotted path, for every value that is not a default."""

    @property
    def served(self) -> dict[str, Route]:
        """All routes that clients can name, `auto` included."""
        return dict(self.routes) if self.auto is None else {**self.routes, AUTO: self.auto}

    @property
    def warnings(self) -> dict[str, str]:
        """What is allowed and probably not meant, by route or rule."""
        served = self.served
        return {
            **self.rule_warnings,
            **{
                name: f"route {name} has one upstream, {route.upstreams[0]}: there is nothing to fail over to"
                for name, route in self.routes.items()
                if len(route.upstreams) == 1
            },
            **{
                f"{name}.audit": f"route {name} has an `audit` and no `judge`: only answers that come to a figure, a "
                f"letter or a word can be compared, and nothing looks into the others{_DIFFERING[bool(route.tiers)]}"
                for name, route in served.items()
                if route.audit is not None and route.judge is None
            },
            **{
                f"{name}.judge": f"route {name} has its answers judged by {route.judge}, which is one of those that "
                "give them: a model likes its own answers best; leave it out of the route's upstreams"
                f"{' (`[routing] auto`, or `upstreams` of [routes.auto])' if name == AUTO else ''}"
                for name, route in served.items()
                if route.audit is not None and not route.tiers and route.judge in route.upstreams
            },
        }
