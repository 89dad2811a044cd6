"""Answers that break off after their first token, as a client sees them."""

import json
from typing import Any

import pytest

from streamroute.core.upstream import Capabilities
from streamroute.server.options import ServerOptions
from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import Cut, ErrorStatus, Stall
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Phase, Script
from tests.support.rig import LIVELY, Reply, Rig

CUT = Cut(at_token=3)
NATIVE = [Capabilities(continuation="prefill")] * 3
SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "x", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
}
NOT_CONTINUABLE: list[dict[str, Any]] = [{"n": 2}, {"logprobs": True}, {"response_format": SCHEMA}]


def after_restart(reply: Reply) -> list[dict[str, Any]]:
    """Return the choices of what came after the marker."""
    at = next(i for i, each in enumerate(reply.events) if each.get("streamroute") == {"restart": True})
    found: Any = reply.events[at + 1 :]
    return [choice for each in found for choice in each["choices"]]


def text_of(choices: list[dict[str, Any]], index: int = 0) -> str:
    return "".join(each["delta"].get("content") or "" for each in choices if each["index"] == index)


@pytest.mark.parametrize("more", NOT_CONTINUABLE, ids=["n", "logprobs", "json"])
@pytest.mark.parametrize("wish", ["continue", "error"])
async def test_what_cannot_be_carried_on_fails_honestly(more: dict[str, Any], wish: str) -> None:
    """Nobody else is asked, and the error event says how much was delivered."""
    async with Rig.of(CUT, None, capabilities=NATIVE) as rig:
        reply = await rig.ask(stream=True, headers={"x-streamroute-midstream": wish}, **more)
    assert rig.requests == [1, 0]
    assert (reply.is_done, reply.finish_reasons, reply.joints) == (False, ["error"], 0)
    assert reply.error is not None
    assert reply.error["partial"] == {"chars": len(reply.text), "tokens": 3 * more.get("n", 1)}


async def test_a_client_may_prefer_an_error() -> None:
    """`error` asks nobody; what the client has is counted."""
    async with Rig.of(CUT, None, capabilities=NATIVE) as rig:
        reply = await rig.ask(stream=True, headers={"x-streamroute-midstream": "error"})
    assert rig.requests == [1, 0]
    assert reply.error is not None
    assert reply.error["partial"] == {"chars": len(reply.text), "tokens": 3}


async def test_json_is_never_carried_on_from_its_middle() -> None:
    """With `restart` it begins anew, and what comes after the marker is a whole document."""
    async with Rig.of(CUT, None, capabilities=NATIVE) as rig:
        reply = await rig.ask(stream=True, headers={"x-streamroute-midstream": "restart"}, response_format=SCHEMA)
        body = rig.providers[1].log[0].body
    assert body is not None
    assert len(body["messages"]) == 1
    assert "a" in json.loads(text_of(after_restart(reply)))
    assert (reply.is_done, reply.finish_reasons, reply.joints) == (True, ["stop"], 1)


async def test_several_choices_begin_anew() -> None:
    """Every choice is whole after the marker."""
    async with Rig.of(CUT, None) as rig:
        reply = await rig.ask(stream=True, headers={"x-streamroute-midstream": "restart"}, n=2)
    choices = after_restart(reply)
    assert text_of(choices) == rig.expected_text
    assert len(text_of(choices, 1)) > len(rig.expected_text) // 2
    assert [each["index"] for each in choices if each["finish_reason"]] == [0, 1]
    assert reply.is_done


async def test_log_probabilities_begin_anew() -> None:
    """Each token after the marker has its own."""
    async with Rig.of(CUT, None) as rig:
        reply = await rig.ask(stream=True, headers={"x-streamroute-midstream": "restart"}, logprobs=True)
    choices = after_restart(reply)
    assert text_of(choices) == rig.expected_text
    assert all(each["logprobs"] for each in choices if each["delta"].get("content"))


@pytest.mark.parametrize("fault", [CUT, Stall(at_token=3)])
async def test_a_target_that_rejects_the_prefill(fault: Fault) -> None:
    """The client never sees its 400: the next one carries on, and that is no failover before the first token."""
    rejects = Script(profile=Profile(tpot_s=LIVELY.tpot_s, tokens=LIVELY.tokens, continuation="rejects"))
    async with Rig.of(fault, rejects, None, capabilities=NATIVE) as rig:
        reply = await rig.ask(stream=True)
        async with rig.session.get(f"{rig.app.url}/metrics") as response:
            metrics = await response.text()
    assert (reply.text, reply.error, reply.joints) == (rig.expected_text, None, 1)
    assert rig.providers[1].log[0].status == 400
    assert 'phase="mid_stream"' in metrics
    assert 'phase="before_first_token"' not in metrics


async def test_a_backup_that_fails_is_no_failover() -> None:
    """Counted as replaced is what the client had been waiting for, not a rival that failed beside it."""
    slow = Script(profile=Profile(ttft_s=0.1, tokens=LIVELY.tokens))
    async with Rig.of(slow, ErrorStatus(status=500), plan="race", server=ServerOptions()) as rig:
        reply = await rig.ask(stream=True)
        async with rig.session.get(f"{rig.app.url}/metrics") as response:
            metrics = await response.text()
    assert reply.text == rig.expected_text
    assert "streamroute_failovers_total{" not in metrics
    assert 'streamroute_races_total{outcome="failed"} 1.0' in metrics


async def test_a_model_that_is_named_with_its_provider() -> None:
    """It inherits what the provider is known to do: here it goes on from a partial answer itself."""
    async with Rig.of(Script(profile=LIVELY, phases=(Phase(until_request=1, fault=CUT),)), kind="llama_cpp") as rig:
        reply = await rig.ask(stream=True, model="a/some-model")
        body = rig.providers[0].log[1].body
    assert (reply.text, reply.joints) == (rig.expected_text, 1)
    assert body is not None
    assert body["messages"][-1]["role"] == "assistant"
