"""What the ledger costs the event loop: CPU of accounting for one attempt and one request, and how long it is blocked.

    python bench/accounting.py [--seconds 20] [--json] [--out FILE]

CPU: the writer runs in its thread, on a file of SQLite in a temporary folder, and is given time to write between two
repetitions, so that the figure is of the event loop's work alone.

Blocking: `RATE` rows a second are recorded on an event loop that does nothing else, in 250 turns a second, while the
writer writes them. Each turn is timed on the wall clock, from when it was due, so that waiting for the interpreter's
lock while the writer has it counts too. What is left out is the time in which a thread of this process could run and
had no core (Linux, `schedstat`): that is other processes' doing, on a shared machine ten milliseconds now and then. The
figure is the longest turn of each two seconds, and of those the median; beside it stands the same without a writer, and
with the time without a core. Exit code 1: a limit is broken.
"""

import argparse
import asyncio
import gc
import json
import statistics
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

from harness.load import percentile
from harness.run_facts import run_facts

from streamroute.cli.event_loop import run_on_fast_loop
from streamroute.core.attribution import Attribution
from streamroute.core.cost.budget import Budgets, Reservation
from streamroute.core.cost.budget_line import BudgetLine
from streamroute.core.cost.entry import Entry
from streamroute.core.cost.price_book import DatedPrice, PriceBook
from streamroute.core.cost.pricing import Pricing, Terms
from streamroute.core.money import MAX_MONEY
from streamroute.core.observation import AttemptObservation, RequestObservation
from streamroute.core.request import ChatRequest
from streamroute.core.upstream import CredentialId, ProviderName, TokenPrice, Upstream, UpstreamId
from streamroute.core.usage import Usage
from streamroute.engine.accounting import Accounting
from streamroute.engine.spending import Spending
from streamroute.stores.ledger import Ledger
from streamroute.stores.spool import Spool
from streamroute.stores.writer import LedgerWriter

REPS = 9
CALLS = 2000
LIMIT_US = 20.0
"""A request with one attempt."""
RATE = 5_000
"""Rows a second, as many attempts as requests."""
TURNS_PER_S = 250
BLOCK_LIMIT_MS = 5.0
PRICE = TokenPrice(input_per_mtok=Decimal("0.75"), output_per_mtok=Decimal("4.5"))
UPSTREAM = Upstream(
    id=UpstreamId("mini"), provider=ProviderName("lab"), model="m-1", credential=CredentialId("lab"),
    failure_domain="lab", price=PRICE,
)  # fmt: skip
WHO = Attribution(task="support", user="ann", team="north")
CHAT = ChatRequest(wire_format="openai_chat", payload={}, model="chat", stream=True, prompt_bytes=3600)
USAGE = Usage(input_tokens=900, output_tokens=200, cached_input_tokens=600)


def main() -> int:
    """Measure, print, and say whether the limit holds."""
    parser = argparse.ArgumentParser(description="CPU of accounting on the event loop")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        turns, waits, written = run_on_fast_loop(blocked, Path(folder), arguments.seconds)
    alone, _, _ = run_on_fast_loop(blocked, None, arguments.seconds)
    median = statistics.median(figures)
    result: dict[str, object] = {
        "us_per_request": round(median, 2),
        "min": round(min(figures), 2),
        "max": round(max(figures), 2),
        "rows_per_s": round(written / arguments.seconds),
        "turns": len(turns),
        "longest_turn_ms": round(statistics.median(longest(turns)), 3),
        "longest_turns_ms": [round(each, 2) for each in longest(turns)],
        "p50_turn_ms": round(percentile(turns, 0.5), 3),
        "longest_turn_with_waits_for_a_core_ms": round(statistics.median(longest(waits)), 3),
        "longest_turn_without_writer_ms": round(statistics.median(longest(alone)), 3),
        "longest_turns_without_writer_ms": [round(each, 2) for each in longest(alone)],
    }
    limits = {"us_per_request": LIMIT_US, "longest_turn_ms": BLOCK_LIMIT_MS}
    broken = [name for name, limit in limits.items() if float(str(result[name])) > limit]
    text = (
        f"accounting: {median:.1f} us a request ({min(figures):.1f} to {max(figures):.1f}); limit {LIMIT_US:g}\n"
        f"event loop: of two seconds the longest turn took {result['longest_turn_ms']} ms while "
        f"{result['rows_per_s']} rows a second were written "
        f"({result['longest_turn_without_writer_ms']} without a writer); limit {BLOCK_LIMIT_MS:g}"
    )
    if arguments.out:
        document = {"run": run_facts(), "broken_limits": broken, "results": [result]}
        arguments.out.write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps([result]) if arguments.json else text)
    return int(bool(broken))


def waited_for_a_core_s() -> float:
    """Return how long the threads of this process could have run and had no core, all together; 0 where nobody says."""
    if sys.platform != "linux":
        return 0.0
    waits = [int(file.read_text().split()[1]) for file in Path("/proc/self/task").glob("*/schedstat")]
    return sum(waits) / 1e9


def longest(turns: list[float]) -> list[float]:
    """Return the longest turn of each two seconds."""
    size = 2 * TURNS_PER_S
    return [max(turns[start : start + size]) for start in range(0, len(turns), size)]


async def blocked(folder: Path | None, seconds: float) -> tuple[list[float], list[float], int]:
    """Return how long each turn took, in milliseconds, without and with waits for a core, and how many rows were
    written; without `folder` none are."""
    ledger = None if folder is None else Ledger(f"sqlite:///{folder}/ledger.db")
    writer = None if ledger is None else LedgerWriter(ledger, Spool(folder or Path()), flush_interval_s=0.5)
    taken: list[Entry] = []
    accounting = Accounting(taken.append if writer is None else writer.record, sidecar="bench")
    spending = _spending()
    if writer is not None:
        writer.start()
        await asyncio.sleep(2)  # the first migration is not what is measured
    count = round(seconds * TURNS_PER_S)
    calls = RATE // 2 // TURNS_PER_S
    observations = [[_observations(f"dec_{turn}_{i}") for i in range(calls)] for turn in range(count)]
    gc.collect()
    gc.freeze()
    turns, with_waits = [], []
    waited = waited_for_a_core_s()
    start = time.monotonic()
    for number, requests in enumerate(observations):
        due = start + number / TURNS_PER_S
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        for attempt, request in requests:
            _account(spending, accounting, attempt, request)
        late, before, waited = time.monotonic() - due, waited, waited_for_a_core_s()
        with_waits.append(late * 1e3)
        turns.append(max(0.0, late - (waited - before)) * 1e3)
    if writer is not None:
        await asyncio.to_thread(writer.close, 10)
    return turns, with_waits, len(taken) if writer is None else writer.figures().written


def measure(folder: Path) -> list[float]:
    """Return the mean of each repetition, in microseconds of this thread's CPU a request."""
    writer = LedgerWriter(Ledger(f"sqlite:///{folder}/ledger.db"), Spool(folder), flush_interval_s=0.5)
    spending = _spending()
    accounting = Accounting(writer.record, sidecar="bench")
    writer.start()
    figures = []
    for rep in range(REPS):
        observations = [_observations(f"dec_{rep}_{i}") for i in range(CALLS)]
        began = time.thread_time()
        for attempt, request in observations:
            _account(spending, accounting, attempt, request)
        figures.append((time.thread_time() - began) / CALLS * 1e6)
        while writer.figures().waiting:
            time.sleep(0.05)
    writer.close(10)
    return figures


def _spending() -> Spending:
    line = DatedPrice(subject=UPSTREAM.id, price=PRICE, source="upstreams.mini.price")
    pricing = Pricing(Terms(find={UPSTREAM.id: UPSTREAM}.get, prices=PriceBook([line])))
    return Spending(pricing, Budgets((BudgetLine(scope="global", limit=MAX_MONEY),)))


def _account(
    spending: Spending, accounting: Accounting, attempt: AttemptObservation, request: RequestObservation
) -> None:
    reservation = spending.reserve(WHO, UPSTREAM, CHAT)
    if not isinstance(reservation, Reservation):
        raise SystemExit(reservation.message)
    accounting(spending.settle(attempt, reservation, spending.pricing.terms))
    accounting(request)


def _observations(ledger_id: str) -> tuple[AttemptObservation, RequestObservation]:
    attempt = AttemptObservation(
        request_id=ledger_id, ledger_id=ledger_id, attribution=WHO, attempt=1, route="chat", upstream=UPSTREAM.id,
        provider=UPSTREAM.provider, credential=UPSTREAM.credential, model=UPSTREAM.model, stream=True,
        outcome="succeeded", usage=USAGE, ttft_s=0.3, duration_s=2.0,
    )  # fmt: skip
    request = RequestObservation(
        request_id=ledger_id, ledger_id=ledger_id, attribution=WHO, route="chat", stream=True, outcome="succeeded",
        attempts=1, failovers=(), upstream=UPSTREAM.id, provider=UPSTREAM.provider, model=UPSTREAM.model,
        route_s=0.001, ttft_s=0.3, duration_s=2.0,
    )  # fmt: skip
    return attempt, request


if __name__ == "__main__":
    sys.exit(main())
