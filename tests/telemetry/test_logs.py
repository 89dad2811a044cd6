"""Log lines."""

import dataclasses
import json

import pytest
from structlog.testing import capture_logs

from streamroute.core.observation import (
    AttemptObservation,
    Observation,
    ProbeObservation,
    QualityObservation,
    RefusalObservation,
    RequestObservation,
    StandingObservation,
    Traits,
)
from streamroute.core.outcome import Failure
from streamroute.core.quality.quality_outcome import QualityOutcome
from streamroute.core.upstream import ProviderName, UpstreamId
from streamroute.core.usage import Usage
from streamroute.telemetry.bus import Bus
from streamroute.telemetry.logs import LogLevel, configure_logs, log_observation
from streamroute.wire.openai_chat.errors import read_error_response
from tests.support.observations import attempt, failed_attempt, request

SECRET = "sk-live-abcdefghijklmnop"
PROMPT = "my prompt about a river"

REFUSED = RefusalObservation(request_id="r1", http_status=404, code="model_not_found")
FAILURE = Failure(kind="stall", message="no further content within 5 s")

Line = tuple[str, str]


@pytest.fixture(autouse=True)
def _all_levels() -> None:
    configure_logs("debug", "json")


@pytest.mark.parametrize(
    ("observation", "lines"),
    [
        (attempt(), [("debug", "attempt.succeeded")]),
        (attempt(outcome="cancelled", cancel_reason="client_gone"), [("debug", "attempt.cancelled")]),
        (failed_attempt("stall"), [("warning", "attempt.failed")]),
        (attempt(malformed_events=2), [("debug", "attempt.succeeded"), ("warning", "attempt.sent_malformed_events")]),
        (request(), [("debug", "request.succeeded")]),
        (request(failovers=("reset",)), [("info", "request.succeeded")]),
        (request(rescued=("stall",)), [("info", "request.succeeded")]),
        (request(outcome="failed", failure=FAILURE), [("warning", "request.failed")]),
        (request(outcome="cancelled"), [("debug", "request.cancelled")]),
        (REFUSED, [("debug", "request.refused")]),
    ],
)
def test_one_line_a_fact(observation: Observation, lines: list[Line]) -> None:
    """The event says what happened, in the past tense; the level says whether somebody must look."""
    with capture_logs() as found:
        log_observation(observation)
    assert [(each["log_level"], each["event"]) for each in found] == lines
    assert all(each["request_id"] == "r1" for each in found)


@pytest.mark.parametrize(("standing", "level"), [("suspect", "info"), ("auth_failed", "error")])
def test_how_an_upstream_stands(standing: str, level: str) -> None:
    """A change is told; loudly where only a person can help."""
    change = StandingObservation(
        upstream=UpstreamId("a"), provider=ProviderName("lab"), breaker="open", standing=standing, risk=1.0, reason=""
    )
    with capture_logs() as found:
        log_observation(change)
    assert [(each["log_level"], each["event"], each["standing"]) for each in found] == [
        (level, "upstream.changed", standing)
    ]


def test_a_failure_says_why() -> None:
    """Kind, status and message stand in fields of their own."""
    failure = read_error_response(500, b'{"error": {"message": "boom"}}')
    with capture_logs() as found:
        log_observation(attempt(outcome="failed", failure=failure, ttft_s=0.123456))
    assert found[0]["kind"] == "server_error"
    assert (found[0]["http_status"], found[0]["message"], found[0]["ttft_s"]) == (500, "boom", 0.1235)


def test_observations_have_no_room_for_secrets() -> None:
    """What is published has no field that could hold a prompt, an answer or a key.

    A field that is added must be thought about here.
    """
    names = {
        field.name
        for each in (
            AttemptObservation,
            RequestObservation,
            RefusalObservation,
            ProbeObservation,
            QualityObservation,
            QualityOutcome,
            Traits,
        )
        for field in dataclasses.fields(each)
    }
    assert names == {
        *("request_id", "attempt", "route", "upstream", "provider", "credential", "model", "stream", "outcome"),
        *("failure", "cancel_reason", "http_status", "ended_at", "connect_s", "headers_s", "ttft_s", "duration_s"),
        *("paused_s", "usage", "is_whole", "is_committed", "is_rejected", "malformed_events", "received_bytes"),
        *("attempts", "failovers", "route_s", "code"),
        *("cause", "rung", "prompt_tokens", "content_events", "max_gap_s", "rate_limit"),
        *("charged", "max_output_tokens"),
        *("ledger_id", "attribution", "tier", "images"),
        # A label is a word for reports, 128 characters at most; that it is no text is up to whoever sends it.
        *("traits", "decision_id", "score", "source", "propensity", "label", "domain", "predicted"),
        *("latency_class", "rescued", "continuations", "step", "ok", "cost_usd"),
        "unmet",  # names of requirements, out of a closed list
    }


def test_a_key_that_a_provider_echoes_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """The error body, which is the client's to read, is not logged either: it may quote the prompt."""
    body = json.dumps({"error": {"message": f"bad key {SECRET}", "param": PROMPT, "type": "invalid_request_error"}})
    failure = read_error_response(400, body.encode())
    assert PROMPT.encode() in (failure.error_body or b"")
    configure_logs("debug", "json")
    log_observation(attempt(outcome="failed", failure=failure))
    log_observation(request(outcome="failed", failure=failure))
    written = capsys.readouterr()
    assert written.out == ""
    assert "attempt.failed" in written.err
    assert SECRET not in written.err
    assert PROMPT not in written.err


@pytest.mark.parametrize("format_", ["json", "console"])
def test_tracebacks_show_no_variables(format_: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A listener that dies holds an observation, and perhaps a key, in its variables: they are not printed."""
    configure_logs("debug", "json" if format_ == "json" else "console")

    def broken(_: Observation) -> None:
        key = SECRET.lower()
        raise ZeroDivisionError(len(key))

    Bus([broken]).publish(attempt())
    written = capsys.readouterr().err
    assert "ZeroDivisionError" in written
    assert SECRET not in written


@pytest.mark.parametrize(("level", "count"), [("debug", 3), ("info", 2), ("warning", 1), ("error", 0)])
def test_levels(level: LogLevel, count: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines below the level are not written; those above are JSON, with time and level, on stderr."""
    configure_logs(level, "json")
    for observation in (request(), request(failovers=("reset",)), request(outcome="failed", failure=FAILURE)):
        log_observation(observation)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert len(lines) == count
    assert all({"event", "level", "timestamp", "request_id"} <= set(line) for line in lines)


def test_usage_is_no_part_of_a_line() -> None:
    """Tokens are counted by metrics; a line stays short."""
    with capture_logs() as found:
        log_observation(attempt(usage=Usage(input_tokens=1)))
    assert "usage" not in found[0]
