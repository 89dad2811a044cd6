"""What is left of a credential's rate limit."""

from streamroute.core.health.headroom import MAX_SENT, Headroom
from streamroute.core.rate_limit import RateLimitReport

DAY_S = 86_400.0


def test_a_credential_that_rested_for_long_has_its_full_share() -> None:
    """A pace that has faded to nothing exhausts nothing: after a quiet night the first decision divided by zero."""
    headroom = Headroom(0.0)
    headroom.sent(1.0, 500)
    headroom.reported(RateLimitReport(remaining_requests=9, remaining_tokens=9000), 2.0)
    assert headroom.share(2.0 + DAY_S) == 1.0


def test_what_was_sent_counts_until_a_report_covers_it() -> None:
    """Of what is left the calls since the report are taken off, in requests and in tokens; memory is bounded."""
    headroom = Headroom(0.0)
    headroom.reported(RateLimitReport(remaining_tokens=1000, reset_tokens_s=60.0), 0.0)
    headroom.sent(1.0, 600)
    assert headroom.blocked_until(1.0, prompt_tokens=400) is None
    assert headroom.blocked_until(1.0, prompt_tokens=401) == 60.0
    headroom.reported(RateLimitReport(remaining_tokens=500, reset_tokens_s=60.0), 2.0)
    assert headroom.blocked_until(2.0, prompt_tokens=500) is None, "the report has seen that call"
    for _ in range(MAX_SENT + 100):
        headroom.sent(3.0, 1)
    assert headroom.blocked_until(3.0) == 62.0
    headroom.reported(RateLimitReport(remaining_tokens=500, reset_tokens_s=60.0), 4.0)
    assert headroom.blocked_until(4.0, prompt_tokens=500) is None
