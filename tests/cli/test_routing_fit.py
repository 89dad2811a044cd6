"""`streamroute routing fit` as a person or a script sees it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamroute.cli.main import app
from tests.support.outcomes import outcome_lines, write_outcomes

CONFIG = """\
version = 1
[providers.lab]
kind = "openai_compatible"
base_url = "http://127.0.0.1:9/v1"
[providers.off]
kind = "openai"
api_key = "${NOT_SET}"
[upstreams.small]
provider = "lab"
model = "mini"
price = { input_per_mtok = 1, output_per_mtok = 2 }
[upstreams.small-2]
provider = "lab"
model = "mini"
[upstreams.large]
provider = "lab"
model = "max"
[upstreams.absent]
provider = "off"
model = "max"
[routes.chat]
tiers = [["small", "small-2"], ["large"]]
[routes.plain]
upstreams = ["large"]
[routes.half]
tiers = [["small"], ["absent"]]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(CONFIG)
    return tmp_path


def run(folder: Path, *args: str) -> tuple[int, str, str]:
    arguments = ["routing", "fit", "-c", str(folder / "config.toml"), "-o", str(folder / "p.npz"), *args]
    ended = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    return ended.exit_code, ended.stdout, ended.stderr


def test_a_table_for_people(folder: Path) -> None:
    """How many rows, what each tier alone and each kind of policy comes to, which one was taken; models may be named
    as upstreams or as models, and others are told."""
    lines = outcome_lines(names=("mini", "large"))
    for line in lines[:100]:
        outcomes = line["outcomes"]
        assert isinstance(outcomes, dict)
        outcomes["other"] = {"score": 1, "input_tokens": 1, "output_tokens": 1}
    (folder / "o.jsonl").write_text("\n".join(map(json.dumps, lines)))
    code, out, err = run(folder, "chat", "--outcomes", str(folder / "o.jsonl"), "--keep-quality", "0.99")
    assert code == 0
    assert "480 questions with an outcome of every tier, 0 with some" in out
    assert "of other models, whose outcomes tell only how hard a question is: other 100" in out
    assert "domains: sums 160, law 160, rivers 160" in out
    rows = [row.split() for row in out.splitlines()]
    assert ["always", "small"] in [row[:2] for row in rows]
    assert [row[0] for row in rows if row and row[0].endswith(":") and "*" in row] == ["hybrid:"]
    assert 'p.npz is written; put tier_policy = "p.npz" into [routes.chat]' in err.replace("\n", "")
    assert (folder / "p.npz").exists()


def test_tokens_are_priced_by_the_configuration(folder: Path) -> None:
    """Of an upstream that has a price; one that has none needs the cost."""
    lines = outcome_lines()
    for line in lines:
        outcomes = line["outcomes"]
        assert isinstance(outcomes, dict)
        del outcomes["small"]["cost_usd"]
        outcomes["small"] |= {"input_tokens": 100, "output_tokens": 50}
    (folder / "o.jsonl").write_text("\n".join(map(json.dumps, lines)))
    code, out, _ = run(folder, "chat", "--outcomes", str(folder / "o.jsonl"), "--keep-quality", "0.99", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["always"]["small"]["saving"] == pytest.approx(0.8)  # 200 millionths to a thousandth
    assert found["tiers"] == [["small", "small-2"], ["large"]]
    assert set(found["expected"]) == {"router", "cascade", "hybrid"}
    (folder / "o.jsonl").write_text((folder / "o.jsonl").read_text().replace('"small"', '"small-2"'))
    code, _, err = run(folder, "chat", "--outcomes", str(folder / "o.jsonl"))
    assert code == 69
    assert "line 1: there is no price of small-2 for its tokens" in err


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["nowhere", "--outcomes", "few.jsonl"], 2, "config.toml; there are chat, plain, half"),
        (["plain", "--outcomes", "few.jsonl"], 2, "has no tiers"),
        (["half", "--outcomes", "few.jsonl"], 2, "absent of route 'half' is disabled"),
        (["chat", "--outcomes", "gone.jsonl"], 69, "there is no file"),
        (["chat", "--outcomes", "few.jsonl"], 1, "only 90 questions have an outcome of every tier; 200 are the least"),
        (["chat"], 2, "--outcomes"),
    ],
)
def test_what_is_missing_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], code: int, says: str
) -> None:
    """Its own exit code for each kind, and nothing is written."""
    monkeypatch.chdir(folder)
    write_outcomes(folder / "few.jsonl", 90)
    found, out, err = run(folder, *args)
    assert (found, out) == (code, "")
    assert says in " ".join(err.replace("│", " ").split())
    assert not (folder / "p.npz").exists()
