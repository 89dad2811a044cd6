"""How long `streamroute usage` takes over a large ledger, and what writing such a ledger takes.

    python bench/usage_report.py [--attempts 5000000] [--days 365] [--folder DIR] [--json] [--out FILE]

Attempts and requests of a year are written the way the sidecar writes them, to a file of SQLite in a temporary folder
in order of time: 20 tasks, each of a team (8) and a key (12), 5,000 users who have all of them done, 6 upstreams of 3
providers; one attempt in twelve failed and was tried elsewhere. Five million take ten minutes. Then each question is
asked several times, each time in a process of its own, as people ask it. Exit code 1: a limit is broken.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from harness.run_facts import run_facts

from streamroute.core.cost.entry import AttemptEntry, Entry, RequestEntry
from streamroute.core.cost.report import DAY_MS
from streamroute.core.money import Money
from streamroute.stores.ledger import Ledger

BATCH = 2_000
REPS = 5
LIMIT_S = 2.0
"""Of `--by task,day`."""
FIRST_DAY = 20_393
UPSTREAMS = (
    [("openai", f"gpt-{i}") for i in range(3)] + [("anthropic", f"claude-{i}") for i in range(2)] + [("own", "llm")]
)
QUESTIONS = {
    "task,day": ("--by", "task,day"),
    "upstream": ("--by", "upstream"),
    "month,model,waste": ("--by", "month,model", "--waste"),
    "task, against a baseline": ("--by", "task", "--baseline", "openai-0"),
    "task, of the last 30 days and a half": ("--by", "task", "--since", "MIDDLE"),
    "user": ("--by", "user"),
}


CONFIG = """version = 1
[ledger]
url = "sqlite:///ledger.db"
[providers.openai]
kind = "openai_compatible"
base_url = "http://127.0.0.1:9/v1"
[upstreams.openai-0]
provider = "openai"
model = "gpt-0"
price = { input_per_mtok = 2.5, output_per_mtok = 10, cached_input_per_mtok = 1.25 }
"""


def main() -> int:
    """Write, ask, print, and say whether the limit holds."""
    parser = argparse.ArgumentParser(description="time of reports over a large ledger")
    parser.add_argument("--attempts", type=int, default=5_000_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--folder", type=Path, help="keep the ledger there; ask the one that is there")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(exist_ok=True)
        facts = folder / "written.json"
        if not facts.exists():
            facts.write_text(json.dumps(write(folder, arguments.attempts, arguments.days)))
        written = json.loads(facts.read_text())
        result = {**written, "reports_s": ask(folder, written["days"])}
    broken = result["reports_s"]["task,day"]["median"] > LIMIT_S
    document = {"run": run_facts(), "broken_limits": ["task,day"] if broken else [], "results": [result]}
    if arguments.out:
        arguments.out.write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps([result]) if arguments.json else json.dumps(result, indent=2))
    return int(broken)


def write(folder: Path, attempts: int, days: int) -> dict[str, Any]:
    """Write a ledger, and return what that took."""
    written = requests = 0
    began, cpu = time.monotonic(), time.process_time()
    with closing(Ledger(f"sqlite:///{folder}/ledger.db")) as ledger:
        batch: list[Entry] = []
        for entry in entries(attempts, days):
            batch.append(entry)
            requests += isinstance(entry, RequestEntry)
            if len(batch) == BATCH:
                ledger.write(batch)
                written += BATCH
                batch = []
        ledger.write(batch)
        written += len(batch)
    elapsed, cpu = time.monotonic() - began, time.process_time() - cpu
    return {
        "attempts": attempts,
        "requests": requests,
        "days": days,
        "file_mb": round((folder / "ledger.db").stat().st_size / 1e6, 1),
        "written_per_s": round(written / elapsed),
        "write_cpu_us_per_row": round(cpu / written * 1e6, 1),
    }


def ask(folder: Path, days: int) -> dict[str, Any]:
    """Return what each question took."""
    config = folder / "config.toml"
    config.write_text(CONFIG)
    middle = time.strftime("%Y-%m-%dT12:00", time.gmtime((FIRST_DAY + days - 31) * 86_400))
    return {
        name: asked(config, tuple(middle if each == "MIDDLE" else each for each in arguments))
        for name, arguments in QUESTIONS.items()
    }


def asked(config: Path, arguments: tuple[str, ...]) -> dict[str, Any]:
    """Return how long a command takes, from its start to its end, and how many rows it prints."""
    times, rows = [], 0
    for _ in range(REPS):
        began = time.monotonic()
        command = [sys.executable, "-m", "streamroute", "usage", "-c", str(config), "--json", *arguments]
        ended = subprocess.run(command, capture_output=True, check=True)
        times.append(time.monotonic() - began)
        rows = len(json.loads(ended.stdout))
    return {"median": round(statistics.median(times), 3), "max": round(max(times), 3), "rows": rows}


def entries(attempts: int, days: int) -> Iterator[Entry]:
    """Yield attempts, and the request of each that answered."""
    rng = random.Random(4)
    step_ms = days * DAY_MS / attempts
    made = number = 0
    while made < attempts:
        number += 1
        upstream = rng.choice(UPSTREAMS)
        task = int(20 * rng.random() ** 2)
        who = {
            "task": f"task-{task}",
            "user": f"user-{int(5000 * rng.random() ** 2)}",
            "team": f"team-{task % 8}",
            "key": f"key-{task % 12}",
        }
        for attempt in range(1, 2 + (rng.random() < 1 / 12)):
            failed = attempt == 1 and rng.random() < 1 / 12
            at_ms = FIRST_DAY * DAY_MS + int(made * step_ms)
            yield attempt_entry(f"dec_{number:032x}", attempt, at_ms, upstream, who, failed=failed)
            made += 1
        yield request_entry(f"dec_{number:032x}", attempt, at_ms, upstream, who)


def attempt_entry(
    id_: str, attempt: int, at_ms: int, upstream: tuple[str, str], who: dict[str, Any], *, failed: bool
) -> AttemptEntry:
    """Make one."""
    provider, model = upstream
    return AttemptEntry(
        ledger_id=id_, attempt=attempt, request_id=id_, ended_at_ms=at_ms,
        cause="first" if attempt == 1 else "failover", rung=None, outcome="failed" if failed else "succeeded",
        failure="server_error" if failed else None,
        cancel_reason=None, route="chat", upstream=f"{provider}-{model[-1]}", provider=provider, model=model, tier=None,
        input_tokens=900 + at_ms % 97, output_tokens=200 + at_ms % 89, cached_input_tokens=600, cache_write_tokens=0,
        reasoning_tokens=0, is_counted=not failed, cost=Money(0 if failed else 10**9 + at_ms % 10**8),
        price_source="prices.0", ttft_s=None if failed else 0.3, duration_s=2.0, **who,
    )  # fmt: skip


def request_entry(id_: str, attempts: int, at_ms: int, upstream: tuple[str, str], who: dict[str, Any]) -> RequestEntry:
    """Make one."""
    provider, model = upstream
    return RequestEntry(
        ledger_id=id_, request_id=id_, ended_at_ms=at_ms, outcome="succeeded", failure=None, route="chat",
        upstream=f"{provider}-{model[-1]}", provider=provider, model=model, attempts=attempts, ttft_s=0.3,
        duration_s=2.0, **who,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
