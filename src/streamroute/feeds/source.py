"""The bytes of a feed, from a file or over HTTP: bounded in time and size, whatever is at the other end."""

from pathlib import Path

import aiohttp
import anyio
import anyio.to_thread

from streamroute import __version__
from streamroute.errors import FeedError
from streamroute.feeds.options import is_web

MAX_BYTES = 4 << 20
"""4 MiB: four times the largest document that is allowed, at a hundred bytes a price."""
TIMEOUT_S = 10.0
"""For one read: what a slow server needs, and far below any use of stale prices."""


async def read_source(url: str, session: aiohttp.ClientSession) -> bytes:
    """Return what is there; raises FeedError."""
    try:
        with anyio.fail_after(TIMEOUT_S):
            return await (_fetch(url, session) if is_web(url) else _read(Path(url)))
    except TimeoutError:
        raise FeedError(f"no answer within {TIMEOUT_S:g} s") from None
    except (aiohttp.ClientError, ValueError) as error:
        raise FeedError(f"{type(error).__name__}: {error}") from error
    except OSError as error:
        raise FeedError(f"it cannot be read: {error.strerror or error}") from error


async def _fetch(url: str, session: aiohttp.ClientSession) -> bytes:
    # No redirects: who answers is who was configured.
    async with session.get(url, allow_redirects=False, headers={"User-Agent": f"streamroute/{__version__}"}) as reply:
        if reply.status != 200:
            raise FeedError(f"HTTP {reply.status}")
        body = bytearray()
        async for block in reply.content.iter_any():
            body += block
            if len(body) > MAX_BYTES:
                raise _too_large()
        return bytes(body)


async def _read(path: Path) -> bytes:
    # A file system that hangs must not keep the process from ending.
    body = await anyio.to_thread.run_sync(_head, path, abandon_on_cancel=True)
    if len(body) > MAX_BYTES:
        raise _too_large()
    return body


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _too_large() -> FeedError:
    return FeedError(f"it has more than {MAX_BYTES} bytes", is_refused=True)
