"""`streamroute usage`: exact figures, in three forms."""

import json
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamroute.cli.main import app
from streamroute.stores.ledger import Ledger
from tests.support.entries import LEDGER_CONFIG, attempt_entry, request_entry

CONFIG = LEDGER_CONFIG + "price = { input_per_mtok = 10, output_per_mtok = 100 }\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Make a configuration and its ledger: one request of 2 attempts, and a probe of unknown price."""
    with closing(Ledger(f"sqlite:///{tmp_path}/ledger.db")) as ledger:
        ledger.write(
            [
                attempt_entry("r1", 1, cost=1, task='say "hi"', ended_at_ms=1_793_534_400_000),
                attempt_entry("r1", 2, cost=9 * 10**18, task='say "hi"', ended_at_ms=1_793_534_400_000),
                request_entry("r1", task='say "hi"', ended_at_ms=1_793_534_400_000),
                attempt_entry("p1", 1, cost=None, route=None),
            ]
        )
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    return config


def run(file: Path, *args: str) -> tuple[int, str, str]:
    ended = CliRunner().invoke(app, ["usage", "-c", str(file), *args])
    return ended.exit_code, ended.stdout, ended.stderr


def test_json_has_every_digit(file: Path) -> None:
    """Numbers, not text, and no float on the way."""
    code, out, _ = run(file, "--by", "task,day", "--json")
    rows = json.loads(out, parse_float=Decimal)
    assert code == 0
    assert rows == [
        {
            "task": 'say "hi"',
            "day": "2026-11-01",
            "requests": 1,
            "attempts": 2,
            "input_tokens": 200,
            "output_tokens": 40,
            "cost_usd": Decimal("9000000.000000000001"),
            "unpriced_attempts": 0,
        },
        {
            "task": None,
            "day": "2026-11-01",
            "requests": 0,
            "attempts": 1,
            "input_tokens": 100,
            "output_tokens": 20,
            "cost_usd": 0,
            "unpriced_attempts": 1,
        },
    ]


def test_a_total_a_table_and_csv(file: Path) -> None:
    """The same figures."""
    assert json.loads(run(file, "--by", "", "--json")[1])[0]["attempts"] == 3
    assert run(file, "--by", "task", "--csv")[1].splitlines() == [
        "task,requests,attempts,input_tokens,output_tokens,cost_usd,unpriced_attempts",
        '"say ""hi""",1,2,200,40,9000000.000000000001,0',
        ",0,1,100,20,0,1",
    ]
    shown = run(file, "--by", "task")[1].splitlines()
    assert [line.split()[-2:] for line in shown[1:]] == [
        ["9000000.000000000001", "0"],
        ["unknown", "1"],
        ["9000000.000000000001", "1"],
    ]


def test_since_is_a_span_or_a_date(file: Path) -> None:
    """A date begins at midnight UTC."""
    assert json.loads(run(file, "--since", "2026-11-01", "--json")[1])[0]["attempts"] == 3
    assert run(file, "--since", "2026-11-01T12:00:00.001", "--json")[1] == "[]\n"
    assert "nothing was written down" in run(file, "--since", "2200-01-01")[1]
    assert run(file, "--since", "90000d", "--json")[0] == 0


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--by", "colour"], 2, "none of task"),
        (["--by", "tier"], 2, "service_tier"),
        (["--since", "soon"], 2, "neither 24h"),
        (["--json", "--csv"], 2, "choose one"),
    ],
)
def test_mistakes_are_named(file: Path, args: list[str], code: int, said: str) -> None:
    """As wrong usage."""
    found = run(file, *args)
    assert found[0] == code
    assert said in found[2]


def test_without_a_ledger_it_says_so(file: Path) -> None:
    """Exit code 69; 78 where the configuration itself is wrong."""
    (file.parent / "ledger.db").rename(file.parent / "gone.db")
    assert run(file)[0] == 69
    assert "there is no ledger at" in run(file)[2]
    file.write_text("version = 2")
    assert run(file)[0] == 78


def test_filters_narrow_it_down(file: Path) -> None:
    """An empty value is for what has none; the end of a span is not part of it."""
    assert json.loads(run(file, "--task", 'say "hi"', "--json")[1])[0]["attempts"] == 2
    assert json.loads(run(file, "--task", "", "--provider", "lab", "--json")[1])[0]["attempts"] == 1
    assert run(file, "--task", "other", "--json")[1] == "[]\n"
    assert run(file, "--until", "2026-11-01", "--json")[1] == "[]\n"
    assert json.loads(run(file, "--until", "2026-11-02", "--by", "month", "--json")[1])[0]["month"] == "2026-11"


def test_what_answers_would_have_cost_elsewhere(file: Path) -> None:
    """Two answers of 100 and 20 tokens at $10 and $100 a million are 0.6 cents; the probe is no answer."""
    [row] = json.loads(run(file, "--by", "", "--baseline", "a", "--waste", "--json")[1], parse_float=Decimal)
    assert row["baseline_usd"] == Decimal("0.006")
    assert row["saved_usd"] == Decimal("0.006") - row["cost_usd"] == Decimal("-8999999.994000000001")
    assert row["saved_percent"] == Decimal("-149999999900.00")
    assert (row["unpriced_percent"], row["wasted_usd"], row["wasted_percent"]) == (Decimal("33.33"), 0, Decimal("0.00"))
    code, _, said = run(file, "--baseline", "lab/m-9")
    assert code == 2
    assert "nobody knows the price of 'lab/m-9'" in said


def test_what_was_wasted_is_shown_by_cause(file: Path) -> None:
    """In the table only the causes that there were."""
    with closing(Ledger(f"sqlite:///{file.parent}/ledger.db")) as ledger:
        lost = {"outcome": "cancelled", "cancel_reason": "lost", "cause": "hedge"}
        ledger.write([attempt_entry("r9", 1, cost=25 * 10**10, provider="other", **lost)])
    rows = json.loads(run(file, "--by", "provider", "--waste", "--json")[1], parse_float=Decimal)
    other = next(row for row in rows if row["provider"] == "other")
    assert (other["wasted_usd"], other["hedge_lost_usd"], other["race_lost_usd"]) == (
        Decimal("0.25"),
        Decimal("0.25"),
        0,
    )
    assert other["wasted_percent"] == 100
    table = run(file, "--by", "provider", "--waste")[1]
    assert "hedge lost usd" in table
    assert "race lost usd" not in table
    assert "total" in table


def test_a_table_does_not_run_formulas(file: Path) -> None:
    """Names are made up by clients; a spreadsheet takes what begins with `=` for a formula."""
    with closing(Ledger(f"sqlite:///{file.parent}/ledger.db")) as ledger:
        ledger.write([attempt_entry("r9", 1, user="=1+1")])
    assert "\n'=1+1,0,1," in run(file, "--by", "user", "--csv")[1]
