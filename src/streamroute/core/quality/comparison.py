"""Do two answers to the same request come to the same?

Answers that a machine reads are compared by what it would read: calls of tools by name and arguments, JSON by its
values. Of others the conclusions are compared (`core.quality.agreement`), and short answers as a whole. Longer text
without a conclusion cannot be compared that way: two good letters have hardly a sentence in common. Where they have all
of them in common they agree, whatever they are.

On recorded outcomes a larger model gains next to nothing over a small one that it agrees with, and a third of a right
answer over one that it does not: see `GAIN`.
"""

import json
from collections.abc import Mapping

from streamroute.core.quality.agreement import agree, conclusion, normal
from streamroute.core.quality.verdict import Draft, Wanted

GAIN = {True: 0.005, False: 0.35}
"""Quality that the larger model's answer has over the small one's, by whether they agree: the mean of four pairs of
models (llama-8b and 70b, flash and 4o-mini, llama-8b and 4o-mini, haiku 3 and 3.5) on 11,200 recorded questions of
MMLU-Pro, GSM8K, CRUX and MATH was .001 to .011 and .21 to .48; two models as good as each other have -.05 to .00."""
BACKED_GAIN = 0.04
"""The same where they do not agree, but a second cheap model agreed with the small one: -.15 to .18, the mean of the
same pairs with flash or llama-8b as the second; .22 to .51 where that one did not agree either (bench/gate.py)."""
QUALITY = {True: (0.91, 0.91), False: (0.13, 0.48)}
"""How good the small model's and the larger one's answers are, by the same: .82 to .95 where they agree, .05 to .21 and
.43 to .53 where they do not."""
_SHORT_CHARS = 60
"""An answer of a line: a name, a label, a number with its unit."""
_MAX_LEAVES = 2_000
_LOOKED_AT_CHARS = 20_000
"""Of the end of an answer, where its conclusion is: everybody waits while it is read."""


def is_comparable(draft: Draft, wanted: Wanted) -> bool:
    """Return whether a second answer to the same request could be compared with this one."""
    if draft.tool_arguments:
        return True
    if wanted.json:
        return _leaves(draft.text) is not None
    return concluded(draft) is not None or _is_short(draft)


def agrees(one: Draft, two: Draft, wanted: Wanted) -> bool | None:
    """Return whether they come to the same; None where that cannot be told."""
    if one.tool_arguments or two.tool_arguments:
        return _calls(one) == _calls(two)
    if (said_first := one.text.strip()) and said_first == two.text.strip():
        return True
    if wanted.json:
        return _same_values(_leaves(one.text), _leaves(two.text))
    said = concluded(one), concluded(two)
    are_short = _is_short(one) and _is_short(two)
    are_the_same = are_short and normal(one.text).casefold() == normal(two.text).casefold()
    if said != (None, None):
        return are_the_same or agree(*said)
    return are_the_same if are_short else None


def concluded(draft: Draft) -> str | None:
    """Return what an answer says its answer is, at its end; None where it does not say so."""
    return conclusion(draft.text[-_LOOKED_AT_CHARS:])


def _is_short(draft: Draft) -> bool:
    return len(draft.text) <= 2 * _SHORT_CHARS and len(draft.text.strip()) <= _SHORT_CHARS


def _calls(draft: Draft) -> list[tuple[str, object]]:
    """Order says nothing: tools that are called at once are called together."""
    names = [*draft.tool_names, *[""] * (len(draft.tool_arguments) - len(draft.tool_names))]
    calls = [(name, _value(text or "{}")) for name, text in zip(names, draft.tool_arguments, strict=True)]
    return sorted(calls, key=repr)


def _same_values(one: Mapping[str, object] | None, two: Mapping[str, object] | None) -> bool | None:
    """Compare what can be compared: numbers, flags and short text at the same place. What only one has counts too."""
    if one is None or two is None:
        return None if one is two else False
    return one == two


def _leaves(text: str) -> dict[str, object] | None:
    """Return the short values of a JSON text by their paths; None where there are none."""
    found: dict[str, object] = {}
    waiting: list[tuple[str, object]] = [("", _value(text))]
    while waiting and len(found) < _MAX_LEAVES:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{path}/{key}", each) for key, each in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{path}/{place}", each) for place, each in enumerate(value)]
        elif not isinstance(value, str):
            found[path] = None if value is _UNREADABLE else value
        elif len(value) <= _SHORT_CHARS:
            found[path] = normal(value).casefold()
    return None if not found or (set(found) == {""} and found[""] is None) else found


_UNREADABLE = object()


def _value(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return _UNREADABLE
    return value
