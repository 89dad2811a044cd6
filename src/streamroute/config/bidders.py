"""`[[routing.bidders]]` -> `BidderOptions`."""

from urllib.parse import urlsplit

from streamroute.config.draft import Draft
from streamroute.config.locate import Path
from streamroute.config.routing_schema import BidderTable
from streamroute.config.suggestion import suggestion
from streamroute.config.validate import validate
from streamroute.feeds.options import BidderOptions, is_web


def build_bidders(draft: Draft) -> tuple[BidderOptions, ...]:
    """Return all bidders of the file; problems are reported to `draft`."""
    given = draft.table("routing").get("bidders", [])
    if not isinstance(given, list):
        draft.report(("routing", "bidders"), "expected tables such as [[routing.bidders]]")
        return ()
    known, bidders = draft.table("upstreams"), dict[str, BidderOptions]()
    for position, value in enumerate(given):
        path: Path = ("routing", "bidders", position)
        table = validate(draft, BidderTable, path, value)
        if table is None:
            continue
        if table.name in bidders:
            draft.report((*path, "name"), f"there is a bidder {draft.shown((*path, 'name'), table.name)} already")
        for place, name in enumerate(table.upstreams):
            if name not in known:
                at = (*path, "upstreams", place)
                draft.report(at, f"there is no upstream {draft.shown(at, name)}{suggestion(name, known)}")
        if not _is_usable(table.bid_url):
            message = 'expected a URL such as "https://bids.example.com/v1/bid", without user and password'
            draft.report((*path, "bid_url"), message)
        bidders[table.name] = BidderOptions(
            name=table.name, bid_url=table.bid_url, upstreams=tuple(table.upstreams), timeout_s=table.timeout_s
        )
    return tuple(bidders.values())


def _is_usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return is_web(url) and bool(parts.hostname) and parts.port != 0 and parts.username is None
    except ValueError:
        return False
