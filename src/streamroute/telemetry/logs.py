"""Log lines: structlog, JSON where nobody watches, readable on a terminal. Never a prompt, an answer or a key.

One event per fact, dotted and in the past tense; values as keys with units. error: a person must act; warning: an
attempt or a request failed; info: state changes, and answers that were saved; debug: each attempt and request.
"""

import contextlib
import io
import logging
import sys
from typing import Literal, TextIO, cast

import structlog

from streamroute.core.observation import (
    AttemptObservation,
    Observation,
    ProbeObservation,
    QualityObservation,
    RefusalObservation,
    RequestObservation,
    StandingObservation,
)

LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

_log = structlog.get_logger("streamroute")
_is_debugging = False
"""Spares the data path the making of lines that nobody will see."""


def configure_logs(level: LogLevel = "info", format_: LogFormat = "auto") -> None:
    """Set the process's logging up, on stderr: stdout is for data."""
    global _is_debugging  # noqa: PLW0603 - logging is the process's, like structlog's own configuration
    _is_debugging = level == "debug"
    # Tracebacks are plain: the pretty ones show local variables, and those hold keys and prompts.
    for_people = is_console(format_)
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if for_people
        else structlog.processors.JSONRenderer()
    )
    processors: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not for_people:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stderr())),
        cache_logger_on_first_use=False,
    )


class _Stderr(io.TextIOBase):
    """Standard error, whose reader may be gone (`serve 2>&1 | head`): no answer depends on a log line."""

    def write(self, text: str) -> int:
        """Write what can be written."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def is_console(format_: LogFormat) -> bool:
    """Return whether lines are for people: on a terminal, or because somebody said so."""
    return sys.stderr.isatty() if format_ == "auto" else format_ == "console"


def log_observation(observation: Observation) -> None:
    """Write the line for an observation; a listener for the bus."""
    match observation:
        case AttemptObservation():
            _log_attempt(observation)
        case RequestObservation():
            _log_request(observation)
        case RefusalObservation(request_id=request_id, http_status=status, code=code):
            _log.debug("request.refused", request_id=request_id, http_status=status, code=code)
        case ProbeObservation():
            _log.debug(
                "probe.succeeded" if observation.ok else "probe.failed",
                upstream=observation.upstream,
                step=observation.step,
                kind=observation.failure,
                duration_s=round(observation.duration_s, 4),
            )
        case StandingObservation():
            _log_standing(observation)
        case QualityObservation(outcome=found):
            _log.debug(
                "answer.judged",
                decision_id=found.decision_id,
                upstream=found.upstream,
                source=found.source,
                score=round(found.score, 4),
            )


def _log_attempt(observation: AttemptObservation) -> None:
    failure = observation.failure
    if failure is None and not observation.malformed_events and not _is_debugging:
        return
    facts = {
        "request_id": observation.request_id,
        "attempt": observation.attempt,
        "route": observation.route,
        "upstream": observation.upstream,
        "duration_s": round(observation.duration_s, 4),
        "ttft_s": None if observation.ttft_s is None else round(observation.ttft_s, 4),
    }
    if failure is None:
        _log.debug(f"attempt.{observation.outcome}", **facts, reason=observation.cancel_reason)
    else:
        _log.warning(
            "attempt.failed", **facts, kind=failure.kind, http_status=failure.http_status, message=failure.message
        )
    if observation.malformed_events:
        _log.warning("attempt.sent_malformed_events", **facts, malformed_events=observation.malformed_events)


def _log_standing(observation: StandingObservation) -> None:
    needs_a_person = observation.standing == "auth_failed"
    (_log.error if needs_a_person else _log.info)(
        "upstream.changed",
        upstream=observation.upstream,
        breaker=observation.breaker,
        standing=observation.standing,
        risk=round(observation.risk, 2),
        reason=observation.reason or None,
    )


def _log_request(observation: RequestObservation) -> None:
    was_saved = bool(observation.failovers or observation.rescued)
    if observation.failure is None and not was_saved and not _is_debugging:
        return
    facts = {
        "request_id": observation.request_id,
        "route": observation.route,
        "upstream": observation.upstream,
        "attempts": observation.attempts,
        "duration_s": round(observation.duration_s, 4),
    }
    if observation.failure is not None:
        _log.warning("request.failed", **facts, kind=observation.failure.kind)
    elif was_saved:
        saved = {"failovers": list(observation.failovers), "rescued": list(observation.rescued)}
        _log.info(f"request.{observation.outcome}", **facts, **saved)
    else:
        _log.debug(f"request.{observation.outcome}", **facts)
