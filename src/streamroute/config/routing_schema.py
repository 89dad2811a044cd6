"""The shape of `[routing]` and of what routes require; part of `config.schema`."""

from typing import Annotated

from pydantic import Field

from streamroute.config.fields import Dollars, Number, Share, Table, Text
from streamroute.core.routing.options import ANSWER_VALUE_USD, RoutingMode, RoutingOptions

_ROUTING = RoutingOptions()


class RequirementsTable(Table):
    """`requirements` of a route, see `core.requirements.Requirements`."""

    min_quality: Share | None = None
    max_cost_usd: Annotated[Dollars, Field(gt=0, le=1_000_000, decimal_places=12)] | None = None
    max_ttft_s: Number | None = Field(default=None, gt=0, le=86_400)
    max_total_s: Number | None = Field(default=None, gt=0, le=86_400)
    domain: Text | None = None
    residency: Text | None = None


class AnswerValueTable(Table):
    """`answer_value_usd` of `[routing]`: by policy."""

    quality: Number = Field(default=ANSWER_VALUE_USD["quality"], gt=0, le=1_000_000)
    balanced: Number = Field(default=ANSWER_VALUE_USD["balanced"], gt=0, le=1_000_000)
    economy: Number = Field(default=ANSWER_VALUE_USD["economy"], gt=0, le=1_000_000)


class RoutingTable(Table):
    """`[routing]`, see `core.routing.options.RoutingOptions`."""

    mode: RoutingMode = _ROUTING.mode
    auto: list[Text] = Field(default_factory=list)
    answer_value_usd: AnswerValueTable = AnswerValueTable()
