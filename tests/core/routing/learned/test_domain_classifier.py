"""What a request is about, learned one example at a time."""

import numpy as np
import pytest

from streamroute.core.quality.subject_text import read_subject
from streamroute.core.routing.learned.domain_classifier import UNKNOWN, DomainClassifier, DomainOptions

CARDS = ("my card was declined", "the card machine kept my card", "when will my new card arrive", "block my bank card")
COOKING = ("how long do i boil rice", "a recipe for tomato soup", "can i freeze bread dough", "how to fry an egg")
TRAVEL = ("book a flight to rome", "is there a train to paris", "find me a hotel in oslo", "do i need a visa for peru")
TAUGHT = {"cards": CARDS, "cooking": COOKING, "travel": TRAVEL}


def taught(options: DomainOptions | None = None, times: int = 5) -> DomainClassifier:
    classifier = DomainClassifier(options)
    for epoch in range(times):
        for turn in range(len(CARDS)):
            for domain, texts in TAUGHT.items():
                classifier.learn(read_subject(texts[turn]), domain, is_repeated=epoch > 0)
    return classifier


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("which card was it that you declined", "cards"),
        ("soup recipes with rice", "cooking"),
        ("a flight from oslo to rome", "travel"),
        ("freezing boiled tomatoes", "cooking"),  # only parts of words are known
    ],
)
def test_texts_that_were_never_seen_are_told_apart(text: str, domain: str) -> None:
    """Words and parts of words carry over."""
    guess = taught().classify(read_subject(text))
    assert guess.nearest == domain
    assert guess.domain in {domain, UNKNOWN}


def test_before_anything_is_learned_all_is_unknown() -> None:
    """No domain, no confidence, no error."""
    guess = DomainClassifier().classify(read_subject("anything"))
    assert (guess.domain, guess.confidence, guess.nearest) == (UNKNOWN, 0.0, UNKNOWN)


def test_a_text_like_none_is_less_sure_than_one_like_many() -> None:
    """No word and no part of a word is known: scores are all nought."""
    classifier = taught()
    strange = classifier.classify(read_subject("\u65e5\u672c\u8a9e"))
    assert strange.confidence < classifier.classify(read_subject("my card was declined")).confidence
    assert strange.domain == UNKNOWN


def test_what_is_not_sure_enough_is_unknown() -> None:
    """The bound is an option; the nearest domain is still told."""
    guess = taught(DomainOptions(least_confidence=1.0)).classify(read_subject("my card was declined"))
    assert (guess.domain, guess.nearest) == (UNKNOWN, "cards")


def test_scores_speak_of_each_domain_alone() -> None:
    """Near 1 for the right one, near -1 for the others, of a text that was learned often."""
    scores = taught(times=40).scores(read_subject("my card was declined"))
    assert scores["cards"] > 0.8
    assert max(scores["cooking"], scores["travel"]) < -0.6


def test_a_domain_may_come_later() -> None:
    """What the others learned stays."""
    classifier = taught()
    before = classifier.scores(read_subject("book a flight"))["travel"]
    for text in ("my cat will not eat", "is this plant safe for cats", "vaccinate my cat"):
        for _ in range(5):
            classifier.learn(read_subject(text), "pets")
    assert classifier.domains == ("cards", "cooking", "travel", "pets")
    assert classifier.classify(read_subject("why will the cat not eat")).nearest == "pets"
    assert abs(classifier.scores(read_subject("book a flight"))["travel"] - before) < 0.3


def test_confidence_is_learned_from_new_examples_alone() -> None:
    """Examples that are repeated are known by heart: they say nothing of others."""
    rng = np.random.default_rng(5)
    classifier = DomainClassifier()
    for _ in range(600):  # words say nothing: half of all guesses are wrong
        text = " ".join(f"{word}" for word in rng.choice(["red", "green", "blue", "grey", "pink", "black"], 4))
        read, domain = read_subject(text), str(rng.choice(["heads", "tails"]))
        for turn in range(3):
            classifier.learn(read, domain, is_repeated=turn > 0)
    assert classifier.examples == 600
    assert 0.35 < classifier.classify(read_subject("red green blue pink")).confidence < 0.7


def test_a_domain_needs_a_name_and_room() -> None:
    """The empty name means that nobody knows."""
    classifier = DomainClassifier(DomainOptions(most_domains=1))
    with pytest.raises(ValueError, match="needs a name"):
        classifier.learn(read_subject("a"), UNKNOWN)
    classifier.learn(read_subject("a"), "one")
    with pytest.raises(ValueError, match="no room for the domain 'two'"):
        classifier.learn(read_subject("a"), "two")


def test_what_was_learned_can_be_saved_and_learned_on() -> None:
    """A restored classifier says the same, and goes on in the same way."""
    classifier, other = taught(), DomainClassifier()
    other.learn(read_subject("gone"), "gone")
    other.restore(classifier.state())
    read = read_subject("a card for the train to rome")
    assert other.domains == classifier.domains
    assert other.classify(read) == classifier.classify(read)
    for each in (classifier, other):
        each.learn(read, "travel")
    assert other.scores(read) == classifier.scores(read)
    assert other.examples == classifier.examples == 13


def test_saved_state_that_does_not_fit_is_refused() -> None:
    """Of another version, or torn."""
    state = taught().state()
    with pytest.raises(ValueError, match="version 7"):
        DomainClassifier().restore({**state, "version": np.array(7)})
    with pytest.raises(ValueError, match="shape"):
        DomainClassifier().restore({**state, "weights": state["weights"][:, :1]})
