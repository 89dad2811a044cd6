"""A client that sends any bytes and reads replies one by one, strictly: what no HTTP library would let us do."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson

TIMEOUT_S = 8.0
"""For one whole conversation."""
CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
MODELS = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n"
GOOD = orjson.dumps({"model": "chat", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2})


def post(body: bytes, extra: bytes = b"") -> bytes:
    """Return a chat request with this body."""
    return CHAT + extra + b"Content-Length: %d\r\n\r\n" % len(body) + body


@dataclass(frozen=True, slots=True)
class RawReply:
    """One response, its body without the framing."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return orjson.loads(self.body)


class RawClient:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    @asynccontextmanager
    async def connected(cls, host: str, port: int, *, read_limit_bytes: int = 65536) -> AsyncIterator["RawClient"]:
        """Connect; closed on the way out."""
        reader, writer = await asyncio.open_connection(host, port, limit=read_limit_bytes)
        try:
            yield cls(reader, writer)
        finally:
            writer.transport.abort()

    async def send(self, raw: bytes) -> None:
        """Send as far as the other side takes it: it may refuse, and close, before it has read everything."""
        try:
            self.writer.write(raw)
            await self.writer.drain()
        except ConnectionError:
            pass

    async def head(self) -> tuple[int, Mapping[str, str]] | None:
        """Read a status line and headers, informational responses skipped; None where the connection was closed."""
        try:
            while True:
                raw = await self.reader.readuntil(b"\r\n\r\n")
                status_line, *lines = raw[:-4].split(b"\r\n")
                version, status = status_line.split(b" ")[:2]
                assert version.startswith(b"HTTP/"), status_line
                if int(status) >= 200:
                    break
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise
            return None
        except ConnectionError:
            return None
        pairs = [line.partition(b":") for line in lines]
        return int(status), {name.decode().lower(): value.strip().decode("latin-1") for name, _, value in pairs}

    async def reply(self) -> RawReply | None:
        """Read one whole response by HTTP's rules; None where the connection was closed instead."""
        found = await self.head()
        if found is None:
            return None
        status, headers = found
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while chunk := await self.chunk():
                body += chunk
        elif "content-length" in headers:
            body = await self.reader.readexactly(int(headers["content-length"]))
        elif status == 204:
            body = b""
        else:
            body = await self.reader.read()
        return RawReply(status, headers, body)

    async def chunk(self) -> bytes:
        """Read one HTTP chunk; empty: the last one."""
        size = int(await self.reader.readline(), 16)
        data = await self.reader.readexactly(size)
        assert await self.reader.readexactly(2) == b"\r\n"
        return data


async def talk(host: str, port: int, raw: bytes, *, half_close: bool = False) -> RawReply | None:
    """Send bytes on a connection of their own and read one reply; None where it was closed without one."""
    async with asyncio.timeout(TIMEOUT_S), RawClient.connected(host, port) as client, asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(client.send(raw))
        if half_close:
            await sending
            client.writer.write_eof()
        reply = await client.reply()
        sending.cancel()
    return reply
