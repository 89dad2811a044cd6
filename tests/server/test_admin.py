"""What operators do to upstreams while the sidecar runs."""

import asyncio
from typing import Any

import pytest

from streamroute.server import status
from streamroute.server.options import ServerOptions
from tests.support.rig import Rig


async def post(
    rig: Rig, path: str, *, method: str = "POST", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    async with rig.session.request(method, f"{rig.app.url}/admin/upstreams/{path}", headers=headers) as response:
        return response.status, await response.json()


async def upstream_of(rig: Rig, **more: object) -> str:
    return (await rig.ask(stream=True, **more)).headers["x-streamroute-upstream"]  # type: ignore[arg-type]


async def test_drain_and_enable() -> None:
    """No new request goes to a drained upstream, running ones finish; enabled, it is back."""
    async with Rig.of(None, None) as rig:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(rig.ask(stream=True))
            await rig.providers[0].wait_until(lambda: rig.providers[0].in_flight == 1)
            status, entry = await post(rig, "a/drain")
            assert (status, entry["can_ask"], entry["reason"]) == (200, False, "drained by the operator")
            assert await upstream_of(rig) == "b"
        assert running.result().text == rig.expected_text
        status, entry = await post(rig, "a/enable")
        assert (status, entry["can_ask"], entry["reason"]) == (200, True, None)
        assert await upstream_of(rig) == "a"


async def test_a_drained_upstream_is_no_last_resort() -> None:
    """Where it is the only one, requests are refused: the operator has the last word."""
    async with Rig.of(None) as rig:
        await post(rig, "a/drain")
        reply = await rig.ask(stream=True)
        assert (reply.status, rig.requests) == (503, [0])


async def test_nobody_left_to_ask() -> None:
    """With every upstream drained no new request should come here, and who comes is told that nobody was asked."""
    async with Rig.of(None, None) as rig:
        await post(rig, "a/drain")
        await post(rig, "b/drain")
        async with rig.session.get(f"{rig.app.url}/readyz") as response:
            assert (response.status, "drained" in await response.text()) == (503, True)
        reply = await rig.ask(stream=True)
        assert reply.error is not None
        assert "could be asked" in str(reply.error["message"])
        await post(rig, "b/enable")
        async with rig.session.get(f"{rig.app.url}/readyz") as response:
            assert response.status == 200


async def test_drain_outlives_a_reload() -> None:
    """A changed configuration does not bring back what an operator took out."""
    async with Rig.of(None, None) as rig:
        await post(rig, "a/drain")
        await rig.app.reload(rig.app.config)
        assert await upstream_of(rig) == "b"


async def test_the_breaker_can_be_forced() -> None:
    """Open, the next upstream serves; closed, the first one is back at once."""
    async with Rig.of(None, None) as rig:
        status, entry = await post(rig, "a/open")
        assert (status, entry["breaker"]["state"], entry["can_ask"]) == (200, "open", False)
        assert entry["breaker"]["reason"] == "forced by the operator"
        assert await upstream_of(rig) == "b"
        status, entry = await post(rig, "a/close")
        assert (status, entry["breaker"]["state"], entry["can_ask"]) == (200, "closed", True)
        assert await upstream_of(rig) == "a"


@pytest.mark.parametrize("path", ["a/some/model", "a%2Fsome%2Fmodel"])
async def test_a_model_that_is_named_with_its_provider(path: str) -> None:
    """What clients can ask, operators can take out, and see: `provider/model`, though no table has it."""
    async with Rig.of(None, None) as rig:
        await rig.ask(stream=True, model="a/some/model")
        status, entry = await post(rig, f"{path}/drain")
        assert (status, entry["model"], entry["can_ask"]) == (200, "some/model", False)
        assert (await rig.ask(stream=True, model="a/some/model")).status == 503
        async with rig.session.get(f"{rig.app.url}/status") as response:
            upstreams = (await response.json())["upstreams"]
        assert (upstreams["a/some/model"]["can_ask"], upstreams["a"]["can_ask"]) == (False, True)
        assert (await post(rig, f"{path}/enable"))[0] == 200
        assert await upstream_of(rig, model="a/some/model") == "a/some/model"


async def test_a_configured_model_that_is_named_with_its_provider() -> None:
    """It is the upstream of the table."""
    async with Rig.of(None, None) as rig:
        assert (await post(rig, "a/model-a/drain"))[0] == 200
        assert await upstream_of(rig) == "b"


async def test_status_shows_the_latest_of_the_models_that_clients_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """They can be many; all that are configured are shown, and so is what an operator has taken out."""
    monkeypatch.setattr(status, "NAMED_SHOWN", 2)
    async with Rig.of(None) as rig:
        await post(rig, "a/first/drain")
        for model in ("second", "third", "fourth"):
            await rig.ask(stream=True, model=f"a/{model}")
        async with rig.session.get(f"{rig.app.url}/status") as response:
            shown = (await response.json())["upstreams"]
    assert list(shown) == ["a", "a/first", "a/third", "a/fourth"]


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("aa/drain", "There is no upstream 'aa'. Did you mean 'a'?"),
        ("zzz/drain", "There is no upstream 'zzz'. There are a, b."),
        ("a/drian", "There is no action 'drian'. Did you mean 'drain'?"),
        ("a", "There is no action 'a'. There are drain, enable, open, close."),
    ],
)
async def test_unknown_names(path: str, hint: str) -> None:
    """404 with the nearest name, or all of them."""
    async with Rig.of(None, None) as rig:
        status, body = await post(rig, path)
        assert (status, body["error"]["code"], body["error"]["message"]) == (404, "not_found", hint)


async def test_who_may() -> None:
    """Keys are checked as for `/status`; without keys, web pages may not; a GET changes nothing."""
    async with Rig.of(None) as rig:
        status, body = await post(rig, "a/drain", headers={"Origin": "https://evil.example"})
        assert (status, body["error"]["code"]) == (403, "origin_not_allowed")
        assert (await post(rig, "a/drain", method="GET"))[0] == 405
        assert await upstream_of(rig) == "a"
    async with Rig.of(None, server=ServerOptions(api_keys=("first-key",))) as rig:
        assert (await post(rig, "a/drain"))[0] == 401
        assert (await post(rig, "a/drain", headers={"Authorization": "Bearer first-key"}))[0] == 200
