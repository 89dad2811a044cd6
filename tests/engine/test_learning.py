"""What a running sidecar learns from outcomes, and what it does not."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from streamroute.core.observation import QualityObservation, Traits
from streamroute.core.quality.calibration import calibration_error
from streamroute.core.quality.quality_outcome import QualityOutcome, QualitySource
from streamroute.core.routing.analysis import TERMS, Analysis, analyse
from streamroute.core.routing.learned.online_quality import OnlineQuality, OnlineQualityOptions
from streamroute.core.routing.matching import ConfiguredQualities, MergedQualities
from streamroute.core.routing.question import Question
from streamroute.core.upstream import QualityTable, UpstreamId
from streamroute.engine import learning as learning_module
from streamroute.engine.learning import Learning
from streamroute.server.learned import learned_status
from tests.support.observations import upstream

A, B = upstream("a"), upstream("b")
EASY, HARD = "Which river is the longest of France?", "Derive the spectrum of this operator on a torus."


def question(text: str, domain: str | None = "science") -> Analysis:
    return analyse(Question(text=text), domain=domain, classifier=TERMS)


def judge(
    learning: Learning,
    id_: str,
    score: float,
    *,
    of: str = "a",
    domain: str | None = "science",
    source: QualitySource = "feedback",
    propensity: float = 1.0,
) -> None:
    outcome = QualityOutcome(
        decision_id=id_, upstream=UpstreamId(of), score=score, source=source, propensity=propensity
    )
    learning(QualityObservation(outcome=outcome, traits=Traits(domain=domain)))


def mean(learning: Learning, text: str, of: int = 0, domain: str | None = "science") -> float:
    found = learning.of(question(text, domain), [A, B])[of]
    assert found is not None
    return found.mean


def test_an_outcome_is_learned_with_the_words_of_its_question() -> None:
    """Of two kinds of questions of one domain each has its own estimate; without its words it is the domain's."""
    learning = Learning()
    for i in range(100):
        text, score = (EASY, 1.0) if i % 2 else (HARD, 0.0)
        learning.remember(f"d{i}", question(text))
        judge(learning, f"d{i}", score)
    assert mean(learning, EASY) > 0.75
    assert mean(learning, HARD) < 0.25
    found = learning.of(question("Something else"), [A, B])
    assert found[0] is not None
    assert (0.3 < found[0].mean < 0.7, found[0].told()) == (True, "learned (100 outcomes)")
    assert found[1] is None, "nobody has judged b"


def test_what_was_learned_outweighs_what_was_configured_for_questions_of_other_words_too() -> None:
    """Ninety answers, one in six right, where an operator has said .93: how hard a new question is, nobody knows, but
    that makes the operator no surer."""
    learning = Learning()
    for i in range(90):
        learning.remember(f"d{i}", question(f"Which of these {i} rivers is the longest?"))
        judge(learning, f"d{i}", float(i % 2 and i < 30))
    said = replace(A, quality=QualityTable(default=0.93))
    (found,) = MergedQualities(ConfiguredQualities(), learning).of(question(HARD), [said])
    (learned,) = learning.of(question(HARD), [said])
    assert found is not None
    assert learned is not None
    assert learned.mean < 0.2
    assert (found.mean < 0.6, found.sd < 0.05) == (True, True)


def test_words_of_old_questions_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outcomes of them teach the domain; memory is bounded."""
    monkeypatch.setattr(learning_module, "MAX_QUESTIONS", 10)
    learning = Learning()
    for i in range(50):
        learning.remember(f"d{i}", question(HARD))
    assert len(learning._questions) == 10
    for i in range(40):
        judge(learning, f"d{i}", 0.0)
    assert mean(learning, EASY) == pytest.approx(mean(learning, HARD))
    assert mean(learning, EASY) < 0.3


def test_what_answers_show_by_themselves_is_not_learned_from() -> None:
    """Checks see form; an audit counts by one over its chance."""
    learning = Learning()
    judge(learning, "d1", 1.0, source="assessor")
    assert (learning.version, learning.of(question(EASY), [A])) == (0, [None])
    judge(learning, "d2", 1.0, source="audit", propensity=0.25)
    [(_, _, cell)] = learning.table.cells()
    assert (cell.weight, cell.count, learning.version) == (4.0, 1, 1)


def test_models_that_clients_make_up_do_not_fill_the_memory() -> None:
    """There is room for so many; the others are not learned of, which is said once."""
    learning = Learning()
    learning.quality = OnlineQuality(OnlineQualityOptions(most_upstreams=3))
    for i in range(6):
        judge(learning, f"d{i}", 1.0, of=f"lab/m{i}")
    assert len(learning.quality.upstreams) == 3
    assert len(list(learning.table.cells())) == 3
    assert learning.of(question(EASY), [upstream("lab/m5")]) == [None]


def test_a_saved_state_says_the_same() -> None:
    """Of every upstream, in every domain, with and without words; what is forgotten is not in it."""
    learning, again = Learning(), Learning()
    for i in range(60):
        learning.remember(f"d{i}", question(EASY if i % 2 else HARD))
        judge(learning, f"d{i}", float(i % 3 > 0), of="ab"[i % 2], domain=("science", None)[i % 4 > 1])
    learning.forget(UpstreamId("b"), None)
    again.restore(learning.state())
    for text in (EASY, HARD):
        for domain in ("science", None):
            one, two = (each.of(question(text, domain), [A, B]) for each in (learning, again))
            assert one[1] is two[1] is None
            assert one[0] is not None
            assert two[0] is not None
            np.testing.assert_allclose([one[0].mean, one[0].sd], [two[0].mean, two[0].sd], rtol=1e-6)


@pytest.mark.parametrize("gone", ["table_sums", "quality_weights", "quality_version", "domains_counts"])
def test_half_a_state_is_none(gone: str) -> None:
    """What lacks a part is refused, and nothing of it taken over."""
    learning, again = Learning(), Learning()
    judge(learning, "d1", 1.0)
    half: Mapping[str, np.ndarray] = {name: array for name, array in learning.state().items() if name != gone}
    with pytest.raises((ValueError, KeyError)):
        again.restore(half)
    assert list(again.table.cells()) == []


def test_what_is_said_comes_true_again_after_a_change() -> None:
    """An upstream that was right nineteen times of twenty gets worse. What was learned of it follows slowly; what is
    said is corrected by what came."""
    learning, rng = Learning(), np.random.default_rng(0)
    raw, said, came = [], [], []
    for i in range(800):
        asked, score = question(EASY), float(rng.random() < (0.95 if i < 150 else 0.4))
        if i >= 150:
            found = learning.of(asked, [A])[0]
            assert found is not None
            raw.append(float(learning.quality.estimates(asked.words.read(), "science", [A.id]).means[0]))
            said.append(found.mean)
            came.append(score)
        judge(learning, f"d{i}", score)
    errors = [calibration_error(np.array(each), np.array(came)) for each in (raw, said)]
    assert errors[0] > 0.15
    assert errors[1] < 0.6 * errors[0]


def test_a_state_from_before_there_was_a_calibration() -> None:
    """It is taken over, and what is said is what was learned; also once everything is forgotten."""
    learning, again = Learning(), Learning()
    for i in range(40):
        judge(learning, f"d{i}", float(i % 4 > 0))
    again.restore({name: array for name, array in learning.state().items() if name != "calibration_line"})
    raw = learning.quality.estimates(question(EASY).words.read(), "science", [A.id]).means[0]
    assert mean(again, EASY) == pytest.approx(raw, abs=1e-9)
    assert mean(learning, EASY) != pytest.approx(raw, abs=1e-4)
    [shown] = learned_status(learning)
    assert shown["estimate"] == round(mean(learning, EASY), 4)
    learning.forget(None, "law")
    assert mean(learning, EASY) != pytest.approx(raw, abs=1e-4)
    learning.forget(None, None)
    np.testing.assert_allclose(learning.state()["calibration_line"], Learning().state()["calibration_line"])
