"""Held answers that other models are asked about: agreement and a judge, their calls, their price, their failures."""

from pathlib import Path

import pytest

from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import ErrorStatus, NoResponse
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Script
from tests.support.tiers import Tiers


def says(text: str) -> Script:
    return Script(name="says", profile=Profile(tpot_s=0.001, says=text))


RIGHT, SAME, OTHER = says("So the answer is 42."), says("6 * 7 = 42. Answer: 42"), says("The answer is 41.")
AGREEMENT = '[routes.chat]\ntiers = [["small"], ["large"]]\nassess = ["agreement"]\nagree_with = "second"\n'
JUDGE = '[routes.chat]\ntiers = [["small"], ["large"]]\nassess = ["judge"]\njudge = "second"\naccept_at = 0.7\n'
FIRST = ("small", "first", "succeeded")
ACCEPTED, REJECTED = ("small", "assessment", "accepted"), ("small", "assessment", "rejected")
LARGE = ("large", "escalation", "succeeded")


def models(small: Script, second: Script | Fault) -> dict[str, Script | Fault | None]:
    return {"small": small, "second": second, "large": None}


@pytest.mark.parametrize("stream", [True, False])
async def test_two_that_agree(tmp_path: Path, stream: bool) -> None:
    """The answer is delivered; the second call is on the ledger as what it is, and in what the answer has cost."""
    async with Tiers.of(tmp_path, models(RIGHT, SAME), AGREEMENT) as tiers:
        told = await tiers.ask(stream=stream)
        assert told.text == "So the answer is 42."
        assert await tiers.calls(told) == [FIRST, ("second", "agreement", "succeeded"), ACCEPTED]
    row = tiers.waste()
    assert told.cost_usd == tiers.spent_usd() > 0
    assert sum(row.wasted.values()) == row.wasted["agreement"] > 0


async def test_two_that_disagree(tmp_path: Path) -> None:
    """Nobody knows who is right, so a larger model is asked."""
    async with Tiers.of(tmp_path, models(RIGHT, OTHER), AGREEMENT) as tiers:
        told = await tiers.ask()
        assert await tiers.calls(told) == [FIRST, ("second", "agreement", "succeeded"), REJECTED, LARGE]
        document = await tiers.get(f"/status/decisions/{told.decision_id}")
    assert "second comes to another answer" in str(document)
    row = tiers.waste()
    assert told.cost_usd == tiers.spent_usd()
    assert sum(row.wasted.values()) == row.wasted["agreement"] + row.wasted["rejected"]


async def test_nobody_is_asked_where_the_answer_speaks_against_itself(tmp_path: Path) -> None:
    """It is rejected for nothing."""
    async with Tiers.of(tmp_path, models(says("I'm not sure."), SAME), AGREEMENT) as tiers:
        told = await tiers.ask()
        assert await tiers.calls(told) == [FIRST, REJECTED, LARGE]


async def test_nobody_is_asked_what_could_not_be_compared(tmp_path: Path) -> None:
    """Two letters differ, and neither is wrong for it."""
    letter = says("Dear customer, we thank you for your letter and will look into the matter within a week. Yours.")
    async with Tiers.of(tmp_path, models(letter, SAME), AGREEMENT) as tiers:
        told = await tiers.ask()
        assert await tiers.calls(told) == [FIRST, ACCEPTED]


@pytest.mark.parametrize("fault", [ErrorStatus(status=500), ErrorStatus(status=401)])
async def test_a_doubt_that_nobody_resolves_stays_one(tmp_path: Path, fault: Fault) -> None:
    """The larger model is asked."""
    async with Tiers.of(tmp_path, models(RIGHT, fault), AGREEMENT) as tiers:
        told = await tiers.ask()
        assert await tiers.calls(told) == [FIRST, ("second", "agreement", "failed"), REJECTED, LARGE]


async def test_a_check_that_hangs_is_not_waited_for_in_vain(tmp_path: Path) -> None:
    """It has no more time than the request has; then the answer there is beats none."""
    route = f"{AGREEMENT}deadlines = {{ total_s = 0.6 }}\n"
    async with Tiers.of(tmp_path, models(RIGHT, NoResponse(after="accept")), route) as tiers:
        told = await tiers.ask()
        calls = await tiers.calls(told)
    assert told.text == "So the answer is 42."
    assert calls[1:3] == [("second", "agreement", "failed"), REJECTED]
    row = tiers.waste()
    assert row.wasted["agreement"] > 0


async def test_no_money_for_a_check(tmp_path: Path) -> None:
    """It is a call beside the request's own: the last money is not for it. Nor for the larger model; then the answer
    there is beats none."""
    budget = '[[budgets]]\nscope = "global"\namount = "0.0007USD/day"\n'
    async with Tiers.of(tmp_path, models(RIGHT, SAME), AGREEMENT, more=budget) as tiers:
        told = await tiers.ask(max_tokens=8)
        not_made = [("second", "agreement", "not_made"), REJECTED, ("large", "escalation", "not_made")]
        assert (await tiers.calls(told))[:4] == [FIRST, *not_made]
        assert tiers.requests == {"small": 1, "second": 0, "large": 0}
    assert told.text == "So the answer is 42."


@pytest.mark.parametrize(("score", "outcome"), [(9, ACCEPTED), (4, REJECTED)])
async def test_a_judge(tmp_path: Path, score: int, outcome: tuple[str, str, str]) -> None:
    """Its word is held against the same threshold as everything else."""
    async with Tiers.of(tmp_path, models(RIGHT, says(f'{{"score": {score}}}')), JUDGE) as tiers:
        told = await tiers.ask()
        calls = await tiers.calls(told)
    assert calls[:3] == [FIRST, ("second", "judge", "succeeded"), outcome]
    assert told.cost_usd == tiers.spent_usd()
    assert tiers.waste().wasted["judge"] > 0


async def test_a_judge_that_does_not_do_as_it_is_told(tmp_path: Path) -> None:
    """Has said nothing."""
    async with Tiers.of(tmp_path, models(RIGHT, says("I would give it a 10!")), JUDGE) as tiers:
        told = await tiers.ask()
        assert (await tiers.calls(told))[2] == REJECTED


async def test_the_judge_is_asked_where_agreement_has_nothing_to_say(tmp_path: Path) -> None:
    """In the order in which they are listed, until one has said something."""
    route = AGREEMENT.replace('["agreement"]', '[["agreement", "judge"]]') + 'judge = "second"\naccept_at = 0.7\n'
    letter = says("Dear customer, we thank you for your letter and will look into the matter within a week. Yours.")
    async with Tiers.of(tmp_path, models(letter, says('{"score": 8}')), route) as tiers:
        told = await tiers.ask()
        assert await tiers.calls(told) == [FIRST, ("second", "judge", "succeeded"), ACCEPTED]


async def test_a_second_sample_of_the_same_model(tmp_path: Path) -> None:
    """Asked warm, so that it may differ."""
    route = AGREEMENT.replace('"second"', '"small"')
    async with Tiers.of(tmp_path, models(RIGHT, SAME), route) as tiers:
        told = await tiers.ask(temperature=0)
        assert await tiers.calls(told) == [FIRST, ("small", "agreement", "succeeded"), ACCEPTED]
        temperatures = [record.body["temperature"] for record in tiers.servers["small"].log]
    assert temperatures == [0, 0.7]


EU = 'small: residency = "eu"\nsecond: residency = "us"\nlarge: residency = "eu"\n'


async def test_what_holds_for_the_request_holds_for_its_checks(tmp_path: Path) -> None:
    """A second opinion from another region would take the question there."""
    async with Tiers.of(tmp_path, models(RIGHT, SAME), AGREEMENT, each=EU) as tiers:
        abroad = await tiers.ask(headers={"x-streamroute-residency": "eu"})
        free = await tiers.ask()
        assert await tiers.calls(abroad) == [FIRST, REJECTED, LARGE]
        assert await tiers.calls(free) == [FIRST, ("second", "agreement", "succeeded"), ACCEPTED]


async def test_a_client_that_waits_is_told_that_somebody_is_at_work(tmp_path: Path) -> None:
    """While an answer is held, and while others are asked about it."""
    slow = Script(name="slow", profile=Profile(ttft_s=0.4, says="So the answer is 42."))
    alive = "[server]\nkeepalive_s = 0.05\n"
    async with Tiers.of(tmp_path, models(RIGHT, slow), AGREEMENT, site=alive) as tiers:
        told = await tiers.ask()
    assert told.reply is not None
    assert told.reply.comments >= 3
    assert told.text == "So the answer is 42."


async def test_a_larger_model_beside_a_slow_small_one(tmp_path: Path) -> None:
    """The first that is good enough is delivered, and the other is on the ledger as what it is."""
    slow = Script(name="slow", profile=Profile(ttft_s=3.0, says="So the answer is 42."))
    route = '[routes.chat]\ntiers = [["small"], ["large"]]\nspeculate_after_s = 0.1\n'
    async with Tiers.of(tmp_path, {"small": slow, "large": OTHER}, route) as tiers:
        told = await tiers.ask()
        assert sorted(await tiers.calls(told)) == [
            ("large", "speculation", "succeeded"),
            ("small", "first", "cancelled"),
        ]
        hedges = tiers.app.dispatcher.budget.figures(0.0)
    assert told.text == "The answer is 41."
    assert hedges.hedges_allowed == 1, "it has asked the budget of calls beside others"
    assert tiers.waste().wasted["overtaken"] > 0
