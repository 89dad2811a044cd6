"""A tier policy from recorded outcomes to live requests: fitted by the command, used by a route, seen on sockets."""

import asyncio
import json
import signal
from dataclasses import replace
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from streamroute.cli.main import app
from streamroute.config.load import load_config
from streamroute.core.quality.ridge import Ridge
from streamroute.core.routing.learned.domain_guard import Trust
from streamroute.core.routing.learned.policy_fit import fit_policy
from streamroute.core.routing.learned.tier_policy import TierPolicy
from streamroute.engine.spending import now_ms
from streamroute.errors import ConfigError
from streamroute.simulation.faults.error_status import ErrorStatus
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Script
from streamroute.simulation.server import SimulationServer
from streamroute.stores.outcome_files import read_outcomes
from streamroute.stores.state_file import save_state
from streamroute.telemetry.logs import configure_logs
from tests.support.outcomes import LAW, RIVER, SUM, SURE, UNSURE, outcome_lines, write_outcomes
from tests.support.serve_process import ServeProcess, provider_table
from tests.support.tiers import Tiers, usd

THREE = ("small", "middle", "large")
CONFIG = """version = 1
[providers.lab]
kind = "openai_compatible"
base_url = "http://127.0.0.1:9/v1"
[upstreams.small]
provider = "lab"
model = "small-1"
[upstreams.large]
provider = "lab"
model = "large-1"
[routes.chat]
tiers = [["small"], ["large"]]
"""


def says(text: str) -> Script:
    return Script(name="says", profile=Profile(tpot_s=0.001, says=text))


CERTAIN, HEDGING, LARGE = says(SURE.format(7)), says(UNSURE.format(7)), says(SURE.format(12))
EASY, HARD, MIXED = SUM.format(3, 4), LAW.format("upper", "outer"), RIVER.format("lower", "inner")


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fit one, once."""
    folder = tmp_path_factory.mktemp("fit")
    (folder / "config.toml").write_text(CONFIG)
    outcomes = write_outcomes(folder / "outcomes.jsonl")
    arguments = ["--outcomes", str(outcomes), "--keep-quality", "0.99", "-o", str(folder / "policy.npz"), "--json"]
    ended = CliRunner().invoke(app, ["routing", "fit", "chat", "-c", str(folder / "config.toml"), *arguments])
    assert ended.exit_code == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["kind"] == "hybrid"
    assert found["expected"]["hybrid"]["saving"] > 0.25
    return folder / "policy.npz"


def route(policy: Path, more: str = "") -> str:
    return f'[routes.chat]\ntiers = [["small"], ["large"]]\ntier_policy = "{policy}"\n{more}'


def copied(policy: Path, folder: Path, most_bytes: int | None = None) -> Path:
    own = folder / "policy.npz"
    own.write_bytes(policy.read_bytes()[:most_bytes])
    return own


def made(tiers: Tiers) -> dict[str, int]:
    [figures] = tiers.app.dispatcher.gates.figures()
    return dict(figures.audits)


async def test_hard_questions_go_to_the_large_model_at_once(tmp_path: Path, policy: Path) -> None:
    """The words of the question tell; nobody asks the small model, and the decision says by what."""
    async with Tiers.of(tmp_path, {"small": CERTAIN, "large": LARGE}, route(policy)) as tiers:
        told = await tiers.ask(HARD, headers={"x-streamroute-domain": "law"})
        assert await tiers.calls(told) == [("large", "first", "succeeded")]
        document = await tiers.get(f"/status/decisions/{told.decision_id}")
    assert told.text == SURE.format(12)
    [why] = [each for each in document["reasons"] if each.startswith("policy")]
    assert why.startswith("policy policy.npz begins with large: utilities ask small ")
    about = json.loads(np.load(policy)["about"].tobytes())
    assert about["price"] > 0
    assert why.endswith(f"(quality less cost x {about['price']:.4g} per usd)")


async def test_a_good_answer_to_an_easy_question_is_delivered(tmp_path: Path, policy: Path) -> None:
    """The large model is not asked, and the verdict says why."""
    async with Tiers.of(tmp_path, {"small": CERTAIN, "large": LARGE}, route(policy)) as tiers:
        told = await tiers.ask(EASY, headers={"x-streamroute-domain": "sums"})
        assert told.text == SURE.format(7)
        assert await tiers.calls(told) == [("small", "first", "succeeded"), ("small", "assessment", "accepted")]
        document = await tiers.get(f"/status/decisions/{told.decision_id}")
    assert "policy policy.npz begins with small" in str(document["reasons"])
    assert "policy policy.npz: utilities deliver small " in str(document["attempts"])


async def test_a_doubtful_answer_is_not_delivered(tmp_path: Path, policy: Path) -> None:
    """Where the question does not tell, the answer does: one is delivered, the other not."""
    about = {"x-streamroute-domain": "rivers"}
    async with Tiers.of(tmp_path, {"small": HEDGING, "large": LARGE}, route(policy)) as tiers:
        told = await tiers.ask(MIXED, headers=about)
        assert told.text == SURE.format(12)
        assert await tiers.calls(told) == [
            ("small", "first", "succeeded"), ("small", "assessment", "rejected"), ("large", "escalation", "succeeded")
        ]  # fmt: skip
    (tmp_path / "sure").mkdir()
    async with Tiers.of(tmp_path / "sure", {"small": CERTAIN, "large": LARGE}, route(policy)) as tiers:
        assert (await tiers.ask(MIXED, headers=about)).text == SURE.format(7)


async def test_what_a_machine_cannot_use_is_never_delivered(tmp_path: Path, policy: Path) -> None:
    """Whatever the policy thinks of its words: this one does not keep to the schema."""
    short = {"type": "object", "properties": {"sum": {"type": "string", "maxLength": 1}}, "required": ["sum"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "sum", "schema": short}}
    async with Tiers.of(tmp_path, {"small": CERTAIN, "large": LARGE}, route(policy)) as tiers:
        told = await tiers.ask(EASY, headers={"x-streamroute-domain": "sums"}, response_format=wanted)
        assert await tiers.calls(told) == [
            ("small", "first", "succeeded"), ("small", "assessment", "rejected"), ("large", "escalation", "succeeded")
        ]  # fmt: skip
        document = await tiers.get(f"/status/decisions/{told.decision_id}")
    assert "it cannot be used; policy policy.npz" in str(document["attempts"])


async def test_audits_work_on_top(tmp_path: Path, policy: Path) -> None:
    """A domain that was fitted on is trusted from the beginning, and looked into; one that was not is the large
    model's, until both have been compared often enough."""
    more = "audit = { share = 1, max_usd_per_day = 1 }\n"
    async with Tiers.of(tmp_path, {"small": CERTAIN, "large": LARGE}, route(policy, more)) as tiers:
        known = await tiers.ask(EASY, headers={"x-streamroute-domain": "sums"})
        assert known.text == SURE.format(7)
        await tiers.until(lambda: made(tiers) == {"differs": 1})
        assert await tiers.calls(known) == [
            ("small", "first", "succeeded"), ("small", "assessment", "accepted"), ("large", "audit", "succeeded")
        ]  # fmt: skip
        new = await tiers.ask(EASY, headers={"x-streamroute-domain": "recipes"})
        assert new.text == SURE.format(12)
        document = await tiers.get(f"/status/decisions/{new.decision_id}")
        assert "its domain is new here; policy policy.npz: utilities deliver small" in str(document["attempts"])
        straight = await tiers.ask(HARD, headers={"x-streamroute-domain": "law"})
        assert straight.text == SURE.format(12)
        domains = (await tiers.get("/status"))["routes"]["chat"]["gate"]["audits"]["domains"]
    assert {name: (each["trust"], each["looks"]) for name, each in domains.items()} == {
        "sums": ("trusted", 1), "recipes": ("new", 1), "law": ("trusted", 0)
    }  # fmt: skip


async def test_a_domain_that_gets_worse_goes_back_to_the_large_model(tmp_path: Path, policy: Path) -> None:
    """Whatever the policy was fitted on: audits find that the two do not agree any more."""
    more = "audit = { share = 0.3, max_usd_per_day = 1 }\n"
    async with Tiers.of(tmp_path, {"small": CERTAIN, "large": LARGE}, route(policy, more)) as tiers:
        about = {"x-streamroute-domain": "sums"}
        texts = [(await tiers.ask(EASY, headers=about)).text for _ in range(120)]
    assert texts[0] == SURE.format(7)
    assert set(texts[100:]) == {SURE.format(12)}


async def test_what_audits_found_belongs_to_one_policy(tmp_path: Path, policy: Path) -> None:
    """It outlives a restart with the same policy; without one, it begins anew."""
    audit = "audit = { share = 1, max_usd_per_day = 1 }\n"
    memory = f'[routing]\nstate = "{tmp_path}/learned.npz"\n'
    models, about = {"small": CERTAIN, "large": LARGE}, {"x-streamroute-domain": "sums"}
    async with Tiers.of(tmp_path, models, route(policy, audit), more=memory) as tiers:
        await tiers.ask(EASY, headers=about)
        await tiers.until(lambda: made(tiers) == {"differs": 1})
    plain = '[routes.chat]\ntiers = [["small"], ["large"]]\n'
    for settings, looks in ((route(policy, audit), 1), (plain + audit, 0)):
        async with Tiers.of(tmp_path, models, settings, more=memory) as tiers:
            gates = tiers.app.dispatcher.gates
            guard = gates.of(tiers.app.config.routes["chat"]).keeper.guard("sums")
            assert (guard.looks, guard.is_known) == (looks, bool(looks))


async def test_a_replay_says_that_it_goes_by_no_policy(tmp_path: Path, policy: Path) -> None:
    """The log has no words: what the same configuration seems to save is said to be none of the policy's."""
    log = tmp_path / "log.jsonl"
    more = f'[routing]\nlog = "{log}"\n'
    async with Tiers.of(tmp_path, {"small": CERTAIN, "large": LARGE}, route(policy), more=more) as tiers:
        await tiers.ask(HARD, headers={"x-streamroute-domain": "law"})
    arguments = ["replay", str(log), "-c", str(tmp_path / "tiers.toml")]
    shown, told = (CliRunner().invoke(app, [*arguments, *each]) for each in ([], ["--json"]))
    assert "route chat goes by a tier policy, which reads words" in shown.stderr
    assert json.loads(told.stdout)["without_tier_policy"] == ["chat"]


async def test_a_bad_file_at_a_reload_keeps_what_is_in_force(tmp_path: Path, policy: Path) -> None:
    """The configuration is refused before anything of it is taken over; a good one takes over at once."""
    own = copied(policy, tmp_path)
    async with Tiers.of(tmp_path, {"small": CERTAIN, "large": LARGE}, route(own)) as tiers:
        file = tmp_path / "tiers.toml"
        copied(policy, tmp_path, most_bytes=1000)
        with pytest.raises(ConfigError, match=r"it is not a tier policy; `streamroute routing fit chat` writes one"):
            load_config(file, environ={})
        assert await tiers.calls(await tiers.ask(HARD, headers={"x-streamroute-domain": "law"})) == [
            ("large", "first", "succeeded")
        ]
        file.write_text(file.read_text().replace(f'tier_policy = "{own}"\n', ""))
        await tiers.app.reload(load_config(file, environ={}))
        told = await tiers.ask(HARD, headers={"x-streamroute-domain": "law"})
        assert told.text == SURE.format(7)


async def test_a_tier_that_fails_is_passed_over(tmp_path: Path, policy: Path) -> None:
    """Failover is as without a policy."""
    async with Tiers.of(tmp_path, {"small": ErrorStatus(status=500), "large": LARGE}, route(policy)) as tiers:
        told = await tiers.ask(EASY, headers={"x-streamroute-domain": "sums"})
        calls = await tiers.calls(told)
    assert told.text == SURE.format(12)
    assert calls[-1] == ("large", "escalation", "succeeded")


async def test_a_large_model_that_fails_leaves_the_small_one(tmp_path: Path, policy: Path) -> None:
    """The policy asks it at once, and it fails: the skipped tier's answer beats an error. While its circuit is open the
    small model is asked first."""
    async with Tiers.of(tmp_path, {"small": CERTAIN, "large": LARGE}, route(policy)) as tiers:
        tiers.servers["large"].play(ErrorStatus(status=500))
        about = {"x-streamroute-domain": "law"}
        first = await tiers.ask(HARD, headers=about)
        before = await tiers.get(f"/status/decisions/{first.decision_id}")
        told = [await tiers.ask(HARD, headers=about) for _ in range(5)]
        document = await tiers.get(f"/status/decisions/{told[-1].decision_id}")
    assert {each.text for each in (first, *told)} == {SURE.format(7)}
    assert "policy policy.npz begins with large" in str(before["reasons"])
    candidates = before["candidates"]
    assert [(each["upstream"], each["can_ask"]) for each in candidates] == [("large", True), ("small", False)]
    assert "its tier is skipped" in str(candidates[1])
    assert "policy policy.npz begins with small" in str(document["reasons"])


async def test_nobody_is_sent_to_a_large_model_that_cannot_be_paid(tmp_path: Path, policy: Path) -> None:
    """There is money for the small one alone: it answers, as without a policy; a look at the budget leaves no trace."""
    more = '[[budgets]]\nscope = "global"\namount = "0.03USD/day"\n'
    async with Tiers.of(tmp_path, {"small": CERTAIN, "large": LARGE}, route(policy), more=more) as tiers:
        told = await tiers.ask(HARD, headers={"x-streamroute-domain": "law"})
        assert [each[:2] for each in await tiers.calls(told)][:2] == [("small", "first"), ("small", "assessment")]
        [budget] = tiers.app.dispatcher.spending.budgets.figures(now_ms())
        assert (usd(budget.spent), budget.reserved) == (told.cost_usd, 0)
        assert tiers.requests["large"] == 0
    assert told.text == SURE.format(7)


def always(features: int, *utilities: float) -> Ridge:
    """A model that says the same of everything."""
    model = Ridge(features, len(utilities))
    model.learn(np.zeros((1000, features)), np.tile(utilities, (1000, 1)))
    return model


async def test_an_earlier_answer_is_delivered_after_all(tmp_path: Path) -> None:
    """A policy to which the middle model's answer only shows that the small one's was right: the client gets that one,
    once, and the ledger knows whose it was and what was in vain."""
    outcomes = write_outcomes(tmp_path / "outcomes.jsonl", names=THREE)
    rows = read_outcomes(outcomes, lambda *_: None)
    fitted = fit_policy(rows, [[name] for name in THREE], 0.95, "three.npz", epochs=1).fitted
    many = {stage: len(model.state()["gram"]) - 1 for stage, model in fitted.policy.models.items()}
    models = {
        **fitted.policy.models,
        (): always(many[()], 0.9, 0.5, 0.4),
        (0,): always(many[0,], 0.2, 0.9, 0.5),
        (0, 1): always(many[0, 1], 0.9, 0.3, 0.5),
    }
    own = tmp_path / "three.npz"
    save_state(own, replace(fitted, policy=TierPolicy(3, "hybrid", models)).state())
    settings = f'[routes.chat]\ntiers = [["small"], ["middle"], ["large"]]\ntier_policy = "{own}"\n'
    says_all = {"small": HEDGING, "middle": says(SURE.format(8)), "large": LARGE}
    async with Tiers.of(tmp_path, says_all, settings) as tiers:
        told = await tiers.ask(MIXED, headers={"x-streamroute-domain": "rivers"})
        assert await tiers.calls(told) == [
            ("small", "first", "succeeded"), ("small", "assessment", "rejected"),
            ("middle", "escalation", "succeeded"), ("middle", "assessment", "rejected"),
        ]  # fmt: skip
        document = await tiers.get(f"/status/decisions/{told.decision_id}")
    assert told.text == UNSURE.format(7)
    assert "utilities deliver small 0.900, deliver middle 0.300, ask large 0.500" in str(document["attempts"])
    row = tiers.waste()
    assert row.cost // 2 < row.wasted["rejected"] < row.cost  # the middle model is ten times as dear


async def test_a_broken_policy_at_sighup_is_refused(policy: Path) -> None:
    """As people do it, to a process: the log names the file, and requests are answered as before."""
    async with SimulationServer(profile=Profile(tokens=3)) as provider:
        tables = "".join(provider_table(name, provider.base_url) for name in ("small", "large"))
        with ServeProcess(
            f"version = 1\n{tables}{route(Path('policy.npz'))}".replace('tier_policy = "policy.npz"\n', "")
        ) as serve:
            settings = serve.config_file.read_text()
            copied(policy, serve.config_file.parent, most_bytes=1000)
            serve.config_file.write_text(settings + 'tier_policy = "policy.npz"\n')
            serve.signal(signal.SIGHUP)
            await asyncio.to_thread(
                serve.wait_for_stderr, r"it is not a tier policy; `streamroute routing fit chat`.*reload_refused"
            )
            copied(policy, serve.config_file.parent)
            serve.signal(signal.SIGHUP)
            await asyncio.to_thread(serve.wait_for_stderr, "config.reloaded")
            async with aiohttp.ClientSession() as session, session.get(f"{serve.url}/status") as response:
                found = (await response.json())["routes"]["chat"]["gate"]["tier_policy"]
    assert found == "policy.npz"


async def test_a_domain_whose_words_are_others_is_a_new_one(tmp_path: Path, policy: Path) -> None:
    """Four questions of sums in words that were never learned from: what was fitted on says nothing of such, and the
    large model answers, as in any domain that is new."""
    audits = route(policy, '[routes.chat.audit]\nshare = 0.05\nmax_usd_per_day = "1.00"\n')
    about = {"x-streamroute-domain": "sums"}
    async with Tiers.of(tmp_path, {"small": CERTAIN, "large": LARGE}, audits) as tiers:
        keeper = tiers.app.dispatcher.gates.of(tiers.app.config.routes["chat"]).keeper
        assert keeper.guard("sums").trust is Trust.TRUSTED
        configure_logs("warning", "json")
        with capture_logs() as logs:
            for word in ("Wieviele", "Warum", "Wozu", "Weshalb"):
                await tiers.ask(f"{word} Schornsteinfeger steigen heute aufs Dach", headers=about)
            assert keeper.guard("sums").trust is Trust.NEW
            told = await tiers.ask(EASY, headers=about)
        decision = await tiers.get(f"/status/decisions/{told.decision_id}")
        domains = (await tiers.get("/status"))["routes"]["chat"]["gate"]["audits"]["domains"]
    assert told.text == SURE.format(12)
    strange = "its questions have words that the policy never learned from"
    assert f"its domain is taken for a new one: {strange}" in str(decision["reasons"])
    assert f"its domain is new here, for {strange}; policy policy.npz: utilities" in str(decision["attempts"])
    assert domains["sums"]["changed"] == strange
    [line] = [each for each in logs if each["event"] == "gate.domain_changed"]
    assert (line["route"], line["domain"], line["policy"], line["why"]) == ("chat", "sums", "policy.npz", strange)


async def test_elsewhere_the_answer_alone_tells(tmp_path: Path) -> None:
    """A domain that is said and was not fitted on: whatever the question, the small model begins; and the decision says
    why."""
    lines = outcome_lines()
    for at, line in enumerate(lines):
        line["domain"] = f"{line['domain']} {at % 2}"
    (tmp_path / "outcomes.jsonl").write_text("\n".join(map(json.dumps, lines)))
    rows = read_outcomes(tmp_path / "outcomes.jsonl", lambda *_: None)
    own = tmp_path / "policy.npz"
    save_state(own, fit_policy(rows, [["small"], ["large"]], 0.99, "policy.npz").fitted.state())
    async with Tiers.of(tmp_path, {"small": CERTAIN, "large": LARGE}, route(own)) as tiers:
        here = await tiers.ask(HARD, headers={"x-streamroute-domain": "law 0"})
        there = await tiers.ask(HARD, headers={"x-streamroute-domain": "recipes"})
        assert [(await tiers.calls(each))[0][0] for each in (here, there)] == ["large", "small"]
        reasons = [(await tiers.get(f"/status/decisions/{each.decision_id}"))["reasons"] for each in (here, there)]
    assert ["not fitted on this domain" in str(each) for each in reasons] == [False, True]


async def test_what_would_be_done_leaves_no_trace(tmp_path: Path, policy: Path) -> None:
    """Questions that are only explained are in no domain's words, whatever they are; those that are asked are."""
    more = "audit = { share = 0, max_usd_per_day = 1 }\n"
    about = {"x-streamroute-domain": "sums"}
    async with Tiers.of(tmp_path, {"small": CERTAIN, "large": LARGE}, route(policy, more)) as tiers:
        keeper = tiers.app.dispatcher.gates.of(tiers.app.config.routes["chat"]).keeper
        body = {
            "model": "chat",
            "messages": [{"role": "user", "content": "Zounds, quoth yon varlet, whence cometh thou?"}],
        }
        for _ in range(8):
            found = await tiers.explain(body, about)
        assert "policy policy.npz begins with" in str(found)
        assert keeper.guard("sums").is_known
        for _ in range(8):
            await tiers.ask(body["messages"][0]["content"], headers=about)
        assert not keeper.guard("sums").is_known
