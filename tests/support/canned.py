"""A provider that sends what it is told to, byte by byte as it is given: for formats that nobody here makes up."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import anyio
import orjson
from aiohttp import web


@dataclass(frozen=True, slots=True, kw_only=True)
class Canned:
    """One response: its blocks are sent one after another."""

    blocks: Sequence[bytes]
    status: int = 200
    content_type: str = "application/json"
    ending: str = "eof"
    """`eof`: well; `reset`: the connection breaks; `hang`: nothing more is sent until the client leaves."""


@dataclass(slots=True)
class Asked:
    """One request."""

    path: str
    headers: dict[str, str]
    body: dict[str, object]


@dataclass(slots=True)
class CannedServer:
    """Gives its responses in order, the last one for ever."""

    responses: deque[Canned] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def give(self, *responses: Canned) -> None:
        """Give these from now on."""
        self.responses = deque(responses)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append(Asked(str(request.rel_url), headers, orjson.loads(await request.read())))
        canned = self.responses.popleft() if len(self.responses) > 1 else self.responses[0]
        response = web.StreamResponse(status=canned.status, headers={"Content-Type": canned.content_type})
        await response.prepare(request)
        for block in canned.blocks:
            await response.write(block)
        if canned.ending == "reset" and request.transport is not None:
            request.transport.abort()
        elif canned.ending == "hang":
            await anyio.sleep_forever()
        return response
