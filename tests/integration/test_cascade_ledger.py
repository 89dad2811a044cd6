"""What small models first come to on the ledger, and on the answers themselves."""

from pathlib import Path

import pytest

from streamroute.simulation.content import DOUBT
from streamroute.simulation.faults import ErrorStatus
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Script
from tests.support.tiers import Tiers, usd

DOUBTFUL = Script(name="doubtful", profile=Profile(tpot_s=0.001, tokens=8, doubt_share=1.0))
TWO = '[routes.chat]\ntiers = [["small"], ["large"]]\n'
THREE = '[routes.chat]\ntiers = [["small"], ["middle"], ["large"]]\n'


@pytest.mark.parametrize("stream", [True, False])
async def test_a_rejected_draft_is_no_answer(tmp_path: Path, stream: bool) -> None:
    """Its price is told as what it is, and the answer's own figure has both."""
    async with Tiers.of(tmp_path, {"small": DOUBTFUL, "large": None}, TWO) as tiers:
        told = await tiers.ask(stream=stream)
        assert await tiers.calls(told) == [
            ("small", "first", "succeeded"),
            ("small", "assessment", "rejected"),
            ("large", "escalation", "succeeded"),
        ]
        wasted = 'streamroute_wasted_spend_usd_total{cause="first"}'
        metrics = await tiers.text("/metrics")
    row = tiers.waste()
    assert told.cost_usd == tiers.spent_usd() > 0
    assert row.wasted["rejected"] > 0
    assert sum(row.wasted.values()) == row.wasted["rejected"] < row.cost
    assert f"{wasted} {float(usd(row.wasted['rejected']))}" in metrics


@pytest.mark.parametrize("stream", [True, False])
async def test_an_accepted_draft_is_the_answer(tmp_path: Path, stream: bool) -> None:
    """Nothing was wasted."""
    async with Tiers.of(tmp_path, {"small": None, "large": None}, TWO) as tiers:
        told = await tiers.ask(stream=stream)
    row = tiers.waste()
    assert told.cost_usd == tiers.spent_usd() > 0
    assert (sum(row.wasted.values()), row.attempts) == (0, 1)


async def test_a_draft_that_is_delivered_late_tells_the_cost_of_all(tmp_path: Path) -> None:
    """Of the two drafts one is delivered because nobody else answers; the other one was paid for, too."""
    models = {"small": DOUBTFUL, "middle": DOUBTFUL, "large": ErrorStatus(status=401)}
    async with Tiers.of(tmp_path, models, THREE) as tiers:
        told = await tiers.ask()
        assert told.text == "".join(DOUBT)
    row = tiers.waste()
    assert told.cost_usd == tiers.spent_usd() > 0
    assert 0 < row.wasted["rejected"] < row.cost
    assert row.attempts == 3
