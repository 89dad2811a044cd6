"""Calls that are under way, as evidence: one without a first token for long says what its end would say too late.

A time that is not over yet is a censored observation (Kaplan and Meier 1958): it is at least its age. Only the oldest
few are looked at, once for each decision.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from math import exp

from streamroute.core.health.estimators import drift_waiting_llr, waiting_llr
from streamroute.core.health.sketch import ln_of
from streamroute.core.health.ttft import Baseline

LOOKED_AT = 8
"""Oldest calls without a first token that are judged at a time."""
HUNG_CALLS = 3
"""Different requests that must hang before a breaker may open for it."""
HUNG_FACTOR = 5.0
"""Times the expected: with no first token from anyone in that time, it is a hang, not a slow answer."""
COLD_EXPECTED_S = 3.0
"""What is expected of an upstream of which nothing is known: three times the first token of a usual hosted model."""
_HUNG_LN, _COLD_LN = ln_of(HUNG_FACTOR), ln_of(COLD_EXPECTED_S)
_TELLS_FROM_SPREADS = -1.2
"""Of the expected time: a younger call adds less than a tenth of a nat."""


@dataclass(slots=True, eq=False)
class Flight:
    """One call under way."""

    started_at: float
    expected_ln: float
    """ln of the seconds to its first token, when it started."""
    spread: float
    size: float
    is_stream: bool
    tells_from: float
    """Before this time its age says next to nothing, for it was expected to take longer."""
    has_token: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the calls under way say together."""

    nats: float = 0.0
    """For twice as slow and more."""
    drift_nats: float = 0.0
    """For a little slower."""
    calls: int = 0
    """That add evidence."""
    hung: int = 0
    """That hang."""
    ratio_ln: float = 0.0
    """Of the second oldest to what was expected, at least 0: how slow it is now, at least."""


NOTHING = Waiting()


def prepare(baseline: Baseline, size: float, now: float, *, is_stream: bool) -> Flight:
    """Return the record of a call that starts."""
    expected_ln = baseline.expected_ln(size)
    spread = baseline.spread
    if not baseline.is_cold:
        doubt, spread = baseline.uncertainty_at(size)
        expected_ln += doubt
    elif not baseline.count or expected_ln < _COLD_LN:
        expected_ln = _COLD_LN
    tells_from = now + exp(expected_ln + _TELLS_FROM_SPREADS * spread)
    return Flight(now, expected_ln, spread, size, is_stream, tells_from)


def judge(waiting: Iterable[Flight], now: float, not_before: float, heard_at: float) -> Waiting:
    """Return what the oldest of `waiting`, in the order of their start, say at `now`.

    Calls count from `not_before` on. `heard_at` is when the last first token of any call came: a hang needs silence.
    """
    nats, drift, calls, hung, second = 0.0, 0.0, 0, 0, 0.0
    for flight in islice(waiting, LOOKED_AT):
        if now < flight.tells_from:
            continue  # of calls under way most are young: not even their logarithm is taken
        ratio_ln = ln_of(now - max(not_before, flight.started_at)) - flight.expected_ln
        llr = waiting_llr(ratio_ln, flight.spread)
        drift += drift_waiting_llr(ratio_ln, flight.spread)
        if llr > 0.0:
            nats += llr
            calls += 1
            if calls == 2:
                second = ratio_ln
        if ratio_ln > _HUNG_LN and heard_at <= flight.started_at:
            hung += 1
    return Waiting(nats, drift, calls, hung, second) if drift or calls or hung else NOTHING
