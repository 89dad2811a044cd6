"""Entries of the ledger, filled in with plain values."""

from typing import Any

from streamroute.core.cost.entry import AttemptEntry, QualityEntry, RequestEntry
from streamroute.core.money import Money

NOON_MS = 1_793_534_400_000
"""2026-11-01T12:00:00Z."""
LEDGER_CONFIG = """version = 1
[ledger]
url = "sqlite:///ledger.db"
[providers.lab]
kind = "openai_compatible"
base_url = "http://127.0.0.1:9001/v1"
[upstreams.a]
provider = "lab"
model = "m-1"
"""
"""A file beside the ledger; its upstream is the one that these entries are about."""


def attempt_entry(ledger_id: str = "dec_1", number: int = 1, **more: Any) -> AttemptEntry:
    """Make the entry of an attempt that succeeded and cost a tenth of a cent, unless told otherwise."""
    values: dict[str, Any] = {
        "ledger_id": ledger_id,
        "attempt": number,
        "request_id": "req_1",
        "ended_at_ms": NOON_MS,
        "cause": "first",
        "rung": None,
        "outcome": "succeeded",
        "failure": None,
        "cancel_reason": None,
        "route": "chat",
        "upstream": "a",
        "provider": "lab",
        "model": "m-1",
        "tier": None,
        "task": None,
        "user": None,
        "team": None,
        "key": None,
        "input_tokens": 100,
        "output_tokens": 20,
        "cached_input_tokens": 0,
        "cache_write_tokens": 0,
        "reasoning_tokens": 0,
        "is_counted": True,
        "cost": Money(10**9),
        "price_source": "upstreams.a.price",
        "ttft_s": 0.25,
        "duration_s": 1.5,
    }
    return AttemptEntry(**{**values, **more})


def request_entry(ledger_id: str = "dec_1", **more: Any) -> RequestEntry:
    """Make the entry of a request that `a` has answered, unless told otherwise."""
    values: dict[str, Any] = {
        "ledger_id": ledger_id,
        "request_id": "req_1",
        "ended_at_ms": NOON_MS,
        "outcome": "succeeded",
        "failure": None,
        "route": "chat",
        "upstream": "a",
        "provider": "lab",
        "model": "m-1",
        "task": None,
        "user": None,
        "team": None,
        "key": None,
        "attempts": 1,
        "ttft_s": 0.25,
        "duration_s": 1.5,
    }
    return RequestEntry(**{**values, **more})


def quality_entry(ledger_id: str = "dec_1", **more: Any) -> QualityEntry:
    """Make the entry of a client that was content with an answer of `a`, unless told otherwise."""
    values: dict[str, Any] = {
        "ledger_id": ledger_id,
        "source": "feedback",
        "upstream": "a",
        "ended_at_ms": NOON_MS,
        "score": 1.0,
        "weight": 1.0,
        "label": None,
        "route": "chat",
        "task": None,
        "key": None,
        "domain": None,
        "route_tier": None,
        "predicted": None,
    }
    return QualityEntry(**{**values, **more})
