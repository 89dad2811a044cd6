"""aiohttp in virtual time: an event loop whose clock jumps and whose connections are in memory."""

import asyncio
import math
from collections.abc import Coroutine
from typing import Any

import aiohttp
import async_solipsism  # type: ignore[import-untyped]
from aiohttp.client_proto import ResponseHandler

from streamroute.providers.aiohttp_transport import _Connector


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
    """Return a loop whose clock never stops short of a timer.

    The package's own rounds to the nearest microsecond and lets timers fire one early; whoever then sees that it is not
    time yet and waits again would do so for ever, for time stands still meanwhile.
    """
    loop = async_solipsism.EventLoop()
    clock = loop._selector.clock  # noqa: SLF001 - the package has no other way to it

    def advance(delta_s: float) -> None:
        clock._ticks += math.ceil(delta_s / clock.resolution)  # noqa: SLF001

    clock.advance = advance
    loop._clock_resolution = 1e-9  # noqa: SLF001
    return loop  # type: ignore[no-any-return]


def stand_still(for_s: float) -> None:
    """Let time pass without anything happening, as a call that blocks the running virtual loop does."""
    loop: Any = asyncio.get_running_loop()
    loop._selector.clock.advance(for_s)  # noqa: SLF001 - see above
