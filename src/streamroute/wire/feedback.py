"""The body of `POST /v1/feedback`.

    {"decision_id": "dec_...", "score": 0.8, "label": "wrong date"}

`decision_id` is what `x-streamroute-decision-id` said on the answer; `score` is 0 (worthless) to 1 (right); `label` may
be left out.
"""

import difflib
from dataclasses import dataclass

from streamroute.errors import RequestError
from streamroute.wire.json_text import read_json

MAX_LABEL_CHARS = 128
"""As of names that spend is attributed to: a word or two, which stands in reports. Never a text."""
MAX_ID_CHARS = 128
_FIELDS = ("decision_id", "score", "label")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What a client says of an answer."""

    decision_id: str
    score: float
    """0..1."""
    label: str | None


def decode_feedback(body: bytes) -> Feedback:
    """Read it; raises RequestError (400) that names the field and what it should be."""
    try:
        payload = read_json(body)
    except ValueError as error:
        raise RequestError(f"The body is not valid JSON: {error}.", code="invalid_json") from None
    if not isinstance(payload, dict):
        raise RequestError("The body must be a JSON object with `decision_id` and `score`.", code="invalid_type")
    for name in payload:
        if name not in _FIELDS:
            near = difflib.get_close_matches(name, _FIELDS, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(_FIELDS)}."
            raise RequestError(f"There is no `{name[:40]}` here; {hint}", param=name[:40], code="unknown_parameter")
    id_, score, label = (payload.get(name) for name in _FIELDS)
    if not isinstance(id_, str) or not 0 < len(id_) <= MAX_ID_CHARS:
        raise _wrong("decision_id", "what the header `x-streamroute-decision-id` of the answer said", id_)
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise _wrong("score", "a number from 0 (worthless) to 1 (right)", score)
    if label is not None and (not isinstance(label, str) or len(label) > MAX_LABEL_CHARS):
        raise _wrong("label", f"a string of at most {MAX_LABEL_CHARS} characters", label)
    return Feedback(decision_id=id_, score=float(score), label=(label or "").strip() or None)


def _wrong(name: str, wanted: str, found: object) -> RequestError:
    what = "nothing" if found is None else repr(found)[:40]
    return RequestError(f"`{name}` must be {wanted}; found {what}.", param=name, code="invalid_value")
