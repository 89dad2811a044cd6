"""aiohttp in virtual time: an event loop whose clock jumps and whose connections are in memory."""

import asyncio
import math
import selectors
from collections.abc import Coroutine
from typing import Any

import aiohttp
import async_solipsism  # type: ignore[import-untyped]
from aiohttp.client_proto import ResponseHandler
from async_solipsism.socket import Socket  # type: ignore[import-untyped]

from streamroute.providers.aiohttp_transport import _Connector

_FOR_EVER_S = 24 * 3600
"""What asyncio waits at most, however far off the next timer is (`base_events.MAXIMUM_SELECT_TIMEOUT`)."""


class VirtualConnector(_Connector):
    """Connects within the loop, and tells the product's exchanges so; aiohttp's own way needs real sockets."""

    async def _wrap_create_connection(
        self, *args: Any, addr_infos: Any, req: Any, **kwargs: Any
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        host, port = addr_infos[0][4][:2]
        try:
            return await self._loop.create_connection(args[0], host, port)
        except OSError as error:
            raise aiohttp.ClientConnectorError(req.connection_key, error) from error


def connector() -> aiohttp.TCPConnector:
    """Return a connector without a limit, for the running virtual loop."""
    return VirtualConnector(limit=0, resolver=_Nowhere())


class _Nowhere(aiohttp.abc.AbstractResolver):
    """Takes every host for this one."""

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[Any]:
        return [{"hostname": host, "host": host, "port": port, "family": 2, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        return None


def run_virtually(main: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end on a loop of its own, as fast as the machine can."""
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(main)


def _new_loop() -> asyncio.AbstractEventLoop:
    """Return a loop whose clock never stops short of a timer, and that looks for what is ready without detours.

    The package's own clock rounds to the nearest microsecond and lets timers fire one early; whoever then sees that it
    is not time yet and waits again would do so for ever, for time stands still meanwhile. Its own look at the sockets
    took three quarters of a run.
    """
    loop = async_solipsism.EventLoop()
    selector = loop._selector  # noqa: SLF001 - the package has no other way to it
    clock = selector.clock

    def advance(delta_s: float) -> None:
        clock._ticks += math.ceil(delta_s / clock.resolution)  # noqa: SLF001

    def select(timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = []
        for key in selector._fd_to_key.values():  # noqa: SLF001
            socket, wanted = key.fd.socket, key.events
            if wanted == selectors.EVENT_READ and type(socket) is Socket:  # all but a few
                queue = socket._read_queue  # noqa: SLF001
                if queue is None or queue._buffer or queue._eof:  # noqa: SLF001
                    ready.append((key, selectors.EVENT_READ))
                continue
            events = wanted & selectors.EVENT_READ and socket.read_ready() and selectors.EVENT_READ
            events |= wanted & selectors.EVENT_WRITE and socket.write_ready() and selectors.EVENT_WRITE
            if events:
                ready.append((key, events))
        if not ready:
            if timeout is None or timeout >= _FOR_EVER_S:
                raise async_solipsism.SleepForeverError("nothing will ever happen: no timer, and no socket is ready")
            if timeout > 0:
                advance(timeout)
        return ready

    clock.advance, selector.select = advance, select
    loop._clock_resolution = 1e-9  # noqa: SLF001
    return loop  # type: ignore[no-any-return]
