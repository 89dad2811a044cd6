"""Metrics: what is exposed, and what the reference says."""

import re
from pathlib import Path

import pytest

from streamroute import __version__
from streamroute.core.cost.charge import EXPECTED_OUTPUT_TOKENS
from streamroute.core.usage import Usage
from streamroute.telemetry.metrics import attempts as attempts_module
from streamroute.telemetry.metrics import requests as requests_module
from streamroute.telemetry.metrics.attempts import MAX_UPSTREAM_LABELS
from streamroute.telemetry.metrics.quality import MAX_DOMAIN_LABELS
from tests.support.observations import attempt, request, upstream
from tests.telemetry.metrics_scene import BILLED_ON, EVERYTHING, EXTRA, PRICED, exposed, fed, judged, of

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "metrics.md"
ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<type>\w+) \| (?P<labels>[^|]*)\|(?P<meaning>[^|]+)\|$", re.MULTILINE)


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
