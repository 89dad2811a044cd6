"""A provider that costs next to nothing: what a benchmark puts behind the sidecar.

    python -m harness.mock_provider        in bench/: prints `{"port": PORT}` and serves until it is terminated

It speaks OpenAI Chat Completions on a raw `asyncio.Protocol`, with chunks encoded before the first request. What a
request asks for, by fields that a sidecar must forward:

    max_tokens        how many content chunks a stream has
    bench_delay_us    microseconds between them; 0 writes them at once, which the kernel hands on in lumps

Each chunk is one write. Its text, `00042:00001234567890123456 `, is its place in the stream and the moment it was
written (nanoseconds of the monotonic clock, which all processes of a machine share), so that a client can tell a whole
answer from any other, and how long every chunk was under way.

    GET /bench/state            {"connections", "streams"} in use, this one excluded
    POST /bench/close-idle      closes every connection that serves nothing; their number as {"closed"}
"""

import asyncio
import gc
import json
import signal
import sys
import time
from typing import Any, cast

import orjson

from streamroute.cli.event_loop import run_on_fast_loop

ANSWER = "The answer of a benchmark is always the same, so that every wrong one is noticed. " * 4
"""What an answer that does not stream says: 328 characters, about 70 tokens."""

_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_CHUNK = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1700000000, "model": "mock-1"}
_TEXT_BYTES = 27
_END = b"0\r\n\r\n"


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(delta: dict[str, str], finish_reason: str | None, *, counts_usage: bool) -> bytes:
    """Encode one chunk as OpenAI does; with `"usage": null` where usage was asked for."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    chunk: dict[str, object] = {**_CHUNK, "choices": [choice]}
    if counts_usage:
        chunk["usage"] = None
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


class _Script:
    """The bytes of a stream, for one answer to whether it counts usage."""

    def __init__(self, *, counts_usage: bool) -> None:
        first = _event({"role": "assistant", "content": ""}, None, counts_usage=counts_usage)
        self.head = _STREAM_HEAD + _http_chunk(first)
        text = "x" * _TEXT_BYTES
        self.prefix, _, self.suffix = _http_chunk(_event({"content": text}, None, counts_usage=counts_usage)).partition(
            text.encode()
        )
        self.last = [_http_chunk(_event({}, "stop", counts_usage=counts_usage))]
        if counts_usage:
            usage = {"prompt_tokens": 20, "completion_tokens": 100, "total_tokens": 120}
            counted = json.dumps({**_CHUNK, "choices": [], "usage": usage}, separators=(",", ":")).encode()
            self.last.append(_http_chunk(b"data: " + counted + b"\n\n"))
        self.last.append(_http_chunk(b"data: [DONE]\n\n") + _END)


_SCRIPTS = {counts_usage: _Script(counts_usage=counts_usage) for counts_usage in (False, True)}
_MESSAGE = {"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}
_WHOLE = json.dumps(
    {
        **_CHUNK,
        "object": "chat.completion",
        "choices": [_MESSAGE],
        "usage": {"prompt_tokens": 20, "completion_tokens": 70, "total_tokens": 90},
    },
    separators=(",", ":"),
).encode()


def _json_reply(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body


_WHOLE_REPLY = _json_reply(_WHOLE)


class MockProvider(asyncio.Protocol):
    """One connection: requests one after the other."""

    connections: set["MockProvider"] = set()  # noqa: RUF012 - all connections of the process

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._script = _SCRIPTS[False]
        self._sent = self._chunks = 0
        self._delay_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.is_streaming = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self.transport = cast(asyncio.Transport, transport)
        self.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.connections.discard(self)
        self.is_streaming = False
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        _, _, length = head.lower().partition(b"content-length:")
        size_bytes = int(length.split(b"\r\n", 1)[0]) if length else 0
        if len(rest) >= size_bytes:
            self._buffer = rest[size_bytes:]
            self._serve(head.split(b" ", 2)[1], rest[:size_bytes])

    def _serve(self, path: bytes, body: bytes) -> None:
        if path.startswith(b"/bench/"):
            self._control(path)
            return
        request: dict[str, Any] = orjson.loads(body)
        if not request.get("stream"):
            self.transport.write(_WHOLE_REPLY)
            return
        options = request.get("stream_options") or {}
        self._script = _SCRIPTS[options.get("include_usage") is True]
        self._chunks, self._sent = int(request.get("max_tokens", 100)), 0
        self._delay_s = request.get("bench_delay_us", 0) / 1e6
        self.is_streaming = True
        self.transport.write(self._script.head)
        self._next()

    def _next(self) -> None:
        """Write the next chunk, or all that remain; then the end."""
        script, write = self._script, self.transport.write
        while self._sent < self._chunks:
            write(b"%b%05d:%020d %b" % (script.prefix, self._sent, time.monotonic_ns(), script.suffix))
            self._sent += 1
            if self._delay_s and self._sent < self._chunks:
                self._timer = self._loop.call_later(self._delay_s, self._next)
                return
        for data in script.last:
            write(data)
        self.is_streaming = False

    def _control(self, path: bytes) -> None:
        others = [each for each in self.connections if each is not self]
        if path == b"/bench/close-idle":
            idle = [each for each in others if not each.is_streaming]
            for each in idle:
                each.transport.close()
            answer = {"closed": len(idle)}
        else:
            answer = {"connections": len(others), "streams": sum(each.is_streaming for each in others)}
        self.transport.write(_json_reply(json.dumps(answer).encode()))


async def _serve_until_terminated() -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stopped.set)
    server = await loop.create_server(MockProvider, "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(json.dumps({"port": server.sockets[0].getsockname()[1]}) + "\n")
    sys.stdout.flush()
    # Nothing here makes reference cycles while it serves, and a collection would show as latency.
    gc.freeze()
    gc.disable()
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    run_on_fast_loop(_serve_until_terminated)
