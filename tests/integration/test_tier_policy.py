"""A tier policy from recorded outcomes to live requests: fitted by the command, used by a route, seen on sockets."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamroute.cli.main import app
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Script
from tests.support.outcomes import LAW, RIVER, SUM, SURE, UNSURE, write_outcomes
from tests.support.tiers import Tiers

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


async def test_hard_questions_go_to_the_large_model_at_once(tmp_path: Path, policy: Path) -> None:
    """The words of the question tell; nobody asks the small model, and the decision says by what."""
    async with Tiers.of(tmp_path, {"small": CERTAIN, "large": LARGE}, route(policy)) as tiers:
        told = await tiers.ask(HARD, headers={"x-streamroute-domain": "law"})
        assert await tiers.calls(told) == [("large", "first", "succeeded")]
        document = await tiers.get(f"/status/decisions/{told.decision_id}")
    assert told.text == SURE.format(12)
    [why] = [each for each in document["reasons"] if each.startswith("policy")]
    assert why.startswith("policy policy.npz begins with large: utilities ask small ")


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
