"""Evidence against one upstream, weighed: calls under way, the verdict, the score; orders and bounds, no constants."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamroute.core.health.degradation import (
    CALM_RATIO,
    DOUBT_NATS,
    MAX_DRIFT_THRESHOLD,
    MAX_THRESHOLD,
    MIN_DRIFT_THRESHOLD,
    MIN_THRESHOLD,
    OPEN_FAILURES,
    ROW_S,
    STEER_NATS,
    SUSPECT_RATIO,
    Evidence,
    penalty_of,
    risk_of,
)
from streamroute.core.health.estimators import EXONERATION, MAX_RATIO, SlownessTest
from streamroute.core.health.in_flight import (
    COLD_EXPECTED_S,
    HUNG_CALLS,
    HUNG_FACTOR,
    LOOKED_AT,
    NOTHING,
    Flight,
    Waiting,
    judge,
    prepare,
)
from streamroute.core.health.scorecard import EPISODE_GAP_S, FOLLOWS_WITHIN_S, Scorecard
from streamroute.core.health.ttft import Baseline

NEVER = float("-inf")
SPREAD = 0.35


def evidence(now: float = 0.0, *, per_s: float = 1.0, for_s: int = 100) -> Evidence:
    """Return what is known of an upstream that was as usual for a while, until `now`."""
    found = Evidence(now - for_s, slo_factor=2.5, false_per_hour=1.0)
    for i in range(int(for_s * per_s)):
        at = now - for_s + (i + 1) / per_s
        found.fresh(at)
        found.timed(0.0, SPREAD, at)
        found.succeeded()
    return found


# -- calls under way


def flight(started_at: float, expected_s: float = 0.5) -> Flight:
    return Flight(started_at, math.log(expected_s), SPREAD, 0.0, is_stream=True, tells_from=started_at)


def judged(*started_at: float, now: float, not_before: float = NEVER, heard_at: float = NEVER) -> Waiting:
    return judge([flight(at) for at in started_at], now, not_before, heard_at)


def test_nobody_waits() -> None:
    """Nothing under way, or nothing that has begun, says nothing."""
    assert judge([], 1.0, NEVER, NEVER) is NOTHING
    assert judged(5.0, now=5.0) == NOTHING


def test_evidence_of_those_who_wait_adds_up_with_age_and_number() -> None:
    """The older and the more, the more it says; how slow it is at least is what two of them say."""
    one = [judged(0.0, now=at).nats for at in (0.4, 0.8, 1.2, 2.0)]
    assert one[0] == 0.0
    assert all(before <= after for before, after in pairwise(one))
    assert one[-1] > 0.0
    two = judged(0.0, 0.2, now=2.0)
    assert two.nats > one[-1]
    assert two.calls == 2
    assert two.ratio_ln == pytest.approx(math.log(1.8 / 0.5))
    assert judged(0.0, now=2.0).ratio_ln == 0.0, "one alone may be unlucky"


def test_a_hang_needs_silence() -> None:
    """Calls hang where nobody's first token came since they began; one that came proves that the upstream speaks."""
    now = HUNG_FACTOR * 0.5 + 1.0
    assert judged(0.0, 0.1, 0.2, now=now).hung == 3
    assert judged(0.0, 0.1, 0.2, now=now, heard_at=0.15).hung == 1
    assert judged(0.0, 0.1, 0.2, now=now, heard_at=1.0).hung == 0
    assert HUNG_CALLS > 1, "one call is one piece of evidence"


def test_age_counts_from_the_end_of_our_own_trouble() -> None:
    """While we were late ourselves nobody was to blame."""
    assert judged(0.0, now=10.0, not_before=9.9).nats == 0.0
    assert judged(0.0, now=10.0, not_before=2.0).nats > 0.0
    assert judged(0.0, now=10.0, not_before=11.0).hung == 0


def test_only_the_oldest_are_looked_at() -> None:
    """A decision costs the same however many wait."""
    many = judged(*[0.001 * i for i in range(100)], now=30.0)
    assert many.calls == many.hung == LOOKED_AT


def test_what_is_expected_of_an_unknown_upstream_is_patient() -> None:
    """With few samples no answer is late that would be usual elsewhere; with many, it is by its own measure."""
    baseline = Baseline()
    assert math.exp(prepare(baseline, 0.0, 5.0, is_stream=True).expected_ln) == pytest.approx(COLD_EXPECTED_S)
    for i in range(5):
        baseline.learn(math.log(20.0), 0.0, float(i))
    assert math.exp(prepare(baseline, 0.0, 5.0, is_stream=True).expected_ln) == pytest.approx(20.0, rel=0.1)
    quick = Baseline()
    for i in range(50):
        quick.learn(math.log(0.2), 0.0, float(i))
    made = prepare(quick, 0.0, 60.0, is_stream=False)
    assert math.exp(made.expected_ln) == pytest.approx(0.2, rel=0.1)
    assert (made.started_at, made.is_stream, made.has_token) == (60.0, False, False)


# -- weight and risk


@given(st.floats(0.0, MAX_RATIO), st.floats(0.0, MAX_RATIO))
def test_more_evidence_never_weighs_less(one: float, two: float) -> None:
    """From nothing at all to steered away from at the threshold, and on."""
    low, high = sorted((one, two))
    assert 0.0 <= penalty_of(low) <= penalty_of(high)
    assert 0.0 <= risk_of(penalty_of(low)) <= risk_of(penalty_of(high)) < 1.0
    assert penalty_of(high) > STEER_NATS or high < 1.0
    assert penalty_of(low) <= DOUBT_NATS < STEER_NATS or low >= 1.0, "short of an alarm a preferred one keeps its place"


def test_noise_weighs_nothing() -> None:
    """Up to half of the threshold the order of a route is respected."""
    assert penalty_of(0.0) == penalty_of(0.5) == penalty_of(-1.0) == 0.0
    assert risk_of(0.0) == 0.0


# -- the verdict


def test_nothing_is_held_against_who_is_as_usual() -> None:
    """No ratio, no reason, no penalty."""
    verdict = evidence().weigh(NOTHING)
    assert (verdict.reason, verdict.penalty, verdict.is_slowness) == ("", 0.0, False)
    assert verdict.ratio < 0.5
    assert verdict.breach_in_s is None


@pytest.mark.parametrize(
    ("kind", "reason", "is_slowness"),
    [
        ("slow", "slower than normal", True),
        ("waiting", "no first token for long", True),
        ("errors", "errors", False),
        ("decode", "slow tokens", True),
    ],
)
def test_the_strongest_evidence_names_the_reason(kind: str, reason: str, is_slowness: bool) -> None:
    """At its threshold each kind steers away by itself."""
    found, waiting = evidence(), NOTHING
    if kind == "slow":
        found.slow.jump = 1.1 * found.threshold
    elif kind == "waiting":
        waiting = Waiting(nats=1.1 * found.threshold, calls=3)
    elif kind == "errors":
        found.errors.nats = 1.1 * found.error_threshold()
    else:
        found.decode.jump = 1.1 * found.threshold
    verdict = found.weigh(waiting)
    assert (verdict.reason, verdict.is_slowness) == (reason, is_slowness)
    assert verdict.penalty > STEER_NATS
    found.clear()
    assert found.weigh(NOTHING).penalty == 0.0


def held(ratio: float, into: Evidence | None = None) -> Evidence:
    """Return evidence so many times its threshold."""
    found = into or evidence()
    found.slow.jump = ratio * found.threshold
    return found


def test_an_alarm_begins_at_the_threshold_and_ends_well_below_it() -> None:
    """Evidence that goes up and down around the threshold sends no traffic to and fro."""
    found, seen = evidence(), []
    for ratio in (0.99, 1.01, 0.99, 1.2, CALM_RATIO + 0.01, CALM_RATIO - 0.01, 0.99, 1.01):
        penalty = held(ratio, found).weigh(NOTHING).penalty
        seen.append(penalty > STEER_NATS)
        assert found.is_alarmed == seen[-1]
        assert seen[-1] or penalty <= DOUBT_NATS
    assert seen == [False, True, True, True, True, False, False, True]
    assert CALM_RATIO < 1.0


def test_an_alarm_shows_the_evidence_as_it_is() -> None:
    """Only the weight waits: who looks sees it fall, and the reason stays."""
    found = held(1.1)
    found.weigh(NOTHING)
    verdict = held(0.8, found).weigh(NOTHING)
    assert verdict.ratio == pytest.approx(0.8)
    assert verdict.reason == "slower than normal"
    assert verdict.penalty == penalty_of(1.0)


def test_who_is_cleared_is_alarmed_no_more() -> None:
    """The next evidence must reach the threshold again."""
    found = held(1.1)
    found.weigh(NOTHING)
    found.clear()
    assert not found.is_alarmed
    assert held(0.9, found).weigh(NOTHING).penalty <= DOUBT_NATS


@pytest.mark.parametrize("is_alarmed", [False, True])
def test_good_samples_exonerate_of_a_drift_only_on_the_way_back(is_alarmed: bool) -> None:
    """On the way there three good ones in a row are too frequent: a ramp would be seen later for them."""
    found, by_the_test = evidence(), SlownessTest()
    found.is_alarmed, found.slow.good = is_alarmed, 0
    found.slow.drift = by_the_test.drift = found.drift_threshold
    for at in (0.1, 0.2, 0.3):
        assert found.slow.drift == by_the_test.drift
        found.timed(0.0, SPREAD, at)
        by_the_test.add(0.0, SPREAD, found.threshold, found.drift_threshold)
    assert found.slow.drift == pytest.approx(by_the_test.drift * (EXONERATION if is_alarmed else 1.0))


def test_slow_connections_alone_make_nobody_suspect() -> None:
    """They are a leading sign, of ourselves as often as of the upstream."""
    found = evidence()
    found.connect.jump = 10.0 * found.threshold
    verdict = found.weigh(NOTHING)
    assert verdict.ratio < SUSPECT_RATIO
    assert verdict.reason == "slow connections"


def test_what_siblings_lend_counts_only_where_it_is_more() -> None:
    """And it is marked as lent, so that it is not lent on."""
    found = evidence()
    assert found.weigh(NOTHING, echo=0.8).is_echo
    assert found.weigh(NOTHING, echo=0.8).reason == "its failure domain is in trouble"
    found.slow.jump = found.threshold
    assert not found.weigh(NOTHING, echo=0.8).is_echo


def test_a_new_normal_that_misses_the_objective_keeps_a_penalty() -> None:
    """Used to it is not the same as well."""
    verdict = evidence().weigh(NOTHING, misses_objective=True)
    assert verdict.penalty > 0.0
    assert verdict.reason
    assert verdict.ratio < 0.5


def test_a_trend_is_believed_before_the_objective_is_missed() -> None:
    """First tokens ever later: it is steered away from while each alone is still within the objective."""
    found, at, ratio = evidence(), 0.0, 0.0
    while found.weigh(NOTHING).penalty <= STEER_NATS and ratio < math.log(6.0):
        at += 1.0
        ratio += 0.03
        found.fresh(at)
        found.timed(ratio, SPREAD, at)
    assert ratio < found.slo_ln


def test_baselines_learn_nothing_under_suspicion() -> None:
    """Of slow first tokens, and of slow decoding."""
    found = evidence()
    assert not found.is_frozen
    found.decode.jump = found.threshold
    assert found.is_frozen
    found.clear()
    found.slow.drift = found.threshold
    assert found.is_frozen


@pytest.mark.parametrize("per_s", [0.01, 1.0, 100.0])
def test_the_threshold_follows_the_rate_within_bounds(per_s: float) -> None:
    """The promise is so many false alarms an hour, at any rate."""
    found = evidence(per_s=per_s, for_s=300)
    assert MIN_THRESHOLD <= found.threshold <= MAX_THRESHOLD
    assert MIN_DRIFT_THRESHOLD <= found.drift_threshold <= MAX_DRIFT_THRESHOLD
    busier = evidence(per_s=2 * per_s, for_s=300)
    assert busier.threshold >= found.threshold
    assert busier.drift_threshold >= found.drift_threshold


# -- failures in a row


def test_failures_in_a_row_open_and_a_success_between_them_does_not() -> None:
    """Never the first one."""
    found = evidence()
    assert [found.failed(float(i)) for i in range(OPEN_FAILURES)] == [False] * (OPEN_FAILURES - 1) + [True]
    assert OPEN_FAILURES >= 2
    found = evidence()
    for i in range(10):
        assert not found.failed(float(i))
        found.succeeded()


def test_failures_far_apart_are_no_row() -> None:
    """One an hour is nothing, however many hours."""
    found = evidence()
    for i in range(10):
        at = (i + 1) * (ROW_S + 1.0)
        found.fresh(at)
        assert not found.failed(at)
        assert found.in_a_row == 1


def test_one_failure_costs_some_weight_and_two_steer() -> None:
    """The first may be chance, and costs next to nothing to respect."""
    found = evidence()
    found.fresh(1.0)
    found.failed(1.0)
    one = found.weigh(NOTHING).penalty
    found.fresh(1.1)
    found.failed(1.1)
    assert 0.0 < one < STEER_NATS < found.weigh(NOTHING).penalty


# -- fading


def test_evidence_fades_only_in_silence() -> None:
    """Fresh samples keep it; without any it is halved, and halved again, and never grows."""
    found = evidence()
    found.slow.jump, found.errors.nats = 8.0, 4.0
    found.fade(0.5)
    assert (found.slow.jump, found.errors.nats) == (8.0, 4.0)
    seen = [8.0]
    for at in (5.0, 10.0, 20.0, 60.0, 300.0):
        found.fade(at)
        seen.append(found.slow.jump)
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] < 0.1
    assert found.errors.nats < 0.1


def test_fading_in_steps_is_fading_at_once() -> None:
    """How often somebody looks changes nothing, and time that runs backwards neither."""
    at_once, in_steps = evidence(), evidence()
    at_once.slow.jump = in_steps.slow.jump = 8.0
    at_once.fade(30.0)
    for i in range(300):
        in_steps.fade(i / 10)
        in_steps.fade(i / 20)
    in_steps.fade(30.0)
    assert in_steps.slow.jump == pytest.approx(at_once.slow.jump)


# -- the score of predictions


def score_of(*events: tuple[float, str]) -> tuple[int, int, int, int, float | None]:
    card = Scorecard()
    for at, what in events:
        if what == "breach":
            card.breached(at)
        else:
            card.steered(at, is_steered=what == "steer")
    score = card.score()
    return score.steers, score.confirmed, score.predicted, score.false_steers, score.last_lead_s


def test_a_steer_before_the_breach_was_a_prediction() -> None:
    """Its lead is the time between them."""
    assert score_of((10.0, "steer"), (14.0, "breach")) == (1, 1, 1, 0, 4.0)


def test_a_steer_after_the_breach_was_right_and_late() -> None:
    """Counted from the first breach of the episode, not from the last."""
    events = ((10.0, "breach"), (12.0, "breach"), (13.0, "steer"))
    assert score_of(*events) == (1, 1, 0, 0, -3.0)


def test_a_steer_that_nothing_follows_was_false() -> None:
    """Once a minute has passed; until then it is neither."""
    assert score_of((10.0, "steer"), (10.0 + FOLLOWS_WITHIN_S, "well")) == (1, 0, 0, 0, None)
    assert score_of((10.0, "steer"), (11.0 + FOLLOWS_WITHIN_S, "well")) == (1, 0, 0, 1, None)
    late = ((10.0, "steer"), (11.0 + FOLLOWS_WITHIN_S, "breach"), (12.0 + FOLLOWS_WITHIN_S, "steer"))
    assert score_of(*late) == (1, 0, 0, 1, None)


def test_old_breaches_belong_to_another_story() -> None:
    """A breach long before a steer does not confirm it."""
    assert score_of((10.0, "breach"), (11.0 + EPISODE_GAP_S, "steer")) == (1, 0, 0, 0, None)


def test_to_and_fro_while_it_is_pending_is_one_steer() -> None:
    """What flaps is not counted twice, and looking is not steering."""
    card = Scorecard()
    for at in range(10):
        card.steered(10.0 + at, is_steered=at % 2 == 0)
        card.steered(10.0 + at, is_steered=at % 2 == 0)
    assert (card.score().steers, card.pending_at is not None) == (1, True)
    card.breached(30.0)
    assert (card.score().confirmed, card.pending_at is not None) == (1, False)
