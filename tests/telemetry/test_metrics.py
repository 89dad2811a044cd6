"""Metrics: what is exposed, and what the reference says."""

import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamroute import __version__
from streamroute.core.cost.budget import SpendFigures, Subject
from streamroute.core.cost.budget_line import BudgetLine
from streamroute.core.cost.charge import EXPECTED_OUTPUT_TOKENS
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
from streamroute.telemetry.metrics import attempts as attempts_module
from streamroute.telemetry.metrics import requests as requests_module
from streamroute.telemetry.metrics.attempts import MAX_UPSTREAM_LABELS
from streamroute.telemetry.metrics.quality import MAX_DOMAIN_LABELS
from streamroute.telemetry.metrics.registry import Metrics
from streamroute.telemetry.metrics.upstreams import Snapshot
from tests.support.observations import attempt, failed_attempt, request, upstream

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "metrics.md"
ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<type>\w+) \| (?P<labels>[^|]*)\|(?P<meaning>[^|]+)\|$", re.MULTILINE)

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


async def test_the_reference_lists_exactly_what_is_exposed() -> None:
    """Name, type and labels: nothing undocumented, nothing that does not exist."""
    families, _ = await exposed(fed(*EVERYTHING))
    rows = list(ROW.finditer(REFERENCE.read_text()))
    documented = {row["name"]: (row["type"], set(re.findall(r"`(\w+)`", row["labels"]))) for row in rows}
    assert len(rows) == len(documented)
    assert documented == families


async def test_the_reference_explains_every_label() -> None:
    """Each label of our own metrics has a row with its values."""
    families, _ = await exposed(fed(*EVERYTHING))
    ours = {name: labels for name, (_, labels) in families.items() if not name.startswith("python_")}
    explained = set(re.findall(r"^\| `(\w+)` \|[^|]+\|$", REFERENCE.read_text(), flags=re.MULTILINE))
    assert set().union(*ours.values()) - {"version"} == explained


async def test_attempts() -> None:
    """One count and one duration an attempt; what was not reached is not measured."""
    _, values = await exposed(fed(*EVERYTHING))
    who = {"provider": "lab", "upstream": "a"}
    for outcome, kind in (("succeeded", ""), ("failed", "stall"), ("cancelled", "")):
        assert values[of("streamroute_attempts_total", **who, outcome=outcome, kind=kind)] == 1
        assert values[of("gen_ai_client_operation_duration_seconds_sum", **who, outcome=outcome)] == 0.5
    assert values[of("gen_ai_client_operation_time_to_first_chunk_seconds_count", **who)] == 1
    assert values[of("streamroute_connect_seconds_sum", **who)] == 0.01
    assert values[of("gen_ai_client_token_usage_sum", **who, token_type="input")] == 9
    assert values[of("gen_ai_client_token_usage_sum", **who, token_type="output")] == 3
    assert values[of("streamroute_malformed_events_total", **who)] == 2


async def test_requests() -> None:
    """One count, duration and overhead a request; time to the first token only where there was one."""
    _, values = await exposed(fed(*EVERYTHING, request(stream=False)))
    assert values[of("streamroute_requests_total", route="chat", outcome="succeeded", kind="")] == 2
    assert values[of("streamroute_requests_total", route="chat", outcome="failed", kind="stall")] == 1
    assert values[of("streamroute_failovers_total", route="chat", phase="before_first_token", reason="reset")] == 2
    assert values[of("streamroute_refused_requests_total", http_status="404")] == 1
    for requirement in ("min_quality", "max_cost_usd"):
        assert values[of("streamroute_requirements_not_met_total", route="chat", requirement=requirement)] == 1
    assert values[of("gen_ai_server_request_duration_seconds_count", route="chat", outcome="succeeded")] == 2
    assert values[of("gen_ai_server_time_to_first_token_seconds_count", route="chat")] == 1
    assert values[of("streamroute_overhead_seconds_count", route="chat")] == 3


async def test_extra_calls() -> None:
    """What became of them, and what hedges and probes cost: counted usage first, else the estimate."""
    _, values = await exposed(fed(*EXTRA))
    for outcome in ("won", "lost", "failed"):
        assert values[of("streamroute_hedges_total", outcome=outcome)] == 1
    assert values[of("streamroute_hedge_spend_usd_total")] == pytest.approx(0.004 + 0.00101)
    assert values[of("streamroute_race_spend_usd_total")] == pytest.approx(0.002 + 10 * EXPECTED_OUTPUT_TOKENS / 1e6)
    assert values[of("streamroute_races_total", outcome="won")] == 1
    assert values[of("streamroute_races_total", outcome="lost")] == 1
    assert values[of("streamroute_continuations_total", rung="prefill", outcome="succeeded")] == 1
    assert values[of("streamroute_continuations_total", rung="instructed", outcome="failed")] == 1
    who = {"provider": "lab", "upstream": "priced"}
    assert values[of("streamroute_probes_total", **who, step="completion", outcome="succeeded")] == 1
    assert values[of("streamroute_probes_total", **who, step="connect", outcome="failed")] == 1
    assert values[of("streamroute_probes_total", **who, step="request", outcome="cancelled")] == 1
    assert of("streamroute_probes_total", **who, step="request", outcome="succeeded") not in values
    assert values[of("streamroute_probe_spend_usd_total")] == 0.25


async def test_wasted_spend() -> None:
    """What calls cost whose text no client has: rivals that lost, probes, calls that broke before their turn."""
    usage = Usage(input_tokens=100, output_tokens=10)
    _, values = await exposed(
        fed(
            attempt(PRICED, is_committed=True, usage=usage),
            attempt(PRICED, stream=False, usage=usage),
            attempt(upstream("unpriced"), cause="hedge", outcome="cancelled", connect_s=0.01, prompt_tokens=100),
            attempt(PRICED, cause="race", outcome="cancelled", connect_s=0.01, prompt_tokens=100),
            attempt(BILLED_ON, cause="race", outcome="cancelled", connect_s=0.01),
            attempt(PRICED, outcome="cancelled", cancel_reason="lost", connect_s=0.01, prompt_tokens=50),
            attempt(PRICED, cause="probe", usage=usage),
        )
    )
    assert values[of("streamroute_wasted_spend_usd_total", cause="first")] == pytest.approx(0.0001)
    assert values[of("streamroute_wasted_spend_usd_total", cause="hedge")] == 0.0
    assert values[of("streamroute_wasted_spend_usd_total", cause="race")] == pytest.approx(
        0.0002 + 10 * EXPECTED_OUTPUT_TOKENS / 1e6
    )
    assert values[of("streamroute_wasted_spend_usd_total", cause="probe")] == pytest.approx(0.0003)


async def test_rescues() -> None:
    """An answer that was carried on after its first token is a failover in the middle of the stream."""
    _, values = await exposed(fed(request(rescued=("stall", "reset"))))
    for reason in ("stall", "reset"):
        assert values[of("streamroute_failovers_total", route="chat", phase="mid_stream", reason=reason)] == 1


async def test_how_upstreams_stand() -> None:
    """One state is 1, the others 0; figures are those of the scrape."""
    _, values = await exposed(fed())
    who = {"provider": "lab", "upstream": "a"}
    states = {
        state: values[of("streamroute_upstream_state", **who, state=state)]
        for state in ("closed", "open", "half_open", "ramping")
    }
    assert states == {"closed": 0, "open": 0, "half_open": 1, "ramping": 0}
    assert values[of("streamroute_upstream_risk", **who)] == 0.25
    assert values[of("streamroute_event_loop_lag_seconds")] == 0.002
    assert values[of("streamroute_steers_total", **who)] == 3
    assert values[of("streamroute_confirmed_steers_total", **who)] == 2
    assert values[of("streamroute_predicted_steers_total", **who)] == 1
    assert values[of("streamroute_false_steers_total", **who)] == 1
    assert values[of("streamroute_upstream_standing", **who, standing="slow")] == 1
    assert values[of("streamroute_upstream_standing", **who, standing="healthy")] == 0
    assert values[of("streamroute_steer_lead_seconds", **who)] == -0.5


async def test_budgets() -> None:
    """What is left, and what was refused for want of which budget."""
    _, values = await exposed(fed())
    assert values[of("streamroute_retry_tokens")] == 7.5
    assert values[of("streamroute_hedges_denied_total", budget="spend")] == 4
    assert values[of("streamroute_retries_denied_total", budget="tokens")] == 2


async def test_labels_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that clients make up (`provider/model`) end in `other`; configured ones keep theirs."""
    monkeypatch.setattr(attempts_module, "MAX_UPSTREAM_LABELS", 2)
    monkeypatch.setattr(requests_module, "MAX_ROUTE_LABELS", 2)
    names = ["p/a", "p/b", "p/c", "p/d", "p/a"]
    metrics = fed(*(attempt(upstream(name)) for name in names), *(request(route=name) for name in names))
    _, values = await exposed(metrics)
    for upstream_name, count in (("p/a", 2), ("p/b", 1), ("other", 2)):
        labels = {"provider": "lab", "upstream": upstream_name, "outcome": "succeeded", "kind": ""}
        assert values[of("streamroute_attempts_total", **labels)] == count
        assert values[of("streamroute_requests_total", route=upstream_name, outcome="succeeded", kind="")] == count


async def test_the_version() -> None:
    """Dashboards can tell releases apart."""
    _, values = await exposed(fed())
    assert values[of("streamroute_build_info", version=__version__)] == 1


async def test_keys() -> None:
    """How many there are, and who went over a limit; however many keys there are, the labels are not more."""
    _, values = await exposed(fed())
    states = ("live", "expired", "revoked")
    assert [values[of("streamroute_keys", state=state)] for state in states] == [3, 2, 1]
    assert values[of("streamroute_keys_trouble")] == 1
    assert values[of("streamroute_rate_limited_requests_total", key="app", limit="requests")] == 4
    assert values[of("streamroute_rate_limited_requests_total", key="app", limit="tokens")] == 5
    assert values[of("streamroute_rate_limited_requests_total", key="other", limit="tokens")] == 101


async def test_the_ledger() -> None:
    """Every entry is somewhere: written, on its way, or lost and counted."""
    _, values = await exposed(fed(*EVERYTHING))
    fates = {
        fate: values[of("streamroute_ledger_entries_total", fate=fate)] for fate in ("written", "refused", "dropped")
    }
    assert fates == {"written": 3, "refused": 4, "dropped": 5}
    assert values[of("streamroute_ledger_waiting_entries", place="memory")] == 1
    assert values[of("streamroute_ledger_waiting_entries", place="disk")] == 2
    assert values[of("streamroute_ledger_trouble")] == 1
    assert values[of("streamroute_unpriced_attempts_total")] == 6


async def test_what_routing_writes() -> None:
    """Lines that were dropped, and whether what was learned can be saved."""
    _, values = await exposed(fed())
    fates = {fate: values[of("streamroute_routing_log_lines_total", fate=fate)] for fate in ("written", "dropped")}
    assert fates == {"written": 8, "dropped": 9}
    assert values[of("streamroute_routing_state_trouble")] == 1


async def test_price_feeds() -> None:
    """How old they are, whether that is too old, and what came of reading them."""
    _, values = await exposed(fed())
    reads = {
        outcome: values[of("streamroute_price_feed_reads_total", feed="spot", outcome=outcome)]
        for outcome in ("accepted", "refused", "unreachable")
    }
    assert reads == {"accepted": 5, "refused": 2, "unreachable": 1}
    assert values[of("streamroute_price_feed_age_seconds", feed="spot")] == 400
    assert values[of("streamroute_price_feed_stale", feed="spot")] == 1


async def test_domains_that_clients_make_up_share_a_label() -> None:
    """After the first fifty; models that clients name too, after two hundred. Configured names keep theirs."""
    many = [judged(f"lab/m{i}", f"d{i}", 0.5) for i in range(300)]
    _, values = await exposed(fed(*many, judged("a", None)))
    name = "streamroute_quality_score"
    counts = {labels: value for (series, labels), value in values.items() if series == f"{name}_count"}
    assert len({dict(labels)["domain"] for labels in counts}) == MAX_DOMAIN_LABELS + 2
    assert len({dict(labels)["upstream"] for labels in counts}) == MAX_UPSTREAM_LABELS + 2
    assert sum(counts.values()) == 301
    assert values[f"{name}_sum", frozenset({("upstream", "a"), ("domain", ""), ("source", "feedback")})] == 1.0


async def test_gates() -> None:
    """Whom they trust with what, and what audits came to and cost."""
    _, values = await exposed(fed())
    for domain, is_trusted, loss in (("law", 0, 0.04), ("", 1, -0.01)):
        assert values[of("streamroute_gate_trusted", route="chat", domain=domain)] == is_trusted
        assert values[of("streamroute_gate_loss", route="chat", domain=domain)] == loss
    assert values[of("streamroute_audits_total", route="chat", result="differs")] == 3
    assert values[of("streamroute_audit_spend_usd_total", route="chat")] == 0.025
