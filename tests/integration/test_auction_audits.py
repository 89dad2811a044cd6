"""Audits of auctions: what no client ever says is found out, and the better upstream gets the requests."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from streamroute.core.cost.report import UsageQuery, usage_rows
from streamroute.simulation.faults import Cut, NoResponse
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Script
from streamroute.stores.usage import read_lines
from tests.support.tiers import Tiers, Told, usd

WRONG = "Dear customer, we will look into the matter when we find the time for it, which may well be never. Yours."
RIGHT = "Dear customer, you get your money back within three days, and we are sorry for all the trouble. Yours."


def says(text: str) -> Script:
    return Script(name="says", profile=Profile(tpot_s=0.001, says=text))


JUDGE = Script(
    name="judge",
    profile=Profile(
        tpot_s=0.001, says_to=(("money back", '{"score": 9}'), ("which may well be never", '{"score": 1}'))
    ),
)
MODELS = {"judge": JUDGE, "cheap": says(WRONG), "dear": says(RIGHT)}
QUALITY = "cheap: quality = 0.9\ndear: quality = 0.85"
ROUTE = """[routes.chat]
upstreams = ["cheap", "dear"]
steering = "auction"
policy = "quality"
plan = "failover"
judge = "judge"
audit = { share = 1, max_usd_per_day = 100 }
"""
NO_JUDGE = ROUTE.replace('judge = "judge"\n', "")


def made(tiers: Tiers) -> dict[str, int]:
    [figures] = tiers.app.dispatcher.gates.figures()
    return dict(figures.audits)


async def audited(tiers: Tiers, count: int, **more: Any) -> Told:
    """Ask, and wait until so many audits have been made."""
    told = await tiers.ask(**more)
    await tiers.until(lambda: sum(made(tiers).values()) == count)
    return told


async def outcomes(tiers: Tiers, told: Told) -> list[tuple[str, str, float]]:
    document = await tiers.get(f"/status/decisions/{told.decision_id}")
    return [(each["upstream"], each["source"], round(each["score"], 2)) for each in document["quality"]]


async def test_requests_move_to_the_better_upstream_though_nobody_says_a_word(tmp_path: Path) -> None:
    """The cheap one is held to be better, and is not: audits find that out. No client is asked, none notices."""
    async with Tiers.of(tmp_path, MODELS, ROUTE, each=QUALITY) as tiers:
        told = [await audited(tiers, count) for count in range(1, 51)]
        texts = [each.text for each in told]
        first, explained = [await tiers.get(f"/status/decisions/{each.decision_id}") for each in (told[0], told[-1])]
        judged = made(tiers)["judged"]
        metrics = await tiers.text("/metrics")
        document = await tiers.get("/status")
    assert texts[0] == WRONG
    assert texts[-15:].count(RIGHT) >= 10  # on a busy machine one may be steered away from
    assert explained["matched"]["bids"][0]["upstream"] == "dear"
    assert "history" not in first["matched"]["features"]
    history = explained["matched"]["features"]["history"]
    assert 2 * judged - 2 <= history["outcomes"] <= 2 * judged  # two of each request before
    assert 0.5 < history["success"] < 0.85  # configured: .9 and .85; judged: .1 and .9
    assert judged >= 40  # on a busy machine nobody else may be well enough to be asked, now and then
    assert f'streamroute_audits_total{{result="judged",route="chat"}} {judged}.0' in metrics
    assert document["routes"]["chat"]["gate"]["audits"]["made"]["judged"] == judged
    learned = {each["upstream"]: each for each in document["routing"]["learned"]}
    assert learned["cheap"]["outcomes"] == learned["dear"]["outcomes"] == judged
    assert learned["cheap"]["observed"] == pytest.approx(0.1)
    assert learned["dear"]["observed"] == pytest.approx(0.9)


@pytest.mark.parametrize("stream", [True, False])
async def test_an_audit_asks_another_bidder_and_the_judge(tmp_path: Path, *, stream: bool) -> None:
    """After the client has its answer; it is on the ledger as an audit, and in no price that the client was told."""
    async with Tiers.of(tmp_path, MODELS, ROUTE, each=QUALITY) as tiers:
        told = await audited(tiers, 1, stream=stream)
        calls = await tiers.calls(told)
        found = await outcomes(tiers, told)
        [figures] = tiers.app.dispatcher.gates.figures()
        document = await tiers.get(f"/status/decisions/{told.decision_id}")
    assert told.text == WRONG
    assert calls == [
        ("cheap", "first", "succeeded"),
        ("dear", "audit", "succeeded"),
        *[("judge", "audit", "succeeded")] * 2,
    ]
    assert found == [("cheap", "audit", 0.1), ("dear", "audit", 0.9)]
    assert str(document["cost_usd"]) == f"{told.cost_usd:f}"
    assert figures.spent == tiers.waste().wasted["audit"] > 0
    assert usd(figures.spent) + (told.cost_usd or 0) == tiers.spent_usd()


async def test_answers_that_are_alike_need_no_judge(tmp_path: Path) -> None:
    """Two that come to the same are as good as each other."""
    models = {"judge": JUDGE, "cheap": says("The answer is 42."), "dear": says("6 * 7 = 42. Answer: 42")}
    async with Tiers.of(tmp_path, models, ROUTE, each=QUALITY) as tiers:
        told = await audited(tiers, 1)
        assert made(tiers) == {"agrees": 1}
        assert await outcomes(tiers, told) == [("cheap", "audit", 0.91), ("dear", "audit", 0.91)]
        assert tiers.requests == {"judge": 0, "cheap": 1, "dear": 1}


async def test_without_a_judge_the_one_that_is_held_to_be_better_is_believed(tmp_path: Path) -> None:
    """Where two differ, nobody else knows; whoever was asked first."""
    models = {"judge": JUDGE, "cheap": says("The answer is 42."), "dear": says("Answer: 41")}
    async with Tiers.of(tmp_path, models, NO_JUDGE, each=QUALITY) as tiers:
        told = await audited(tiers, 1)
        assert made(tiers) == {"differs": 1}
        assert await outcomes(tiers, told) == [("cheap", "audit", 0.48), ("dear", "audit", 0.13)]


async def test_what_nobody_could_compare_is_not_asked(tmp_path: Path) -> None:
    """Letters without a judge: it would be paid for nothing."""
    async with Tiers.of(tmp_path, MODELS, NO_JUDGE, each=QUALITY) as tiers:
        told = await audited(tiers, 1)
        assert made(tiers) == {"unclear": 1}
        assert tiers.requests == {"judge": 0, "cheap": 1, "dear": 0}
        assert await outcomes(tiers, told) == []


async def test_the_day_s_amount_ends_audits(tmp_path: Path) -> None:
    """Nobody is asked beyond it."""
    route = ROUTE.replace("max_usd_per_day = 100", "max_usd_per_day = 0.000001")
    async with Tiers.of(tmp_path, MODELS, route, each=QUALITY) as tiers:
        await audited(tiers, 1)
        assert made(tiers) == {"no_money": 1}
        assert tiers.requests == {"judge": 0, "cheap": 1, "dear": 0}


async def test_a_share_of_requests_is_audited(tmp_path: Path) -> None:
    """No more. Audits keep up with requests: were all of them drawn, far more would be made by then."""
    async with Tiers.of(tmp_path, MODELS, ROUTE.replace("share = 1", "share = 0.1"), each=QUALITY) as tiers:
        for _ in range(100):
            await tiers.ask()
        await tiers.until(lambda: sum(made(tiers).values()) >= 1)
        assert sum(made(tiers).values()) <= 25  # ten, but for chance


async def test_an_answer_that_is_too_long_is_not_kept(tmp_path: Path) -> None:
    """It is delivered, and the audit is not made."""
    models = MODELS | {"cheap": says("word " * 14_000)}
    async with Tiers.of(tmp_path, models, ROUTE, each=QUALITY) as tiers:
        told = await audited(tiers, 1, stream=False)
        assert len(told.text) > 65_536
        assert made(tiers) == {"dropped": 1}
        assert tiers.requests == {"judge": 0, "cheap": 1, "dear": 0}


async def test_an_answer_of_two_is_nobody_s(tmp_path: Path) -> None:
    """It broke off and was carried on by another upstream: it tells nothing of either."""
    models = MODELS | {"cheap": Script.of(Cut(at_token=5), profile=Profile(tpot_s=0.002, says=WRONG))}
    async with Tiers.of(tmp_path, models, ROUTE, each=QUALITY) as tiers:
        told = await audited(tiers, 1)
        assert [each[:2] for each in await tiers.calls(told)] == [("cheap", "first"), ("dear", "continuation")]
        assert made(tiers) == {"dropped": 1}


async def test_an_audit_of_an_auction_ends_with_the_process(tmp_path: Path) -> None:
    """It is given up, and what it has cost is on the ledger."""
    async with Tiers.of(tmp_path, MODELS, ROUTE, each=QUALITY) as tiers:
        tiers.servers["dear"].play(NoResponse(after="accept"))
        await tiers.ask()
        await tiers.servers["dear"].wait_until(lambda: tiers.servers["dear"].in_flight == 1)
    row = tiers.waste()
    assert row.attempts == 2
    assert row.wasted["audit"] > 0


async def test_what_has_waited_too_long_is_dropped(tmp_path: Path) -> None:
    """While two audits hang, others wait, and what they are about is not kept for ever."""
    async with Tiers.of(tmp_path, MODELS, ROUTE, each=QUALITY) as tiers:
        dear, auditor = tiers.servers["dear"], tiers.app.dispatcher.auditor
        dear.play(NoResponse(after="accept"))
        for _ in range(4):
            await tiers.ask()
        await dear.wait_until(lambda: dear.in_flight == 2)
        auditor.most_wait_s = 0.0
        dear.play(says(RIGHT))
        await dear.aclose()
        await tiers.until(lambda: made(tiers) == {"failed": 2, "dropped": 2})


async def test_whoever_must_not_be_asked_is_not_asked_in_an_audit(tmp_path: Path) -> None:
    """What the request requires holds for it too."""
    async with Tiers.of(tmp_path, MODELS, ROUTE, each='cheap: quality = 0.9\ncheap: residency = "eu"') as tiers:
        told = await tiers.ask(streamroute={"residency": "eu"})
        assert told.text == WRONG
        assert tiers.app.dispatcher.gates.figures() == []
        assert tiers.requests["dear"] == 0


async def test_feedback_says_what_the_judge_s_word_is_worth(tmp_path: Path) -> None:
    """It thinks little of answers that people like, so little from it comes to mean much."""
    async with Tiers.of(tmp_path, MODELS, ROUTE, each=QUALITY) as tiers, aiohttp.ClientSession() as session:
        for count in range(1, 26):
            told = await audited(tiers, count)
            liked = {"decision_id": told.decision_id, "score": 1 if told.text == WRONG else 0}
            async with session.post(f"{tiers.app.url}/v1/feedback", json=liked) as response:
                assert response.status == 200
        keeper = tiers.app.dispatcher.gates.of(tiers.app.config.routes["chat"]).keeper
        assert keeper.calibrated(0.1) > 0.5


async def test_audits_are_paid_by_whom_the_request_is_for(tmp_path: Path) -> None:
    """Key and task of the client stand beside their cost, and the amount of the day outlives a restart."""
    more = f'[routing]\nstate = "{tmp_path}/learned.npz"\n'
    async with Tiers.of(tmp_path, MODELS, ROUTE, each=QUALITY, more=more) as tiers:
        await audited(tiers, 1, headers={"x-streamroute-task": "letters"})
        [figures] = tiers.app.dispatcher.gates.figures()
    [row] = usage_rows(read_lines(tiers.url, UsageQuery(by=("task",), is_waste_told=True)))
    assert (row.by, row.wasted["audit"]) == (("letters",), figures.spent)
    async with Tiers.of(tmp_path, MODELS, ROUTE, each=QUALITY, more=more) as tiers:
        gate = tiers.app.dispatcher.gates.of(tiers.app.config.routes["chat"])
        assert gate.money.spent_today == figures.spent


async def test_nobody_is_asked_where_the_judge_cannot_be(tmp_path: Path) -> None:
    """The other answer would be paid for, and nothing known."""
    async with Tiers.of(tmp_path, MODELS, ROUTE, each=QUALITY) as tiers, aiohttp.ClientSession() as session:
        async with session.post(f"{tiers.app.url}/admin/upstreams/judge/drain") as response:
            assert response.status == 200
        await audited(tiers, 1)
        assert made(tiers) == {"unclear": 1}
        assert tiers.requests == {"judge": 0, "cheap": 1, "dear": 0}
