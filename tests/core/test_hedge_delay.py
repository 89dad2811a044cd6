"""When a hedge pays, on made-up tails and on measured ones."""

import csv
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from streamroute.core.execution.hedge_delay import (
    COLD_P95,
    EARLIEST,
    LATEST_SUSPECT,
    LEAST_UNLIKE,
    MIN_SAMPLES,
    MOST_UNLIKE,
    UNLIKE_SPREADS,
    HedgeDelays,
    Tail,
    stall_limits,
    ttft_deadline_s,
)
from streamroute.core.health.standing import Estimate

Bins = tuple[tuple[float, float], ...]


@dataclass(slots=True, eq=False)
class Known:
    """A distribution that is written down."""

    of: Bins
    count: int = 1000
    version: int = 1
    read: int = 0

    def bins(self) -> Sequence[tuple[float, float]]:
        self.read += 1
        return self.of


LIGHT: Bins = ((0.8, 0.25), (1.0, 0.5), (1.2, 0.2), (1.5, 0.05))
HEAVY: Bins = ((0.8, 0.25), (1.0, 0.5), (1.2, 0.2), (40.0, 0.05))


def expecting(ttft_s: float, known: Known | None = None, *, soft_s: float | None = None) -> Estimate:
    return Estimate(ttft_s=ttft_s, normal_ttft_s=ttft_s, ttft=known, stall_soft_s=soft_s)


def delay_s(primary: Estimate, backup_s: float = 0.5, *, is_suspect: bool = False) -> float | None:
    return HedgeDelays().delay_s(primary, expecting(backup_s), is_suspect=is_suspect)


@pytest.mark.parametrize(
    ("bins", "backup_s", "is_suspect", "expected_s"),
    [
        (LIGHT, 0.5, False, 0.5 * LEAST_UNLIKE),
        (HEAVY, 0.5, False, 0.5 * EARLIEST),
        (HEAVY, 1000.0, False, None),
        (LIGHT, 0.5, True, 0.5 * LEAST_UNLIKE),
        (HEAVY, 0.5, True, 0.5 * EARLIEST),
    ],
)
def test_what_the_tail_decides(bins: Bins, backup_s: float, is_suspect: bool, expected_s: float | None) -> None:
    """A light tail is hedged beyond all that it has ever shown, a heavy one as soon as the rest are in."""
    assert delay_s(expecting(0.5, Known(bins)), backup_s, is_suspect=is_suspect) == pytest.approx(expected_s)


def test_few_samples() -> None:
    """Below 50 samples the prior holds: the earlier of p95 and twice the median, never before 1.2 medians."""
    few = MIN_SAMPLES - 1
    assert delay_s(expecting(0.5)) == pytest.approx(0.5 * COLD_P95)
    assert delay_s(expecting(0.5, Known(HEAVY, count=few))) == pytest.approx(0.6)
    assert delay_s(expecting(0.5, Known(((1.0, 0.9), (9.0, 0.1)), count=few))) == pytest.approx(1.0)
    assert delay_s(expecting(0.5, Known(LIGHT, count=MIN_SAMPLES))) == pytest.approx(0.5 * LEAST_UNLIKE)


def test_a_few_outliers_move_nothing() -> None:
    """Of a young upstream p99.5 is its latest sample: what is unlike it is told by the bulk of its times."""
    usual = ((0.7, 0.2), (1.0, 0.6), (1.4, 0.19))
    short, long = (delay_s(expecting(1.0, Known((*usual, (far, 0.01)), count=60)), 1.0) for far in (9.0, 30.0))
    assert short == long
    assert short is not None
    assert short <= LATEST_SUSPECT


def lognormal(spread: float, *, outliers: float = 0.0, at: float = 1.0) -> Known:
    """Return times around 1, with that share of them at `at`."""
    usual = [(math.exp(spread * z / 10), math.exp(-0.5 * (z / 10) ** 2)) for z in range(-40, 41)]
    total = sum(weight for _, weight in usual)
    bins = [(ratio, (1.0 - outliers) * weight / total) for ratio, weight in usual]
    return Known(tuple(sorted([*bins, (at, outliers)]))) if outliers else Known(tuple(bins))


@pytest.mark.parametrize("outliers", [0.004, 0.02, 0.06])
@pytest.mark.parametrize("spread", [0.2, 0.35, 0.6])
def test_what_is_unlike_an_upstream_is_told_by_the_bulk_of_its_times(spread: float, outliers: float) -> None:
    """Outliers move it by as much as they move the quartiles, however far they are; or up to 2.5 medians, where they
    are so many that p99.5 is one of them."""
    calm = Tail(lognormal(spread))
    assert calm.unlike == pytest.approx(math.exp(UNLIKE_SPREADS * spread), rel=0.15)
    found = [Tail(lognormal(spread, outliers=outliers, at=at)) for at in (8.0, 80.0, 800.0)]
    assert len({tail.unlike for tail in found}) == 1
    for tail in found:
        assert calm.unlike <= tail.unlike * 1.001
        assert tail.unlike <= max(1.15 * calm.unlike, LATEST_SUSPECT * tail.p50)


@pytest.mark.parametrize(("spread", "most"), [(0.001, LEAST_UNLIKE), (3.0, MOST_UNLIKE)])
def test_what_is_unlike_an_upstream_has_bounds(spread: float, most: float) -> None:
    """A very steady upstream is not hedged at once, and one whose times say little not after minutes."""
    tail = Tail(lognormal(spread))
    assert tail.unlike == pytest.approx(most * tail.p50)


def test_who_is_suspect_is_hedged_sooner() -> None:
    """At 2.5 medians at the latest, however much its times vary when it is well."""
    wide = Known(((0.3, 0.25), (1.0, 0.25), (3.0, 0.25), (6.0, 0.25)))
    calm, suspect = (delay_s(expecting(1.0, wide), 3.5, is_suspect=each) for each in (False, True))
    assert suspect == pytest.approx(LATEST_SUSPECT)
    assert calm is None or calm > suspect


def test_a_backup_that_is_seldom_first() -> None:
    """Where the second call would win less than four times in ten, a long mean does not call for it."""
    assert delay_s(expecting(1.0, Known(((1.0, 0.9), (1.5, 0.07), (60.0, 0.03)))), 1.0) == pytest.approx(1.5)


def test_one_outlier_does_not_decide() -> None:
    """Waiting counts up to 30 s: one sample of an hour weighs no more than one of half a minute."""
    hour, half_minute = Known(((1.0, 0.5), (3600.0, 0.5))), Known(((1.0, 0.5), (32.0, 0.5)))
    for backup_s in (10.0, 20.0, 23.0):
        assert delay_s(expecting(1.0, hour), backup_s) == delay_s(expecting(1.0, half_minute), backup_s)
    assert delay_s(expecting(1.0, hour), 26.0) is None


def test_results_are_remembered_until_something_changes() -> None:
    """The bins are read once for each version."""
    known, delays = Known(HEAVY), HedgeDelays()
    primary, backup = expecting(0.5, known), expecting(0.5)
    for _ in range(3):
        assert delays.delay_s(primary, backup, is_suspect=False) is not None
    assert known.read == 1
    known.of, known.version = LIGHT, 2
    assert delays.delay_s(primary, backup, is_suspect=False) == pytest.approx(0.5 * LEAST_UNLIKE)
    assert known.read == 2


@pytest.mark.parametrize(
    ("estimate", "configured_s", "expected_s"),
    [
        (expecting(0.5), 10.0, 10.0),
        (expecting(0.5, Known(LIGHT, count=MIN_SAMPLES - 1)), 10.0, 10.0),
        (expecting(0.5, Known(LIGHT)), 10.0, 4.0),
        (expecting(0.5, Known(LIGHT)), 3.0, 3.0),
        (expecting(0.1, Known(LIGHT)), 10.0, 2.0),
        (expecting(0.5, Known(HEAVY)), 100.0, 30.0),
    ],
)
def test_deadline_of_the_first_token(estimate: Estimate, configured_s: float, expected_s: float) -> None:
    """Eight medians or twice p99.5, 2..30 s, never above what is configured, which holds while little is known."""
    assert ttft_deadline_s(estimate, configured_s) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    ("soft_s", "configured_s", "expected"),
    [
        (None, 5.0, (math.inf, 5.0)),
        (0.5, 5.0, (0.5, 3.0)),
        (1.0, 5.0, (1.0, 4.0)),
        (2.0, 5.0, (2.0, 5.0)),
        (9.0, 60.0, (9.0, 20.0)),
    ],
)
def test_stall_limits(soft_s: float | None, configured_s: float, expected: tuple[float, float]) -> None:
    """Four times the gap that is unlike it, 3..20 s, never above what is configured."""
    assert stall_limits(expecting(0.5, soft_s=soft_s), configured_s) == expected


def measured_s(provider: str, size: str) -> list[float]:
    """Return real times to first token, by public runs of llmperf; skips the test where they are not at hand."""
    default = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    path = Path(os.environ.get("STREAMROUTE_SHARED_DATA", default)) / "traffic" / "llmperf_requests.csv"
    if not path.is_file():
        pytest.skip("no measured times: set STREAMROUTE_SHARED_DATA to the folder with traffic/llmperf_requests.csv")
    with path.open() as lines:
        rows = [row for row in csv.DictReader(lines) if (row["provider"], row["model_size"]) == (provider, size)]
    return sorted(float(row["ttft_s"]) for row in rows if not row["error_code"] and row["ttft_s"])


def hedged(times_s: list[float]) -> tuple[float, float, float]:
    """Return the share of calls that are hedged with one of the same kind, p99 without and p99 with hedges."""
    p50 = times_s[len(times_s) // 2]
    known = Known(tuple((each / p50, 1 / len(times_s)) for each in times_s), count=len(times_s))
    estimate = expecting(p50, known)
    delay = HedgeDelays().delay_s(estimate, expecting(p50), is_suspect=False)
    if delay is None:
        return 0.0, at(times_s, 0.99), at(times_s, 0.99)
    # Every pair of draws, so that no seed decides.
    ended = sorted(min(a, delay + b) if a > delay else a for a in times_s for b in times_s)
    return sum(each > delay for each in times_s) / len(times_s), at(times_s, 0.99), at(ended, 0.99)


def at(ordered: list[float], q: float) -> float:
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


@pytest.mark.parametrize(("provider", "size"), [("fireworks", "70b"), ("together", "70b"), ("bedrock", "70b")])
def test_measured_light_tails(provider: str, size: str) -> None:
    """Providers whose tail is light are practically never hedged; a percentile would pay for 5 %."""
    assert hedged(measured_s(provider, size))[0] <= 0.01


def test_measured_heavy_tail() -> None:
    """Where one call in a hundred takes a minute, p99 falls to a twentieth for at most 8 % more calls."""
    extra, without_s, with_s = hedged(measured_s("together", "13b"))
    assert 0 < extra <= 0.08
    assert with_s <= without_s / 20
