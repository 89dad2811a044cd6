"""What operators and browsers ask: probes, status, metrics, keys, cross-origin headers, reload."""

import asyncio
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamroute.core.health.attempt_budget import TOKENS
from streamroute.core.health.options import HealthOptions
from streamroute.core.upstream import Route
from streamroute.server.options import ServerOptions
from streamroute.simulation.faults import Cut, ErrorStatus, NoResponse
from tests.support.rig import Rig


async def get(rig: Rig, path: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> tuple[int, str]:
    async with rig.session.request(method, rig.app.url + path, headers=headers) as response:
        return response.status, await response.text()


async def test_liveness_ignores_providers() -> None:
    """However ill the providers are, the process is alive, and ready to say so."""
    async with Rig.of(ErrorStatus(), NoResponse()) as rig:
        for _ in range(4):
            await rig.ask(stream=True)
        for path in ("/livez", "/healthz", "/readyz"):
            assert await get(rig, path) == (200, "ok")


async def test_probes_in_detail() -> None:
    """`?verbose` lists the checks as Kubernetes does, `?exclude` leaves one out."""
    async with Rig.of(None) as rig:
        status, text = await get(rig, "/readyz?verbose")
        assert (status, text.splitlines()[-1]) == (200, "readyz check passed")
        assert "[+]routes ok" in text
        rig.app.site.is_draining = True
        status, text = await get(rig, "/readyz?verbose")
        assert status == 503
        assert "[-]draining failed: the sidecar is shutting down" in text
        assert (await get(rig, "/readyz?exclude=draining"))[0] == 200
        assert (await get(rig, "/livez"))[0] == 200


async def test_auto_alone_is_ready() -> None:
    """A configuration without routes serves `auto`, until all of it is drained."""
    async with Rig.of(None) as rig:
        auto = Route(name="auto", upstreams=tuple(rig.app.config.upstreams), steering="auction")
        await rig.app.reload(replace(rig.app.config, routes={}, auto=auto))
        assert await get(rig, "/readyz") == (200, "ok")
        await get(rig, "/admin/upstreams/a/drain", method="POST")
        assert await get(rig, "/readyz") == (
            503,
            "routes: every upstream is drained; POST /admin/upstreams/{id}/enable brings one back",
        )


async def test_status_tells_of_every_upstream() -> None:
    """Breaker, in flight, last errors, recent figures, and the deadlines in force."""
    async with Rig.of(ErrorStatus(status=500), None) as rig:
        for _ in range(3):
            await rig.ask(stream=True)
        async with rig.session.get(f"{rig.app.url}/status") as response:
            status = await response.json()
    a, b = status["upstreams"]["a"], status["upstreams"]["b"]
    assert (a["standing"], status["status"]) == ("suspect", "warn")
    assert "failures in a row" in a["reason"]
    assert a["risk"] > 0.9
    assert a["evidence"]["error_nats"] > 0
    assert {error["kind"] for error in a["last_errors"]} == {"server_error"}
    assert a["last_errors"][0]["at"] >= a["breaker"]["since"]
    assert a["score"]["steers"] == 1
    assert a["retry_tokens"] < b["retry_tokens"] == TOKENS
    assert a["recent"]["error_ratio"] == 1.0
    assert b["attempts"] == {"total": 3, "succeeded": 3, "failed": 0, "cancelled": 0}
    assert 0 < b["recent"]["ttft_p50_s"] <= b["recent"]["ttft_p95_s"]
    assert (a["in_flight"], b["in_flight"], b["recent"]["error_ratio"]) == (0, 0, 0.0)
    assert status["routes"]["chat"]["deadlines"]["stall_s"] == rig.app.config.routes["chat"].deadlines.stall_s


async def test_status_says_what_to_expect_and_what_is_probed() -> None:
    """Risk, expectations, probes and their budget; times as RFC 3339, what is not known as null."""
    async with Rig.of(None, None) as rig:
        await rig.ask(stream=True)
        rig.app.prober.look()
        async with rig.session.get(f"{rig.app.url}/status") as response:
            status = await response.json()
    a = status["upstreams"]["a"]
    assert (a["standing"], a["risk"], a["reason"], a["rate_limit"]) == ("healthy", 0, None, None)
    assert a["expected"]["ttft_s"] > 0
    assert a["expected"]["in_flight_limit"] is None
    assert a["probes"]["cost_usd"] == 0
    assert a["probes"]["next_at"].startswith("20")
    assert (a["breaker"]["is_forced"], a["breaker"]["share"]) == (False, 1.0)
    assert a["score"] == {"steers": 0, "confirmed": 0, "predicted": 0, "false_steers": 0, "last_lead_s": None}
    assert (a["evidence"]["error_nats"], a["evidence"]["breach_in_s"]) == (0, None)
    assert (status["budget"]["global_tokens"], status["budget"]["hedges_denied"]) == (TOKENS, {})
    assert status["prober"]["is_probing"] is True
    assert status["local_trouble_until"] is None
    assert status["prober"]["budget_usd_per_day"] == HealthOptions().probe_budget_usd_per_day
    assert (status["routes"]["chat"]["plan"], status["routes"]["chat"]["is_panic"]) == ("hedge", False)


async def test_in_flight_is_live() -> None:
    """A request that is being answered is counted while it is."""
    async with Rig.of(NoResponse()) as rig, asyncio.TaskGroup() as group:
        asking = group.create_task(rig.ask(stream=True))
        await rig.providers[0].wait_until(lambda: rig.providers[0].in_flight == 1)
        async with rig.session.get(f"{rig.app.url}/status") as response:
            status = await response.json()
        assert (status["in_flight"], status["upstreams"]["a"]["in_flight"]) == (1, 1)
        await asking


async def test_metrics_are_fed() -> None:
    """The exposition parses, and what happened is in it."""
    async with Rig.of(ErrorStatus(), None) as rig:
        await rig.ask(stream=True)
        await get(rig, "/v1/nothing")
        text = (await get(rig, "/metrics"))[1]
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["streamroute_attempts_total", "a", "a", "failed", "server_error"] == 1
    assert samples["streamroute_attempts_total", "", "b", "b", "succeeded"] == 1
    assert samples["streamroute_requests_total", "", "chat", "succeeded"] == 1
    assert samples["streamroute_failovers_total", "before_first_token", "chat", "server_error"] == 1
    assert samples["streamroute_refused_requests_total", "404"] == 1
    assert samples["gen_ai_server_time_to_first_token_seconds_count", "chat"] == 1


async def test_keys() -> None:
    """Where keys are asked for, clients, status and metrics need one; probes do not."""
    server = ServerOptions(api_keys=("first-key", "second-key"))
    async with Rig.of(None, server=server) as rig:
        for path in ("/v1/models", "/status", "/metrics"):
            for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "first-key"}, {"x-api-key": "no"}):
                assert (await get(rig, path, headers=wrong))[0] == 401
            for right in ({"Authorization": "Bearer second-key"}, {"x-api-key": "first-key"}):
                assert (await get(rig, path, headers=right))[0] == 200
        assert (await get(rig, "/livez"))[0] == (await get(rig, "/readyz"))[0] == 200
        refused = await rig.ask(stream=False)
        assert (refused.status, refused.error and refused.error["code"]) == (401, "invalid_api_key")
        assert (await rig.ask(stream=True, headers={"Authorization": "Bearer first-key"})).text == rig.expected_text
        assert not any(record.has_authorization for record in rig.providers[0].log), "a client's key goes nowhere else"


@pytest.mark.parametrize("path", ["/v1/models", "/status", "/v1/nothing"])
async def test_cross_origin_replies(path: str) -> None:
    """Configured origins may read every reply, others none."""
    async with Rig.of(None, server=ServerOptions(cors_origins=("https://app.example",))) as rig:
        async with rig.session.get(rig.app.url + path, headers={"Origin": "https://app.example"}) as response:
            assert response.headers["access-control-allow-origin"] == "https://app.example"
            assert "x-request-id" in response.headers["access-control-expose-headers"]
        async with rig.session.get(rig.app.url + path, headers={"Origin": "https://evil.example"}) as response:
            assert "access-control-allow-origin" not in response.headers


async def test_cross_origin_streams() -> None:
    """The preflight, a stream and an error are all readable from the page."""
    origin = {"Origin": "https://app.example"}
    async with Rig.of(Cut(at_token=0), server=ServerOptions(cors_origins=("*",))) as rig:
        preflight = {**origin, "Access-Control-Request-Headers": "authorization, content-type"}
        url = f"{rig.app.url}/v1/chat/completions"
        async with rig.session.options(url, headers=preflight) as response:
            assert response.status == 204
            assert "POST" in response.headers["access-control-allow-methods"]
            assert response.headers["access-control-allow-headers"] == "authorization, content-type"
        assert (await rig.ask(stream=True, headers=origin)).headers["access-control-allow-origin"] == "*"
        rig.providers[0].play(None)
        assert (await rig.ask(stream=True, headers=origin)).headers["access-control-allow-origin"] == "*"


async def test_models() -> None:
    """Routes first, then upstreams; one can be asked for by any of its names; an unknown one is told the nearest."""
    async with Rig.of(None, None) as rig:
        async with rig.session.get(f"{rig.app.url}/models") as response:
            assert [model["id"] for model in (await response.json())["data"]] == ["chat", "a", "b"]
        for name in ("chat", "b", "b/anything"):
            assert (await get(rig, f"/v1/models/{name}"))[0] == 200
        status, text = await get(rig, "/v1/models/chta")
        assert status == 404
        assert "'chat'" in text


async def test_a_model_can_be_named_three_ways() -> None:
    """A route, an upstream, or `provider/model`."""
    async with Rig.of(None, None) as rig:
        for model, upstream in (("chat", "a"), ("b", "b"), ("b/model-b", "b"), ("b/other", "b/other")):
            reply = await rig.ask(stream=True, model=model)
            assert reply.headers["x-streamroute-upstream"] == upstream
        assert rig.providers[1].log[-1].model == "other"
        unknown = await rig.ask(stream=True, model="chatt")
        assert (unknown.status, unknown.error and unknown.error["code"]) == (404, "model_not_found")


async def test_the_prober_ends_with_the_app() -> None:
    """No task is left behind, and it was running until then."""
    before = asyncio.all_tasks()
    async with Rig.of(None):
        running = [task for task in asyncio.all_tasks() - before if "Prober.run" in repr(task)]
        assert len(running) == 1
    assert running[0].done()
