"""What metrics are fed in their tests, and how what they expose is read."""

from dataclasses import replace
from decimal import Decimal

from prometheus_client.parser import text_string_to_metric_families

from streamroute.core.cost.budget import SpendFigures, Subject
from streamroute.core.cost.budget_line import BudgetLine
from streamroute.core.cost.feed_figures import FeedFigures
from streamroute.core.cost.key_figures import KeyFigures
from streamroute.core.cost.ledger_figures import LedgerFigures
from streamroute.core.cost.price_book import DatedPrice, PriceBook
from streamroute.core.cost.pricing import Pricing, Terms
from streamroute.core.health.attempt_budget import BudgetFigures
from streamroute.core.health.scorecard import Score
from streamroute.core.health.standing import Standing
from streamroute.core.money import PER_USD, Money
from streamroute.core.observation import (
    AttemptObservation,
    Observation,
    ProbeObservation,
    QualityObservation,
    RefusalObservation,
    Traits,
)
from streamroute.core.outcome import Failure
from streamroute.core.quality.quality_outcome import QualityOutcome
from streamroute.core.routing.file_figures import RoutingFileFigures
from streamroute.core.routing.learned.domain_guard import Trust
from streamroute.core.routing.learned.gate_figures import GateFigures
from streamroute.core.routing.learned.gatekeeper import DomainFigures
from streamroute.core.upstream import Capabilities, TokenPrice, UpstreamId
from streamroute.core.usage import Usage
from streamroute.telemetry.metrics.registry import Metrics
from streamroute.telemetry.metrics.upstreams import Snapshot
from tests.support.observations import attempt, failed_attempt, request, upstream

PRICED = upstream("priced", price=TokenPrice(input_per_mtok=Decimal(2), output_per_mtok=Decimal(10)))
BILLED_ON = replace(PRICED, id=UpstreamId("billed-on"), capabilities=Capabilities(bills_cancelled_streams=True))
EXTRA: list[Observation] = [
    attempt(PRICED, cause="hedge", is_committed=True, usage=Usage(input_tokens=1000, output_tokens=200)),
    attempt(
        PRICED,
        cause="hedge",
        outcome="cancelled",
        cancel_reason="lost",
        prompt_tokens=500,
        content_events=1,
        connect_s=0.01,
    ),
    failed_attempt("reset", PRICED, cause="hedge"),
    attempt(BILLED_ON, cause="race", outcome="cancelled", cancel_reason="lost", prompt_tokens=1000, connect_s=0.01),
    attempt(PRICED, cause="race", outcome="cancelled", cancel_reason="client_gone", is_committed=True),
    attempt(PRICED, cause="continuation", rung="prefill"),
    failed_attempt("seam_mismatch", PRICED, cause="continuation", rung="instructed"),
    attempt(PRICED, cause="probe", outcome="cancelled", cancel_reason="lost"),
    attempt(PRICED, cause="probe", route=""),
    ProbeObservation(
        upstream=PRICED.id, provider=PRICED.provider, step="completion", ok=True, duration_s=0.1, cost_usd=0.25
    ),
    ProbeObservation(
        upstream=PRICED.id, provider=PRICED.provider, step="connect", ok=False, failure="connect_error", duration_s=0.1
    ),
]

SCORE = Score(steers=3, confirmed=2, predicted=1, false_steers=1, last_lead_s=-0.5)
SPEND = [
    SpendFigures(subject=Subject(line, name), spent=Money(PER_USD), reserved=Money(PER_USD // 2), resets_at_ms=None)
    for line, name in (
        (BudgetLine(scope="global", limit=Money(5 * PER_USD)), None),
        (BudgetLine(scope="task", name="triage", limit=Money(4 * PER_USD)), "triage"),
    )
]
FEED = FeedFigures(
    name="spot", state="stale", as_of_ms=1, age_s=400.0, prices=3, accepted=5, refused=2, unreachable=1, trouble=None
)
BUDGET = BudgetFigures(
    hedges_in_flight=0,
    spent_usd=0.0,
    hedge_spent_usd=0.0,
    global_tokens=7.5,
    retries_allowed=0,
    retries_denied={"tokens": 2},
    hedges_allowed=0,
    hedges_denied={"spend": 4},
)

PRICING = Pricing(
    Terms(
        prices=PriceBook(DatedPrice(subject=each.id, price=each.price) for each in (PRICED, BILLED_ON) if each.price),
        find={each.id: each for each in (PRICED, BILLED_ON)}.get,
    )
)


def judged(of: str, domain: str | None, score: float = 1.0) -> QualityObservation:
    outcome = QualityOutcome(decision_id="dec_1", upstream=UpstreamId(of), score=score, source="feedback")
    return QualityObservation(outcome=outcome, traits=Traits(domain=domain))


EVERYTHING: list[Observation] = [
    attempt(
        connect_s=0.01,
        ttft_s=0.2,
        usage=Usage(input_tokens=9, output_tokens=3, cached_input_tokens=4),
        malformed_events=2,
    ),
    failed_attempt("stall"),
    attempt(outcome="cancelled", cancel_reason="client_gone"),
    request(failovers=("reset", "reset")),
    request(outcome="failed", failure=Failure(kind="stall", message="x"), ttft_s=None),
    request(route="rescued", rescued=("stall",), continuations=("prefill",)),
    *EXTRA,
    judged("a", "law"),
    RefusalObservation(request_id="r1", http_status=404, code="model_not_found"),
    RefusalObservation(
        request_id="r2",
        http_status=400,
        code="requirements_not_met",
        route="chat",
        unmet=("min_quality", "max_cost_usd"),
    ),
]

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


GATE = GateFigures(
    route="chat",
    domains=[
        DomainFigures(domain="law", trust=Trust.WITHDRAWN, looks=90, look_share=0.2, caution=0.1, loss=0.04),
        DomainFigures(domain="", trust=Trust.TRUSTED, looks=200, look_share=0.05, caution=0.0, loss=-0.01),
    ],
    looks={0: 250.0},
    audits={"agrees": 9, "differs": 3},
    spent=Money(25 * 10**9),
)


def fed(*observations: Observation) -> Metrics:
    standing = Standing(kind="slow", breaker="half_open", risk=0.25)
    metrics = Metrics(
        snapshot=lambda: Snapshot(
            upstreams=[(upstream(), standing, SCORE)],
            budget=BUDGET,
            event_loop_lag_s=0.002,
            spend=SPEND,
            over_budget=7,
            soft_limits={("task", "day"): 2},
            keys=KeyFigures(live=3, expired=2, revoked=1, trouble="locked"),
            rate_limited={("app", "requests"): 4, ("app", "tokens"): 5, **{(f"k{i}", "tokens"): 1 for i in range(300)}},
            price_feeds=[FEED],
            gates=[GATE],
            routing_files=RoutingFileFigures(state_trouble="full", log_written=8, log_dropped=9),
            ledger=LedgerFigures(waiting=1, spooled=2, written=3, refused=4, dropped=5, unpriced=6, trouble="locked"),
        ),
    )
    for observation in observations:
        if isinstance(observation, AttemptObservation) and observation.charged is None:
            observation.with_charge(PRICING.charged(observation, PRICING.terms, 0))
        metrics(observation)
    return metrics


async def exposed(metrics: Metrics) -> tuple[dict[str, tuple[str, set[str]]], Series]:
    """Return each metric's type and labels under the name that people query, and all values."""
    text, content_type = await metrics.render()
    assert content_type.startswith("text/plain")
    families: dict[str, tuple[str, set[str]]] = {}
    values: Series = {}
    for family in text_string_to_metric_families(text.decode()):
        if family.name.endswith("_created"):
            continue
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        families[name] = (family.type, labels)
        values |= {(sample.name, frozenset(sample.labels.items())): sample.value for sample in family.samples}
    return families, values


def of(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())
