"""What is left of a rate limit, in a response's headers: read, and written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from streamroute.core.rate_limit import RateLimitReport
from streamroute.wire.rate_limit import MAX_RESET_S, duration_text, rate_limit_headers, read_rate_limit

WALL_S = 1_790_000_000.0
"""2026-09-21T14:13:20Z."""


def read(**headers: str) -> RateLimitReport | None:
    return read_rate_limit(CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}), WALL_S)


def test_openai() -> None:
    """All six figures, resets as durations."""
    assert read(
        X_RateLimit_Limit_Requests="60",
        X_RateLimit_Remaining_Requests="59",
        X_RateLimit_Reset_Requests="1s",
        X_RateLimit_Limit_Tokens="150000",
        X_RateLimit_Remaining_Tokens="149984",
        X_RateLimit_Reset_Tokens="6m0s",
    ) == RateLimitReport(
        limit_requests=60,
        remaining_requests=59,
        reset_requests_s=1.0,
        limit_tokens=150_000,
        remaining_tokens=149_984,
        reset_tokens_s=360.0,
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12ms", 0.012),
        ("6s", 6.0),
        ("1m2s", 62.0),
        ("2m59.56s", 179.56),
        ("1h30m", 5400.0),
        ("1d", 86_400.0),
        ("7.66s", 7.66),
        ("20", 20.0),
        ("0.5", 0.5),
        ("0", 0.0),
        ("1790000030", 30.0),
        ("1790000030000", 30.0),
        ("1789999990", 0.0),
        ("2026-09-21T14:13:50Z", 30.0),
        ("2026-09-21T16:13:50+02:00", 30.0),
        ("2026-09-21T14:13:20.250000Z", 0.25),
        ("2020-01-01T00:00:00Z", 0.0),
        ("2026-09-21T14:13:50", None),
        ("8d", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e400", None),
        ("soon", None),
        ("1s2", None),
        ("", None),
        ("9" * 70, None),
    ],
)
def test_resets(text: str, seconds: float | None) -> None:
    """Durations, plain seconds, seconds or milliseconds since the epoch, moments; nonsense is nothing."""
    report = read(x_ratelimit_remaining_requests="1", x_ratelimit_reset_requests=text)
    assert report is not None
    assert report.reset_requests_s == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("17", 17), (" 17 ", 17), ("17.0", 17), ("-1", None), ("x", None), ("٣", None), ("9" * 20, None)],
)
def test_counts(text: str, count: int | None) -> None:
    """Whole numbers from 0; Azure's -1 is not known, and 0 is none left."""
    report = read(x_ratelimit_remaining_requests=text, x_ratelimit_limit_requests="60")
    assert report == RateLimitReport(limit_requests=60, remaining_requests=count)


def test_anthropic_names_the_tightest_token_limit() -> None:
    """Input, output and both together have limits of their own: the one with the smallest share left counts."""
    assert read(
        anthropic_ratelimit_requests_limit="50",
        anthropic_ratelimit_requests_remaining="49",
        anthropic_ratelimit_requests_reset="2026-09-21T14:13:21Z",
        anthropic_ratelimit_tokens_limit="90000",
        anthropic_ratelimit_tokens_remaining="89000",
        anthropic_ratelimit_tokens_reset="2026-09-21T14:13:22Z",
        anthropic_ratelimit_input_tokens_limit="50000",
        anthropic_ratelimit_input_tokens_remaining="49000",
        anthropic_ratelimit_output_tokens_limit="10000",
        anthropic_ratelimit_output_tokens_remaining="500",
        anthropic_ratelimit_output_tokens_reset="2026-09-21T14:14:20Z",
    ) == RateLimitReport(
        limit_requests=50,
        remaining_requests=49,
        reset_requests_s=1.0,
        limit_tokens=10_000,
        remaining_tokens=500,
        reset_tokens_s=60.0,
    )


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "3", "X-RateLimit-Reset": "1790000012000"},
            RateLimitReport(limit_requests=20, remaining_requests=3, reset_requests_s=12.0),
        ),
        (
            {"RateLimit-Limit": "100, 100;w=60", "RateLimit-Remaining": "0", "RateLimit-Reset": "50"},
            RateLimitReport(limit_requests=100, remaining_requests=0, reset_requests_s=50.0),
        ),
        ({"RateLimit": '"default";r=50;t=30'}, RateLimitReport(remaining_requests=50, reset_requests_s=30.0)),
        ({"RateLimit": '"a";r=5, "b";r=9;t=1'}, RateLimitReport(remaining_requests=5)),
        (
            {"anthropic-ratelimit-input-tokens-remaining": "7"},
            RateLimitReport(remaining_tokens=7),
        ),
    ],
)
def test_other_spellings(headers: dict[str, str], expected: RateLimitReport) -> None:
    """OpenRouter's milliseconds, the drafts of the IETF, a lone limit."""
    assert read_rate_limit(CIMultiDict(headers), WALL_S) == expected


@pytest.mark.parametrize("headers", [{}, {"content-type": "text/event-stream"}, {"ratelimit": "?"}])
def test_nothing_said(headers: dict[str, str]) -> None:
    """No figure, no report."""
    assert read_rate_limit(CIMultiDict(headers), WALL_S) is None


NAMES = [
    f"{name}"
    for side in ("requests", "tokens", "input-tokens")
    for what in ("limit", "remaining", "reset")
    for name in (f"x-ratelimit-{what}-{side}", f"anthropic-ratelimit-{side}-{what}", f"ratelimit-{what}", "ratelimit")
]
VALUES = st.one_of(
    st.text('0123456789.-+:TZ smhdµ,;=rt"e\u0663\x00', max_size=70), st.floats().map(str), st.integers().map(str)
)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8), st.floats(0, 4e9))
def test_hostile_headers(headers: dict[str, str], wall_s: float) -> None:
    """Whatever a provider sends, nothing is raised, and figures are in range."""
    report = read_rate_limit(CIMultiDict(headers), wall_s)
    if report is not None:
        for count in (report.limit_requests, report.remaining_requests, report.limit_tokens, report.remaining_tokens):
            assert count is None or count >= 0
        for reset_s in (report.reset_requests_s, report.reset_tokens_s):
            assert reset_s is None or 0 <= reset_s <= MAX_RESET_S


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-1, "0s"),
        (0.0001, "1ms"),
        (0.02, "20ms"),
        (0.9999, "1s"),
        (1, "1s"),
        (8.64, "8.64s"),
        (59.9991, "1m0s"),
        (360, "6m0s"),
        (90.951, "1m30.951s"),
        (3602.5, "1h0m2.5s"),
        (86_400, "24h0m0s"),
    ],
)
def test_durations_are_written_as_openai_does(seconds: float, text: str) -> None:
    """Rounded up, so that whoever waits so long does not come too early; and what we write we can read."""
    assert duration_text(seconds) == text
    report = read_rate_limit({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": text}, 0.0)
    assert report is not None
    assert report.reset_requests_s == pytest.approx(max(0.0, seconds), abs=0.0011)


def test_what_is_written_can_be_read() -> None:
    """All six figures, or those that there are."""
    whole = RateLimitReport(
        limit_requests=60,
        remaining_requests=59,
        reset_requests_s=1.0,
        limit_tokens=150_000,
        remaining_tokens=149_984,
        reset_tokens_s=360.0,
    )
    assert rate_limit_headers(whole) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    half = RateLimitReport(limit_tokens=10, remaining_tokens=0, reset_tokens_s=0.006)
    for report in (whole, half):
        assert read_rate_limit(rate_limit_headers(report), 0.0) == report
