"""A simulated provider on a real port.

    async with SimulationServer(Script.of(Cut(at_token=3))) as server:
        ...  # requests to f"{server.base_url}/chat/completions"
        server.play(Stall())
        assert server.log[0].tokens_sent == 3

Closing never hangs: connections that a fault holds open are aborted.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self

import anyio
from aiohttp import web

from streamroute.simulation.fault import Fault
from streamroute.simulation.formats import PATHS
from streamroute.simulation.profile import Profile
from streamroute.simulation.provider import Provider
from streamroute.simulation.record import RequestRecord
from streamroute.simulation.script import Script

_MAX_BODY_BYTES = 64 * 1024 * 1024
"""Beyond any provider's limit, so that a test of ours meets ours first."""
_BACKLOG = 4096
"""A thousand clients may connect at once; the kernel caps it at net.core.somaxconn."""
_CLOSE_S = 2.0
"""Handlers end within a few loop rounds once their connections are aborted; this bounds the wait for them."""
_VIRTUAL_PORTS = itertools.count(20_000)
"""Loops without sockets have no free ports to ask for; below those that clients get."""


class SimulationServer:
    """Serves the paths of `simulation.formats` and `GET /v1/models`, all also without `/v1`, until it is closed."""

    def __init__(
        self,
        script: Script | Fault | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        profile: Profile | None = None,
        keep_bodies: bool = True,
    ) -> None:
        """Prepare, without opening anything.

        `script`: or a fault to play always, or None for a provider that is well. `port` 0: any free one.
        `profile`: where no whole script is given. `keep_bodies`: the log also keeps decoded bodies and headers.
        """
        self._profile = profile or (script.profile if isinstance(script, Script) else Profile())
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.AbstractServer | None = None
        self._provider = Provider(self._as_script(script), keep_bodies=keep_bodies)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        for prefix in ("/v1", ""):
            for path, wire_format in PATHS.items():
                app.router.add_post(prefix + path, partial(self._provider.chat, wire_format=wire_format))
            app.router.add_get(f"{prefix}/models", self._provider.models)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=_CLOSE_S / 4)
        await runner.setup()
        try:
            await self._listen(runner)
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self._provider.play(self._provider.script)
        return self

    async def _listen(self, runner: web.AppRunner) -> None:
        """Open the port: of the loop, whatever its network is made of; a virtual one gives no port of its own."""
        loop = asyncio.get_running_loop()
        assert runner.server is not None  # noqa: S101  set up by the caller
        if type(loop).__module__.startswith("async_solipsism"):
            self._port = self._port or next(_VIRTUAL_PORTS)
            self._listener = await loop.create_server(runner.server, self._host, self._port)
            return
        await web.TCPSite(runner, self._host, self._port, backlog=_BACKLOG).start()
        self._port = int(runner.addresses[0][1])

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop listening and end every connection, also those a fault holds. Idempotent, bounded to a few seconds."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        self._provider.is_closing = True
        with anyio.CancelScope(shield=True):
            for site in list(runner.sites):
                await site.stop()
            if self._listener is not None:
                self._listener.close()
            for request in list(self._provider.active.values()):
                if request.transport is not None:
                    request.transport.abort()
            with anyio.move_on_after(_CLOSE_S):
                while self._provider.active:
                    await self._provider.changed()
            await runner.cleanup()

    @property
    def base_url(self) -> str:
        """`http://host:port/v1`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/v1"

    @property
    def port(self) -> int:
        """The port it listens on; before it is open, the one asked for."""
        return self._port

    @property
    def log(self) -> deque[RequestRecord]:
        """The latest 10,000 chat requests, oldest first."""
        return self._provider.log

    @property
    def in_flight(self) -> int:
        """Chat requests that are going on, those that a fault holds open included."""
        return len(self._provider.active)

    @property
    def script(self) -> Script:
        """What is being played."""
        return self._provider.script

    def play(self, script: Script | Fault | None) -> None:
        """Change the behaviour for the requests to come; the script's clock and count begin anew. None: well."""
        self._provider.play(self._as_script(script))

    async def wait_until(self, condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
        """Return once `condition()` holds; it is asked whenever a request begins, is written to or ends.

        Raises TimeoutError after `timeout_s` seconds.
        """
        with anyio.fail_after(timeout_s):
            while not condition():
                await self._provider.changed()

    def _as_script(self, script: Script | Fault | None) -> Script:
        return script if isinstance(script, Script) else Script.of(script, profile=self._profile)
