"""A bidder on a real socket: answers what it is told, when it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web


class TestBidder:
    """Keeps what it was asked."""

    __test__ = False

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.body: bytes = b'{"bids": []}'
        self.status = 200
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.url = ""

    def bid(self, upstream: str, **values: object) -> None:
        """Answer with one bid from now on."""
        self.body = orjson.dumps({"bids": [{"upstream": upstream, **values}]})

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(orjson.loads(await request.read()))
        await self.may_answer.wait()
        return web.Response(body=self.body, status=self.status)

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator["TestBidder"]:
        """Listen on a free port."""
        bidder = cls()
        server = web.Server(bidder._answer)
        runner = web.ServerRunner(server)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        bidder.url = f"http://{host}:{port}/bid"
        try:
            yield bidder
        finally:
            bidder.may_answer.set()
            await runner.cleanup()
