"""A sidecar made from a configuration file: in this process, or as `streamroute serve` in one of its own.

async with SimulationServer(Stall()) as a, sidecar(tmp_path, {"a": a}, server={"keepalive_s": 0.05}) as app:
    ...                                                     # requests to f"{app.url}/v1"

config = write_config(tmp_path, {"a": a}, routes={"chat": ["a"]})
async with ServeProcess.start(config) as serve:
    ...                                                     # serve.url, serve.terminate(), await serve.exit_code()
"""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from streamroute.app import App
from streamroute.config.load import load_config
from streamroute.simulation.server import SimulationServer

Table = Mapping[str, object]
Upstreams = Mapping[str, SimulationServer | str]
"""Simulated providers, or the base URLs of other ones, by the name that provider and upstream both get."""

READY_S = 15.0
"""Far above the real figure: a busy machine is not a failure."""
_STDERR_BYTES = 1 << 24
_ANNOUNCED = re.compile(r"streamroute listens on (http://\S+)")


def write_config(
    directory: Path,
    upstreams: Upstreams,
    *,
    routes: Mapping[str, Sequence[str]] | None = None,
    server: Table | None = None,
    route: Table | None = None,
    provider: Table | None = None,
    log: Table | None = None,
    name: str = "streamroute.toml",
) -> Path:
    """Write a configuration and return its path.

    `routes`: upstreams by route; by default all are on `chat`. `route` and `provider` hold further keys for each.
    Upstream `a` asks for `model-a`.
    """
    lines = ["version = 1", *_table("server", {"listen": "127.0.0.1:0", **(server or {})}), *_table("log", log or {})]
    for each, where in upstreams.items():
        base_url = where if isinstance(where, str) else where.base_url
        options = {"kind": "openai_compatible", "base_url": base_url, **(provider or {})}
        lines += _table(f"providers.{each}", options)
        lines += _table(f"upstreams.{each}", {"provider": each, "model": f"model-{each}"})
    for each, listed in (routes or {"chat": list(upstreams)}).items():
        lines += _table(f"routes.{each}", {"upstreams": list(listed), **(route or {})})
    path = directory / name
    path.write_text("\n".join(lines) + "\n")
    return path


@asynccontextmanager
async def sidecar(
    directory: Path,
    upstreams: Upstreams,
    *,
    routes: Mapping[str, Sequence[str]] | None = None,
    route: Table | None = None,
    environ: Mapping[str, str] | None = None,
    **server: object,
) -> AsyncIterator[App]:
    """Run an app in this process; `server` are keys of `[server]`."""
    path = write_config(directory, upstreams, routes=routes, route=route, server=server)
    async with App(load_config(path, environ=environ or {})) as app:
        yield app


class ServeProcess:
    """A running `streamroute serve`; what it says on stderr is in `lines` as far as it was read."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []
        self.url = ""

    @classmethod
    @asynccontextmanager
    async def start(
        cls, config: Path | None, *arguments: str, environ: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> AsyncIterator["ServeProcess"]:
        """Start on a free port and wait until it listens; stopped, by force if need be, on the way out."""
        serve = await cls.spawn(config, "--listen", "127.0.0.1:0", *arguments, environ=environ, cwd=cwd)
        try:
            line = await serve.says(_ANNOUNCED, timeout_s=READY_S)
            serve.url = _ANNOUNCED.findall(line)[0]
            yield serve
        finally:
            await serve.aclose()

    @classmethod
    async def spawn(
        cls, config: Path | None, *arguments: str, environ: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> "ServeProcess":
        """Start without waiting; the caller has to call `aclose`."""
        files = () if config is None else ("--config", str(config))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "streamroute",
            "serve",
            *files,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "NO_COLOR": "1", **(environ or {})},
            cwd=cwd,
            limit=_STDERR_BYTES,
        )
        return cls(process)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def stderr(self) -> str:
        """What was read of stderr."""
        return "\n".join(self.lines)

    async def says(self, pattern: str | re.Pattern[str], timeout_s: float = 5.0) -> str:
        """Read stderr up to a line that contains `pattern`, and return that line."""
        assert self._process.stderr is not None
        async with asyncio.timeout(timeout_s):
            while line := await self._process.stderr.readline():
                self.lines.append(line.decode().rstrip("\n"))
                if re.search(pattern, self.lines[-1]):
                    return self.lines[-1]
        raise AssertionError(f"it never said {pattern!r}:\n{self.stderr}")

    async def exit_code(self, timeout_s: float = 10.0) -> int:
        """Read stderr to its end, wait for the process and return its exit code."""
        assert self._process.stderr is not None
        async with asyncio.timeout(timeout_s):
            rest = await self._process.stderr.read()
            self.lines += rest.decode().splitlines()
            return await self._process.wait()

    def terminate(self) -> None:
        """Ask it to drain."""
        self._process.send_signal(signal.SIGTERM)

    def interrupt(self) -> None:
        """Do as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def reload(self) -> None:
        """Ask it to read its configuration again."""
        self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """End it with no chance to tidy up."""
        self._process.kill()

    async def aclose(self) -> None:
        """Stop it, if it is still running, and reap it."""
        if self._process.returncode is None:
            self.kill()
        await self.exit_code()


def _table(name: str, values: Table) -> list[str]:
    return [f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in values.items())] if values else []


def _toml(value: object) -> str:
    """Write a value; JSON's strings, numbers, booleans and arrays are TOML's."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)
