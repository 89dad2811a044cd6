"""`streamroute replay`: a workload that a sidecar has recorded, under other configurations."""

import json
import random
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest_asyncio
from typer.testing import CliRunner

from streamroute.app import App
from streamroute.cli.main import app
from streamroute.config.load import load_config
from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from tests.support.serve_process import provider_table

REQUESTS = 60
SCORES = {"a": 1.0, "b": 0.5}
"""How good whose answers are."""
AUTO = 20


def config(base_url: str, chat: str, routing: str = "") -> str:
    return (
        f'version = 1\n[ledger]\nurl = "off"\n'
        f"{provider_table('a', base_url)}price = {{ input_per_mtok = 10, output_per_mtok = 20 }}\nquality = 0.9\n"
        f"{provider_table('b', base_url)}price = {{ input_per_mtok = 1, output_per_mtok = 2 }}\nquality = 0.6\n"
        f"[routing]\n{routing}\n[routes.chat]\n{chat}\n"
    )


@pytest_asyncio.fixture
async def recorded(tmp_path: Path) -> Path:
    """Record a workload of a balanced route, whose answers are judged, and of `auto`."""
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(SimulationServer(None, profile=Profile(tokens=4)))
        file = tmp_path / "config.toml"
        chat = 'upstreams = ["a", "b"]\nsteering = "balanced"\nlatency_class = "latency_critical"\nplan = "failover"'
        file.write_text(config(provider.base_url, chat, 'log = "log.jsonl"'))
        loaded = load_config(file, environ={}, overrides={"server.listen": "127.0.0.1:0"})
        running = await stack.enter_async_context(App(loaded, rng=random.Random(5)))
        session = await stack.enter_async_context(aiohttp.ClientSession(running.url))
        for i in range(REQUESTS + AUTO):
            model = "chat" if i < REQUESTS else "auto"
            body = {"model": model, "messages": [{"role": "user", "content": "Is it so?"}]}
            async with session.post("/v1/chat/completions", json=body) as response:
                assert response.status == 200
                id_, upstream = (response.headers[f"x-streamroute-{each}"] for each in ("decision-id", "upstream"))
            async with session.post("/v1/feedback", json={"decision_id": id_, "score": SCORES[upstream]}) as response:
                assert response.status == 200
    return tmp_path


def run(folder: Path, chat: str, *args: str, routing: str = "") -> tuple[int, str, str]:
    other = folder / "other.toml"
    other.write_text(config("http://127.0.0.1:9", chat, routing))
    ended = CliRunner().invoke(app, ["replay", str(folder / "log.jsonl"), "-c", str(other), *args])
    return ended.exit_code, ended.stdout, ended.stderr


def report(folder: Path, chat: str, **more: Any) -> dict[str, Any]:
    code, out, err = run(folder, chat, "--json", **more)
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


async def test_what_other_configurations_would_have_come_to(recorded: Path) -> None:
    """All on the good one, all on the cheap one, a smaller tier first; by the judged answers, against the truth."""
    dear = report(recorded, 'upstreams = ["a", "b"]')
    cheap = report(recorded, 'upstreams = ["b", "a"]')
    tiered = report(recorded, 'tiers = [["b"], ["a"]]')
    assert dear["requests"] == cheap["requests"] == REQUESTS + AUTO
    assert dear["judged"] == REQUESTS + AUTO
    share_of_auto = AUTO / (REQUESTS + AUTO)
    auto_quality = SCORES["a"]  # its value exceeds its price: it goes to the good one before and after
    for found, name in ((dear, "a"), (cheap, "b")):
        truth = (1 - share_of_auto) * SCORES[name] + share_of_auto * auto_quality
        assert found["quality"]["low"] - 0.05 <= truth <= found["quality"]["high"] + 0.05
        assert found["method"] == "doubly robust, self-normalised"
    assert dear["cost_usd"]["value"] > dear["recorded_cost_usd"]["value"] > cheap["cost_usd"]["value"]
    assert cheap["saved"]["value"] > 0.3
    assert dear["same"] + cheap["same"] == REQUESTS + 2 * AUTO
    assert tiered["shares"]["1"]["value"] == 1 - share_of_auto
    assert tiered["shares"]["-"]["value"] == share_of_auto
    assert {name: each["value"] for name, each in tiered["recorded_shares"].items()} == {"-": 1.0}


async def test_the_configuration_that_was_recorded_gains_nothing(recorded: Path) -> None:
    """A route that draws nothing, with every other answer judged: exactly nothing."""
    log = recorded / "log.jsonl"
    lines = [json.loads(line) for line in log.read_bytes().splitlines()]
    of_auto = {line["id"] for line in lines if line.get("route") == "auto"}
    assert len(of_auto) == AUTO
    left = [line for line in lines if line["id"] in of_auto]
    said = [line for line in left if "score" in line]
    left = [line for line in left if "score" not in line or line in said[::2]]
    log.write_text("".join(json.dumps(line) + "\n" for line in left))
    same = report(recorded, 'upstreams = ["a"]')
    assert (same["requests"], same["same"], same["judged"]) == (AUTO, AUTO, AUTO // 2)
    assert same["recorded_quality"] == same["quality"]
    assert same["gained"] == same["saved"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert same["judged_quality"]["value"] == SCORES["a"]
    _, out, _ = run(recorded, 'upstreams = ["a"]')
    assert "quality gained: 0 (0 to 0)" in out
    assert "mean of the judged answers" in out


async def test_requirements_and_values_are_decided_anew(recorded: Path) -> None:
    """`auto` goes to the cheap one where a right answer is worth little; a floor that nobody meets refuses."""
    little = report(recorded, 'upstreams = ["a"]', routing="answer_value_usd = { balanced = 0.00001 }")
    much = report(recorded, 'upstreams = ["a"]')
    assert little["cost_usd"]["value"] < much["cost_usd"]["value"]
    refused = report(recorded, 'upstreams = ["a", "b"]\nrequirements = { min_quality = 0.99 }')
    assert refused["refused"] == {"requirements_not_met": REQUESTS}
    assert refused["requests"] == AUTO


async def test_people_read_a_table(recorded: Path) -> None:
    """With what the figures stand on."""
    code, out, err = run(recorded, 'upstreams = ["a", "b"]')
    assert code == 0
    assert "cost of 1000 requests, usd" in out
    assert "saved, %: -" in out
    assert f"{REQUESTS + AUTO} requests" in err


async def test_lines_that_cannot_be_read_are_told(recorded: Path) -> None:
    """With file and line, and passed over; where there are no others that is an error."""
    log = recorded / "log.jsonl"
    lines = log.read_bytes().splitlines()
    log.write_bytes(b"\n".join([lines[0], b"{", b"", *lines[1:], lines[-1][:50]]))
    code, _, err = run(recorded, 'upstreams = ["a", "b"]')
    assert code == 0
    assert f"{log}:2: it is not JSON" in err
    assert f"{log}:{len(lines) + 3}: it is not JSON" in err
    assert "2 lines could not be read" in err
    log.write_bytes(b'{"kind": "decision"}\n' * 30)
    code, _, err = run(recorded, 'upstreams = ["a", "b"]')
    assert code == 1
    assert "and 10 more lines" in err
    assert "no request to go by" in err
    for strange in (b"{}\n" * 30, b"version = 1\n\n[ledger]\nurl = 'off'\n" * 9):
        log.write_bytes(strange)
        code, _, err = run(recorded, 'upstreams = ["a", "b"]')
        assert code == 1
        assert err.count(f"{log}:") == 4
        assert f"{log}: this is no routing log" in err
    log.write_bytes(b"\n".join([lines[0], *[b"{"] * 5, *lines[1:]]))
    code, _, err = run(recorded, 'upstreams = ["a", "b"]')
    assert (code, "no routing log" in err, "5 lines could not be read" in err) == (0, False, True)
    log.unlink()
    code, _, err = run(recorded, 'upstreams = ["a", "b"]')
    assert (code, "cannot be read: No such file" in err.replace("\n", " ")) == (2, True)
