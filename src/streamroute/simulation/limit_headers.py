"""Headers that say how much of a rate limit is left: OpenAI's, with durations, and Anthropic's, with moments."""

from datetime import UTC, datetime

from streamroute import clock
from streamroute.core.rate_limit import RateLimitReport


def openai_headers(report: RateLimitReport) -> dict[str, str]:
    """Return what the report says in `x-ratelimit-*`."""
    headers = {
        "x-ratelimit-limit-requests": report.limit_requests,
        "x-ratelimit-remaining-requests": report.remaining_requests,
        "x-ratelimit-reset-requests": _duration(report.reset_requests_s),
        "x-ratelimit-limit-tokens": report.limit_tokens,
        "x-ratelimit-remaining-tokens": report.remaining_tokens,
        "x-ratelimit-reset-tokens": _duration(report.reset_tokens_s),
    }
    return {name: str(value) for name, value in headers.items() if value is not None}


def anthropic_headers(report: RateLimitReport) -> dict[str, str]:
    """Return what the report says in `anthropic-ratelimit-*`."""
    headers = {
        "anthropic-ratelimit-requests-limit": report.limit_requests,
        "anthropic-ratelimit-requests-remaining": report.remaining_requests,
        "anthropic-ratelimit-requests-reset": _moment(report.reset_requests_s),
        "anthropic-ratelimit-tokens-limit": report.limit_tokens,
        "anthropic-ratelimit-tokens-remaining": report.remaining_tokens,
        "anthropic-ratelimit-tokens-reset": _moment(report.reset_tokens_s),
    }
    return {name: str(value) for name, value in headers.items() if value is not None}


def plausible_report(ordinal: int) -> RateLimitReport:
    """Return figures that say nothing: a minute's window of 10,000 requests that refills."""
    return RateLimitReport(
        limit_requests=10_000,
        limit_tokens=2_000_000,
        remaining_requests=9999 - ordinal % 100,
        remaining_tokens=1_999_000 - 100 * (ordinal % 100),
        reset_requests_s=0.006,
        reset_tokens_s=0.03,
    )


def _duration(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:.3f}s"


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(clock.wall() + seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
