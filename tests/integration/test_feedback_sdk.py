"""The official SDK asks, judges, and the report of the ledger says what `/status` says."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx2 as httpx
import openai
import pytest

from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from tests.support.command import run_command
from tests.support.postgres import PostgresServer, needs_postgres
from tests.support.serve_process import ServeProcess, provider_table

ASK = {"model": "chat", "messages": [{"role": "user", "content": "Tell me about rivers."}]}


async def report(file: Path, *args: str) -> str:
    ended = await run_command("routing", "report", "-c", str(file), *args)
    assert ended.exit_code == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=needs_postgres)])
async def test_asked_judged_and_reported(database: str, tmp_path: Path) -> None:
    """A small model in front of a large one: shares, exact costs and savings, quality by source."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    postgres = PostgresServer() if database == "postgresql" else None
    if postgres is not None:
        postgres.__enter__()
    try:
        if postgres is not None:
            await asyncio.to_thread(postgres.start)
            url = postgres.url
        async with SimulationServer(None, profile=Profile(tokens=8)) as provider:
            text = (
                f'version = 1\n[ledger]\nurl = "{url}"\nflush_interval_s = 0.05\nspool_dir = "{tmp_path}"\n'
                f"{provider_table('small', provider.base_url)}price = {{ input_per_mtok = 1, output_per_mtok = 2 }}\n"
                f"{provider_table('large', provider.base_url)}price = {{ input_per_mtok = 10, output_per_mtok = 20 }}\n"
                '[routes.chat]\ntiers = [["small"], ["large"]]\n'
            )
            file = tmp_path / "config.toml"
            file.write_text(text)
            with ServeProcess(text) as serve:
                status = await use(serve)
                document = await reported(file)
        assert document == {name: status["routing"][name] for name in document}
        total = document["total"]
        assert (total["requests"], total["saved_percent"]) == (3, 90.0)
        assert [(each["tier"], each["share"]) for each in document["by_tier"]] == [(1, 1.0)]
        [of_task, of_none] = document["by_task"]
        assert (of_task["task"], of_task["quality"]["feedback"]) == ("mail", {"count": 2, "mean": 0.75})
        assert (of_none["task"], of_none["quality"]) == (None, {"assessor": {"count": 1, "mean": 1.0}})
        shown = await report(file, "--by", "task")
        assert "mail" in shown
        assert "quality (feedback)" in shown
    finally:
        if postgres is not None:
            postgres.__exit__(None, None, None)


async def use(serve: ServeProcess) -> dict[str, Any]:
    """Ask three times, judge two of the answers; return `/status`."""
    async with openai.AsyncOpenAI(base_url=f"{serve.url}/v1", api_key="unused", timeout=10) as client:
        for score in (1.0, 0.5):
            answer = await client.chat.completions.with_raw_response.create(**ASK, metadata={"task": "mail"})
            body = {"decision_id": answer.headers["x-streamroute-decision-id"], "score": score}
            said = await client.post("/feedback", body=body, cast_to=httpx.Response)
            assert said.json()["is_new"] is True
        stream = await client.chat.completions.create(**ASK, stream=True)
        assert [chunk async for chunk in stream]
        with pytest.raises(openai.NotFoundError, match="requests in the ledger for 90 days"):
            await client.post("/feedback", body={"decision_id": "dec_none", "score": 1}, cast_to=httpx.Response)
    async with httpx.AsyncClient() as plain:
        found: dict[str, Any] = (await plain.get(f"{serve.url}/status")).json()
        return found


async def reported(file: Path) -> dict[str, object]:
    """Return the report once the ledger has everything: three requests, two words, three verdicts."""
    until = time.monotonic() + 20
    while True:
        document: dict[str, object] = json.loads(await report(file, "--json", "--since", "1h"))
        quality = document["total"]["quality"]  # type: ignore[index]  # a table
        if sum(each["count"] for each in quality.values()) == 5 or time.monotonic() > until:
            return document
