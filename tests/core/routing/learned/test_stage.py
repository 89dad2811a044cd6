"""What may be known at each stage."""

import numpy as np

from streamroute.core.routing.learned.stage import Seen, answer_features, features, stages

SEEN = Seen(
    question=np.array([0.1, 0.2, 0.3, 0.4]),
    domain="law",
    answers={0: np.array([1.0, 2.0]), 1: np.array([3.0, 4.0])},
    signals={0: (1.0, 0.0), 1: (0.0, 1.0)},
    agreement={(0, 1): True},
)


def test_stages_are_fitted_from_the_last_to_the_first() -> None:
    """Of two judged tiers: both answered, one of them, none."""
    assert stages(2) == [(0, 1), (0,), (1,), ()]


def test_a_stage_knows_only_what_was_asked() -> None:
    """Before any answer the question and the domain; then each answer's log-odds and signals; then agreement, alone and
    times how good the answers looked."""
    domains = ["law", "math"]
    question = [0.1, 0.2, 0.3, 0.4, 1.0, 0.0]
    assert features(SEEN, (), domains).tolist() == question
    assert features(SEEN, (1,), domains).tolist() == [*question, 3.0, 4.0, 0.0, 1.0]
    both = [*question, 1.0, 2.0, 1.0, 0.0, 3.0, 4.0, 0.0, 1.0, 1.0, 1.0, 3.0]
    assert features(SEEN, (0, 1), domains).tolist() == both


def test_a_domain_that_is_not_listed_is_none() -> None:
    """Nothing was learned of it."""
    assert features(SEEN, (), ["math"]).tolist() == [0.1, 0.2, 0.3, 0.4, 0.0]


def test_an_answer_alone() -> None:
    """For domains that nothing was learned of: no word of the question, no domain."""
    assert answer_features(SEEN, 0).tolist() == [1.0, 2.0, 1.0, 0.0]
