"""What the headers of a request require: the fields of `wire.requirements`, a header each."""

from collections.abc import Mapping
from typing import Any

from streamroute.core.requirements import NO_REQUIREMENTS, Requirements
from streamroute.wire.requirements import FIELDS, read

HEADERS = {
    "x-streamroute-min-quality": "min_quality",
    "x-streamroute-max-cost-usd": "max_cost_usd",
    "x-streamroute-max-ttft": "max_ttft_s",
    "x-streamroute-max-total": "max_total_s",
    "x-streamroute-domain": "domain",
    "x-streamroute-residency": "residency",
    "x-streamroute-policy": "policy",
    "x-streamroute-class": "class",
}
"""By header: the field."""


def required_by(headers: Mapping[str, str]) -> Requirements:
    """Return what headers say; raises RequestError 400 that names the header, the range and what was found."""
    values: dict[str, Any] = {}
    for header, name in HEADERS.items():
        value = headers.get(header)
        if value is not None:
            values[FIELDS[name][0]] = read(name, value, where=f"The header `{header}`")
    return Requirements(**values) if values else NO_REQUIREMENTS
