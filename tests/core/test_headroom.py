"""What is left of a credential's rate limit."""

from streamroute.core.health.headroom import Headroom
from streamroute.core.rate_limit import RateLimitReport

DAY_S = 86_400.0


def test_a_credential_that_rested_for_long_has_its_full_share() -> None:
    """A pace that has faded to nothing exhausts nothing: after a quiet night the first decision divided by zero."""
    headroom = Headroom(0.0)
    headroom.sent(1.0, 500)
    headroom.reported(RateLimitReport(remaining_requests=9, remaining_tokens=9000), 2.0)
    assert headroom.share(2.0 + DAY_S) == 1.0
