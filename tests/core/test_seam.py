"""The joint of a continuation with what the client has."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from streamroute.core.execution.anchored_joint import MAX_ANCHOR_CHARS, anchor_of
from streamroute.core.execution.ladder import rungs_of
from streamroute.core.execution.replay import HEAD_CHARS, head_recurs, is_refrain
from streamroute.core.execution.seam import MIN_NATIVE_CHARS, Seam
from streamroute.core.upstream import Capabilities, Continuation, Rung
from tests.support.chunking import cuts

STORY = (
    "The quick brown fox jumps over the lazy dog. Then it goes home, where a warm supper waits, and after that it "
    "sleeps till the morning comes.\n\nIn the morning all begins again, with a run through the wood and a swim."
)
NATIVE: tuple[Rung, ...] = ("prefill", "prefix", "continue_final_message")
PREAMBLES = {
    "none": ("", ""),
    "space": ("\n", ""),
    "sure": ("Sure, here is the continuation:\n\n", ""),
    "apology": ("I apologize for the interruption. Continuing from where I left off: ", ""),
    "german": ("Natürlich, hier geht es weiter:\n", ""),
    "dots": ("...", ""),
    "quotes": ('"', '"'),
    "fence": ("```text\n", "\n```"),
    "tag": ("<anchor>", ""),
    "sure and quotes": ("Sure! Here's the rest:\n\n\"", '"'),
}

texts = st.text(st.sampled_from("abcdefgh ijklmnop ,.\nqrst"), min_size=MIN_NATIVE_CHARS, max_size=260)


def joined(delivered: str, rung: Rung, new: str, at: list[int] | None = None) -> tuple[str, str]:
    """Feed a seam in the pieces given, in single characters and at once; return what came out, and the verdict."""
    places = sorted({place % (len(new) + 1) for place in at or ()})
    pieces = [new[start:end] for start, end in zip([0, *places], [*places, len(new)], strict=True)]
    found = set()
    for way in (pieces, list(new), [new]):
        seam = Seam(delivered, rung)
        out = "".join(seam.feed(piece) for piece in way) + seam.finish()
        found.add((out, seam.verdict))
    assert len(found) == 1, found
    return found.pop()


def gap_of(delivered: str) -> str:
    return delivered[len(delivered.rstrip()) :]


@pytest.mark.parametrize("rung", NATIVE)
def test_native_at_every_place(rung: Rung) -> None:
    """Wherever the answer was cut, the rest of it, and also the whole of it, gives the rest."""
    for cut in range(MIN_NATIVE_CHARS, len(STORY) + 1):
        delivered, rest = STORY[:cut], STORY[cut:]
        assert joined(delivered, rung, rest) == (rest, "joined")
        assert joined(delivered, rung, STORY) == (rest, "restarted")


@pytest.mark.parametrize("name", PREAMBLES)
def test_instructed_at_every_place(name: str) -> None:
    """The anchor is dropped with whatever stands around it."""
    before, after = PREAMBLES[name]
    for cut in range(MIN_NATIVE_CHARS, len(STORY)):
        delivered, rest = STORY[:cut], STORY[cut:]
        new = before + anchor_of(delivered) + gap_of(delivered) + rest + after
        assert joined(delivered, "instructed", new) == (rest, "joined"), cut


@pytest.mark.parametrize("chars", [8, 9, 15, 30, 39])
def test_instructed_repeats_some_words(chars: int) -> None:
    """Any end of what was delivered, of eight characters or more, is dropped."""
    for cut in range(MAX_ANCHOR_CHARS, len(STORY)):
        delivered, rest = STORY[:cut], STORY[cut:]
        core = delivered.rstrip()
        assert joined(delivered, "instructed", core[-chars:] + gap_of(delivered) + rest)[0] == rest, cut


def test_instructed_goes_on_without_the_anchor() -> None:
    """An exact remainder is taken as it is; an answer from the beginning gives its rest."""
    for cut in range(MAX_ANCHOR_CHARS, len(STORY)):
        delivered, rest = STORY[:cut], STORY[cut:]
        assert joined(delivered, "instructed", rest)[0] == rest, cut
        assert joined(delivered, "instructed", STORY)[0] == rest, cut


@pytest.mark.parametrize("rung", ["anew", "restart", "instructed", *NATIVE])
def test_nothing_was_delivered(rung: Rung) -> None:
    """Then everything is new."""
    assert joined("", rung, STORY)[0] == STORY


def test_anew_and_restart() -> None:
    """Anew swallows what the client has, to the letter; restart delivers all."""
    for cut in range(1, len(STORY)):
        assert joined(STORY[:cut], "anew", STORY) == (STORY[cut:], "joined")
        assert joined(STORY[:cut], "restart", STORY) == (STORY, "restarted")
        assert joined(STORY[:cut], "anew", STORY[: cut - 1] + "#" + STORY[cut:]) == ("", "mismatch")
        assert joined(STORY[:cut], "anew", STORY[: cut - 1]) == ("", "mismatch")


@pytest.mark.parametrize(
    ("rung", "delivered", "new"),
    [
        ("prefill", STORY[:100], STORY[:60] + "and says no more about it"),
        ("prefill", STORY[:100], STORY[:60]),
        ("instructed", STORY[:100], STORY[:60] + "and says no more about it"),
        ("instructed", STORY[:100], STORY[:60].upper()),
        ("instructed", STORY[:100], "The  quick\nBrown fox  jumps over it."),
        ("instructed", STORY[:100], "Sure, here is the continuation:\n\nthe answer is forty-two" + " and more" * 30),
        ("instructed", STORY[:100], anchor_of(STORY[:100])[:20]),
    ],
)
def test_answers_that_do_not_follow_on(rung: Rung, delivered: str, new: str) -> None:
    """Another answer, or the same in other words, never reaches the client."""
    assert joined(delivered, rung, new) == ("", "mismatch")


@pytest.mark.parametrize("phrase", ["ha ", "na", "The cat sat on the mat. ", "the end\n"])
@pytest.mark.parametrize("rung", NATIVE)
def test_refrains_stay_exact(rung: Rung, phrase: str) -> None:
    """A model that repeats itself is not taken for one that begins again."""
    whole = phrase * 20
    for cut in range(max(MIN_NATIVE_CHARS, len(phrase) + 1), len(whole)):
        delivered = whole[:cut]
        assert joined(delivered, rung, whole[cut:])[0] == whole[cut:], cut


def test_lists_are_no_restarts() -> None:
    """Where the beginning recurs in the text, a remainder that looks like it is a remainder."""
    delivered = "- the quick brown fox jumps over A\n- the quick brown fox jumps over B\n"
    rest = "- the quick brown fox jumps over C\n"
    assert joined(delivered, "prefill", "\n" + rest) == ("\n" + rest, "joined")
    assert joined(delivered, "prefill", rest) == (rest, "joined")


def test_an_anchor_that_the_beginning_holds_too() -> None:
    """An answer that repeats itself may be cut where it says what it has said at its start: what follows the anchor
    tells whether the answer goes on or begins again. It used to be taken for the anchor, and the text came twice."""
    line = "Take two eggs and a cup of flour, then stir them well. "
    delivered, rest = f"{line}Wait for an hour, have some tea. {line}", "Bake it and serve it warm."
    again = delivered + rest
    assert joined(delivered, "instructed", again) == (rest, "restarted")
    anchor = anchor_of(delivered)
    assert joined(delivered, "instructed", f"{anchor} {rest}") == (rest, "joined")
    assert joined(delivered, "instructed", f"Sure, here it is:\n{anchor} {rest}") == (rest, "joined")
    assert joined(delivered, "instructed", anchor) == ("", "joined")
    assert joined(delivered, "instructed", f"{anchor} Wait for it.") == ("Wait for it.", "joined")


def test_little_is_held() -> None:
    """Native text flows with its first character that cannot be a new beginning; others after a bounded wait."""
    seam = Seam(STORY[:100], "prefill")
    assert seam.feed("x") == "x"
    seam = Seam(STORY[:100], "instructed")
    assert seam.feed("xylophones, he said") == "xylophones, he said"
    for new in ("Xylophones are played ", "Sure thing, said the fox to the dog, ", '"'):
        seam, held = Seam(STORY[:100], "instructed"), 0
        while not seam.feed((new * 200)[held]):
            held += 1
        assert held <= 200 + MAX_ANCHOR_CHARS + 4


@pytest.mark.parametrize("rung", ["instructed", *NATIVE])
def test_an_answer_that_lacked_only_its_end(rung: Rung) -> None:
    """No new text is no failure of the seam."""
    assert joined(STORY, rung, "") == ("", "joined")


@settings(deadline=None, max_examples=250)
@given(whole=texts, cut=st.integers(MIN_NATIVE_CHARS, 250), at=cuts, rung=st.sampled_from(NATIVE))
def test_native_never_loses_or_repeats(whole: str, cut: int, at: list[int], rung: Rung) -> None:
    """For any text, any place and any pieces: the rest."""
    delivered, rest = whole[:cut], whole[cut:]
    common = next((n for n in range(len(rest) + 1) if not delivered.startswith(rest[: n + 1])), len(rest))
    assume(common <= HEAD_CHARS and not rest.startswith(delivered))
    assume(not is_refrain(delivered) and not head_recurs(delivered))
    assert joined(delivered, rung, rest, at)[0] == rest
    assert joined(delivered, rung, whole, at)[0] == rest


@settings(deadline=None, max_examples=250)
@given(whole=texts, cut=st.integers(MIN_NATIVE_CHARS, 250), at=cuts, name=st.sampled_from(sorted(PREAMBLES)))
def test_instructed_never_loses_or_repeats(whole: str, cut: int, at: list[int], name: str) -> None:
    """The anchor, after any preamble: the rest."""
    delivered, rest = whole[:cut], whole[cut:]
    anchor = anchor_of(delivered)
    assume(len(anchor) >= MIN_NATIVE_CHARS and anchor[0].isalpha() and not is_refrain(anchor))
    before, after = PREAMBLES[name]
    assert joined(delivered, "instructed", before + anchor + gap_of(delivered) + rest + after, at) == (rest, "joined")


@settings(deadline=None, max_examples=150)
@given(delivered=texts, new=st.text(st.sampled_from('ab \n"`.:TheS'), max_size=120), at=cuts)
def test_pieces_do_not_matter(delivered: str, new: str, at: list[int]) -> None:
    """However new text is cut, the same comes out: `joined` compares."""
    for rung in ("instructed", "prefill", "anew"):
        joined(delivered, rung, new, at)


@pytest.mark.parametrize(
    ("continuation", "rungs"),
    [
        (None, ("instructed",)),
        ("none", ()),
        ("instructed", ("instructed",)),
        ("prefill", ("prefill", "instructed")),
        ("prefix", ("prefix", "instructed")),
        ("continue_final_message", ("continue_final_message", "instructed")),
    ],
)
def test_rungs(continuation: Continuation | None, rungs: tuple[Rung, ...]) -> None:
    """What is native comes first."""
    assert rungs_of(Capabilities(continuation=continuation)) == rungs
