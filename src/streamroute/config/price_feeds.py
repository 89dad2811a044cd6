"""`[[price_feeds]]` -> `FeedOptions`."""

from urllib.parse import urlsplit

from streamroute.config.draft import Draft
from streamroute.config.locate import Path
from streamroute.config.schema import FeedTable
from streamroute.config.validate import validate
from streamroute.feeds.options import FeedOptions, is_web


def build_price_feeds(draft: Draft) -> tuple[FeedOptions, ...]:
    """Return all feeds of the file; problems are reported to `draft`."""
    given = draft.tree.get("price_feeds", [])
    if not isinstance(given, list):
        draft.report(("price_feeds",), "expected tables such as [[price_feeds]]")
        return ()
    feeds: dict[str, FeedOptions] = {}
    for index, value in enumerate(given):
        path: Path = ("price_feeds", index)
        table = validate(draft, FeedTable, path, value)
        if table is None:
            continue
        if table.name in feeds:
            draft.report((*path, "name"), f"there is a feed {draft.shown((*path, 'name'), table.name)} already")
        if table.max_age_s < table.poll_interval_s:
            draft.report((*path, "max_age_s"), f"is less than poll_interval_s, {table.poll_interval_s:g} s")
        feeds[table.name] = FeedOptions(
            name=table.name,
            url=_url(draft, (*path, "url"), table.url),
            poll_interval_s=table.poll_interval_s,
            max_age_s=table.max_age_s,
            stale_action=table.stale_action,
        )
    return tuple(feeds.values())


def _url(draft: Draft, path: Path, given: str) -> str:
    if not is_web(given):
        if "://" in given:
            draft.report(path, 'expected "http://...", "https://..." or the path of a file')
        return str(draft.file.absolute().parent / given)
    try:
        parts = urlsplit(given)
        is_usable = bool(parts.hostname) and parts.port != 0 and parts.username is None
    except ValueError:
        is_usable = False
    if not is_usable:
        draft.report(path, 'expected a URL such as "https://prices.example.com/spot.json", without user and password')
    return given
