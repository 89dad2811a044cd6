"""`streamroute keys`: what people and scripts type, and what they get."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamroute.cli.main import app
from tests.support.entries import LEDGER_CONFIG

CONFIG = f"""{LEDGER_CONFIG}
[providers.off]
kind = "groq"
api_key = "${{NO_SUCH_KEY_IS_SET}}"
[upstreams.gone]
provider = "off"
model = "m-2"
[routes.chat]
upstreams = ["a"]
"""
NOON_S = 1_793_534_400.0
"""2026-11-01T12:00:00Z."""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a configuration without a ledger yet; it is noon."""
    monkeypatch.setattr("streamroute.cli.keys.wall", lambda: NOON_S)
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    return config


def run(file: Path, *args: str) -> tuple[int, str, str]:
    command, *rest = args
    ended = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(app, ["keys", command, "-c", str(file), *rest])
    return ended.exit_code, ended.stdout, " ".join(ended.stderr.replace("│", " ").split())


def listed(file: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(run(file, "list", "--json")[1])
    return found


def test_the_secret_is_alone_on_standard_output(file: Path) -> None:
    """So that `KEY=$(streamroute keys create app)` works; it is said that it will not be shown again."""
    code, out, err = run(file, "create", "app")
    assert code == 0
    assert re.fullmatch(r"sr-[A-Za-z0-9_-]{43}\n", out)
    assert "only time" in err
    assert out.strip() not in err
    assert out.strip() not in run(file, "list")[1] + run(file, "list", "--json")[1]


def test_everything_that_can_be_said_of_a_key(file: Path) -> None:
    """Is in the list, as JSON with the secret's beginning only."""
    code, out, _ = run(
        file, "create", "desk", "--budget", "5USD/day", "--budget", "100/month", "--warn-at", "80%", "--team", "x",
        "--task", "t", "--route", "chat", "--upstream", "a", "--upstream", "gone", "--rpm", "60", "--tpm", "90000",
        "--expires", "90d", "--allow-unpriced", "--admin", "--require", "min_quality=0.9", "--require",
        "max_cost_usd=0.10", "--json",
    )  # fmt: skip
    assert code == 0
    made = json.loads(out)
    secret = made.pop("key")
    assert listed(file) == [made]
    assert made == {
        "name": "desk",
        "shown": secret[:10],
        "state": "live",
        "created_at": "2026-11-01T12:00:00.000Z",
        "expires_at": "2027-01-30T12:00:00.000Z",
        "rotated_at": None,
        "previous_until": None,
        "revoked_at": None,
        "team": "x",
        "task": "t",
        "routes": ["chat"],
        "upstreams": ["a", "gone"],
        "requests_per_min": 60,
        "tokens_per_min": 90000,
        "budgets": [
            {"limit": "5USD/day", "warn_at": "4USD/day"},
            {"limit": "100USD/month", "warn_at": "80USD/month"},
        ],
        "may_use_unpriced": True,
        "is_admin": True,
        "requirements": {"min_quality": 0.9, "max_cost_usd": "0.1"},
    }
    table = run(file, "list")[1]
    for said in (
        "desk",
        f"{secret[:10]}...",
        "live",
        "2027-01-30T12:00",
        "chat, a, gone, /admin",
        "60 rpm",
        "min_quality=0.9",
    ):
        assert said in table


def test_rotate_and_revoke(file: Path) -> None:
    """A new secret under the old name; the end is written down."""
    first = run(file, "create", "app", "--team", "x")[1].strip()
    code, out, err = run(file, "rotate", "app")
    assert code == 0
    assert out.strip() != first
    assert "the one before goes on working until 2026-11-02T12:00:00.000Z" in err
    assert "the one before ends now" in run(file, "rotate", "app", "--grace", "0")[2]
    rotated = json.loads(run(file, "rotate", "app", "--grace", "0", "--json")[1])
    assert (rotated["previous_until"], rotated["team"]) == ("2026-11-01T12:00:00.000Z", "x")
    code, out, err = run(file, "revoke", "app")
    assert (code, out) == (0, "")
    assert "revoked app" in err
    assert [(key["name"], key["state"], key["revoked_at"]) for key in listed(file)] == [
        ("app", "revoked", "2026-11-01T12:00:00.000Z")
    ]
    run(file, "create", "app")
    assert json.loads(run(file, "revoke", "app", "--json")[1])["state"] == "revoked"


def test_no_keys_yet(file: Path) -> None:
    """That is said, or an empty list."""
    assert "there is no key" in run(file, "list")[1]
    assert listed(file) == []


def test_a_date_is_its_beginning(file: Path) -> None:
    """In UTC, or with its own offset; a model of a provider stands for the upstream that has it."""
    made = json.loads(run(file, "create", "a", "--expires", "2027-01-31", "--upstream", "lab/m-1", "--json")[1])
    assert (made["expires_at"], made["upstreams"]) == ("2027-01-31T00:00:00.000Z", ["a"])
    made = json.loads(
        run(file, "create", "b", "--expires", "2027-01-31T01:00+01:00", "--upstream", "lab/x", "--json")[1]
    )
    assert (made["expires_at"], made["upstreams"]) == ("2027-01-31T00:00:00.000Z", ["lab/x"])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["create", " app"], "is no name"),
        (["create", "x" * 129], "is no name"),
        (["create", "a\nb"], "is no name"),
        (["create", "app", "--team", ""], "is no name"),
        (["create", "app", "--budget", "5USD"], "write an amount and a window"),
        (["create", "app", "--warn-at", "4USD/day"], "there is none"),
        (["create", "app", "--route", "chatt"], 'did you mean "chat"'),
        (["create", "app", "--upstream", "chat"], "there is no upstream 'chat'; known: a, gone"),
        (["create", "app", "--expires", "soon"], "neither 90d, 12h nor a date"),
        (["create", "app", "--expires", "2026-11-01"], "is over already"),
        (["create", "app", "--rpm", "0"], "--rpm"),
        (["create", "app", "--require", "min_quality"], "is not one NAME=VALUE"),
        (["create", "app", "--require", "min_quality=2"], "a number from 0 to 1"),
        (["create", "app", "--require", "quality=1"], "did you mean `min_quality`"),
        (["create", "app", "--require", "task=x"], "is said by --task"),
        (["create", "taken"], "there is a key 'taken' already; rotate or revoke it"),
        (["rotate", "takn"], "did you mean 'taken'"),
        (["rotate", "taken", "--grace", "long"], "is no span"),
        (["rotate", "taken", "--grace", "999999w"], "up to 366d"),
        (["create", "app", "--expires", "999999w"], "is over already, or never"),
        (["revoke", "zzz"], "there are taken"),
    ],
)
def test_mistakes_are_wrong_usage(file: Path, args: list[str], said: str) -> None:
    """Exit code 2, what is wrong, and what would be right; nothing is changed."""
    run(file, "create", "taken")
    code, out, err = run(file, *args)
    assert (code, out) == (2, "")
    assert said in err
    assert [key["name"] for key in listed(file)] == ["taken"]


def test_without_a_ledger_there_are_no_keys(file: Path) -> None:
    """Exit code 69 where it is off or not to be had, 78 where the configuration is wrong."""
    file.write_text(CONFIG.replace("sqlite:///ledger.db", "off"))
    code, out, err = run(file, "create", "app")
    assert (code, out) == (69, "")
    assert "`ledger.url` is off" in err
    file.write_text(CONFIG.replace("ledger.db", "config.toml/ledger.db"))
    assert run(file, "list")[0] == 69
    file.write_text("version = 2")
    assert run(file, "list")[0] == 78
