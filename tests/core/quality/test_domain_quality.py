"""Qualities by domain: what is shared, what is sure, what is forgotten."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamroute.core.quality.domain_quality import DomainQuality, DomainQualityOptions


def test_before_anything_is_seen_all_are_alike() -> None:
    """The prior: a mean of .6, and how far domains, bents and models are apart."""
    means, covariance = DomainQuality(2).posterior("law")
    assert means.tolist() == [0.6, 0.6]
    assert np.allclose(covariance, [[0.15**2 + 0.065**2 + 0.01, 0.15**2], [0.15**2, 0.15**2 + 0.065**2 + 0.01]])


def test_one_score_moves_the_mean_by_its_information() -> None:
    """One model, one domain: the posterior of two normal distributions."""
    quality = DomainQuality(1, DomainQualityOptions(domain_sd=0.15, bent_sd=0.05, model_sd=0.1, score_sd=0.45))
    quality.learn("law", [0], [1.0])
    means, covariance = quality.posterior("law")
    score = 1 / 0.45**2
    prior = 1 / (0.15**2 + 0.05**2 + 1 / (1 / 0.1**2 + score))
    assert abs(float(covariance[0, 0]) - 1 / (prior + score)) < 1e-6
    assert abs(float(means[0]) - (0.6 * prior + score) / (prior + score)) < 0.003  # what all domains are like moves too


def test_a_hard_domain_is_hard_for_those_who_were_not_asked() -> None:
    """Models are better or worse in a domain together."""
    quality = DomainQuality(2)
    for _ in range(100):
        quality.learn("law", [0], [0.0])
        quality.learn("chat", [0], [1.0])
    assert quality.posterior("law")[0][1] < 0.4
    assert quality.posterior("chat")[0][1] > 0.8


def test_the_same_questions_tell_a_difference_better_than_others() -> None:
    """Scores of one question are correlated, so what is hard about it cancels."""
    paired, apart = DomainQuality(2), DomainQuality(2)
    for _ in range(50):
        paired.learn("law", [0, 1], [1.0, 0.0])
        apart.learn("law", [0], [1.0])
        apart.learn("law", [1], [0.0])
    contrast = np.array([1.0, -1.0])

    def doubt(of: DomainQuality) -> float:
        return float(contrast @ of.posterior("law")[1] @ contrast)

    assert doubt(paired) < 0.75 * doubt(apart)


def test_looks_are_forgotten_slowly() -> None:
    """A model that got worse is seen to have."""
    quality = DomainQuality(1, DomainQualityOptions(keep=0.99))
    for _ in range(500):
        quality.learn("law", [0], [1.0])
    for _ in range(200):
        quality.learn("law", [0], [0.0])
    assert quality.posterior("law")[0][0] < 0.25
    assert abs(float(quality.looks("law")[0]) - (1 - 0.99**700) / 0.01) < 1e-6


def test_a_new_model_is_believed_to_be_like_the_others_and_is_in_doubt() -> None:
    """Beside one that was often seen."""
    quality = DomainQuality(1)
    for _ in range(200):
        quality.learn("law", [0], [0.9])
    quality.add_model()
    means, covariance = quality.posterior("law")
    assert abs(means[1] - means[0]) < 0.1
    assert covariance[1, 1] > 3 * covariance[0, 0]


def test_a_model_that_goes_takes_what_it_told_along() -> None:
    """Two who were asked the same questions: the other is then believed as if it had been alone."""
    options = DomainQualityOptions(model_sd=0.001)
    both, alone = DomainQuality(2, options), DomainQuality(1, options)
    for score in (1.0, 0.0, 1.0, 1.0):
        both.learn("law", [0, 1], [score, 0.0])
        alone.learn("law", [0], [score])
    both.remove_model(1)
    assert np.allclose(both.posterior("law")[1], alone.posterior("law")[1], atol=1e-6)


def test_a_model_that_goes_leaves_the_others_as_they_were() -> None:
    """Rows and columns of it alone are taken out."""
    quality = DomainQuality(3)
    for turn in range(60):
        quality.learn("law", [turn % 3], [[0.9, 0.5, 0.1][turn % 3]])
    before = quality.posterior("law")[0]
    quality.remove_model(1)
    after = quality.posterior("law")[0]
    assert len(after) == 2
    assert np.allclose(after, before[[0, 2]], atol=0.05)


def test_a_domain_can_be_forgotten() -> None:
    """It is then believed to be like all others."""
    quality = DomainQuality(1)
    quality.learn("law", [0], [0.0])
    quality.forget_domain("law")
    quality.forget_domain("never seen")
    assert quality.domains == ()
    assert quality.looks("law").tolist() == [0.0]


def test_what_was_learned_can_be_saved() -> None:
    """And is learned on from there; torn states are refused."""
    quality, other = DomainQuality(2), DomainQuality()
    quality.learn("law", [0, 1], [1.0, 0.0])
    quality.learn("chat", [1], [1.0], weight=3.0)
    state = quality.state()
    other.restore(state)
    for each in (quality, other):
        each.learn("law", [1], [0.5])
    assert other.posterior("law")[0].tolist() == quality.posterior("law")[0].tolist()
    with pytest.raises(ValueError, match="shape"):
        other.restore({**state, "overall": np.zeros(3)})


def test_an_empty_state_is_one_too() -> None:
    """Saved before the first outcome."""
    other = DomainQuality()
    other.restore(DomainQuality(2).state())
    assert other.posterior("law")[0].tolist() == [0.6, 0.6]


Looks = st.lists(
    st.tuples(
        st.sampled_from(["law", "math", ""]),
        st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True),
        st.floats(0, 1),
        st.floats(0, 100),
    ),
    max_size=60,
)


@settings(max_examples=50)
@given(Looks)
def test_means_stay_near_scores_and_doubts_positive(looks: list[tuple[str, list[int], float, float]]) -> None:
    """Whatever is seen, with whatever weights."""
    quality = DomainQuality(3)
    for domain, models, score, weight in looks:
        quality.learn(domain, models, [score] * len(models), weight)
    for domain in ("law", "math", "", "new"):
        means, covariance = quality.posterior(domain)
        assert ((means > -0.3) & (means < 1.3)).all()
        assert (np.linalg.eigvalsh(covariance) > 0).all()


def test_what_is_believed_is_kept_only_as_long_as_it_is_true() -> None:
    """Asked before and after everything that changes it, it is what one says that was never asked."""

    def changes(of: DomainQuality) -> list[Callable[[], object]]:
        return [
            lambda: of.learn("law", [0, 1], [1.0, 0.0]),
            lambda: of.learn("code", [1], [0.5], 3.0),
            of.add_model,
            lambda: of.learn("law", [2], [0.0]),
            lambda: of.remove_model(0),
            lambda: of.forget_domain("code"),
            lambda: of.restore(DomainQuality(2).state()),
        ]

    asked, never = DomainQuality(2), DomainQuality(2)
    for one, two in zip(changes(asked), changes(never), strict=True):
        for domain in ("law", "code", "new"):
            asked.posterior(domain)
        one()
        two()
        for domain in ("law", "code", "new"):
            fresh = DomainQuality(0)
            fresh.restore(never.state())
            for mine, other in zip(asked.posterior(domain), fresh.posterior(domain), strict=True):
                assert np.array_equal(mine, other)
