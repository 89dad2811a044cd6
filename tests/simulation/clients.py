"""A raw socket client: it sees every byte and every way in which a connection ends."""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import Any

from streamroute.simulation.server import SimulationServer

PROMPT = "What is the colour of the sea?"


@dataclass
class RawAnswer:
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    """With the chunked transfer coding removed."""
    blocks: int = 0
    """HTTP chunks."""
    end: str = "open"
    """`open` (we gave up waiting), `eof` (complete by HTTP's rules), `close` (FIN too early), `reset`."""

    @property
    def events(self) -> list[str]:
        """The data of each `data:` line."""
        return [line[6:] for line in self.body.decode("utf-8", "replace").split("\n") if line.startswith("data: ")]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [json.loads(event) for event in self.events if event != "[DONE]"]

    @property
    def text(self) -> str:
        return "".join(
            choice["delta"].get("content") or "" for chunk in self.chunks for choice in chunk.get("choices", ())
        )

    @property
    def finish_reasons(self) -> list[str]:
        return [c["finish_reason"] for chunk in self.chunks for c in chunk["choices"] if c["finish_reason"]]

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)


def chat(prompt: str = PROMPT, *, stream: bool = False, **fields: Any) -> dict[str, Any]:
    return {"model": "sim-1", "stream": stream, "messages": [{"role": "user", "content": prompt}], **fields}


async def ask(
    server: SimulationServer,
    body: dict[str, Any] | bytes,
    *,
    patience_s: float = 5.0,
    headers: dict[str, str] | None = None,
    until: bytes | None = None,
) -> RawAnswer:
    """Send one request; read to the end, for `patience_s`, or until the bytes `until` have arrived."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    answer = RawAnswer()
    try:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n{extra}\r\n"
        writer.write(head.encode() + data)
        async with asyncio.timeout(patience_s):
            await _read(reader, answer, until)
    except TimeoutError:
        answer.end = "open"
    except asyncio.IncompleteReadError as error:
        answer.body += error.partial
        answer.end = "close"
    except ConnectionResetError:
        answer.end = "reset"
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return answer


async def _read(reader: asyncio.StreamReader, answer: RawAnswer, until: bytes | None) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    status_line, *lines = head.decode().strip().split("\r\n")
    answer.status = int(status_line.split()[1])
    answer.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    if answer.headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            answer.body += (await reader.readexactly(size + 2))[:-2]
            answer.blocks += 1
            if until is not None and until in answer.body:
                return
        await reader.readexactly(2)
    else:
        left = int(answer.headers["content-length"])
        while left:
            block = await reader.read(left)
            if not block:
                raise asyncio.IncompleteReadError(b"", left)
            answer.body += block
            left -= len(block)
    answer.end = "eof"
