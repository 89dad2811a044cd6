"""What may be said of an answer."""

import json

import pytest

from streamroute.errors import RequestError
from streamroute.wire.feedback import MAX_ID_CHARS, MAX_LABEL_CHARS, Feedback, decode_feedback

SAID = {"decision_id": "dec_1", "score": 0.25, "label": "wrong date"}


def decode(**more: object) -> Feedback:
    return decode_feedback(json.dumps({**SAID, **more}).encode())


def test_what_is_well_formed_is_read() -> None:
    """Whole numbers are scores; a label may be left out, and one of blanks is none."""
    assert decode() == Feedback(decision_id="dec_1", score=0.25, label="wrong date")
    assert (decode(score=1).score, decode(score=0).score) == (1.0, 0.0)
    assert decode(label=None).label is decode(label="  ").label is None


@pytest.mark.parametrize(
    ("more", "param", "words"),
    [
        ({"decision_id": None}, "decision_id", "x-streamroute-decision-id"),
        ({"decision_id": ""}, "decision_id", "found ''"),
        ({"decision_id": 7}, "decision_id", "found 7"),
        ({"decision_id": "d" * (MAX_ID_CHARS + 1)}, "decision_id", "must be"),
        ({"score": 1.01}, "score", "from 0 (worthless) to 1 (right); found 1.01"),
        ({"score": -0.5}, "score", "found -0.5"),
        ({"score": True}, "score", "found True"),
        ({"score": "0.5"}, "score", "found '0.5'"),
        ({"score": None}, "score", "found nothing"),
        ({"score": 10**400}, "score", "from 0"),
        ({"label": 7}, "label", "a string of at most"),
        ({"label": "x" * (MAX_LABEL_CHARS + 1)}, "label", "a string of at most"),
        ({"lable": "x"}, "lable", "did you mean `label`?"),
        ({"xyz": 1}, "xyz", "there are decision_id, score, label"),
    ],
)
def test_what_is_not_is_refused_by_name(more: dict[str, object], param: str, words: str) -> None:
    """The error says which field, what it should be and what was found."""
    with pytest.raises(RequestError) as raised:
        decode(**more)
    assert (raised.value.status, raised.value.param) == (400, param)
    assert words in raised.value.message


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"score": NaN}', b'{"decision_id": "a", "score": NaN}']
)
def test_no_json_object(body: bytes) -> None:
    """Nor is a number that is none."""
    with pytest.raises(RequestError) as raised:
        decode_feedback(body)
    assert raised.value.status == 400
