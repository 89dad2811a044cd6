"""The load client: raw `asyncio.Protocol` connections that send one fixed request and judge every answer.

    python -m harness.load_client        in bench/: reads a `Load` a line, writes a `LoadResult` a line

A process of its own, so that what it costs can be told from what is measured. Every content chunk is looked at: its
place in the stream must be the next one, and the moment it carries gives the time it was under way.
"""

import asyncio
import gc
import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import cast

from harness.load import ANSWER, Load, LoadResult, percentile
from harness.vitals import cpu_s
from streamroute.cli.event_loop import run_on_fast_loop

SETTLE_S = 0.05
"""Between the last answer and the reading of the CPU clocks: the books of the last request are part of its cost."""
_MAX_REPORTED_FAILURES = 5
_TEXT = re.compile(rb'"content":"(\d{5}):(\d{20}) "')
_LAST_CHUNK = b"0\r\n\r\n"
_HEAD = (
    "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    "Accept: */*\r\nAuthorization: Bearer sk-bench\r\nUser-Agent: bench\r\nContent-Length: {}\r\n\r\n"
)
_QUESTION = "What does it cost to put a sidecar between an application and its providers? " * 4


def encode(load: Load) -> bytes:
    """Write the request that every connection sends."""
    body = json.dumps(
        {
            "model": load.model,
            "messages": [
                {"role": "system", "content": "You are a benchmark."},
                {"role": "user", "content": _QUESTION},
            ],
            "temperature": 0.7,
            "max_tokens": load.chunks,
            "stream": load.stream,
            "bench_delay_us": load.delay_us,
        }
    )
    return _HEAD.format(len(body)).encode() + body.encode()


class Tally:
    """What all connections of a load have seen."""

    def __init__(self) -> None:
        self.requests = self.failed = self.chunks = 0
        self.failures: list[str] = []
        self.first_ns: list[int] = []
        self.chunk_ns: list[int] = []
        self.total_ns: list[int] = []

    def fail(self, why: str) -> None:
        """Count an answer that is not whole."""
        self.failed += 1
        if len(self.failures) < _MAX_REPORTED_FAILURES:
            self.failures.append(why)


class Connection(asyncio.Protocol):
    """Sends a request and judges its answer; then says that it is free."""

    def __init__(self, request: bytes, load: Load, tally: Tally, free: Callable[["Connection"], None]) -> None:
        self._request = request
        self._load = load
        self._tally = tally
        self._free = free
        self._buffer = b""
        self._body_bytes: int | None = None
        self._has_head = self._has_finish_reason = self._is_done = False
        self._seen = 0
        self._sent_ns = 0
        self.is_busy = False
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.is_lost = True
        if self.is_busy:
            self._end(f"the connection closed after {self._seen} chunks ({exc or 'end of file'})")

    def send(self) -> None:
        """Send the request."""
        self.is_busy = True
        self._has_head = self._has_finish_reason = self._is_done = False
        self._seen = 0
        self._buffer = b""
        self._sent_ns = time.monotonic_ns()
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        at_ns = time.monotonic_ns()
        if not self.is_busy:
            self._tally.fail(f"bytes after the end of an answer: {data[:80]!r}")
            return
        buffer = self._buffer + data if self._buffer else data
        if not self._has_head:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                self._buffer = buffer
                return
            if not self._read_head(buffer[:end]):
                self._end(f"{buffer[:200]!r}")
                return
            buffer = buffer[end + 4 :]
        if self._load.stream:
            self._read_stream(buffer, at_ns)
        else:
            self._read_whole(buffer, at_ns)

    def _read_head(self, head: bytes) -> bool:
        self._has_head = True
        _, _, length = head.lower().partition(b"content-length:")
        self._body_bytes = int(length.split(b"\r\n", 1)[0]) if length else None
        return head.startswith(b"HTTP/1.1 200 ") and (self._body_bytes is None) == self._load.stream

    def _read_whole(self, buffer: bytes, at_ns: int) -> None:
        self._buffer = buffer
        if self._body_bytes is not None and len(buffer) >= self._body_bytes:
            self._tally.first_ns.append(at_ns - self._sent_ns)
            is_whole = len(buffer) == self._body_bytes and ANSWER.encode() in buffer
            self._end(None if is_whole else "another text than the provider's")

    def _read_stream(self, buffer: bytes, at_ns: int) -> None:
        """Read the whole events in the buffer; keep what follows the last one."""
        cut = buffer.rfind(b"\n\n") + 2
        if cut >= 2:
            failure = self._read_events(buffer, cut, at_ns)
            if failure is not None:
                self._end(failure)
                return
            buffer = buffer[cut:]
        self._buffer = b"" if buffer == b"\r\n" else buffer
        if buffer.endswith(_LAST_CHUNK):
            is_whole = self._is_done and self._has_finish_reason and self._seen == self._load.chunks
            what = f"done {self._is_done}, finish reason {self._has_finish_reason}, {self._seen} chunks"
            self._end(None if is_whole else f"the stream ended: {what}")

    def _read_events(self, buffer: bytes, cut: int, at_ns: int) -> str | None:
        """Follow the whole events before `cut`; return what is wrong with them."""
        chunk_ns, seen = self._tally.chunk_ns, self._seen
        for match in _TEXT.finditer(buffer, 0, cut):
            place, written_ns = match.groups()
            if int(place) != seen:
                return f"chunk {int(place)} where {seen} was to come"
            if seen == 0:
                self._tally.first_ns.append(at_ns - self._sent_ns)
            seen += 1
            chunk_ns.append(at_ns - int(written_ns))
        self._seen = seen
        if seen >= self._load.chunks:
            self._has_finish_reason |= buffer.find(b'"finish_reason":"stop"', 0, cut) >= 0
            self._is_done |= buffer.find(b"data: [DONE]\n\n", 0, cut) >= 0
        return None

    def _end(self, failure: str | None) -> None:
        self.is_busy = False
        tally = self._tally
        tally.chunks += self._seen
        if failure is None:
            tally.requests += 1
            tally.total_ns.append(time.monotonic_ns() - self._sent_ns)
        else:
            tally.fail(failure)
            self.is_lost = True
            self.transport.abort()
        self._free(self)


class Runner:
    """Performs one load."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._loop = asyncio.get_running_loop()
        self._request = encode(load)
        self._tally = Tally()
        self._connections: list[Connection] = []
        self._idle: list[Connection] = []
        self._under_way = 0
        self._is_sending = True
        self._over = asyncio.Event()
        self._until = 0.0

    async def run(self) -> LoadResult:
        """Open the connections, perform the load, close them."""
        load = self._load
        for _ in range(load.connections):
            self._idle.append(await self._open())
        gc.collect()
        gc.freeze()
        gc.disable()  # a collection would show as latency; the load ends before memory matters
        cpu_before = self._cpu_s()
        started = self._loop.time()
        self._until = started + load.seconds
        try:
            async with asyncio.timeout(load.limit_s):
                if load.rate_per_s is None:
                    self._send_on_all()
                else:
                    await self._send_at(load.rate_per_s)
                await self._over.wait()
        except TimeoutError:
            for _ in range(self._under_way):
                self._tally.fail(f"no whole answer within {load.limit_s:g} s")
        elapsed_s = self._loop.time() - started
        await asyncio.sleep(SETTLE_S)
        cpu = {name: after - cpu_before[name] for name, after in self._cpu_s().items()}
        gc.enable()
        gc.unfreeze()
        for connection in self._connections:
            connection.is_busy = False
            connection.transport.abort()
        await asyncio.sleep(SETTLE_S)
        return _result(self._tally, elapsed_s, cpu)

    async def _open(self) -> Connection:
        _, connection = await self._loop.create_connection(
            lambda: Connection(self._request, self._load, self._tally, self._free), "127.0.0.1", self._load.port
        )
        self._connections.append(connection)
        return connection

    def _send_on_all(self) -> None:
        self._under_way = len(self._idle)
        for connection in self._idle:
            connection.send()

    async def _send_at(self, rate_per_s: float) -> None:
        """Send at a steady rate, on an idle connection or a new one; late ones are sent at once, none is left out."""
        started = self._loop.time()
        for number in range(int(self._load.seconds * rate_per_s)):
            wait_s = started + number / rate_per_s - self._loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            connection = self._idle.pop() if self._idle else await self._open()
            self._under_way += 1
            connection.send()
        self._is_sending = False
        if not self._under_way:
            self._over.set()

    def _free(self, connection: Connection) -> None:
        """Take a connection back, or send its next request."""
        if self._load.rate_per_s is None:
            self._is_sending = self._loop.time() < self._until
            if self._is_sending and not connection.is_lost:
                connection.send()
                return
        if not connection.is_lost:
            self._idle.append(connection)
        self._under_way -= 1
        if not self._under_way and (not self._is_sending or self._load.rate_per_s is None):
            self._over.set()

    def _cpu_s(self) -> dict[str, float]:
        return {"client": time.process_time(), **{name: cpu_s(pid) for name, pid in self._load.cpu_of.items()}}


def _result(tally: Tally, elapsed_s: float, cpu: dict[str, float]) -> LoadResult:
    return LoadResult(
        requests=tally.requests,
        failed=tally.failed,
        failures=tally.failures,
        chunks=tally.chunks,
        elapsed_s=elapsed_s,
        cpu_s=cpu,
        first_p50_us=percentile(tally.first_ns, 0.5) / 1e3,
        first_p99_us=percentile(tally.first_ns, 0.99) / 1e3,
        chunk_p50_us=percentile(tally.chunk_ns, 0.5) / 1e3,
        chunk_p99_us=percentile(tally.chunk_ns, 0.99) / 1e3,
        total_p50_us=percentile(tally.total_ns, 0.5) / 1e3,
        total_p99_us=percentile(tally.total_ns, 0.99) / 1e3,
    )


async def perform(load: Load) -> LoadResult:
    """Perform one load on the running event loop."""
    return await Runner(load).run()


def main() -> None:
    """Perform loads until standard input ends."""
    for line in sys.stdin:
        result = run_on_fast_loop(perform, Load(**json.loads(line)))
        sys.stdout.write(json.dumps(asdict(result)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
