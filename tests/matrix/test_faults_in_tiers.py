"""Faults in either tier of small models first x {stream, whole answer}, on real sockets, with the matrix' invariants.

A fault in a small tier is never the client's: the larger model answers. One in the last tier is handled as without
tiers where it has a backup; where it has none, before its first token, the small model's answer beats an error.
"""

import asyncio

import pytest

from streamroute.simulation.content import DOUBT
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Script
from tests.matrix.test_faults import CASES, Case
from tests.support.rig import TOKENS, Reply, Rig

DOUBTFUL = Script(name="doubtful", profile=Profile(tpot_s=0.001, tokens=TOKENS, doubt_share=1.0))
DRAFT = "".join(DOUBT)
_VARIANTS = (
    "error_status-503", "error_status-529", "error_status-422", "error_status-404", "rate_limit-ms", "rate_limit-date",
    "rate_limit-none", "stall-4-comments", "stall-4-empty", "cut-0-close", "cut-4-close",
    "malformed_event-2-unbalanced",
    "malformed_event-2-raw", "malformed_event-2-truncated", "stream_error-0-event", "stream_error-4-openrouter",
)  # fmt: skip
"""Of faults that are here already: how they look to an attempt is for the other matrix to try."""
CHOSEN = [case for case in CASES if not case.name.startswith(_VARIANTS)]


@pytest.fixture(params=CHOSEN, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


async def asked(rig: Rig, *, stream: bool) -> Reply:
    """Ask once, and check what must hold whatever the fault."""
    reply = await rig.ask(stream=stream)
    await rig.settled()
    assert not reply.is_cut
    if reply.presents_itself_as_complete:
        assert reply.text in {rig.expected_text, DRAFT}
        assert reply.finish_reasons == ["stop"]
    else:
        assert reply.error is not None
        assert not reply.is_done
    assert rig.in_flight() == [0] * len(rig.providers)
    assert rig.app.dispatcher.in_flight == 0
    return reply


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_in_the_smallest(case: Case, stream: bool) -> None:
    """The client gets one clean answer, without a seam."""
    before = asyncio.all_tasks()
    async with Rig.of(case.fault, None, tiers=("a", "b")) as rig:
        reply = await asked(rig, stream=stream)
    assert (reply.status, reply.error, reply.text, reply.joints) == (200, None, rig.expected_text, 0)
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_in_the_last_with_a_backup(case: Case, stream: bool) -> None:
    """Failover and rescue work there as anywhere; what no backup can mend leaves the small model's answer."""
    before = asyncio.all_tasks()
    expected = case.stream_backed if stream else case.whole_backed
    async with Rig.of(DOUBTFUL, case.fault, None, tiers=("a", "bc")) as rig:
        reply = await asked(rig, stream=stream)
    assert (reply.status, reply.error) == (200, None)
    assert reply.text == (rig.expected_text if expected == "whole" else DRAFT)
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_in_the_last_alone(case: Case, stream: bool) -> None:
    """What broke off after its first token is an error; what never began leaves the small model's answer."""
    before = asyncio.all_tasks()
    expected = case.stream_alone if stream else case.whole_alone
    async with Rig.of(DOUBTFUL, case.fault, tiers=("a", "b")) as rig:
        reply = await asked(rig, stream=stream)
    if expected == "error event":
        assert reply.error is not None
        assert reply.text
        assert rig.expected_text.startswith(reply.text)
    else:
        assert (reply.status, reply.error) == (200, None)
        assert reply.text == (rig.expected_text if expected == "whole" else DRAFT)
    assert asyncio.all_tasks() == before
