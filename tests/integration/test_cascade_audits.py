"""Audits: answers that clients have are looked into afterwards, domains earn and lose trust, within their money."""

from contextlib import suppress
from pathlib import Path

import numpy as np
from structlog.testing import capture_logs

from streamroute.config.load import load_config
from streamroute.core.routing.learned.domain_guard import Trust
from streamroute.core.routing.learned.gate_features import GATE_FEATURES
from streamroute.core.routing.learned.gatekeeper import Gatekeeper, Look
from streamroute.simulation.faults import NoResponse
from streamroute.simulation.faults.error_status import ErrorStatus
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Script
from streamroute.telemetry.logs import configure_logs
from tests.support.tiers import Tiers, Told


def says(text: str) -> Script:
    return Script(name="says", profile=Profile(tpot_s=0.001, says=text))


SMALL, SAME, OTHER = says("So the answer is 42."), says("6 * 7 = 42. Answer: 42"), says("The answer is 41.")
LETTER = says("Dear customer, we thank you for your letter and will look into the matter within a week. Yours.")
REPLY = says("Dear Sir or Madam, this is to let you know that your request is with the right department by now. Bye.")
ROUTE = '[routes.chat]\ntiers = [["small"], ["large"]]\naudit = { share = 1, max_usd_per_day = 1 }\n'


def keeper_of(tiers: Tiers) -> Gatekeeper:
    return tiers.app.dispatcher.gates.of(tiers.app.config.routes["chat"]).keeper


def trusted(tiers: Tiers, gain: float = 0.005) -> None:
    """Let the small model have earned its trust, unless a larger one has more of a gain."""
    for _ in range(120):
        keeper_of(tiers).learn(
            Look(tier=0, domain="general", features=np.zeros(GATE_FEATURES), margin=0.5, share=1.0, gain=gain)
        )


async def gate(tiers: Tiers) -> dict[str, object]:
    found: dict[str, object] = (await tiers.get("/status"))["routes"]["chat"]["gate"]
    return found


def made(tiers: Tiers) -> dict[str, int]:
    [figures] = tiers.app.dispatcher.gates.figures()
    return dict(figures.audits)


async def outcomes(tiers: Tiers, told: Told) -> list[tuple[str, str, float]]:
    document = await tiers.get(f"/status/decisions/{told.decision_id}")
    return [(each["upstream"], each["source"], each["score"]) for each in document["quality"]]


async def test_a_new_domain_is_the_large_model_s(tmp_path: Path) -> None:
    """Both are asked, the large one's answer is delivered, and what the small one's was worth is learned by the way."""
    async with Tiers.of(tmp_path, {"small": SMALL, "large": SAME}, ROUTE) as tiers:
        told = await tiers.ask()
        document = await tiers.get(f"/status/decisions/{told.decision_id}")
        status = await gate(tiers)
    assert told.text == "6 * 7 = 42. Answer: 42"
    assert "it would do, but its domain (general) is new here" in str(document["attempts"])
    known = status["audits"]["domains"]["general"]  # type: ignore[index]
    assert 0.0 < known.pop("loss") < 0.05
    assert known == {"trust": "new", "changed": None, "looks": 1, "look_share": 1.0, "caution": None}


async def test_domains_are_told_apart_where_nobody_says_them(tmp_path: Path) -> None:
    """By what the questions are about; of those about nothing in particular, by their task."""
    law = "Who may appeal against a verdict of the court, and does a plaintiff pay?"
    async with Tiers.of(tmp_path, {"small": SMALL, "large": SAME}, ROUTE) as tiers:
        await tiers.ask(law)
        await tiers.ask(law, headers={"x-streamroute-task": "triage"})
        await tiers.ask(headers={"x-streamroute-task": "triage"})
        await tiers.ask(headers={"x-streamroute-domain": "general", "x-streamroute-task": "triage"})
        status = await gate(tiers)
    domains = status["audits"]["domains"]  # type: ignore[index]
    assert {name: each["looks"] for name, each in domains.items()} == {"law": 2, "triage": 1, "general": 1}


async def test_what_was_delivered_is_looked_into(tmp_path: Path) -> None:
    """After the client has it: the audit is on the ledger as one, in no price that the client was told, and what it
    found is told to all that learn."""
    async with Tiers.of(tmp_path, {"small": SMALL, "large": SAME}, ROUTE) as tiers:
        trusted(tiers)
        told = await tiers.ask()
        assert told.text == "So the answer is 42."
        await tiers.until(lambda: made(tiers) == {"agrees": 1})
        assert await tiers.calls(told) == [
            ("small", "first", "succeeded"), ("small", "assessment", "accepted"), ("large", "audit", "succeeded")
        ]  # fmt: skip
        assert ("small", "audit", 0.91) in await outcomes(tiers, told)
        document = await tiers.get(f"/status/decisions/{told.decision_id}")
        assert str(document["cost_usd"]) == f"{told.cost_usd:f}"
        metrics = await tiers.text("/metrics")
    assert 'streamroute_gate_trusted{domain="general",route="chat"} 1.0' in metrics
    assert 'streamroute_audits_total{result="agrees",route="chat"} 1.0' in metrics
    row = tiers.waste()
    assert row.wasted["audit"] > 0
    assert (row.requests, row.attempts) == (1, 2)


async def test_a_domain_that_gets_worse_goes_back_to_the_large_model(tmp_path: Path) -> None:
    """The audits notice that the two do not agree any more, and soon nothing of the small model is delivered."""
    async with Tiers.of(tmp_path, {"small": SMALL, "large": OTHER}, ROUTE.replace("share = 1", "share = 0.2")) as tiers:
        trusted(tiers)
        texts = [(await tiers.ask()).text for _ in range(100)]
    assert texts[0] == "So the answer is 42."
    assert texts.count("So the answer is 42.") <= 40
    assert set(texts[60:]) == {"The answer is 41."}


async def test_a_withdrawn_domain_is_hardly_asked_about(tmp_path: Path) -> None:
    """Requests go straight to the large model, but for some, so that it can come back; others are not concerned."""
    async with Tiers.of(tmp_path, {"small": SMALL, "large": SAME}, ROUTE.replace("share = 1", "share = 0.05")) as tiers:
        trusted(tiers, gain=0.35)
        assert keeper_of(tiers).guard("general").trust is Trust.WITHDRAWN
        told = [await tiers.ask() for _ in range(30)]
        straight = [each for each in told if (await tiers.calls(each)) == [("large", "first", "succeeded")]]
        document = await tiers.get(f"/status/decisions/{straight[0].decision_id}")
        assert keeper_of(tiers).guard("other").trust is Trust.NEW
    assert {each.text for each in told} == {"6 * 7 = 42. Answer: 42"}
    assert 15 <= len(straight) < 30
    assert "skips smaller tiers (small): answers to general requests have lost quality to them" in str(
        document["reasons"]
    )


async def test_audits_have_an_amount_a_day(tmp_path: Path) -> None:
    """When it is spent nobody is asked."""
    route = ROUTE.replace("max_usd_per_day = 1", "max_usd_per_day = 0.000001")
    async with Tiers.of(tmp_path, {"small": SMALL, "large": SAME}, route) as tiers:
        trusted(tiers)
        await tiers.ask()
        await tiers.until(lambda: made(tiers) == {"no_money": 1})
        assert tiers.requests == {"small": 1, "large": 0}


async def test_a_model_without_a_price_does_not_make_audits_free(tmp_path: Path) -> None:
    """What the large one costs counts against the day's amount, though nobody knows what the whole request has cost."""
    route = ROUTE.replace("max_usd_per_day = 1", "max_usd_per_day = 0.1")
    async with Tiers.of(tmp_path, {"small": SMALL, "large": SAME}, route) as tiers:
        file = tmp_path / "tiers.toml"
        priced = "price = { input_per_mtok = 1, output_per_mtok = 2 }"
        assert priced in file.read_text()
        file.write_text(file.read_text().replace(priced, ""))
        await tiers.app.reload(load_config(file, environ={}))
        trusted(tiers)
        told = await tiers.ask()
        assert told.cost_usd is None
        await tiers.until(lambda: made(tiers) == {"agrees": 1})
        [figures] = tiers.app.dispatcher.gates.figures()
    assert figures.spent > 0


async def test_a_judge_is_not_asked_without_money(tmp_path: Path) -> None:
    """Its words are paid from the same amount: one that might cost more than is left is not asked."""
    models = {"small": LETTER, "large": REPLY, "second": says('{"score": 8}')}
    route = ROUTE.replace("max_usd_per_day = 1", "max_usd_per_day = 0.01")
    async with Tiers.of(tmp_path, models, f'{route}judge = "second"\n') as tiers:
        trusted(tiers)
        await tiers.ask(max_tokens=40)
        await tiers.until(lambda: sum(made(tiers).values()) == 1)
        assert made(tiers) == {"unclear": 1}
        assert tiers.requests == {"small": 1, "large": 1, "second": 0}


async def test_a_judge_that_does_not_judge_is_noticed(tmp_path: Path) -> None:
    """In audits and beside requests: its answers are counted, told apart from what nobody could compare, and logged
    once a minute at most."""
    models = {"small": LETTER, "large": REPLY, "second": says('{"score": 0.8}')}
    route = f'{ROUTE}judge = "second"\n'
    configure_logs("warning", "json")
    async with Tiers.of(tmp_path, models, route) as tiers:
        trusted(tiers)
        with capture_logs() as logs:
            await tiers.ask()
            await tiers.until(lambda: sum(made(tiers).values()) == 1)
        assert made(tiers) == {"no_judgement": 1}
        assert (await gate(tiers))["no_judgements"] == 2
        metrics = await tiers.text("/metrics")
    assert 'streamroute_audits_total{result="no_judgement",route="chat"} 1.0' in metrics
    [line] = [each for each in logs if each["event"] == "judge.no_judgement"]
    assert (line["log_level"], line["route"], line["judge"], line["so_far"]) == ("warning", "chat", "second", 1)
    assert "whole number N from 0 to 10" in line["expected"]
    async with Tiers.of(tmp_path, models, route.replace("share = 1", "share = 0") + 'assess = ["judge"]\n') as tiers:
        told = await tiers.ask()
        document = await tiers.get(f"/status/decisions/{told.decision_id}")
    assert "the judge's answer was no judgement" in str(document["attempts"])


async def test_the_same_letter_twice_is_no_doubt(tmp_path: Path) -> None:
    """Nobody has to judge it."""
    async with Tiers.of(
        tmp_path, {"small": LETTER, "large": LETTER, "second": None}, f'{ROUTE}judge = "second"\n'
    ) as tiers:
        trusted(tiers)
        await tiers.ask()
        await tiers.until(lambda: sum(made(tiers).values()) == 1)
        assert made(tiers) == {"agrees": 1}
        assert tiers.requests["second"] == 0


async def test_an_audit_ends_with_the_process(tmp_path: Path) -> None:
    """It is given up, and what it has cost is on the ledger."""
    async with Tiers.of(tmp_path, {"small": SMALL, "large": SAME}, ROUTE) as tiers:
        trusted(tiers)
        tiers.servers["large"].play(NoResponse(after="accept"))
        await tiers.ask()
        await tiers.servers["large"].wait_until(lambda: tiers.servers["large"].in_flight == 1)
    row = tiers.waste()
    assert row.attempts == 2
    assert row.wasted["audit"] > 0


async def test_letters_are_compared_by_the_judge(tmp_path: Path) -> None:
    """Where two answers cannot be compared by themselves; without a judge such a domain is nobody's business."""
    models = {"small": LETTER, "large": REPLY, "second": says('{"score": 8}')}
    async with Tiers.of(tmp_path, models, f'{ROUTE}judge = "second"\n') as tiers:
        told = await tiers.ask()
        await tiers.until(lambda: made(tiers) == {"judged": 1})
        calls = await tiers.calls(told)
    assert told.text.startswith("Dear Sir or Madam")
    assert calls[-2:] == [("second", "audit", "succeeded")] * 2
    (tmp_path / "alone").mkdir()
    async with Tiers.of(tmp_path / "alone", {"small": LETTER, "large": REPLY}, ROUTE) as tiers:
        assert (await tiers.ask()).text.startswith("Dear customer")


async def test_a_judge_is_calibrated_by_audits(tmp_path: Path) -> None:
    """Its word is held against what the large model says of the same answer."""
    route = f'{ROUTE}judge = "second"\nassess = ["judge"]\n'
    async with Tiers.of(tmp_path, {"small": SMALL, "large": SAME, "second": says('{"score": 6}')}, route) as tiers:
        trusted(tiers)
        keeper = keeper_of(tiers)
        for count in range(1, 26):
            await tiers.ask()
            await tiers.until(lambda count=count: made(tiers) == {"agrees": count})
        assert round(keeper.calibrated(0.6), 2) == 0.91


THREE = '[routes.chat]\ntiers = [["small"], ["middle"], ["large"]]\n'
DOUBTFUL = says("I'm not sure.")


def discourage(tiers: Tiers, tier: int) -> None:
    """Let a tier have given a hundred poor answers."""
    ascent = tiers.app.dispatcher.gates.of(tiers.app.config.routes["chat"]).ascent("")
    for _ in range(100):
        ascent.was_judged(tier, is_accepted=False)


def withdraw(tiers: Tiers, _tier: int) -> None:
    """Let answers to general requests have lost quality."""
    trusted(tiers, gain=0.35)


async def test_a_tier_that_is_never_good_enough_is_skipped(tmp_path: Path) -> None:
    """Straight up costs less, and the decision says why; now and then it is tried even so."""
    models = {"small": DOUBTFUL, "middle": SMALL, "large": OTHER}
    async with Tiers.of(tmp_path, models, THREE) as tiers:
        discourage(tiers, 0)
        told = [await tiers.ask() for _ in range(60)]
        assert {each.text for each in told} == {"So the answer is 42."}
        assert 1 <= tiers.requests["small"] <= 15
        document = await tiers.get(f"/status/decisions/{told[0].decision_id}")
        status = await gate(tiers)
    assert "skips smaller tiers (small): too few of their answers to requests are accepted" in str(document["reasons"])
    assert status["accepted_share"][""]["1"] < 0.05  # type: ignore[index]
    assert status["audits"] is None


async def test_nobody_is_sent_straight_to_a_model_that_cannot_be_asked(tmp_path: Path) -> None:
    """Whatever is thought of the small one: its answer is delivered for want of a better one."""
    for learned, route in (
        (discourage, THREE.replace('["middle"], ', "")),
        (withdraw, ROUTE.replace("share = 1", "share = 0.05")),
    ):
        folder = tmp_path / learned.__name__
        folder.mkdir()
        async with Tiers.of(folder, {"small": SMALL, "large": ErrorStatus(status=500)}, route) as tiers:
            learned(tiers, 0)
            with suppress(AssertionError):  # nobody knew that it would fail
                await tiers.ask()
            assert {(await tiers.ask()).text for _ in range(10)} == {"So the answer is 42."}


async def test_after_an_answer_the_next_tier_is_chosen_among_those_left(tmp_path: Path) -> None:
    """The middle one is passed over where it has hardly ever helped."""
    models = {"small": DOUBTFUL, "middle": SMALL, "large": OTHER}
    async with Tiers.of(tmp_path, models, THREE) as tiers:
        discourage(tiers, 1)
        told = await tiers.ask()
        document = await tiers.get(f"/status/decisions/{told.decision_id}")
        assert await tiers.calls(told) == [
            ("small", "first", "succeeded"), ("small", "assessment", "rejected"), ("large", "escalation", "succeeded")
        ]  # fmt: skip
    assert "skips middle: too few of their answers are accepted" in str(document["attempts"])


async def test_trust_outlives_a_restart(tmp_path: Path) -> None:
    """Where there is a state file; the domain need not be earned anew."""
    more = f'[routing]\nstate = "{tmp_path}/learned.npz"\n'
    async with Tiers.of(tmp_path, {"small": SMALL, "large": SAME}, ROUTE, more=more) as tiers:
        trusted(tiers)
    async with Tiers.of(tmp_path, {"small": SMALL, "large": SAME}, ROUTE, more=more) as tiers:
        assert keeper_of(tiers).guard("general").looks == 120
        assert (await tiers.ask()).text == "So the answer is 42."


async def test_a_second_model_s_word_counts_in_audits(tmp_path: Path) -> None:
    """Where two cheap models agree and the large one does not, nobody knows who is right: little is held against them,
    and nobody's quality is said to be anything."""
    models = {"small": SMALL, "second": SAME, "large": OTHER}
    async with Tiers.of(tmp_path, models, f'{ROUTE}assess = ["agreement"]\nagree_with = "second"\n') as tiers:
        trusted(tiers)
        loss = keeper_of(tiers).guard("general").loss()
        told = await tiers.ask()
        await tiers.until(lambda: made(tiers) == {"differs": 1})
        assert keeper_of(tiers).guard("general").loss() < loss + 0.001
        assert not [each for each in await outcomes(tiers, told) if each[1] == "audit"]


async def test_a_judge_says_whose_answer_was_better_where_two_differ(tmp_path: Path) -> None:
    """A disagreement alone would be held against the small model; where it is as good as the large one, it stays."""
    models = {"small": SMALL, "large": OTHER, "second": says('{"score": 8}')}
    async with Tiers.of(tmp_path, models, f'{ROUTE}judge = "second"\n') as tiers:
        trusted(tiers)
        for count in range(1, 16):
            assert (await tiers.ask()).text == "So the answer is 42."
            await tiers.until(lambda count=count: made(tiers) == {"judged": count})
        assert keeper_of(tiers).gain_of(agrees=False, is_backed=False) < 0.25  # of .35, which is usual
        assert keeper_of(tiers).guard("general").trust is Trust.TRUSTED


async def test_two_audits_of_one_request_pay_each_for_itself(tmp_path: Path) -> None:
    """They are made at once; what they have cost counts once against the day's amount."""
    models = {"second": says('{"score": 8}'), "small": SMALL, "middle": OTHER, "large": says("The answer is 40.")}
    route = ROUTE.replace('[["small"], ["large"]]', '[["small"], ["middle"], ["large"]]')
    async with Tiers.of(tmp_path, models, f'{route}judge = "second"\n') as tiers:
        await tiers.ask(max_tokens=40)
        await tiers.until(lambda: made(tiers) == {"judged": 2})
        [figures] = tiers.app.dispatcher.gates.figures()
        assert tiers.requests["second"] == 4
    assert figures.spent == tiers.waste().wasted["audit"] > 0
