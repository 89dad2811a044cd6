"""Whether a domain still asks what it used to ask: literal shares of unknown words."""

import numpy as np
import pytest

from streamroute.core.routing.learned.domain_drift import DomainDrift, UsualWords, usual_words

USUAL = UsualWords(mean=0.10, deviation=0.05)


def test_what_is_usual_changes_nothing() -> None:
    """A share of the mean, and one a little above it: each is within the allowance of half a deviation."""
    drift = DomainDrift(USUAL)
    for _ in range(10_000):
        drift.asked(0.10)
        drift.asked(0.12)
    assert drift.excess == 0.0
    assert not drift.has_changed


def test_other_words_are_found_after_few_questions() -> None:
    """Two deviations above the mean, one and a half above the allowance: seven questions sum up to 10.5."""
    drift = DomainDrift(USUAL)
    assert [drift.asked(0.20) for _ in range(8)] == [*(6 * [False]), True, False]
    assert drift.excess == pytest.approx(10.5)
    assert drift.has_changed


def test_one_odd_question_is_forgotten() -> None:
    """However odd, it adds three deviations; whoever asks usual questions afterwards takes the sum back to nothing."""
    drift = DomainDrift(USUAL)
    drift.asked(1.0)
    assert drift.excess == pytest.approx(3.0)
    for _ in range(6):
        drift.asked(0.10)
    assert drift.excess == pytest.approx(0.0)


def test_a_domain_that_has_changed_stays_so() -> None:
    """What was fitted on it is for other questions, whatever comes now."""
    drift = DomainDrift(USUAL, excess=10.1)
    for _ in range(1_000):
        drift.asked(0.0)
    assert drift.has_changed


def test_what_is_usual_is_told_by_domain() -> None:
    """Of thirty questions their own mean and deviation; of fewer those of all; never no deviation."""
    domains = ["law"] * 30 + ["math"] * 30 + ["few"]
    shares = np.concatenate([np.tile([0.1, 0.3], 15), np.full(30, 0.05), [0.9]])
    found = usual_words(domains, shares)
    assert found["law"].mean == pytest.approx(0.2)
    assert found["law"].deviation == pytest.approx(0.1)
    assert found["math"].mean == pytest.approx(0.05)
    assert found["math"].deviation == 0.02
    assert found["few"].mean == pytest.approx((30 * 0.2 + 30 * 0.05 + 0.9) / 61)
