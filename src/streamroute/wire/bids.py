"""What bidders are asked and what they answer, as JSON.

    asked      {"version": 1, "class": "interactive", "requirements": {"min_quality": 0.9}, "features": {...},
                "upstreams": ["a", "b"]}
    answered   {"bids": [{"upstream": "a", "quality": 0.93, "cost_usd": 0.0012, "ttft_s": 0.4}]}

The text of the question is not in it. An answer is believed as a whole or not at all; who does not want to bid for an
upstream leaves it out, and of each bid what it cannot say.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import isfinite

import orjson

from streamroute.core.routing.explain_match import explain_features, explain_requirements
from streamroute.core.routing.matching import Wanted
from streamroute.core.upstream import LatencyClass, UpstreamId
from streamroute.errors import FeedError

MAX_BYTES = 64 << 10
"""Of an answer: a hundred bytes for each upstream that a configuration can have."""
_LIMITS = {"quality": 1.0, "cost_usd": 1000.0, "ttft_s": 3600.0}
"""The fields of a bid, each from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidBid:
    """What a bidder says of one upstream; None: nothing."""

    quality: float | None = None
    cost_usd: float | None = None
    ttft_s: float | None = None


def encode_ask(wanted: Wanted, latency_class: LatencyClass, upstreams: Collection[UpstreamId]) -> bytes:
    """Write the question to a bidder."""
    return orjson.dumps(
        {
            "version": 1,
            "class": latency_class,
            "requirements": explain_requirements(wanted.requirements),
            "features": explain_features(wanted.analysis.features),
            "upstreams": sorted(upstreams),
        }
    )


def decode_bids(body: bytes, allowed: Collection[UpstreamId]) -> dict[UpstreamId, SaidBid]:
    """Read an answer; raises FeedError that says what is wrong. `allowed`: whom the bidder was asked about."""
    if len(body) > MAX_BYTES:
        raise _refused(f"it has more than {MAX_BYTES} bytes")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _refused("it is not JSON") from None
    bids = document.get("bids") if isinstance(document, dict) and document.keys() == {"bids"} else None
    if not isinstance(bids, list):
        raise _refused('it is not {"bids": [...]}')
    found: dict[UpstreamId, SaidBid] = {}
    for position, bid in enumerate(bids):
        if not isinstance(bid, dict):
            raise _refused(f"bids[{position}] is no object")
        name = bid.get("upstream")
        if not isinstance(name, str) or name not in allowed:
            raise _refused(f"bids[{position}].upstream is none that it was asked about")
        if name in found:
            raise _refused(f"bids[{position}].upstream was there before")
        found[UpstreamId(name)] = _said(position, bid)
    return found


def _said(position: int, bid: Mapping[str, object]) -> SaidBid:
    values: dict[str, float] = {}
    for key, value in bid.items():
        if key == "upstream":
            continue
        limit = _LIMITS.get(key)
        if limit is None:
            raise _refused(f"bids[{position}] has an unknown field; there are upstream, {', '.join(_LIMITS)}")
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not isinstance(value, int | float) or not is_number or not isfinite(value) or not 0 <= value <= limit:
            raise _refused(f"bids[{position}].{key} is not a number from 0 to {limit:g}")
        values[key] = float(value)
    return SaidBid(**values)


def _refused(message: str) -> FeedError:
    return FeedError(message, is_refused=True)
