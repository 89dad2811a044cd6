"""Quantiles in bounded memory, and what is normal for one upstream, against the standard library's own figures."""

import math
import statistics
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamroute.core.health.sketch import BIN_LN, BINS, HALF_LIFE_S, LogSketch, RelativeTtft, ln_of
from streamroute.core.health.ttft import (
    COLD_BELOW,
    MAX_SLOPE,
    MAX_SPREAD,
    MIN_SLOPE,
    MIN_SPREAD,
    REBASE_AFTER_S,
    REBASE_SAMPLES,
    REMEMBERED_S,
    Baseline,
    Norm,
    size_of,
)


def sketch_of(values: list[float], at: float = 0.0) -> LogSketch:
    sketch = LogSketch()
    for value in values:
        sketch.add(value, at)
    return sketch


# -- sketch


@given(st.lists(st.floats(-1.5, 1.5), min_size=20, max_size=300), st.sampled_from([0.05, 0.25, 0.5, 0.75, 0.95]))
def test_quantiles_are_those_of_the_samples(values: list[float], q: float) -> None:
    """Within the width of a bin of the samples next to it."""
    ordered = sorted(values)
    [found] = sketch_of(values).quantiles(q)
    place = q * len(ordered)
    low, high = ordered[max(0, math.floor(place) - 1)], ordered[min(len(ordered) - 1, math.ceil(place))]
    assert low - BIN_LN <= found <= high + BIN_LN


@pytest.mark.parametrize("seed", range(3))
def test_quantiles_of_many(seed: int) -> None:
    """Of a thousand log-normal times each is within three per cent."""
    draw = Random(seed)
    values = [draw.gauss(-0.7, 0.35) for _ in range(1000)]
    cuts = statistics.quantiles(values, n=20)
    found = sketch_of(values).quantiles(0.05, 0.5, 0.95)
    assert found == pytest.approx([cuts[0], cuts[9], cuts[18]], abs=0.5 * BIN_LN)


def test_an_empty_one() -> None:
    """It has quantiles of 0, no bins, and a shift moves nothing."""
    sketch = LogSketch()
    sketch.shift(3.0)
    assert sketch.quantiles(0.1, 0.9) == [0.0, 0.0]
    assert sketch.bins() == []
    assert (sketch.count, sketch.version) == (0, 0)


def test_what_lies_outside_stays_at_the_edge() -> None:
    """Memory is bounded: hangs and errors in no time are the last and the first bin."""
    sketch = sketch_of([0.0] * 10 + [50.0, -50.0])
    bins = sketch.bins()
    assert len(bins) == 3
    assert sketch.count == 12
    low, high = sketch.quantiles(0.0, 1.0)
    assert high - low <= BINS * BIN_LN


@pytest.mark.parametrize("steps", [1, 2000])
def test_old_samples_weigh_half_after_the_half_life(steps: int) -> None:
    """In one leap or in many; and after very many the weights are scaled down and nothing else changes."""
    sketch = LogSketch()
    for _ in range(8):
        sketch.add(0.0, 0.0)
    for i in range(1, steps + 1):
        sketch.add(1.0, HALF_LIFE_S * i)
    shares = [share for _, share in sketch.bins()]
    assert shares[-1] == pytest.approx(1.0 / 5.0 if steps == 1 else 1.0)
    assert sum(shares) == pytest.approx(1.0)
    assert sketch.quantiles(0.99)[0] == pytest.approx(1.0, abs=BIN_LN)
    assert math.isfinite(sketch.total)


def test_time_that_runs_backwards_is_no_time() -> None:
    """An older sample counts like one of now."""
    sketch = sketch_of([0.0, 0.0], at=100.0)
    sketch.add(1.0, 50.0)
    assert [share for _, share in sketch.bins()] == pytest.approx([2.0 / 3.0, 1.0 / 3.0])


def test_a_shift_moves_every_sample() -> None:
    """All quantiles by the same."""
    sketch = sketch_of([0.0, 0.5, 1.0] * 20)
    before = sketch.quantiles(0.25, 0.5, 0.75)
    sketch.shift(-0.3)
    assert sketch.quantiles(0.25, 0.5, 0.75) == pytest.approx([each - 0.3 for each in before])


def test_the_relative_distribution_is_read_once_for_each_version() -> None:
    """Ascending ratios to the centre, shares that add up to 1; unchanged until something new is worth reading."""
    sketch = sketch_of([math.log(2.0)] * 50 + [math.log(4.0)] * 50)
    relative = RelativeTtft(sketch)
    relative.centre_on(math.log(2.0))
    bins = relative.bins()
    assert [ratio for ratio, _ in bins] == pytest.approx([1.0, 2.0], rel=0.04)
    assert [share for _, share in bins] == pytest.approx([0.5, 0.5])
    assert relative.bins() is bins
    assert (relative.count, relative.version) == (100, sketch.version)
    for _ in range(20):
        sketch.add(0.0, 0.0)
    assert relative.bins() is not bins


def test_nothing_takes_no_time() -> None:
    """A logarithm of 0 or less is that of the least time."""
    assert ln_of(0.0) == ln_of(-1.0) == ln_of(1e-5)
    assert ln_of(math.e) == 1.0


# -- baseline


def learned(count: int = 200, *, median_s: float = 0.5, sigma: float = 0.35, seed: int = 1) -> Baseline:
    baseline, draw = Baseline(), Random(seed)
    for i in range(count):
        baseline.learn(math.log(median_s) + draw.gauss(0.0, sigma), 0.0, float(i))
    return baseline


def test_median_and_spread_are_found() -> None:
    """Within a few per cent; the spread a little towards what is usual."""
    baseline = learned(600)
    assert baseline.expected_ln(0.0) == pytest.approx(math.log(0.5), abs=0.05)
    assert baseline.spread == pytest.approx(0.35, abs=0.05)
    assert not baseline.is_cold


def test_a_fault_of_less_than_a_quarter_moves_it_little() -> None:
    """Robust: a tenth of the samples ten times as late."""
    baseline, draw = Baseline(), Random(5)
    for i in range(500):
        late = math.log(10.0) if i % 10 == 0 else 0.0
        baseline.learn(draw.gauss(0.0, 0.3) + late, 0.0, float(i))
    assert baseline.level == pytest.approx(0.0, abs=0.1)
    assert baseline.spread < 0.5


@given(st.lists(st.tuples(st.floats(-6, 6), st.floats(0, 5)), max_size=60))
def test_what_is_learned_stays_within_its_ranges(samples: list[tuple[float, float]]) -> None:
    """Whatever comes: spread and slope are believed within bounds, and a prediction has at least the spread."""
    baseline = Baseline()
    for i, (value, size) in enumerate(samples):
        baseline.learn(value, size, float(i))
        assert MIN_SPREAD <= baseline.spread <= MAX_SPREAD
        assert MIN_SLOPE <= baseline.slope <= MAX_SLOPE
        assert baseline.uncertainty_at(size)[1] >= baseline.spread
        assert baseline.is_cold == (i + 1 < COLD_BELOW)


def test_a_new_one_knows_nothing() -> None:
    """A prediction without samples has the usual spread at any size."""
    baseline, norm = Baseline(), Norm(min_spread=0.5)
    assert (baseline.count, baseline.is_cold) == (0, True)
    assert norm.spread == 0.5
    assert norm.predicted_spread > norm.spread
    assert (
        baseline.uncertainty_at(3.0)[1]
        == baseline.uncertainty_at(0.0)[1]
        == baseline.predicted_spread
        > baseline.spread
    )


def test_without_a_prompt_a_baseline_is_its_norm() -> None:
    """For prompts of no size the regression adds nothing, to the last bit."""
    baseline, norm, draw = Baseline(), Norm(), Random(8)
    for i in range(300):
        value = draw.gauss(-0.7, 0.4)
        baseline.learn(value, 0.0, float(i))
        norm.take(value, float(i))
        assert (baseline.expected_ln(0.0), baseline.uncertainty_at(0.0)[1]) == (norm.level, norm.predicted_spread)


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_the_slope_of_prompts_is_found(slope: float) -> None:
    """From prompts of many sizes, by what it costs to be longer."""
    baseline, draw = Baseline(), Random(3)
    for i in range(800):
        size = size_of(round(draw.lognormvariate(math.log(1500), 1.0)))
        baseline.learn(-1.0 + slope * size + draw.gauss(0.0, 0.2), size, float(i))
    assert baseline.slope == pytest.approx(slope, abs=0.1)
    for tokens in (200, 8000):
        assert baseline.expected_ln(size_of(tokens)) == pytest.approx(-1.0 + slope * size_of(tokens), abs=0.2)


def test_doubt_grows_beyond_the_sizes_that_were_seen() -> None:
    """Short prompts of much the same size say little of long ones, however many there were; once such were seen, the
    doubt is gone."""
    baseline, draw = Baseline(), Random(4)
    for i in range(1000):
        baseline.learn(draw.gauss(0.0, 0.3), size_of(round(draw.gauss(500, 50))), float(i))
    near, far, farther = (baseline.uncertainty_at(size_of(tokens))[1] for tokens in (500, 5000, 50_000))
    assert near < 1.1 * baseline.spread
    assert near < far < farther
    for i in range(300):
        baseline.learn(0.7 + draw.gauss(0.0, 0.3), size_of(5000), 1000.0 + i)
    assert baseline.uncertainty_at(size_of(5000))[1] < far


def test_size_of_a_prompt() -> None:
    """0 for none, and for what cannot be."""
    assert size_of(0) == size_of(-5) == 0.0
    assert size_of(1000) == pytest.approx(math.log(2.0))


# -- a new normal


def endured(baseline: Baseline, median_s: float, *, from_s: float, seconds: float, sigma: float = 0.3) -> bool:
    """Let slow answers come, one every five seconds; return whether they became the normal."""
    draw = Random(6)
    for i in range(int(seconds / 5.0) + 1):
        if baseline.endure(math.log(median_s) + draw.gauss(0.0, sigma), 0.0, from_s + 5.0 * i):
            return True
    return False


def test_stable_slowness_becomes_the_normal_after_ten_minutes() -> None:
    """Not before, and the old level is remembered."""
    baseline = learned(200)
    before = baseline.level
    assert not endured(baseline, 1.5, from_s=1000.0, seconds=REBASE_AFTER_S - 10.0)
    assert baseline.level == before
    assert baseline.endure(math.log(1.5), 0.0, 1000.0 + REBASE_AFTER_S)
    assert baseline.level == pytest.approx(math.log(1.5), abs=0.15)
    assert baseline.rebased_from == before
    assert baseline.ttft.count == baseline.count >= REBASE_SAMPLES


def test_slowness_that_is_all_over_the_place_does_not() -> None:
    """Who answers now fast and now slow has no normal."""
    baseline = learned(200, sigma=0.2)
    assert not endured(baseline, 1.5, from_s=1000.0, seconds=2 * REBASE_AFTER_S, sigma=1.5)


def test_a_healthy_sample_begins_the_wait_anew() -> None:
    """Slowness with interruptions is no new normal."""
    baseline = learned(200)
    for start in (1000.0, 2000.0):
        assert not endured(baseline, 1.5, from_s=start, seconds=REBASE_AFTER_S - 10.0)
        baseline.learn(math.log(0.5), 0.0, start + REBASE_AFTER_S)


def test_the_way_back_from_a_new_normal_is_noticed() -> None:
    """Once it is about as fast as it was before, nothing is held against it for the past; and a second rebase
    compares with the first level, not with the slow one."""
    baseline = learned(200)
    first = baseline.level
    assert endured(baseline, 1.2, from_s=1000.0, seconds=2 * REBASE_AFTER_S)
    assert endured(baseline, 3.0, from_s=5000.0, seconds=2 * REBASE_AFTER_S)
    assert baseline.rebased_from == first
    for i in range(400):
        baseline.learn(math.log(0.5), 0.0, 20_000.0 + 10.0 * i)
    assert baseline.rebased_from is None


def test_an_old_normal_is_history_after_a_day() -> None:
    """A model that was replaced by a slower one stays slower, and is not held to what it once was for ever."""
    baseline = learned(200)
    assert endured(baseline, 3.0, from_s=1000.0, seconds=2 * REBASE_AFTER_S)
    for i in range(20):
        baseline.learn(math.log(3.0), 0.0, 2000.0 + i)
    assert baseline.rebased_from is not None
    for i in range(20):
        baseline.learn(math.log(3.0), 0.0, 3000.0 + REMEMBERED_S + i)
    assert baseline.rebased_from is None
