"""Small models first, on real sockets: one clean answer, whoever gave it."""

import pytest

from streamroute.core.gate import Thresholds
from streamroute.simulation.content import DOUBT
from streamroute.simulation.faults import Cut, ErrorStatus
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Script
from tests.support.rig import TOKENS, Rig

SMALL = Script(name="small", profile=Profile(tpot_s=0.001, tokens=TOKENS, doubt_share=1.0))
"""It is not sure about anything."""


async def decided(rig: Rig, reply_headers: object) -> dict[str, object]:
    decision_id = reply_headers["x-streamroute-decision-id"]  # type: ignore[index]
    async with rig.session.get(f"{rig.app.url}/status/decisions/{decision_id}") as response:
        document: dict[str, object] = await response.json()
    return document


@pytest.mark.parametrize("stream", [True, False])
async def test_a_good_answer_of_the_small_model(stream: bool) -> None:
    """It is delivered as it was given, and the large one is not paid for."""
    async with Rig.of(None, None, tiers=("a", "b")) as rig:
        reply = await rig.ask(stream=stream)
        assert (reply.text, reply.finish_reasons) == (rig.expected_text, ["stop"])
        assert reply.presents_itself_as_complete
        assert reply.headers["x-streamroute-upstream"] == "a" or stream
        assert rig.requests == [1, 0]
        assert rig.in_flight() == [0, 0]


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_is_not_good_enough(stream: bool) -> None:
    """Nothing of it is seen; why is told to whoever asks."""
    async with Rig.of(SMALL, None, tiers=("a", "b")) as rig:
        reply = await rig.ask(stream=stream)
        assert (reply.text, reply.finish_reasons) == (rig.expected_text, ["stop"])
        assert reply.presents_itself_as_complete
        assert rig.requests == [1, 1]
        document = await decided(rig, reply.headers)
    causes = [(each["upstream"], each["cause"], each["outcome"]) for each in document["attempts"]]  # type: ignore[attr-defined]
    assert causes == [("a", "first", "succeeded"), ("a", "assessment", "rejected"), ("b", "escalation", "succeeded")]
    assert "not sure" in str(document["attempts"])


@pytest.mark.parametrize("fault", [Cut(at_token=3), ErrorStatus(status=500)])
async def test_a_small_model_that_fails(fault: Cut | ErrorStatus) -> None:
    """Before and after its first token: the larger one answers, from the beginning."""
    async with Rig.of(fault, None, tiers=("a", "b")) as rig:
        reply = await rig.ask(stream=True)
        assert reply.text == rig.expected_text
        assert (reply.joints, reply.presents_itself_as_complete) == (0, True)


async def test_the_large_model_is_rescued_as_ever() -> None:
    """What flows to the client and breaks off is carried on, within its tier."""
    async with Rig.of(SMALL, Cut(at_token=4), None, tiers=("a", "bc")) as rig:
        reply = await rig.ask(stream=True)
        assert reply.text == rig.expected_text
        assert (reply.joints, reply.presents_itself_as_complete) == (1, True)


async def test_where_only_the_small_model_answers() -> None:
    """An answer that is not good enough beats an error."""
    async with Rig.of(SMALL, ErrorStatus(status=401), tiers=("a", "b")) as rig:
        reply = await rig.ask(stream=True)
        assert (reply.text, reply.finish_reasons, reply.error) == ("".join(DOUBT), ["stop"], None)


async def test_several_choices_go_to_the_last_tier() -> None:
    """They cannot be judged as one answer."""
    async with Rig.of(None, None, tiers=("a", "b")) as rig:
        await rig.ask(stream=False, n=2)
        assert rig.requests == [0, 1]


async def test_thresholds_by_task() -> None:
    """The same answer is good enough for one task, and not for another."""
    accept_at = Thresholds(by_task={"chatter": (0.1,)})
    async with Rig.of(SMALL, None, tiers=("a", "b"), accept_at=accept_at) as rig:
        chatter = await rig.ask(stream=True, headers={"x-streamroute-task": "chatter"})
        support = await rig.ask(stream=True, headers={"x-streamroute-task": "support"})
        verdicts = [
            next(each for each in document["attempts"] if each["cause"] == "assessment")  # type: ignore[attr-defined]
            for document in [await decided(rig, reply.headers) for reply in (chatter, support)]
        ]
    assert (chatter.text, support.text) == ("".join(DOUBT), rig.expected_text)
    assert [(each["outcome"], each["accept_at"]) for each in verdicts] == [("accepted", 0.1), ("rejected", 0.5)]
