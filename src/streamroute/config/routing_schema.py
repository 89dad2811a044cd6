"""The shape of `[routing]` and of what routes require; part of `config.schema`."""

from typing import Annotated, Any

from pydantic import Field

from streamroute.config.fields import Count, Dollars, Number, Share, Table, Text
from streamroute.core.routing.options import ANSWER_VALUE_USD, RoutingMode, RoutingOptions
from streamroute.core.upstream import LatencyClass, PolicyName
from streamroute.feeds.options import BidderOptions
from streamroute.stores.options import RoutingFiles

Cost = Annotated[Dollars, Field(gt=0, le=1_000_000, decimal_places=12)]
Seconds = Annotated[Number, Field(gt=0, le=86_400)]

_ROUTING = RoutingOptions()
_FILES = RoutingFiles()
_BIDDER = BidderOptions(name="", bid_url="", upstreams=("",))


class RequirementsTable(Table):
    """`requirements` of a route, see `core.requirements.Requirements`."""

    min_quality: Share | None = None
    max_cost_usd: Cost | None = None
    max_ttft_s: Seconds | None = None
    max_total_s: Seconds | None = None
    domain: Text | None = None
    residency: Text | None = None


class AnswerValueTable(Table):
    """`answer_value_usd` of `[routing]`: by policy."""

    quality: Number = Field(default=ANSWER_VALUE_USD["quality"], gt=0, le=1_000_000)
    balanced: Number = Field(default=ANSWER_VALUE_USD["balanced"], gt=0, le=1_000_000)
    economy: Number = Field(default=ANSWER_VALUE_USD["economy"], gt=0, le=1_000_000)


class ThenTable(Table):
    """`then` of a rule, see `core.routing.rules.Then`."""

    require: list[Text] = Field(default_factory=list)
    avoid: list[Text] = Field(default_factory=list)
    prefer: list[Text] = Field(default_factory=list)
    min_quality: Share | None = None
    max_cost_usd: Cost | None = None
    max_ttft_s: Seconds | None = None
    max_total_s: Seconds | None = None
    residency: Text | None = None
    policy: PolicyName | None = None
    latency_class: LatencyClass | None = None
    route: Text | None = None
    tier: Count | None = Field(default=None, ge=1, le=16)


class RuleTable(Table):
    """One of `rules` of `[routing]`, see `core.routing.rules.Rule`."""

    name: Text
    when: dict[str, Any] = Field(default_factory=dict)
    then: ThenTable


class BidderTable(Table):
    """One of `bidders` of `[routing]`, see `feeds.options.BidderOptions`."""

    name: Text
    bid_url: Text
    upstreams: list[Text] = Field(min_length=1)
    timeout_s: Number = Field(default=_BIDDER.timeout_s, gt=0, le=1)


class RoutingTable(Table):
    """`[routing]`, see `core.routing.options.RoutingOptions`."""

    mode: RoutingMode = _ROUTING.mode
    auto: list[Text] = Field(default_factory=list)
    answer_value_usd: AnswerValueTable = AnswerValueTable()
    rules: list[RuleTable] = Field(default_factory=list)
    bidders: list[BidderTable] = Field(default_factory=list)
    state: Text | None = None
    save_interval_s: Number = Field(default=_FILES.save_interval_s, ge=0.1, le=3600)
    log: Text | None = None
    log_max_mb: Count = Field(default=_FILES.log_max_mb, ge=1, le=65_536)
    log_keep: Count = Field(default=_FILES.log_keep, ge=0, le=1000)
