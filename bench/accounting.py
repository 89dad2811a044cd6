"""What the ledger costs the event loop: CPU of accounting for one attempt and one request, and of taking the entries.

    python bench/accounting.py [--json]

The writer runs in its thread, on a file of SQLite in a temporary folder, and is given time to write between two
repetitions, so that the figure is of the event loop's work alone. Exit code 1: the limit is broken.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

from streamroute.core.attribution import Attribution
from streamroute.core.cost.budget import Budgets, Reservation
from streamroute.core.cost.budget_line import BudgetLine
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
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder))
    median = statistics.median(figures)
    result = {"us_per_request": round(median, 2), "min": round(min(figures), 2), "max": round(max(figures), 2)}
    text = f"accounting: {median:.1f} us a request ({min(figures):.1f} to {max(figures):.1f}); limit {LIMIT_US:g}"
    print(json.dumps(result) if arguments.json else text)
    return 0 if median <= LIMIT_US else 1


def measure(folder: Path) -> list[float]:
    """Return the mean of each repetition, in microseconds of this thread's CPU a request."""
    writer = LedgerWriter(Ledger(f"sqlite:///{folder}/ledger.db"), Spool(folder), flush_interval_s=0.5)
    line = DatedPrice(subject=UPSTREAM.id, price=PRICE, source="upstreams.mini.price")
    pricing = Pricing(Terms(find={UPSTREAM.id: UPSTREAM}.get, prices=PriceBook([line])))
    spending = Spending(pricing, Budgets((BudgetLine(scope="global", limit=MAX_MONEY),)))
    accounting = Accounting(writer.record, sidecar="bench")
    writer.start()
    figures = []
    for rep in range(REPS):
        observations = [_observations(f"dec_{rep}_{i}") for i in range(CALLS)]
        began = time.thread_time()
        for attempt, request in observations:
            reservation = spending.reserve(WHO, UPSTREAM, CHAT)
            if not isinstance(reservation, Reservation):
                raise SystemExit(reservation.message)
            accounting(spending.settle(attempt, reservation))
            accounting(request)
        figures.append((time.thread_time() - began) / CALLS * 1e6)
        while writer.figures().waiting:
            time.sleep(0.05)
    writer.close(10)
    return figures


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
