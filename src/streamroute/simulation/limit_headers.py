"""OpenAI's `x-ratelimit-*` headers."""

from streamroute.core.rate_limit import RateLimitReport


def rate_limit_headers(report: RateLimitReport) -> dict[str, str]:
    """Return what the report says of requests."""
    return {
        "x-ratelimit-limit-requests": str(report.limit_requests),
        "x-ratelimit-remaining-requests": str(report.remaining_requests),
        "x-ratelimit-reset-requests": f"{report.reset_requests_s or 0.0:.3f}s",
    }


def plausible_headers(ordinal: int) -> dict[str, str]:
    """Return figures that say nothing: a minute's window of 10,000 requests that refills."""
    return {
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-requests": str(9999 - ordinal % 100),
        "x-ratelimit-remaining-tokens": str(1_999_000 - 100 * (ordinal % 100)),
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-reset-tokens": "30ms",
    }
