"""What may be known at each stage."""

from dataclasses import replace
from math import log

import numpy as np
import pytest

from streamroute.core.routing.learned.stage import Seen, answer_features, features, stages

LOG_3 = log(3.0)
"""Log-odds of three to one."""
SEEN = Seen(
    question=np.array([0.0, LOG_3, -LOG_3, 0.0]),
    domain="law",
    answers={0: np.array([LOG_3, 0.0]), 1: np.array([-LOG_3, 0.0])},
    signals={0: (1.0, 0.0), 1: (0.0, 1.0)},
    agreement={(0, 1): True},
)
QUESTION = [0.0, LOG_3, -LOG_3, 0.0, 0.5, 0.75, 0.25, 0.5]


def test_stages_are_fitted_from_the_last_to_the_first() -> None:
    """Of two judged tiers: both answered, one of them, none."""
    assert stages(2) == [(0, 1), (0,), (1,), ()]


def test_a_stage_knows_only_what_was_asked() -> None:
    """Before any answer the question and the domain; then each answer's log-odds and signals; then agreement, alone,
    times how good the answers looked, and times the chance that both are right, which is there without it too.
    Log-odds are followed by their probabilities."""
    domains = ["law", "math"]
    assert features(SEEN, (), domains).tolist() == [*QUESTION, 1.0, 0.0]
    one = [LOG_3, 0.0, 0.75, 0.5, 1.0, 0.0]
    two = [-LOG_3, 0.0, 0.25, 0.5, 0.0, 1.0]
    both = [1.0, LOG_3, -LOG_3, 0.75 * 0.25, 0.75 * 0.25]
    assert features(SEEN, (1,), domains) == pytest.approx([*QUESTION, 1.0, 0.0, *two])
    assert features(SEEN, (0, 1), domains) == pytest.approx([*QUESTION, 1.0, 0.0, *one, *two, *both])
    other = replace(SEEN, agreement={(0, 1): False})
    assert features(other, (0, 1), domains)[-5:] == pytest.approx([0.0, 0.0, 0.0, 0.75 * 0.25, 0.0])


def test_a_domain_that_is_not_listed_is_none() -> None:
    """Nothing was learned of it."""
    assert features(SEEN, (), ["math"]).tolist() == [*QUESTION, 0.0]


def test_an_answer_alone() -> None:
    """For domains that nothing was learned of: no word of the question, no domain."""
    assert answer_features(SEEN, 0).tolist() == [LOG_3, 0.0, 1.0, 0.0]
