"""What one route learns of its small models' answers."""

from typing import Any

import numpy as np
import pytest

from streamroute.core.gate import AuditOptions
from streamroute.core.quality.verdict import Draft, Finding, Verdict, verdict_of
from streamroute.core.routing.learned.domain_drift import UsualWords
from streamroute.core.routing.learned.domain_guard import Trust
from streamroute.core.routing.learned.gate_features import GATE_FEATURES, gate_features
from streamroute.core.routing.learned.gatekeeper import LEAST_LOOKS, MAX_DOMAINS, OTHERS, Gatekeeper, Look

DRAFT = Draft(text="So the answer is 42.", finish_reason="stop")


def verdict(confidence: float, **more: float) -> Verdict:
    found = {"confidence": Finding(confidence), **{name: Finding(score) for name, score in more.items()}}
    return verdict_of(found)


def look(of: Verdict, gain: float | None, domain: str = "math", **more: Any) -> Look:
    values = {"margin": of.score - 0.5, "share": 1.0, "tier": 0, **more}
    return Look(domain=domain, features=gate_features(DRAFT, of), gain=gain, **values)


def taught(looks: int = 4 * LEAST_LOOKS) -> Gatekeeper:
    """Make one that has seen that confidence above .6 is worth something, and .9 no more than that."""
    keeper, rng = Gatekeeper(AuditOptions()), np.random.default_rng(7)
    for _ in range(looks):
        sure = float(rng.uniform(0.2, 1.0))
        gain = 0.35 if rng.uniform() > (0.95 if sure > 0.6 else 0.2) else 0.0
        keeper.learn(look(verdict(sure), gain))
    return keeper


def expected(keeper: Gatekeeper, of: Verdict) -> float:
    return keeper.expected_gain(0, of, gate_features(DRAFT, of))


def test_until_enough_was_learned_the_lowest_decides() -> None:
    """As without it."""
    keeper = taught(LEAST_LOOKS - 1)
    assert expected(keeper, verdict(0.4, form=0.3)) == pytest.approx(0.7)
    assert Gatekeeper(AuditOptions()).expected_gain(
        1, verdict(0.4), gate_features(DRAFT, verdict(0.4))
    ) == pytest.approx(0.6)


def test_then_the_expected_gain_does() -> None:
    """It is a gain, not a probability of being wrong: nothing is to be expected where both are wrong alike. What looks
    sure counts for what such answers were worth."""
    keeper = taught()
    sure, unsure = expected(keeper, verdict(0.95)), expected(keeper, verdict(0.3))
    assert sure < 0.3
    assert unsure > 0.6
    alike = Gatekeeper(AuditOptions())
    for _ in range(2 * LEAST_LOOKS):
        alike.learn(look(verdict(0.3), 0.0))
    assert expected(alike, verdict(0.3)) < 0.01


def test_a_ruling_says_what_was_learned() -> None:
    """Where it is another one than the findings give."""
    keeper = taught()
    for _ in range(2_000):
        keeper.learn(look(verdict(0.45), 0.0, "law"))
    doubtful = verdict(0.45)
    ruling = keeper.rule("law", doubtful, expected(keeper, doubtful), accept_at=0.5)
    assert ruling.is_accepted
    assert ruling.score > doubtful.score
    assert ruling.reason == f"with what was learned it scores {ruling.score:.2f}"


@pytest.mark.parametrize("check", ["form", "arguments", "completeness"])
def test_what_a_machine_cannot_use_is_not_delivered(check: str) -> None:
    """Whatever was learned."""
    keeper = taught()
    broken = verdict(0.95, **{check: 0.0})
    ruling = keeper.rule("math", broken, expected(keeper, broken), accept_at=0.1)
    assert not ruling.is_accepted


def test_a_domain_earns_its_trust_and_loses_it() -> None:
    """Each by itself."""
    keeper, good = Gatekeeper(AuditOptions()), verdict(0.95)
    ruling = keeper.rule("law", good, 0.05, accept_at=0.5)
    assert not ruling.is_accepted
    assert "its domain (law) is new here" in ruling.reason
    for _ in range(120):
        keeper.learn(look(good, 0.005, "law"))
    assert keeper.rule("law", good, 0.05, accept_at=0.5).is_accepted
    assert not keeper.rule("math", good, 0.05, accept_at=0.5).is_accepted
    for _ in range(60):
        keeper.learn(look(good, 0.35, "law"))
    ruling = keeper.rule("law", good, 0.05, accept_at=0.5)
    assert (ruling.is_accepted, "has lost quality" in ruling.reason) == (False, True)
    assert keeper.guard("law").trust is Trust.WITHDRAWN


def test_a_domain_may_ask_for_more() -> None:
    """Its threshold rises by itself to where what is delivered loses little; it never falls below what is asked for."""
    keeper = Gatekeeper(AuditOptions())
    for i in range(600):
        keeper.learn(look(verdict(0.9), 0.005, "law") if i % 2 else look(verdict(0.6), 0.35, "law"))
    caution = keeper.guard("law").caution
    assert 0.1 <= caution < 0.4
    middling, good = verdict(0.6), verdict(0.95)
    ruling = keeper.rule("law", middling, 0.4, accept_at=0.5)
    assert not ruling.is_accepted
    assert f"asks for {caution:.2f} more" in ruling.reason
    assert keeper.rule("law", good, 0.05, accept_at=0.5).is_accepted
    for _ in range(600):
        keeper.learn(look(verdict(0.6), 0.0, "easy"))
    assert not keeper.rule("easy", verdict(0.4), 0.6, accept_at=0.5).is_accepted


def test_a_loss_is_held_against_all_requests_of_a_domain() -> None:
    """Those that the large model was asked at once count too."""
    keeper = Gatekeeper(AuditOptions())
    for _ in range(120):
        keeper.learn(look(verdict(0.9), 0.1, "law"))
    loss, version = keeper.guard("law").loss(), keeper.version
    for _ in range(120):
        keeper.passed("law")
    assert 0.3 * loss < keeper.guard("law").loss() < 0.7 * loss
    assert keeper.version == version + 120


def test_a_domain_that_a_policy_was_fitted_on_is_trusted_from_the_beginning() -> None:
    """Until it is seen to lose quality; and that is so after a restart too."""
    keeper = Gatekeeper(AuditOptions(share=0.07), {"law": UsualWords(0.10, 0.05)}, attempt_cost=0.1)
    guard = keeper.guard("law")
    assert (guard.trust, guard.caution, guard.look_share) == (Trust.TRUSTED, 0.0, 0.07)
    assert keeper.guard("math").trust is Trust.NEW
    again = Gatekeeper(AuditOptions(share=0.07), {"law": UsualWords(0.10, 0.05)}, attempt_cost=0.1)
    again.restore(keeper.state())
    assert again.figures() == keeper.figures()
    for _ in range(200):
        again.learn(look(verdict(0.9), 0.35, "law"))
    assert again.guard("law").caution >= 0.4


def test_domains_are_few() -> None:
    """Clients make names up; what is too much shares a place, and nobody's label grows without end."""
    keeper = Gatekeeper(AuditOptions())
    for i in range(3 * MAX_DOMAINS):
        keeper.learn(look(verdict(0.9), 0.0, f"d{i}"))
    assert len(keeper.figures()) == MAX_DOMAINS + 1
    assert keeper.figures()[-1].domain == OTHERS
    assert keeper.figures()[-1].looks == 2 * MAX_DOMAINS


def test_a_judge_s_word_comes_to_mean_what_it_was_worth() -> None:
    """Whatever scale the judge has in mind."""
    keeper, rng = Gatekeeper(AuditOptions()), np.random.default_rng(7)
    assert keeper.calibrated(0.8) == pytest.approx(0.8)
    for _ in range(1_000):
        raw = float(rng.integers(5, 11)) / 10
        keeper.judged(raw, float(rng.uniform() < (0.9 if raw > 0.8 else 0.3)))
    assert keeper.calibrated(0.9) == pytest.approx(0.9, abs=0.06)
    assert keeper.calibrated(0.6) == pytest.approx(0.3, abs=0.06)


def test_it_outlives_a_restart() -> None:
    """What was saved is what was known."""
    keeper = taught()
    for _ in range(30):
        keeper.judged(0.8, 0.4)
    again = Gatekeeper(AuditOptions())
    again.restore(keeper.state())
    assert again.figures() == keeper.figures()
    assert again.looks == keeper.looks
    assert again.calibrated(0.8) == pytest.approx(keeper.calibrated(0.8))
    for sure in (0.2, 0.6, 0.9):
        assert expected(again, verdict(sure)) == pytest.approx(expected(keeper, verdict(sure)))
    empty = Gatekeeper(AuditOptions())
    empty.restore(Gatekeeper(AuditOptions()).state())
    assert (empty.figures(), dict(empty.looks)) == ([], {})
    broken = {**keeper.state(), "gain_0_gram": np.zeros((3, 3))}
    with pytest.raises(ValueError, match="saved sums"):
        again.restore(broken)
    assert again.figures() == keeper.figures()


def test_features_have_their_number() -> None:
    """Whatever is there of the answer."""
    for draft in (DRAFT, Draft(), Draft(tool_arguments=["{}"], tool_names=["x"])):
        numbers = gate_features(draft, verdict_of({}))
        assert numbers.shape == (GATE_FEATURES,)
        assert np.isfinite(numbers).all()


def watching() -> Gatekeeper:
    """Of a policy that was fitted on law, of whose words a tenth are unknown, give or take a twentieth."""
    return Gatekeeper(AuditOptions(), {"law": UsualWords(0.10, 0.05)})


def test_a_domain_whose_words_are_others_is_a_new_one() -> None:
    """Seven questions with twice as many unknown words: it was trusted, now only the large model's answers are
    delivered until enough was seen of it."""
    keeper = watching()
    assert keeper.guard("law").trust is Trust.TRUSTED
    assert [keeper.asked("law", 0.20) for _ in range(8)] == 6 * [False] + 2 * [True]
    assert keeper.guard("law").trust is Trust.NEW
    assert not keeper.asked("medicine", 0.90)


def test_what_words_have_told_is_there_after_a_restart() -> None:
    """The sum of a domain that has not changed yet, and that another one has; a policy without the domain forgets."""
    keeper, again = watching(), watching()
    for _ in range(6):
        keeper.asked("law", 0.20)
    again.restore(keeper.state())
    assert again.asked("law", 0.20)
    keeper.restore(again.state())
    assert keeper.guard("law").trust is Trust.NEW
    without = Gatekeeper(AuditOptions())
    without.restore(again.state())
    assert not without.asked("law", 0.20)
