"""Keys as people use them: the command beside a running sidecar, the official SDK with the secret it prints."""

import asyncio
import json
import re
import signal
from pathlib import Path

import aiohttp
import openai
import pytest

from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from tests.support.command import run_command
from tests.support.serve_process import ServeProcess, provider_table, serve_until_it_ends

ASK = {"model": "chat", "messages": [{"role": "user", "content": "Tell me about rivers."}]}
NOTICED_S = 2.0
"""The promise, from the end of the command."""
SLACK_S = 3.0
"""What a busy machine may add."""
EVERYWHERE = ("--listen=0.0.0.0:0",)


def config(base_url: str, ledger: str = "sqlite:///ledger.db") -> str:
    return (
        f'version = 1\n[log]\nlevel = "debug"\n[ledger]\nurl = "{ledger}"\n'
        f'{provider_table("a", base_url)}[routes.chat]\nupstreams = ["a"]\n'
    )


async def keys(file: Path, *args: str) -> str:
    """Run `streamroute keys`; return what it prints to standard output."""
    ended = await run_command("keys", args[0], "-c", str(file), *args[1:])
    assert ended.exit_code == 0, ended.stderr
    return ended.stdout.strip()


async def outcome(url: str, secret: str) -> str:
    """Ask with the SDK: `ok`, or the error's code."""
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=secret, timeout=10, max_retries=0) as client:
        try:
            stream = await client.chat.completions.create(**ASK, stream=True)
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        except openai.AuthenticationError as error:
            return str(error.code)
        assert text
        return "ok"


async def noticed(serve: ServeProcess, changes: int) -> None:
    """Wait until the sidecar has seen so many changes of the keys; fails once it should long have."""
    await asyncio.to_thread(serve.wait_for_stderr, rf"(?s)(keys\.changed.*){{{changes}}}", NOTICED_S + SLACK_S)


async def test_a_key_from_its_creation_to_its_end() -> None:
    """The running sidecar notices each step without a restart; no secret is in anything that it says or keeps."""
    async with SimulationServer(profile=Profile(tokens=4)) as provider:
        with ServeProcess(config(provider.base_url)) as serve:
            file = serve.config_file
            assert await outcome(serve.url, "anything") == "ok"
            first = await keys(file, "create", "desk", "--team", "x", "--admin")
            await noticed(serve, changes=1)
            assert await outcome(serve.url, "anything") == "invalid_api_key"
            assert await outcome(serve.url, first) == "ok"
            second = json.loads(await keys(file, "rotate", "desk", "--json"))["key"]
            await noticed(serve, changes=2)
            assert await outcome(serve.url, second) == "ok"
            assert await outcome(serve.url, first) == "ok", "within its grace"
            third = await keys(file, "rotate", "desk", "--grace", "0")
            await noticed(serve, changes=3)
            assert await outcome(serve.url, second) == "api_key_replaced"
            assert (await outcome(serve.url, first), await outcome(serve.url, third)) == ("invalid_api_key", "ok")
            shown = [await read(serve.url, path, third) for path in ("/status", "/metrics", "/v1/models")]
            assert '"desk"' in shown[0]
            await keys(file, "revoke", "desk")
            await noticed(serve, changes=4)
            assert await outcome(serve.url, third) == "api_key_revoked"
            serve.signal(signal.SIGTERM)
            assert await asyncio.to_thread(serve.wait, 10) == 0
            usage = json.loads((await run_command("usage", "-c", str(file), "--by", "key,team", "--json")).stdout)
            kept = [path.read_bytes() for path in file.parent.rglob("*") if path.is_file()]
            everything = [*map(str.encode, shown), serve.stderr.encode(), *kept]
        assert "request.refused" in serve.stderr, "the log is on"
    assert next(row["requests"] for row in usage if row["key"] == "desk" and row["team"] == "x") >= 4
    for secret in (first, second, third):
        assert not any(secret[11:].encode() in place for place in everything)


async def read(url: str, path: str, secret: str) -> str:
    async with aiohttp.ClientSession(headers={"x-api-key": secret}) as session, session.get(url + path) as response:
        assert response.status == 200
        return await response.text()


async def test_the_sdk_reads_the_limits() -> None:
    """429 is its own exception, with when to come back; what is left is in the headers of every answer."""
    async with SimulationServer(profile=Profile(tokens=4)) as provider:
        with ServeProcess(config(provider.base_url)) as serve:
            secret = await keys(serve.config_file, "create", "app", "--rpm", "1", "--tpm", "100000")
            await noticed(serve, changes=1)
            assert await outcome(serve.url, "anything") == "invalid_api_key"
            async with openai.AsyncOpenAI(
                base_url=f"{serve.url}/v1", api_key=secret, timeout=10, max_retries=0
            ) as client:
                answer = await client.chat.completions.with_raw_response.create(**ASK)
                assert answer.headers["x-ratelimit-limit-requests"] == "1"
                assert answer.headers["x-ratelimit-remaining-requests"] == "0"
                assert answer.headers["x-ratelimit-reset-requests"] == "1m0s"
                assert answer.headers["x-ratelimit-limit-tokens"] == "100000"
                with pytest.raises(openai.RateLimitError) as refused:
                    await client.chat.completions.create(**ASK)
                assert refused.value.code == "rate_limit_exceeded"
                assert 0 < int(refused.value.response.headers["retry-after"]) <= 60


async def test_beyond_this_machine_a_stored_key_is_enough(tmp_path: Path) -> None:
    """Without one it does not start, and says what to type."""
    text = config("http://127.0.0.1:9/v1", f"sqlite:///{tmp_path}/ledger.db")
    refused = await asyncio.to_thread(serve_until_it_ends, text, args=EVERYWHERE)
    assert refused.returncode == 78
    assert re.search(r"listening on 0\.0\.0\.0 lets in everyone .* streamroute keys create NAME", refused.stderr)
    file = tmp_path / "config.toml"
    await asyncio.to_thread(file.write_text, text)
    secret = await keys(file, "create", "app")
    with ServeProcess(text, args=EVERYWHERE) as serve:
        url = f"http://127.0.0.1:{serve.url.rpartition(':')[2]}"
        assert json.loads(await read(url, "/v1/models", secret))["data"][0]["id"] == "chat"
        assert await outcome(url, "anything") == "invalid_api_key"
