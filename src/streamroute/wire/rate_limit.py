"""What a response's headers say of the rate limit that is left: read in every spelling that is in use, written in
OpenAI's.

- OpenAI, Azure, Groq, Together and others: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`; resets are
  durations (`12ms`, `6s`, `1m2s`, plain seconds). https://platform.openai.com/docs/guides/rate-limits,
  https://console.groq.com/docs/rate-limits
- Anthropic: `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`; resets are
  moments (RFC 3339). https://platform.claude.com/docs/en/api/rate-limits
- OpenRouter, GitHub and the IETF's early drafts: `{x-,}ratelimit-{limit,remaining,reset}`, seconds or seconds since
  the epoch; the current draft's `RateLimit: "name";r=12;t=30`. draft-ietf-httpapi-ratelimit-headers

Azure sends -1 where it does not know: whatever is below zero, or no number, is taken for not said.
"""

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from streamroute.core.rate_limit import RateLimitReport

Headers = Mapping[str, str]
Kind = Literal["requests", "tokens"]

MAX_RESET_S = 7 * 86_400.0
"""A week. Limits by the day exist; what is longer is a slip, and is taken for not said."""
_MAX_COUNT = 10**15
_MAX_CHARS = 64
"""Longer values are no numbers: they are not looked at."""
_EPOCH_S = 1e9
"""A plain reset above this is a moment (2001 and later), in seconds since the epoch; above 1e12 in milliseconds."""

_PART = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ms|us|ns|µs|d|h|m|s)", re.ASCII)
_DURATION = re.compile(r"(?:\d{1,12}(?:\.\d{1,9})?(?:ms|us|ns|µs|d|h|m|s))+", re.ASCII)
_UNITS_S = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_ITEM = re.compile(r";\s*([rt])\s*=\s*(\d{1,15})\b")
_FIRST_NUMBER = re.compile(r"\s*(\d{1,15})\b")


def read_rate_limit(headers: Headers, wall_s: float) -> RateLimitReport | None:
    """Return what the headers say, None where that is nothing; nonsense is passed over, nothing is raised.

    `headers` must look names up case-insensitively; `wall_s` is seconds since the epoch, for moments. Resets are
    0..604800 s. This runs on every response: without such headers it costs five look-ups.
    """
    if "x-ratelimit-remaining-requests" in headers or "x-ratelimit-remaining-tokens" in headers:
        return _said(_openai(headers, wall_s))
    if "anthropic-ratelimit-requests-remaining" in headers or "anthropic-ratelimit-tokens-remaining" in headers:
        return _said(_anthropic(headers, wall_s))
    for prefix in ("x-ratelimit", "ratelimit"):
        if f"{prefix}-remaining" in headers:
            return _said(_plain(headers, prefix, wall_s))
    if "ratelimit" in headers:
        return _said(_structured(headers["ratelimit"]))
    if "anthropic-ratelimit-input-tokens-remaining" in headers:
        return _said(_anthropic(headers, wall_s))
    return None


def rate_limit_headers(report: RateLimitReport) -> dict[str, str]:
    """Write what is known as OpenAI does; resets are rounded up to milliseconds."""
    headers: dict[str, str] = {}
    kinds = (
        ("requests", report.limit_requests, report.remaining_requests, report.reset_requests_s),
        ("tokens", report.limit_tokens, report.remaining_tokens, report.reset_tokens_s),
    )
    for kind, limit, remaining, reset_s in kinds:
        if limit is not None:
            headers[f"x-ratelimit-limit-{kind}"] = str(limit)
        if remaining is not None:
            headers[f"x-ratelimit-remaining-{kind}"] = str(remaining)
        if reset_s is not None:
            headers[f"x-ratelimit-reset-{kind}"] = duration_text(reset_s)
    return headers


def duration_text(seconds: float) -> str:
    """Write a duration as Go does, and so OpenAI: `20ms`, `8.64s`, `6m0s`, `1h0m2.5s`."""
    ms = max(0, math.ceil(round(seconds * 1000, 3)))
    if 0 < ms < 1000:
        return f"{ms}ms"
    minutes, rest_ms = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest_ms / 1000:g}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _said(report: RateLimitReport) -> RateLimitReport | None:
    return None if report == RateLimitReport() else report


def _openai(headers: Headers, wall_s: float) -> RateLimitReport:
    return RateLimitReport(
        limit_requests=_count(headers.get("x-ratelimit-limit-requests")),
        remaining_requests=_count(headers.get("x-ratelimit-remaining-requests")),
        reset_requests_s=_reset_s(headers.get("x-ratelimit-reset-requests"), wall_s),
        limit_tokens=_count(headers.get("x-ratelimit-limit-tokens")),
        remaining_tokens=_count(headers.get("x-ratelimit-remaining-tokens")),
        reset_tokens_s=_reset_s(headers.get("x-ratelimit-reset-tokens"), wall_s),
    )


def _anthropic(headers: Headers, wall_s: float) -> RateLimitReport:
    """Of the token limits, the one that is nearest to its end counts: that is where requests will be refused."""
    pairs = []
    for kind in ("tokens", "input-tokens", "output-tokens"):
        remaining = _count(headers.get(f"anthropic-ratelimit-{kind}-remaining"))
        limit = _count(headers.get(f"anthropic-ratelimit-{kind}-limit"))
        if remaining is not None:
            pairs.append((remaining / limit if limit else 1.0, remaining, limit, kind))
    _, remaining, limit, tightest = min(pairs, key=lambda pair: pair[0], default=(1.0, None, None, ""))
    return RateLimitReport(
        limit_requests=_count(headers.get("anthropic-ratelimit-requests-limit")),
        remaining_requests=_count(headers.get("anthropic-ratelimit-requests-remaining")),
        reset_requests_s=_reset_s(headers.get("anthropic-ratelimit-requests-reset"), wall_s),
        limit_tokens=limit,
        remaining_tokens=remaining,
        reset_tokens_s=_reset_s(headers.get(f"anthropic-ratelimit-{tightest}-reset"), wall_s),
    )


def _plain(headers: Headers, prefix: str, wall_s: float) -> RateLimitReport:
    return RateLimitReport(
        limit_requests=_first_number(headers.get(f"{prefix}-limit")),
        remaining_requests=_first_number(headers.get(f"{prefix}-remaining")),
        reset_requests_s=_reset_s(headers.get(f"{prefix}-reset"), wall_s),
    )


def _structured(value: str) -> RateLimitReport:
    items = dict(_ITEM.findall(value[:256].partition(",")[0]))
    reset_s = float(items["t"]) if "t" in items else None
    return RateLimitReport(
        remaining_requests=_count(items.get("r")),
        reset_requests_s=reset_s if reset_s is not None and reset_s <= MAX_RESET_S else None,
    )


def _count(value: str | None) -> int | None:
    if value is None or len(value) > _MAX_CHARS:
        return None
    text = value.strip().partition(".")[0]
    if not (text.isascii() and text.isdecimal()):
        return None
    number = int(text)
    return number if number <= _MAX_COUNT else None


def _first_number(value: str | None) -> int | None:
    """Read `100`, and `100, 100;w=60` of the early drafts."""
    found = _FIRST_NUMBER.match(value) if value is not None and len(value) <= _MAX_CHARS else None
    return _count(found.group(1)) if found else None


def _reset_s(value: str | None, wall_s: float) -> float | None:
    if value is None or len(value) > _MAX_CHARS:
        return None
    text = value.strip()
    if _DURATION.fullmatch(text):
        return _in_range(sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(text)))
    try:
        seconds = float(text)
        if seconds >= _EPOCH_S:
            seconds = (seconds / 1000 if seconds >= 1000 * _EPOCH_S else seconds) - wall_s
            return _in_range(max(0.0, seconds))
        return _in_range(seconds)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None else _in_range(max(0.0, moment.timestamp() - wall_s))
    except (ValueError, OverflowError):
        return None


def _in_range(seconds: float) -> float | None:
    return seconds if 0 <= seconds <= MAX_RESET_S else None
