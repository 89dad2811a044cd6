"""Where live prices come from."""

from dataclasses import dataclass
from typing import Literal

StaleAction = Literal["fall_back", "keep"]


def is_web(url: str) -> bool:
    """Say whether it is fetched over HTTP; else it is a file."""
    return url.startswith(("http://", "https://"))


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedOptions:
    """One feed."""

    name: str
    url: str
    """`http://`, `https://`, or the path of a file."""
    poll_interval_s: float = 60.0
    """Seconds between the end of one read and the next, 1..3600. 60 s: spot markets of computing time move by the
    minute at most (AWS EC2 tells the change of spot prices every few minutes)."""
    max_age_s: float = 300.0
    """Seconds from the document's `as_of` until its prices are stale, 1..604800. Five reads may fail before."""
    stale_action: StaleAction = "fall_back"
    """What is done with stale prices. `fall_back`: they count, marked, for another `max_age_s`, then the configured
    ones do. `keep`: they count, marked, until the feed says something new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BidderOptions:
    """Somebody outside who says what upstreams offer a request."""

    name: str
    bid_url: str
    """`http://` or `https://`."""
    upstreams: tuple[str, ...]
    """Whom it may bid for; never empty."""
    timeout_s: float = 0.05
    """How long a request waits for it, above 0, at most 1. 50 ms: a tenth of a quick first token."""
