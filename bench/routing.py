"""What learned routing saves, and what quality it keeps, on recorded outcomes of real models.

    python bench/routing.py --pool A2 --data DIR [--split validation] [--json] [--output FILE] [--pictures DIR] [--fast]

Several pools may be named. DIR holds `pools.json` and a folder `train`. Everything is fitted, and every operating point
chosen, on `train`; then it is applied to `--split`: `validation` (a quarter of `train` by hash, which is then not
fitted on), `train` (the other three quarters, each row by models that have not seen it), or a folder in the same
format, by its path or its name in DIR: then all of `train` is fitted on. Exit code 2: there is nothing to measure with.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.run_facts import run_facts
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from routing_lab.catalogue import POOLS, STUDIES, Asked, perform
from routing_lab.data import DataMissingError, Source
from routing_lab.picture import draw

ALL = "all"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and keep."""
    asked = _arguments(argv)
    names = [*POOLS, *STUDIES] if ALL in asked.pool else asked.pool
    lines: list[dict[str, Any]] = []
    try:
        source = Source(asked.data)
        source.folder("train")
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            bar = progress.add_task("pools", total=len(names))
            for name in names:
                progress.update(bar, description=name)
                try:
                    lines += perform(Asked(source, name, asked.split, is_fast=asked.fast))
                except DataMissingError as error:
                    if ALL not in asked.pool:
                        raise
                    print(f"routing: {name}: {error}", file=sys.stderr)
                progress.advance(bar)
    except DataMissingError as error:
        print(f"routing: {error}", file=sys.stderr)
        return 2
    if asked.pictures:
        asked.pictures.mkdir(parents=True, exist_ok=True)
        for name in names:
            picture = draw(name, [line for line in lines if line["pool"] == name])
            if picture:
                (asked.pictures / f"routing_{name}.svg").write_text(picture)
    if asked.output:
        asked.output.write_text(json.dumps({"run": run_facts(), "results": lines}, indent=1) + "\n")
    if asked.json:
        print(json.dumps(lines, indent=1))
    else:
        _print(lines)
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="what learned routing saves, and what quality it keeps")
    parser.add_argument(
        "--pool",
        default=[ALL],
        nargs="+",
        choices=[*POOLS, *STUDIES, ALL],
        help="pools of models, or studies of their own; all: what the split has nothing for is left out",
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with pools.json and train/")
    parser.add_argument("--split", default="validation", help="validation, train, or a folder in the same format")
    parser.add_argument("--json", action="store_true", help="a list of objects on stdout")
    parser.add_argument("--output", type=Path, help="the same with machine, versions and commit, to a file")
    parser.add_argument("--pictures", type=Path, help="one SVG a pool into this folder: quality against cost")
    parser.add_argument("--fast", action="store_true", help="fewer passes over the questions, fewer runs: noisier")
    return parser.parse_args(argv)


def _print(lines: Sequence[dict[str, Any]]) -> None:
    table = Table(title="quality against always asking the largest model, every call billed")
    for name in ("pool", "policy", "n", "ratio", "interval", "saved", "efficiency", "by tier, %", "oracle, %"):
        table.add_column(name, justify="left" if name in {"pool", "policy"} else "right")
    others = []
    for line in lines:
        if "quality_ratio" not in line:
            others.append(line)
            continue
        low, high = line["quality_ratio_ci"]
        table.add_row(
            line["pool"],
            line["policy"] + (" *" if line.get("is_chosen") else ""),
            str(line["n"]),
            f"{line['quality_ratio']:.3f}",
            f"{low:.3f}-{high:.3f}",
            f"{100 * line['saving']:.1f} %",
            "" if line["efficiency"] is None else f"{line['efficiency']:.2f}",
            "/".join(f"{100 * share:.0f}" for share in line["tier_shares"]),
            "/".join(f"{100 * share:.0f}" for share in line["oracle_tier_shares"]),
        )
    console = Console()
    if table.row_count:
        console.print(table)
    for line in others:
        console.print_json(json.dumps(line))


if __name__ == "__main__":
    sys.exit(main())
