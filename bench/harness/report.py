"""How a benchmark is asked and how it answers: its options, a table or JSON, a file, the limits that are broken."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def parser_of(doc: str | None, each: str, **counts: int) -> argparse.ArgumentParser:
    """Return what reads `--json`, `--out`, and an option for each of `counts`, whose value is the default; `each` is
    what a figure is of, in a word."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in counts.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true", help=f"print a list of objects, one a {each}")
    parser.add_argument("--out", type=Path, help="also write them, with machine and commit, to this file")
    return parser


def publish(
    name: str,
    arguments: argparse.Namespace,
    *,
    facts: dict[str, Any],
    figures: "Sequence[DataclassInstance]",
    broken: Sequence[str],
    table: Table,
    width: int = 120,
    digits: int = 3,
) -> int:
    """Print the figures as asked for and what is `broken`, keep them; return the exit code. `facts`: see `run_facts`.
    `width`: of a table that goes to no terminal, in columns; `digits`: of a figure in JSON, behind the point."""
    results = [
        {key: round(value, digits) if isinstance(value, float) else value for key, value in asdict(figure).items()}
        for figure in figures
    ]
    if arguments.out is not None:
        document = {"run": facts, "broken_limits": broken, "results": results}
        arguments.out.write_text(json.dumps(document, indent=2) + "\n")
    if arguments.json:
        print(json.dumps(results, indent=2))
    else:
        Console(width=None if sys.stdout.isatty() else width).print(table)
    for each in broken:
        print(f"{name}: LIMIT BROKEN: {each}", file=sys.stderr)
    return 1 if broken else 0
