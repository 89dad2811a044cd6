"""Once a request is over, nothing that the sidecar keeps has a word of it: whatever became of the request."""

import gc
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType

import aiohttp
import pytest

from streamroute.app import App
from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import NoResponse
from streamroute.simulation.faults.error_status import ErrorStatus
from tests.support.tiers import Tiers

SECRET = "Zanzibarian"
PROMPT = f"What is the sum of 3 {SECRET} apples and 4 apples?"
TIERS = '[routes.chat]\ntiers = [["small"], ["large"]]\naudit = { share = 1, max_usd_per_day = 1 }\n'
AUCTION = """[routes.chat]
upstreams = ["small", "large"]
steering = "auction"
judge = "judge"
audit = { share = 1, max_usd_per_day = 1 }
"""
_ELSEWHERE = ("streamroute.simulation", "asyncio", "_asyncio", "uvloop", "aiohttp", "tests")


def texts(of: object) -> Iterator[str | bytes]:
    """Give every text that can be reached from an object, but those of providers, loops and modules."""
    seen, todo = set[int](), [of]
    while todo:
        found = todo.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, str | bytes):
            yield found
        elif isinstance(found, FunctionType):
            todo += [cell.cell_contents for cell in found.__closure__ or ()]
            todo += found.__defaults__ or ()
        elif not isinstance(found, ModuleType | type) and not type(found).__module__.startswith(_ELSEWHERE):
            todo += gc.get_referents(found)


def kept(app: App) -> list[str | bytes]:
    gc.collect()
    return [each for each in texts(app) if (SECRET.encode() if isinstance(each, bytes) else SECRET) in each]


@pytest.mark.parametrize("route", [TIERS, AUCTION])
async def test_nothing_of_a_request_is_kept(tmp_path: Path, route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was answered and audited, refused, foreseen, failed, given up by its client, and one that a defect of
    ours has ended between its decision and its first call."""
    models = {"judge": None, "small": None, "large": None}
    body = {"model": "chat", "messages": [{"role": "user", "content": PROMPT}]}
    async with Tiers.of(tmp_path, models, route) as tiers, aiohttp.ClientSession() as session:
        url, log = f"{tiers.app.url}/v1/chat/completions", tiers.app.dispatcher.decisions

        async def ask(status: int, headers: dict[str, str] | None = None, **more: object) -> None:
            async with session.post(url, json=body | more, headers=headers) as response:
                assert (response.status, bool(await response.read())) == (status, True)

        def play(fault: Fault) -> None:
            for server in tiers.servers.values():
                server.play(fault)

        await tiers.ask(PROMPT)
        await tiers.ask(PROMPT, stream=False)
        if "auction" in route:
            await tiers.until(lambda: sum(tiers.app.dispatcher.gates.figures()[0].audits.values()) == 2)
        await ask(400, streamroute={"residency": "mars"})
        await ask(200, {"x-streamroute-explain": "true"})
        assert kept(tiers.app) == []
        assert all(each.decision.matched is not None for each in log.latest(9))  # all of them were read
        with monkeypatch.context() as broken:
            broken.setattr("streamroute.engine.dispatcher.Runner", None)
            await ask(500)
        assert kept(tiers.app) == []
        play(NoResponse(after="accept"))
        with pytest.raises(TimeoutError):
            await session.post(url, json=body, timeout=aiohttp.ClientTimeout(total=0.1))
        await tiers.until(lambda: log.latest(1)[0].outcome == "cancelled")
        assert kept(tiers.app) == []
        play(ErrorStatus(status=500))
        await ask(502)
        assert kept(tiers.app) == []
        assert len(log) == 6
