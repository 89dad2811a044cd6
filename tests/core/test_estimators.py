"""Evidence by the sample: orders, bounds and what must never happen; the constants are tuned elsewhere."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamroute.core.health.estimators import (
    LEAST_LLR,
    MAX_ERROR_RATE,
    MAX_RATE,
    MAX_RATIO,
    MIN_ERROR_RATE,
    MIN_RATE,
    MOST_LLR,
    TREND_SAMPLES,
    ErrorTest,
    Rate,
    SlownessTest,
    Trend,
    drift_waiting_llr,
    slow_llr,
    waiting_llr,
)

JUMP, DRIFT = 8.0, 7.0
"""Thresholds of the two tests."""
RATIOS = st.floats(-8.0, 8.0)
SPREADS = st.floats(0.15, 1.5)


# -- one sample


@given(ratio_ln=RATIOS, spread=SPREADS)
def test_one_sample_never_decides(ratio_ln: float, spread: float) -> None:
    """Its evidence is bounded both ways; of a call that still waits it is never exoneration."""
    assert LEAST_LLR <= slow_llr(ratio_ln, spread) <= MOST_LLR
    assert 0.0 <= waiting_llr(ratio_ln, spread) <= MOST_LLR


def test_as_usual_speaks_for_it_and_twice_as_slow_against_it() -> None:
    """The sign is right for what is looked for."""
    assert slow_llr(0.0, 0.35) < 0.0
    assert slow_llr(-1.0, 0.35) <= 0.0
    assert slow_llr(math.log(2.0), 0.35) > 0.0
    assert slow_llr(math.log(4.0), 0.35) > slow_llr(math.log(2.0), 0.35)


def test_what_is_unsettled_by_nature_must_be_slower_to_be_suspect() -> None:
    """The same delay says less where times vary more."""
    assert slow_llr(math.log(2.0), 0.2) > slow_llr(math.log(2.0), 0.5) > slow_llr(math.log(2.0), 0.8)


@given(spread=SPREADS)
def test_a_young_call_says_nothing(spread: float) -> None:
    """Until its usual time is over there is nothing to wonder at."""
    assert waiting_llr(0.0, spread) == 0.0
    assert waiting_llr(-3.0, spread) == 0.0


def test_waiting_says_more_with_age_up_to_a_hang() -> None:
    """It never falls with age, and it is as strong as one call's word can be long before a hang is certain."""
    grown = [waiting_llr(math.log(ratio), 0.35) for ratio in (1.0, 1.5, 2.0, 3.0, 5.0, 20.0, 1000.0)]
    assert grown == sorted(grown)
    assert grown[0] < grown[1] < grown[2]
    assert grown[-1] == MOST_LLR


# -- slowness


def slow(*ratios: float, waiting: int = 0, into: SlownessTest | None = None) -> SlownessTest:
    """Return a test that has seen answers so many times as late as usual."""
    test = into or SlownessTest()
    for ratio in ratios:
        test.add(math.log(ratio), 0.35, JUMP, DRIFT, waiting)
    return test


@given(st.lists(st.tuples(RATIOS, SPREADS, st.integers(0, 50), st.booleans()), max_size=40))
def test_evidence_stays_within_its_bounds(samples: list[tuple[float, float, int, bool]]) -> None:
    """However long it goes on: or the way back would be as long."""
    test = SlownessTest()
    for ratio_ln, spread, waiting, is_cut_off in samples:
        if is_cut_off:
            test.add_waited(ratio_ln, spread, JUMP, DRIFT)
        else:
            test.add(ratio_ln, spread, JUMP, DRIFT, waiting)
        assert test.jump <= MAX_RATIO * JUMP
        assert test.drift <= MAX_RATIO * DRIFT
        assert 0.0 <= test.ratio(JUMP, DRIFT) <= MAX_RATIO


@pytest.mark.parametrize(("factor", "within"), [(1.5, 25), (2.0, 10), (4.0, 4)])
def test_the_slower_the_sooner(factor: float, within: int) -> None:
    """An alarm comes within so many samples."""
    test, samples = SlownessTest(), 0
    while test.ratio(JUMP, DRIFT) < 1.0:
        slow(factor, into=test)
        samples += 1
    assert samples <= within


def test_as_usual_gathers_nothing() -> None:
    """Ten thousand samples as usual, a hundredth of them late by nature: alarms are rare."""
    test, draw, alarms = SlownessTest(), Random(2), 0
    for _ in range(10_000):
        late = math.log(draw.uniform(3.0, 15.0)) if draw.random() < 0.01 else 0.0
        test.add(draw.gauss(0.0, 0.35) + late, 0.35, JUMP, DRIFT)
        if test.ratio(JUMP, DRIFT) >= 1.0:
            alarms += 1
            test = SlownessTest()
    assert alarms <= 4


def test_good_samples_exonerate() -> None:
    """What is well again has its share back after a dozen answers, not after as many as it was slow."""
    test = slow(*[3.0] * 100)
    assert test.ratio(JUMP, DRIFT) == MAX_RATIO
    slow(*[1.0] * 14, into=test)
    assert test.ratio(JUMP, DRIFT) < 0.7
    assert test.good == 14
    assert slow(2.0, into=test).good == 0


def test_quick_answers_weigh_against_calls_that_still_wait() -> None:
    """Of many calls under way the ones that come first are the quick ones: they give credit, as many as wait."""
    alone, beside = slow(*[0.8] * 5), slow(*[0.8] * 5, waiting=5)
    assert (alone.jump, alone.drift) == (0.0, 0.0)
    assert beside.jump < 0.0
    assert beside.drift < 0.0
    assert beside.ratio(JUMP, DRIFT) == 0.0, "credit is no evidence"
    assert beside.ratio(JUMP, DRIFT, jump_waiting=3.0) < alone.ratio(JUMP, DRIFT, jump_waiting=3.0)


def test_a_drift_is_seen_from_calls_under_way() -> None:
    """One that is older than usual says something, long before it is late; one alone never decides."""
    ages = [drift_waiting_llr(math.log(ratio), 0.35) for ratio in (0.1, 0.7, 1.0, 1.3, 2.0, 50.0)]
    assert ages == sorted(ages)
    assert ages[0] == 0.0
    assert 0.0 < ages[1] < ages[3] <= ages[5] < 1.0


def test_a_cut_off_time_counts_for_as_long_as_it_was() -> None:
    """A hedge that won at once says nothing of the loser; one that waited for long does."""
    test = SlownessTest()
    test.add_waited(-1.0, 0.35, JUMP, DRIFT)
    assert test.ratio(JUMP, DRIFT) < 0.01
    test.add_waited(math.log(5.0), 0.35, JUMP, DRIFT)
    before = test.jump
    assert before > 1.0
    test.scale(0.5)
    assert test.jump == pytest.approx(before / 2)


# -- errors


@given(st.lists(st.booleans(), max_size=200))
def test_errors_keep_within_their_bounds(ends: list[bool]) -> None:
    """Evidence is never negative and never above its ceiling, the learned rate within its range."""
    test = ErrorTest()
    for is_failure in ends:
        test.add(is_failure=is_failure, ceiling=10.0)
        assert 0.0 <= test.nats <= 10.0
        assert MIN_ERROR_RATE <= test.rate <= MAX_ERROR_RATE
        assert test.step > 0.0
        assert 0.0 < test.threshold(1800.0, 1.0) < 4.0 * test.step


def test_two_failures_close_together_pass_the_threshold() -> None:
    """One never does: at any request rate."""
    for per_hour in (10.0, 360.0, 1800.0):
        test = ErrorTest()
        test.add(is_failure=True, ceiling=20.0)
        assert test.nats < test.threshold(per_hour, 1.0)
        test.add(is_failure=True, ceiling=20.0)
        assert test.nats >= test.threshold(per_hour, 1.0) - 0.1


def test_busier_upstreams_must_show_more() -> None:
    """Chance brings two failures close together the more often the more requests there are."""
    test = ErrorTest()
    thresholds = [test.threshold(per_hour, 1.0) for per_hour in (60.0, 1800.0, 18_000.0, 720_000.0)]
    assert thresholds == sorted(thresholds)
    assert test.threshold(1800.0, 10.0) <= test.threshold(1800.0, 0.1), "who accepts more false alarms has them sooner"


def test_successes_undo_a_failure_and_its_rate_is_learned() -> None:
    """One failure in fifty is this upstream's normal after a while: each then says less."""
    test = ErrorTest()
    first_step = test.step
    for i in range(3000):
        test.add(is_failure=i % 50 == 0, ceiling=20.0)
    assert test.nats < first_step
    assert 0.01 < test.rate <= 0.03
    assert test.step < first_step


def test_a_fault_is_measured_by_the_rate_before_it() -> None:
    """While anything is held against it nothing is learned: the last failure weighs as much as the first."""
    test = ErrorTest()
    for _ in range(500):
        test.add(is_failure=False, ceiling=20.0)
    before = test.rate, test.step
    for i in range(1000):
        test.add(is_failure=i % 3 == 0, ceiling=20.0)
        assert (test.rate, test.step) == before


@pytest.mark.parametrize("every", [1, 2, 5])
def test_a_fault_is_not_learned_from_when_it_is_over(every: int) -> None:
    """Or the next one would be seen later: an outage, and one in two or in five that failed for a minute."""
    test = ErrorTest()
    for _ in range(500):
        test.add(is_failure=False, ceiling=14.0)
    before = test.rate
    for i in range(300):
        test.add(is_failure=i % every == 0, ceiling=14.0)
    for _ in range(500):
        test.add(is_failure=False, ceiling=14.0)
    assert test.nats == 0.0
    assert test.rate == pytest.approx(before, abs=1e-3)


def test_what_was_forgiven_is_not_learned_from() -> None:
    """Whoever clears the slate says that it was a fault, or our own trouble."""
    test, other = ErrorTest(), ErrorTest()
    for _ in range(2):
        test.add(is_failure=True, ceiling=20.0)
    test.clear()
    for each in (test, other):
        each.add(is_failure=False, ceiling=20.0)
    assert (test.nats, test.rate) == (0.0, other.rate)


def test_a_failure_is_learned_from_once_it_is_undone() -> None:
    """Not sooner, and with all the successes that it took."""
    test, was = ErrorTest(), ErrorTest().rate
    test.add(is_failure=True, ceiling=20.0)
    successes = 0
    while test.rate == was:
        test.add(is_failure=False, ceiling=20.0)
        successes += 1
    assert test.nats < 0.1
    assert test.rate == pytest.approx((0.4 + 1) / (200 + 1 + successes), rel=0.02)


# -- the rate of events


@pytest.mark.parametrize("per_s", [0.02, 0.5, 5.0, 50.0])
def test_the_rate_is_found(per_s: float) -> None:
    """Within a tenth after ten minutes."""
    rate = Rate(0.0)
    for i in range(1, int(600 * per_s) + 1):
        rate.add(i / per_s)
    assert rate.per_s() == pytest.approx(per_s, rel=0.15)


def test_the_rate_has_bounds() -> None:
    """Without events, and with a flood of them in no time."""
    rate = Rate(10.0)
    assert rate.per_s() == MIN_RATE
    for _ in range(10_000):
        rate.add(10.0)
    assert rate.per_s() == MAX_RATE
    rate.add(5.0)
    assert rate.per_s() == MAX_RATE, "time that runs backwards changes nothing"


# -- trend


def grown(slope: float, *, samples: int = 40, noise: float = 0.05, from_s: float = 0.0) -> Trend:
    """Return a trend over samples a second apart that grow by `slope` a second."""
    trend, draw = Trend(), Random(1)
    for i in range(samples):
        trend.add(slope * i + draw.gauss(0.0, noise), from_s + i)
    return trend


@pytest.mark.parametrize("from_s", [0.0, 86_400.0 * 365])
@pytest.mark.parametrize("slope", [0.02, -0.02])
def test_a_slope_is_found(slope: float, from_s: float) -> None:
    """Level as of now and growth a second, on an old clock as well as on a young one."""
    trend = grown(slope, from_s=from_s)
    assert trend.slope == pytest.approx(slope, rel=0.15)
    assert trend.level == pytest.approx(slope * 39, abs=0.1)
    assert trend.t_stat > 5.0 if slope > 0.0 else trend.t_stat == 0.0, "who gets faster is no trouble"


def test_noise_has_no_trend() -> None:
    """It does not pass the bar that a real slope passes easily."""
    assert abs(grown(0.0).t_stat) < 3.5


def test_few_samples_and_one_moment_have_none() -> None:
    """A line through two points, or through one moment, says nothing."""
    assert grown(1.0, samples=TREND_SAMPLES - 1).t_stat == 0.0
    trend = Trend()
    for i in range(50):
        trend.add(float(i), 7.0)
    assert (trend.slope, trend.t_stat) == (0.0, 0.0)


def test_when_a_limit_is_passed() -> None:
    """Now where it was passed, never where nothing grows."""
    growing = grown(0.02, noise=0.001)
    assert growing.breach_in_s(growing.level + 0.2) == pytest.approx(10.0, rel=0.1)
    assert growing.breach_in_s(growing.level - 0.1) == 0.0
    assert grown(-0.02).breach_in_s(1.0) is None
