"""The processes of a benchmark: provider, load client, sidecar; started, asked, pinned and stopped.

On two cores or more the sidecar has one to itself; provider, client and driver share another. Otherwise the client's
work would be measured as the sidecar's latency.
"""

import json
import os
import re
import resource
import select
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from harness.load import Load, LoadResult

BENCH = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0

_CONFIG = """\
version = 1
[log]
level = "info"
[providers.mock]
kind = "openai_compatible"
base_url = "http://127.0.0.1:{port}/v1"
[upstreams.mock]
provider = "mock"
model = "mock-1"
[routes.bench]
upstreams = ["mock"]
"""


class BenchError(Exception):
    """The benchmark could not be run."""


def pin_driver() -> int | None:
    """Keep this process, and those it starts, to one core; return another for the sidecar, None where there is none."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return None
    os.sched_setaffinity(0, {cores[0]})
    return cores[1]


def raise_file_limit(wanted: int) -> int:
    """Let this process, and those it starts, open `wanted` files; return the limit in force. Raises BenchError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raise BenchError(f"{wanted} open files are needed, {soft} allowed: raise the hard limit (`ulimit -Hn`)")
    return soft


@contextmanager
def running(arguments: list[str], *, core: int | None = None, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a Python process from `bench/` until the block is left; then terminate it, or kill it if it lingers."""
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, cwd=BENCH, text=True, **options) as process:
        try:
            if core is not None and hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(process.pid, {core})
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()


class Provider:
    """The mock provider's process."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.pid = process.pid
        self.port = port

    def state(self) -> dict[str, int]:
        """Return its connections and streams."""
        return self._ask("GET", "/bench/state")

    def close_idle(self) -> int:
        """Close the connections that serve nothing; return how many there were."""
        return self._ask("POST", "/bench/close-idle")["closed"]

    def _ask(self, method: str, path: str) -> dict[str, int]:
        answer = fetch_json(f"http://127.0.0.1:{self.port}{path}", method=method)
        return {str(name): int(value) for name, value in answer.items()}


@contextmanager
def mock_provider() -> Iterator[Provider]:
    """Run a mock provider."""
    with running(["-m", "harness.mock_provider"], stdout=subprocess.PIPE) as process:
        yield Provider(process, _read_json(process, START_TIMEOUT_S)["port"])


class LoadClient:
    """The load client's process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, load: Load, *, each: Callable[[], None] | None = None, every_s: float = 0.1) -> LoadResult:
        """Perform a load; meanwhile call `each` again and again."""
        if self._process.stdin is None:
            raise BenchError("the load client has no standard input")
        self._process.stdin.write(json.dumps(asdict(load)) + "\n")
        self._process.stdin.flush()
        deadline = time.monotonic() + load.limit_s + load.seconds + START_TIMEOUT_S
        while not _is_readable(self._process.stdout, every_s if each is not None else load.limit_s):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BenchError("the load client does not answer")
            if each is not None:
                each()
        return LoadResult(**_read_json(self._process, START_TIMEOUT_S))


@contextmanager
def load_client() -> Iterator[LoadClient]:
    """Run a load client."""
    arguments = ["-m", "harness.load_client"]
    with running(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield LoadClient(process)


class Sidecar:
    """A sidecar's process."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.pid = process.pid
        self.port = port

    def status(self) -> dict[str, Any]:
        """Return its `/status`."""
        return fetch_json(f"http://127.0.0.1:{self.port}/status")


@contextmanager
def sidecar(provider: Provider, *, core: int | None, module: str = "streamroute") -> Iterator[Sidecar]:
    """Run `streamroute serve` in front of the provider, or another module that takes the same arguments."""
    with tempfile.TemporaryDirectory() as name:
        config, log = Path(name) / "config.toml", Path(name) / "log"
        config.write_text(_CONFIG.format(port=provider.port))
        arguments = ["-m", module, "serve", "--config", str(config), "--listen", "127.0.0.1:0"]
        environ = {**os.environ, "XDG_STATE_HOME": name}  # the ledger is measured too, and goes with the folder
        with (
            log.open("w") as stderr,
            running(arguments, core=core, stdout=subprocess.PIPE, stderr=stderr, env=environ) as process,
        ):
            yield Sidecar(process, _await_port(process, log))


def fetch_json(url: str, *, method: str = "GET") -> dict[str, Any]:
    """Return a JSON document from loopback."""
    request = urllib.request.Request(url, method=method)  # noqa: S310 - our own processes, on loopback
    with urllib.request.urlopen(request, timeout=10.0) as reply:  # noqa: S310
        answer: dict[str, Any] = json.load(reply)
    return answer


def wait_until(is_so: Callable[[], bool], timeout_s: float) -> bool:
    """Ask until the answer is yes or the time is over; return the last answer."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def read_line(process: subprocess.Popen[str], timeout_s: float) -> str:
    """Return the next line of the process's standard output; raises BenchError where none comes."""
    if process.stdout is None or not _is_readable(process.stdout, timeout_s):
        raise BenchError(f"no answer from {process.args!r} within {timeout_s:g} s")
    line = process.stdout.readline()
    if not line:
        raise BenchError(f"{process.args!r} has ended")
    return line


def _read_json(process: subprocess.Popen[str], timeout_s: float) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(read_line(process, timeout_s))
    return answer


def _is_readable(stream: IO[str] | None, timeout_s: float) -> bool:
    return bool(stream is not None and select.select([stream], [], [], timeout_s)[0])


def _await_port(process: subprocess.Popen[str], log: Path) -> int:
    """Return the port that the sidecar has announced."""
    found: list[int] = []

    def is_announced() -> bool:
        match = re.search(r"listens on http://127\.0\.0\.1:(\d+)", log.read_text())
        found.extend([int(match[1])] if match else [])
        return bool(found) or process.poll() is not None

    wait_until(is_announced, START_TIMEOUT_S)
    if not found:
        raise BenchError(f"the sidecar did not start:\n{log.read_text()[-2000:]}")
    return found[0]
