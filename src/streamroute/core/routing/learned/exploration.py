"""Which answers to audit while qualities are still being learned.

An audit asks another upstream too. Its value is the expected lead of that one over who was asked (the knowledge
gradient of Frazier, Powell and Dayanik, 2008, in its simplest form). Chances follow its square root, so that sure
choices are looked at now and then. They are returned, to be logged and to weigh by; drawing is the caller's.
"""

from math import erf, exp, pi, sqrt

_FIRST_VALUE = 0.2
"""Of the square root of a look's value, before anything is seen: two upstreams that differ by .05 or so."""
_KEEP = 0.99
_AHEAD = 20.0
"""Requests whose audits may be spent before they came."""
_EVEN = 0.5
"""Of the wanted share, whatever the lead: means that weigh by one over the chance must not hang on single outcomes."""


class AuditBudget:
    """Chances of audits over a stream of requests; their sum is never above the share of those that came, and 20."""

    def __init__(self, share: float = 0.03) -> None:
        if not 0.0 <= share <= 1.0:
            msg = f"the share of audits is 0..1, not {share}"
            raise ValueError(msg)
        self.share = share
        self._usual = _FIRST_VALUE
        self._left = share * _AHEAD

    def chance(self, lead: float) -> float:
        """Return with what chance (0..1) to audit a request; to be called once a request.

        `lead` (at least 0, points of quality) is the expected lead of another upstream over who is asked.
        """
        if self.share >= 1.0:
            return 1.0
        root = sqrt(lead)
        self._usual = _KEEP * self._usual + (1.0 - _KEEP) * root
        self._left += self.share
        wanted = self.share * (_EVEN + (1.0 - _EVEN) * root / max(self._usual, 1e-9))
        chance = min(1.0, wanted, self._left)
        self._left -= chance
        return chance


def expected_lead(lead: float, sd: float) -> float:
    """Return the mean of what is above 0 of a normal variable with this mean and standard deviation."""
    if sd <= 0.0:
        return max(0.0, lead)
    z = lead / sd
    return max(0.0, sd * exp(-z * z / 2.0) / sqrt(2.0 * pi) + lead * 0.5 * (1.0 + erf(z / sqrt(2.0))))
