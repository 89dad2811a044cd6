"""The worked example in the documents comes out to the cent, from rows of a ledger."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

from typer.testing import CliRunner

from streamroute.cli.main import app

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "bench" / "support_desk.py"
DOCUMENT = ROOT / "docs" / "howto" / "support-desk.md"


def test_a_support_desk_costs_65_dollars_and_a_half(tmp_path: Path) -> None:
    """A thousand tickets a day, 56 % less than asking one model for all; the document shows the very table."""
    command = [sys.executable, str(SCRIPT), "--keep", str(tmp_path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50).stdout
    assert [line.rstrip() for line in shown.splitlines()] == table_in_the_document()
    asked = ["usage", "-c", str(tmp_path / "config.toml"), "--by", "task", "--baseline", "large", "--json"]
    ended = CliRunner().invoke(app, asked)
    rows = {row["task"]: row for row in json.loads(ended.stdout, parse_float=Decimal)}
    assert {task: (row["requests"], row["cost_usd"], row["baseline_usd"]) for task, row in rows.items()} == {
        "simple": (400, Decimal(8), Decimal(60)),
        "moderate": (350, Decimal("17.5"), Decimal("52.5")),
        "complex": (200, Decimal(30), Decimal(30)),
        "edge": (50, Decimal(10), Decimal("7.5")),
    }
    cost, baseline, saved = (sum(row[f"{name}_usd"] for row in rows.values()) for name in ("cost", "baseline", "saved"))
    assert (cost, baseline, saved) == (Decimal("65.50"), Decimal("150.00"), Decimal("84.50"))
    assert round(100 * saved / baseline) == 56


def table_in_the_document() -> list[str]:
    lines = DOCUMENT.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("task "))
    return [line.rstrip() for line in lines[start : lines.index("```", start)]]
