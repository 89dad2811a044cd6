"""`streamroute reconcile`: invoices as providers export them, beside a ledger."""

import json
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streamroute.cli.main import app
from streamroute.core.cost.report import DAY_MS
from streamroute.stores.ledger import Ledger
from tests.support.entries import LEDGER_CONFIG, NOON_MS, attempt_entry

CENT = 10**10
OPENAI_USAGE = """\
start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,model,batch,input_tokens,output_tokens
1793491200,1793577600,2026-11-01T00:00:00+00:00,2026-11-02T00:00:00+00:00,p,2.0,gpt-5-mini-2025-08-07,FALSE,200.0,40.0
1793577600,1793664000,2026-11-02T00:00:00+00:00,2026-11-03T00:00:00+00:00,,,,,,
1793577600,1793664000,2026-11-02T00:00:00+00:00,2026-11-03T00:00:00+00:00,p,1.0,gpt-5-mini-2025-08-07,FALSE,100.0,20.0
"""
OPENAI_COSTS = """\
start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id,organization_id
1793491200,1793577600,2026-11-01T00:00:00,2026-11-02T00:00:00,0.0150000000000000000000000000,usd,"gpt-5-mini, input",p,o
1793491200,1793577600,2026-11-01T00:00:00,2026-11-02T00:00:00,0.005,usd,"gpt-5-mini, output",p,o
1793577600,1793664000,2026-11-02T00:00:00,2026-11-03T00:00:00,0.01,usd,"gpt-5-mini, output",p,o
"""
ANTHROPIC_USAGE = """\
usage_date_utc,model_version,api_key,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,\
usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens
2026-11-01,claude-haiku-4-5-20251001,k,150,20,0,30,40
2026-11-02,claude-haiku-4-5-20251001,k,100,0,0,0,20
"""
ANTHROPIC_COSTS = """\
usage_date_utc,model,workspace,api_key,usage_type,token_type,cost_usd
2026-11-01,Claude Haiku 4.5,Default,k,message,input_no_cache,0.01
2026-11-01,Claude Haiku 4.5,Default,k,message,output,0.01
2026-11-02,Claude Haiku 4.5,Default,k,message,output,0.01
"""
GENERIC = """\
date;model;input_tokens;output_tokens;cost
2026-11-01;GPT 5 mini;200;40;$0.02
2026-11-02;gpt-5-mini;100;20;0.01
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two calls on one day and one on the next, a cent and 120 tokens each; of two models the same."""
    with closing(Ledger(f"sqlite:///{tmp_path}/ledger.db")) as ledger:
        for model, provider in (("gpt-5-mini", "lab"), ("claude-haiku-4-5", "other")):
            ledger.write(
                [
                    attempt_entry(f"{model}-{i}", model=model, provider=provider, cost=CENT, ended_at_ms=at)
                    for i, at in enumerate((NOON_MS, NOON_MS + 1, NOON_MS + DAY_MS))
                ]
            )
    text = LEDGER_CONFIG + '[providers.other]\nkind = "openai_compatible"\nbase_url = "http://127.0.0.1:9002/v1"\n'
    (tmp_path / "config.toml").write_text(text + '[upstreams.b]\nprovider = "other"\nmodel = "m-2"\n')
    return tmp_path


def run(folder: Path, invoice: str, *args: str, provider: str = "lab") -> tuple[int, list[dict[str, Any]], str]:
    file = folder / "invoice.csv"
    file.write_text(invoice)
    asked = ["reconcile", str(file), "-c", str(folder / "config.toml"), "--provider", provider, "--json", *args]
    ended = CliRunner().invoke(app, asked)
    rows = json.loads(ended.stdout, parse_float=Decimal) if ended.stdout else []
    return ended.exit_code, rows, ended.stderr


@pytest.mark.parametrize(
    ("invoice", "provider", "model"),
    [
        (OPENAI_USAGE, "lab", "gpt-5-mini"),
        (OPENAI_COSTS, "lab", "gpt-5-mini"),
        (ANTHROPIC_USAGE.replace("\\\n", ""), "other", "claude-haiku-4-5"),
        (ANTHROPIC_COSTS, "other", "claude-haiku-4-5"),
        (GENERIC, "lab", "gpt-5-mini"),
    ],
)  # fmt: skip
def test_an_invoice_that_agrees(folder: Path, invoice: str, provider: str, model: str) -> None:
    """By the layout that has its columns; a line a day and model, and the total."""
    code, rows, said = run(folder, invoice, provider=provider)
    assert code == 0, said
    assert [(row["day"], row["model"]) for row in rows] == [("2026-11-01", model), ("2026-11-02", model), (None, None)]
    assert [row["ledger_usd"] for row in rows] == [Decimal("0.02"), Decimal("0.01"), Decimal("0.03")]
    if rows[0]["invoice_usd"] is not None:
        assert [row["drift_usd"] for row in rows] == [0, 0, 0]
        assert [row["drift_percent"] for row in rows] == [0, 0, 0]
    if rows[0]["invoice_input_tokens"] is not None:
        assert [row["invoice_input_tokens"] for row in rows] == [200, 100, 300]
        assert [row["invoice_output_tokens"] for row in rows] == [40, 20, 60]


def test_drift_is_told_where_it_is(folder: Path) -> None:
    """Exit code 1 beyond the tolerance, by day and model, even where the total is within it."""
    invoice = OPENAI_COSTS.replace("0.005,usd", "0.006,usd").replace("0.01,usd", "0.009,usd")
    code, rows, _ = run(folder, invoice)
    assert code == 1
    assert [(row["drift_usd"], row["drift_percent"], row["is_within_tolerance"]) for row in rows] == [
        (Decimal("-0.001"), Decimal("-4.76"), False),
        (Decimal("0.001"), Decimal("11.11"), False),
        (0, 0, True),
    ]
    assert run(folder, invoice, "--tolerance", "12")[0] == 0
    assert run(folder, invoice, "--tolerance", "4.8")[0] == 1


def test_what_is_on_one_side_only_is_drift(folder: Path) -> None:
    """A model that was never called, and calls that nobody has billed."""
    invoice = OPENAI_COSTS.replace('0.01,usd,"gpt-5-mini, output"', '0.5,usd,"gpt-4o, output"')
    code, rows, _ = run(folder, invoice)
    assert code == 1
    assert {(row["day"], row["model"]): (row["ledger_usd"], row["invoice_usd"]) for row in rows[:-1]} == {
        ("2026-11-01", "gpt-5-mini"): (Decimal("0.02"), Decimal("0.02")),
        ("2026-11-02", "gpt-4o"): (0, Decimal("0.5")),
        ("2026-11-02", "gpt-5-mini"): (Decimal("0.01"), 0),
    }


def test_an_invoice_by_day_is_compared_by_day(folder: Path) -> None:
    """OpenAI's costs, not grouped, name no model."""
    invoice = "start_time_iso,amount_value,amount_currency,line_item\n2026-11-01T00:00:00+00:00,0.02,usd,\n"
    code, rows, _ = run(folder, invoice)
    assert code == 0
    assert [(row["day"], row["model"]) for row in rows] == [("2026-11-01", "*"), (None, None)]


def test_columns_and_names_may_be_said(folder: Path) -> None:
    """Of an export that nobody has foreseen."""
    invoice = "tag\twer\tin\tcached\tpreis\n1793491200\tMini\t150\t50\t0.02\n"
    code, rows, said = run(
        folder,
        invoice,
        "--columns",
        "date=tag,model=wer,input_tokens=in+cached,cost=preis",
        "--same",
        "Mini=gpt-5-mini",
    )
    assert code == 0, said
    assert (rows[0]["invoice_input_tokens"], rows[0]["invoice_output_tokens"]) == (200, None)


@pytest.mark.parametrize(
    ("invoice", "args", "said"),
    [
        ("a,b\n1,2\n", (), "none of the layouts"),
        ("", (), "is empty"),
        (OPENAI_COSTS.replace("0.005", "cheap"), (), "line 3"),
        (OPENAI_COSTS.replace("usd", "eur"), (), "'eur'"),
        (OPENAI_USAGE.replace("200.0", "NaN"), (), "line 2"),
        (OPENAI_USAGE, ("--layout", "openai-costs"), "no column"),
        (OPENAI_USAGE, ("--layout", "x"), "no layout 'x'"),
        (OPENAI_USAGE, ("--columns", "cost=a"), "expected NAME=COLUMN"),
        (OPENAI_USAGE, ("--tolerance", "much"), "no percentage"),
        (OPENAI_USAGE, ("--same", "x"), "THEIRS=OURS"),
        (OPENAI_USAGE, ("--provider", "nobody"), "no provider 'nobody'"),
        (OPENAI_USAGE.splitlines()[0], (), "no usage at all"),
    ],
)
def test_mistakes_are_named(folder: Path, invoice: str, args: tuple[str, ...], said: str) -> None:
    """With the line of the file, as wrong usage."""
    code, _, text = run(folder, invoice, *args)
    assert code == 2
    assert said in " ".join(text.replace("│", " ").split())


def test_a_table_and_a_missing_ledger(folder: Path) -> None:
    """For people; and exit code 69."""
    (folder / "invoice.csv").write_text(OPENAI_COSTS.replace("0.005", "0.5"))
    asked = ["reconcile", str(folder / "invoice.csv"), "-c", str(folder / "config.toml"), "--provider", "lab"]
    ended = CliRunner().invoke(app, asked)
    assert ended.exit_code == 1
    assert "DRIFT" in ended.stdout
    assert "total" in ended.stdout
    (folder / "ledger.db").unlink()
    assert CliRunner().invoke(app, asked).exit_code == 69
