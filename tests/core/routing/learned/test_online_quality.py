"""Quality by upstream, learned from outcomes."""

import numpy as np
import pytest

from streamroute.core.quality.domain_quality import DomainQualityOptions
from streamroute.core.quality.subject_text import read_subject
from streamroute.core.routing.learned.online_quality import OnlineQuality, OnlineQualityOptions

EASY, HARD = read_subject("what is the capital of france"), read_subject("prove the riemann hypothesis for me")
NEW = read_subject("unheard words altogether")


def taught(many: int = 60) -> OnlineQuality:
    """The small one is right on easy questions, the large one on all."""
    quality = OnlineQuality()
    for _ in range(many):
        quality.learn(EASY, "mixed", {"small": 1.0, "large": 1.0})
        quality.learn(HARD, "mixed", {"small": 0.0, "large": 1.0})
    return quality


def test_who_is_better_is_learned() -> None:
    """By domain, as both were asked the same."""
    found = taught().estimates(NEW, "mixed", ["small", "large"])
    assert found.means[1] > found.means[0] + 0.25
    assert found.looks.tolist() == pytest.approx([(1 - 0.999**120) / 0.001] * 2)


def test_words_tell_hard_questions_from_easy_ones() -> None:
    """Within one domain, and for those who were not asked: a new upstream is expected to fail there too."""
    quality = taught()
    easy, hard = (quality.estimates(each, "mixed", ["small", "large", "new"]).means for each in (EASY, HARD))
    assert easy[0] > hard[0] + 0.2
    assert easy[2] > hard[2] + 0.1


def test_estimates_come_in_the_order_that_was_asked_for() -> None:
    """Not in the order in which upstreams came."""
    quality = taught()
    there, back = (
        quality.estimates(NEW, "mixed", ["small", "large"]),
        quality.estimates(NEW, "mixed", ["large", "small"]),
    )
    assert there.means.tolist() == back.means[::-1].tolist()
    assert there.sds.tolist() == back.sds[::-1].tolist()
    assert there.lead_sds(0)[1] == pytest.approx(back.lead_sds(0)[1])


def test_doubt_falls_with_outcomes() -> None:
    """Of both, and most of their difference where both were asked the same."""
    few, many = taught(2), taught(200)
    before, after = (each.estimates(EASY, "mixed", ["small", "large"]) for each in (few, many))
    assert (after.sds < 0.6 * before.sds).all()
    assert after.lead_sds(0)[1] < 0.5 * before.lead_sds(0)[1]
    assert after.lead_sds(0)[0] == 0.0


def test_a_new_upstream_is_like_the_others_and_in_doubt() -> None:
    """It is added by being asked for."""
    found = taught().estimates(NEW, "mixed", ["large", "new"])
    assert found.sds[1] > 1.2 * found.sds[0]
    assert 0.5 < found.means[1] < 1.0


def test_what_the_rules_say_fades() -> None:
    """Half of it after 30 outcomes of the domain."""
    quality = OnlineQuality(OnlineQualityOptions(domains=DomainQualityOptions(keep=1.0)))

    def shift() -> float:
        plain, ruled = (quality.estimates(NEW, "law", ["one"], rules).means[0] for rules in (None, [1.0]))
        return float(np.log(ruled / (1 - ruled)) - np.log(plain / (1 - plain)))

    assert shift() == pytest.approx(1.0)
    for _ in range(30):
        quality.learn(EASY, "law", {"one": 0.5})
    assert shift() == pytest.approx(0.5)
    for _ in range(240):
        quality.learn(EASY, "law", {"one": 0.5})
    assert shift() == pytest.approx(0.1)


def test_scores_are_between_nought_and_one() -> None:
    """Nothing is learned of others, and nothing of none."""
    quality = OnlineQuality()
    with pytest.raises(ValueError, match=r"0\.\.1"):
        quality.learn(EASY, "law", {"one": 1.5})
    quality.learn(EASY, "law", {})
    assert quality.outcomes == 0
    assert quality.upstreams == ()


def test_there_is_room_for_so_many_upstreams() -> None:
    """Each takes memory; another can come when one was reset."""
    quality = OnlineQuality(OnlineQualityOptions(most_upstreams=1))
    quality.learn(EASY, "law", {"one": 1.0})
    with pytest.raises(ValueError, match="no room for 'two'"):
        quality.estimates(EASY, "law", ["two"])
    quality.reset(upstream="one")
    assert quality.estimates(EASY, "law", ["two"]).looks.tolist() == [0.0]


def test_domains_beyond_the_last_are_treated_as_unknown() -> None:
    """Clients may name domains without end."""
    quality = OnlineQuality(OnlineQualityOptions(most_domains=2))
    for at in range(5):
        quality.learn(EASY, f"domain-{at}", {"one": 1.0})
    assert [each.domain for each in quality.explain()] == ["domain-0", "domain-1", ""]


def test_what_is_believed_can_be_read() -> None:
    """By domain and upstream."""
    (report,) = taught().explain()
    assert report.domain == "mixed"
    assert report.means["large"] > report.means["small"]
    assert set(report.sds) == set(report.looks) == {"small", "large"}


def test_reset_forgets_what_it_names() -> None:
    """A domain, an upstream, or all."""
    quality = taught()
    quality.reset(upstream="never seen", domain="never seen")
    quality.reset(domain="mixed")
    assert quality.explain() == []
    quality = taught()
    large = quality.estimates(HARD, "mixed", ["large"])
    quality.reset(upstream="small")
    assert quality.upstreams == ("large",)
    assert quality.estimates(HARD, "mixed", ["large"]).means[0] == pytest.approx(large.means[0], abs=0.05)
    quality.reset()
    assert (quality.upstreams, quality.outcomes) == ((), 0)


def test_who_comes_after_a_reset_starts_from_nothing() -> None:
    """It takes the place of the one that went, none of its words; and a saved state tells them apart."""
    quality, fresh = taught(), taught()
    fresh.reset(upstream="small")
    quality.reset(upstream="small")
    quality.learn(EASY, "mixed", {"third": 0.0})
    fresh.learn(EASY, "mixed", {"fourth": 0.0})
    fresh.reset(upstream="fourth")
    fresh.learn(EASY, "mixed", {"third": 0.0})
    other = OnlineQuality()
    other.restore(quality.state())
    for question in (EASY, HARD):
        own = quality.estimates(question, "mixed", ["third", "large"])
        assert own.means == pytest.approx(fresh.estimates(question, "mixed", ["third", "large"]).means, abs=0.05)
        assert other.estimates(question, "mixed", ["third", "large"]).means == pytest.approx(own.means, rel=1e-5)
        assert other.estimates(question, "mixed", ["third", "large"]).sds == pytest.approx(own.sds, rel=1e-5)


def test_what_was_learned_can_be_saved_and_learned_on() -> None:
    """A restored one says the same, and goes on in the same way."""
    quality, other = taught(), OnlineQuality()
    other.learn(EASY, "gone", {"gone": 1.0})
    other.restore(quality.state())
    for each in (quality, other):
        each.learn(NEW, "mixed", {"large": 0.0})
    there, here = (each.estimates(NEW, "mixed", ["large", "small"]) for each in (quality, other))
    assert there.means.tolist() == here.means.tolist()
    assert there.sds.tolist() == here.sds.tolist()
    assert other.outcomes == quality.outcomes == 241


def test_saved_state_that_does_not_fit_is_refused() -> None:
    """Of another version, or torn."""
    state = taught(1).state()
    with pytest.raises(ValueError, match="version 7"):
        OnlineQuality().restore({**state, "version": np.array(7)})
    with pytest.raises(ValueError, match="shape"):
        OnlineQuality().restore({**state, "weights": state["weights"][:, :1]})
