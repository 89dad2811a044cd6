"""Feeds on real files and real sockets: read, broken, slow, too large, stale."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from streamroute.clock import wall, wall_iso
from streamroute.core.cost.price_book import PriceBook
from streamroute.core.upstream import ProviderName, UpstreamId
from streamroute.feeds import source
from streamroute.feeds.feed_watch import FeedWatch
from streamroute.feeds.options import FeedOptions
from streamroute.feeds.price_feed import PriceFeed
from streamroute.telemetry.logs import configure_logs

MINI, LAB = UpstreamId("mini"), ProviderName("lab")


def document(usd: float, *, age_s: float = 0.0) -> bytes:
    prices = [{"upstream": "mini", "input_per_mtok": usd, "output_per_mtok": usd}]
    return json.dumps({"version": 1, "as_of": wall_iso(wall() - age_s), "prices": prices}).encode()


def source_of(feed: PriceFeed) -> str | None:
    """Return the source of the price that counts now."""
    book = PriceBook()
    book.spot = [prices] if (prices := feed.prices()) is not None else []
    quote = book.find(MINI, LAB, "m", None, int(wall() * 1000))
    return None if quote is None else f"{quote.source}: {float(quote.listed.input_per_mtok):g}"


def feed_of(url: str, *, objection: str | None = None, **options: Any) -> PriceFeed:
    return PriceFeed(FeedOptions(name="spot", url=url, **options), lambda _: objection)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@asynccontextmanager
async def served(handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Serve a feed on a free port."""
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/spot.json"
    finally:
        await runner.cleanup()


async def test_a_file_is_read_and_read_again(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """What it says counts at once; the same again is no news; what is broken changes nothing and is counted."""
    file = tmp_path / "spot.json"
    feed = feed_of(str(file))
    assert not await feed.read(session)
    assert feed.figures().state == "silent"
    assert feed.figures().trouble == "it cannot be read: No such file or directory"
    file.write_bytes(first := document(0.5))
    assert await feed.read(session)
    assert source_of(feed) == "feed spot: 0.5"
    assert not await feed.read(session)
    file.write_bytes(first[:-3])
    assert not await feed.read(session)
    figures = feed.figures()
    assert (figures.accepted, figures.refused, figures.unreachable, figures.prices) == (2, 1, 1, 1)
    assert (figures.trouble or "").startswith("it is not JSON")
    assert source_of(feed) == "feed spot: 0.5"
    file.write_bytes(document(0.7))
    assert await feed.read(session)
    assert (source_of(feed), feed.figures().trouble) == ("feed spot: 0.7", None)


async def test_trouble_is_logged_when_it_begins_and_ends(
    tmp_path: Path, session: aiohttp.ClientSession, capsys: pytest.CaptureFixture[str]
) -> None:
    """And when it becomes another one, but not at every read."""
    configure_logs("info", "json")
    file = tmp_path / "spot.json"
    feed = feed_of(str(file))
    await feed.read(session)
    await feed.read(session)
    file.write_bytes(b"{")
    await feed.read(session)
    await feed.read(session)
    file.write_bytes(document(1))
    await feed.read(session)
    out = capsys.readouterr()
    assert (out.out + out.err).count("price_feed.trouble") == 2
    assert (out.out + out.err).count("price_feed.recovered") == 1


async def test_what_is_out_of_proportion_or_older_is_not_believed(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """The last good prices go on counting."""
    file = tmp_path / "spot.json"
    file.write_bytes(document(1))
    absurd = feed_of(str(file), objection="mini: input_per_mtok 1 is more than 1000 times 0.0001")
    assert not await absurd.read(session)
    assert absurd.figures().refused == 1
    feed = feed_of(str(file))
    assert await feed.read(session)
    file.write_bytes(document(2, age_s=60))
    assert not await feed.read(session)
    assert feed.figures().trouble == "it is older than what was read before"
    assert source_of(feed) == "feed spot: 1"


@pytest.mark.parametrize(
    ("age_s", "action", "state", "expected"),
    [
        (0, "fall_back", "fresh", "feed spot: 1"),
        (150, "fall_back", "stale", "feed spot (stale): 1"),
        (250, "fall_back", "unused", None),
        (250, "keep", "stale", "feed spot (stale): 1"),
    ],
)
async def test_old_prices_are_marked_and_then_left(
    tmp_path: Path, session: aiohttp.ClientSession, age_s: float, action: Any, state: str, expected: str | None
) -> None:
    """By the age that the document itself tells, however often it is read."""
    file = tmp_path / "spot.json"
    file.write_bytes(document(1, age_s=age_s))
    feed = feed_of(str(file), max_age_s=100, stale_action=action)
    await feed.read(session)
    assert (feed.figures().state, source_of(feed)) == (state, expected)
    assert feed.figures().age_s == pytest.approx(age_s, abs=5)


async def test_staleness_is_logged_once(
    tmp_path: Path, session: aiohttp.ClientSession, capsys: pytest.CaptureFixture[str]
) -> None:
    """And again after the feed was fresh in between."""
    configure_logs("info", "json")
    file = tmp_path / "spot.json"
    feed = feed_of(str(file), max_age_s=100)
    for age_s in (150, 140, 0):
        file.write_bytes(document(1, age_s=age_s))
        await feed.read(session)
        feed.note_age()
    out = capsys.readouterr()
    assert (out.out + out.err).count("price_feed.stale") == 1


async def test_http_is_read(session: aiohttp.ClientSession) -> None:
    """Like a file."""

    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=document(0.25))

    async with served(handler) as url:
        feed = feed_of(url)
        assert await feed.read(session)
        assert source_of(feed) == "feed spot: 0.25"


async def test_http_that_fails_is_counted(session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error status, a redirect, a body that is cut, one that drips for ever, one that never ends, nobody there."""
    monkeypatch.setattr(source, "TIMEOUT_S", 0.2)
    monkeypatch.setattr(source, "MAX_BYTES", 1000)
    gone = asyncio.Event()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        match request.query["how"]:
            case "error":
                return web.Response(status=503)
            case "redirect":
                return web.Response(status=302, headers={"location": "/elsewhere"})
            case "cut":
                reply = web.StreamResponse(headers={"content-length": "500"})
                await reply.prepare(request)
                await reply.write(b"{")
                assert request.transport is not None
                request.transport.abort()
                return reply
            case "large":
                return web.Response(body=b" " * 2000)
        reply = web.StreamResponse()
        await reply.prepare(request)
        await reply.write(b"{")
        await gone.wait()
        return reply

    async with served(handler) as url:
        expected = {
            "error": "HTTP 503",
            "redirect": "HTTP 302",
            "cut": "ClientPayloadError",
            "slow": "no answer within",
        }
        for how, trouble in expected.items():
            feed = feed_of(f"{url}?how={how}")
            assert not await feed.read(session)
            figures = feed.figures()
            assert (figures.trouble or "").startswith(trouble)
            assert (figures.unreachable, figures.refused) == (1, 0)
        large = feed_of(f"{url}?how=large")
        assert not await large.read(session)
        assert large.figures().refused == 1
        gone.set()
    feed = feed_of(url)
    assert not await feed.read(session)
    assert (feed.figures().trouble or "").startswith("ClientConnectorError")


async def test_a_feed_that_is_no_more_configured_is_no_more_believed(tmp_path: Path) -> None:
    """One that stays as it is keeps what it has heard."""
    files = [tmp_path / name for name in ("a.json", "b.json")]
    for file in files:
        file.write_bytes(document(1))
    options = [FeedOptions(name=file.stem, url=str(file)) for file in files]
    watch = FeedWatch(options, object_to=lambda _: None, changed=lambda: None)
    try:
        await watch.open()
        assert [each.name for each in watch.prices()] == ["a", "b"]
        watch.apply(options[1:])
        assert [each.name for each in watch.prices()] == ["b"]
        assert watch.next_change_ms(0) is not None
    finally:
        await watch.aclose()
