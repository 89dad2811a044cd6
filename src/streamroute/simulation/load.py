"""Real streaming clients that know what they should receive, against any OpenAI-compatible base URL.

Prompts are unique and seeded, so every answer has a text of its own; each result says what was lost or repeated.
Time is loop time; the load is bounded by a count of requests and by seconds.
"""

import math
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

import aiohttp
import anyio
import orjson

from streamroute import clock
from streamroute.simulation.seeded import fraction, token_hex
from streamroute.simulation.text import verify

_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """What load to make."""

    model: str
    requests: int = 100
    """How many at most; at least 1."""
    concurrency: int = 10
    """Clients that each send the next request when theirs is answered; where `rate` is given, the most at once."""
    rate: float | None = None
    """Requests a second, with seeded exponential gaps (a Poisson process); None: as fast as the clients go."""
    stream: bool = True
    tokens: int = 16
    """`max_tokens` of every request, 1 to 9999."""
    seed: int = 0
    duration_s: float = 300.0
    """No request begins after this time. Five minutes: a forgotten load must end."""
    timeout_s: float = 60.0
    """For one request as a whole."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Sent with each request, such as Authorization."""

    def __post_init__(self) -> None:
        if self.requests < 1 or self.concurrency < 1:
            raise ValueError("requests and concurrency must be at least 1")
        if self.rate is not None and self.rate <= 0:
            raise ValueError(f"rate must be above 0, not {self.rate}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What one client received."""

    index: int
    prompt: str = field(repr=False)
    started_at: float
    """Loop seconds."""
    duration_s: float
    ttft_s: float | None
    """Seconds from the start to the first content; None: none came."""
    status: int | None
    """None: no response."""
    text: str = field(repr=False)
    error: str | None
    """What the client saw go wrong, in words; None: nothing."""
    is_complete: bool
    """A finish reason arrived, and no error."""
    lost_chars: int
    """Of the expected text. Honest failures lose text too: see `is_complete`."""
    repeated_chars: int
    upstream: str | None
    """The `x-streamroute-upstream` header."""
    attempts: int | None
    """The `x-streamroute-attempts` header."""
    request_id: str | None = None
    """The `x-request-id` header: by it what a sidecar observed is found."""

    @property
    def is_exact(self) -> bool:
        """Complete, and exactly the text that was asked for."""
        return self.is_complete and not self.lost_chars and not self.repeated_chars


async def run_load(
    base_url: str, options: LoadOptions, on_result: Callable[[LoadResult], None] | None = None
) -> list[LoadResult]:
    """Make the load and return every result, in the order of their ends. `on_result` is told each as it ends.

    `base_url` ends in `/v1`. Failures are results, never exceptions.
    """
    results: list[LoadResult] = []

    def note(result: LoadResult) -> None:
        results.append(result)
        if on_result is not None:
            on_result(result)

    ends_at = clock.now() + options.duration_s
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:
        client = _Client(session, f"{base_url.rstrip('/')}/chat/completions", options)
        indices = iter(range(options.requests))
        limiter = anyio.CapacityLimiter(options.concurrency)

        async def closed_loop() -> None:
            for index in indices:
                if clock.now() >= ends_at:
                    return
                note(await client.ask(index))

        async def one(index: int) -> None:
            async with limiter:
                note(await client.ask(index))

        async with anyio.create_task_group() as clients:
            if options.rate is None:
                for _ in range(min(options.concurrency, options.requests)):
                    clients.start_soon(closed_loop)
            else:
                due = clock.now()
                for index in indices:
                    await anyio.sleep(max(0.0, due - clock.now()))
                    if due >= ends_at:
                        break
                    clients.start_soon(one, index)
                    due -= math.log(1 - fraction(options.seed, "gap", index)) / options.rate
    return results


class _Client:
    def __init__(self, session: aiohttp.ClientSession, url: str, options: LoadOptions) -> None:
        self._session = session
        self._url = url
        self._options = options

    async def ask(self, index: int) -> LoadResult:
        options = self._options
        prompt = f"Question {index} of load {token_hex(options.seed, index)}"
        got = _Received(started_at=clock.now())
        try:
            with anyio.fail_after(options.timeout_s):
                await self._exchange(prompt, got)
        except TimeoutError:
            got.error = f"no end after {options.timeout_s:g} s"
        except (aiohttp.ClientError, OSError) as error:
            got.error = f"{type(error).__name__}: {error}"
        check = verify(prompt, options.tokens, got.text)
        is_complete = got.error is None and got.finish_reason is not None
        return LoadResult(
            index=index,
            prompt=prompt,
            started_at=got.started_at,
            duration_s=clock.now() - got.started_at,
            ttft_s=got.ttft_s,
            status=got.status,
            text=got.text,
            error=got.error if got.error or is_complete else "the answer ended without a finish reason",
            is_complete=is_complete,
            lost_chars=check.lost_chars,
            repeated_chars=check.repeated_chars,
            upstream=got.headers.get("x-streamroute-upstream"),
            attempts=_integer(got.headers.get("x-streamroute-attempts")),
            request_id=got.headers.get("x-request-id"),
        )

    async def _exchange(self, prompt: str, got: "_Received") -> None:
        options = self._options
        body = {
            "model": options.model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": options.tokens,
            "stream": options.stream,
        }
        headers = {"Content-Type": "application/json"} | dict(options.headers)
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._session.post(self._url, data=orjson.dumps(body), headers=headers, timeout=timeout) as response:
            got.status, got.headers = response.status, {k.lower(): v for k, v in response.headers.items()}
            if response.status != 200 or not options.stream:
                got.take_whole(await response.read())
                if response.status != 200:
                    got.error = f"HTTP {response.status}: {got.error}"
                return
            async with aclosing(_events(response)) as events:
                async for event in events:
                    got.take_event(event)


@dataclass(slots=True, kw_only=True)
class _Received:
    started_at: float
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[str] = field(default_factory=list)
    ttft_s: float | None = None
    finish_reason: str | None = None
    error: str | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def take_event(self, data: bytes) -> None:
        if data != b"[DONE]":
            self._take(data, "delta")

    def take_whole(self, data: bytes) -> None:
        self._take(data, "message")

    def _take(self, data: bytes, part: str) -> None:
        try:
            decoded = orjson.loads(data)
            if "error" in decoded:
                self.error = self.error or str(decoded["error"].get("message"))
                return
            for choice in decoded["choices"]:
                content = choice[part].get("content")
                if content:
                    if self.ttft_s is None:
                        self.ttft_s = clock.now() - self.started_at
                    self.pieces.append(content)
                self.finish_reason = choice.get("finish_reason") or self.finish_reason
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            self.error = self.error or f"malformed answer: {type(error).__name__}"


async def _events(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """Yield the data of each server-sent event; multi-line data does not occur in this wire format."""
    pending = b""
    async for block in response.content.iter_any():
        *lines, pending = (pending + block).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()


def _integer(value: str | None) -> int | None:
    return int(value) if value is not None and value.isdecimal() else None
