"""How budgets stand: those that have a name, for users' names are without number."""

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from streamroute.core.cost.budget import SpendFigures
from streamroute.core.cost.budget_line import Scope, Window
from streamroute.core.money import in_usd

MAX_BUDGETS = 500
_LABELS = ("scope", "name", "window")


def budget_families(
    budgets: Sequence[SpendFigures], refused: int, soft_limits: Mapping[tuple[Scope, Window], int]
) -> Iterable[Metric]:
    """Return the figures as metrics; `refused`: calls that were not made for want of money. `soft_limits`: how often
    one was reached."""
    limit = GaugeMetricFamily("streamroute_budget_limit_usd", "Hard limits of budgets.", labels=_LABELS)
    spent = GaugeMetricFamily("streamroute_budget_spent_usd", "What was spent in the present window.", labels=_LABELS)
    reserved = GaugeMetricFamily(
        "streamroute_budget_reserved_usd", "What calls under way may cost at most.", labels=_LABELS
    )
    for each in budgets[:MAX_BUDGETS]:
        line = each.subject.line
        labels = (line.scope, each.subject.name or "", line.window)
        limit.add_metric(labels, float(in_usd(line.limit)))
        spent.add_metric(labels, float(in_usd(each.spent)))
        reserved.add_metric(labels, float(in_usd(each.reserved)))
    yield from (limit, spent, reserved)
    yield CounterMetricFamily(
        "streamroute_over_budget_calls", "Calls that were not made because a budget did not suffice.", value=refused
    )
    reached = CounterMetricFamily(
        "streamroute_budget_soft_limits", "How often a soft limit was reached.", labels=("scope", "window")
    )
    for where, count in soft_limits.items():
        reached.add_metric(where, count)
    yield reached
