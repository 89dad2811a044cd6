"""What people ask of the ledger, on the command line and over HTTP, as a `UsageQuery`."""

from collections.abc import Mapping, Sequence
from typing import cast

from streamroute.core.cost.report import FILTERS, GROUPINGS, Grouping, UsageQuery
from streamroute.wire.moments import moment_ms, span_s


class QueryError(ValueError):
    """A part of the question cannot be understood."""

    def __init__(self, part: str, message: str) -> None:
        super().__init__(message)
        self.part = part
        """`by`, `since`, ..."""


def usage_query(
    now_ms: int,
    *,
    by: str,
    since: str | None = None,
    until: str | None = None,
    only: Mapping[str, Sequence[str]] | None = None,
    baseline: str | None = None,
    is_waste_told: bool = False,
) -> UsageQuery:
    """Read what was written; raises QueryError. In `only` an empty value stands for those without one."""
    return UsageQuery(
        by=_groupings(by),
        since_ms=0 if since is None else _moment_ms("since", since, now_ms),
        until_ms=None if until is None else _moment_ms("until", until, now_ms),
        only={_filter(name): tuple(each or None for each in values) for name, values in (only or {}).items() if values},
        baseline=baseline or None,
        is_waste_told=is_waste_told,
    )


def _groupings(text: str) -> tuple[Grouping, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in GROUPINGS:
            raise QueryError("by", f"{name!r} is none of {', '.join(GROUPINGS)}")
    return tuple(cast(Grouping, name) for name in dict.fromkeys(names))


def _filter(name: str) -> Grouping:
    if name not in FILTERS:
        raise QueryError(name, f"{name!r} is none of {', '.join(FILTERS)}")
    return name


def _moment_ms(part: str, text: str, now_ms: int) -> int:
    ago_s, moment = span_s(text), moment_ms(text)
    if ago_s is not None:
        return now_ms - ago_s * 1000
    if moment is None:
        raise QueryError(part, f"{text[:100]!r} is neither 24h, 7d nor a date")
    return moment
