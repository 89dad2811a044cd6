"""A sidecar in this process, as a configuration file says, and OpenAI's SDK in front of it.

async with open_scene(text, tmp_path) as scene:
    chunks = await scene.chunks("chat")
    [row] = await scene.rows()              # of the ledger, which then is closed
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
from sqlalchemy import Row, select

from streamroute.app import App
from streamroute.config.load import load_config
from streamroute.stores.database import open_engine, transaction
from streamroute.stores.schema import ATTEMPTS

PROMPT = "Name three rivers."
LEDGER = "ledger.db"
"""In the folder of the configuration: `url = "sqlite:///ledger.db"`."""


@dataclass(slots=True)
class Scene:
    """Who takes part."""

    app: App
    client: openai.AsyncOpenAI
    folder: Path

    async def ask(self, model: str = "alone", **fields: Any) -> Any:
        """Ask something, a stream or not."""
        messages = fields.pop("messages", [{"role": "user", "content": PROMPT}])
        return await self.client.chat.completions.create(model=model, messages=messages, **fields)

    async def chunks(self, model: str = "alone", **fields: Any) -> list[Any]:
        """Return all of a stream."""
        found = await self.ask(model, stream=True, stream_options={"include_usage": True}, **fields)
        return [chunk async for chunk in found]

    async def rows(self) -> list[Row[Any]]:
        """Return what the ledger has of requests' attempts, once everything is written."""
        await self.app.dispatcher.idle()
        assert self.app.bookkeeping is not None
        await self.app.bookkeeping.aclose()
        engine = open_engine(f"sqlite:///{self.folder / LEDGER}", is_reader=True)
        with transaction(engine) as connection:
            found = list(connection.execute(select(ATTEMPTS).order_by(ATTEMPTS.c.attempt)))
        engine.dispose()
        return [row for row in found if row.cause != "probe"]


def said(chunks: list[Any]) -> str:
    """Return the text of a stream."""
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


@asynccontextmanager
async def open_scene(text: str, folder: Path, environ: Mapping[str, str] | None = None) -> AsyncIterator[Scene]:
    """Start what a configuration says, on a free port."""
    file = folder / "config.toml"
    file.write_text(text)
    config = load_config(file, environ=environ or {}, overrides={"server.listen": "127.0.0.1:0"})
    async with (
        App(config) as app,
        openai.AsyncOpenAI(base_url=f"{app.url}/v1", api_key="unused", timeout=10, max_retries=0) as client,
    ):
        yield Scene(app, client, folder)
