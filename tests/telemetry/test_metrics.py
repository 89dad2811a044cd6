"""Metrics: what is exposed, and what the reference says."""

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamroute import __version__
from streamroute.core.observation import Observation, RefusalObservation
from streamroute.core.outcome import Failure
from streamroute.core.usage import Usage
from streamroute.telemetry.metrics import attempts as attempts_module
from streamroute.telemetry.metrics import requests as requests_module
from streamroute.telemetry.metrics.registry import Metrics
from tests.support.observations import attempt, failed_attempt, request, upstream

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "metrics.md"
ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<type>\w+) \| (?P<labels>[^|]*)\|(?P<meaning>[^|]+)\|$", re.MULTILINE)

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
    RefusalObservation(request_id="r1", http_status=404, code="model_not_found"),
]

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def fed(*observations: Observation) -> Metrics:
    metrics = Metrics()
    for observation in observations:
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
    assert values[of("gen_ai_server_request_duration_seconds_count", route="chat", outcome="succeeded")] == 2
    assert values[of("gen_ai_server_time_to_first_token_seconds_count", route="chat")] == 1
    assert values[of("streamroute_overhead_seconds_count", route="chat")] == 3


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
