"""Can a parser read the blocks of code that an answer shows? Python and JSON: what has a parser here."""

import ast
import json
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from streamroute.core.quality.verdict import NOTHING_AGAINST, Draft, Finding, Wanted

_FENCE = re.compile(r"^[ \t]*```[ \t]*(?:(\w+)[^\n]*)?$", re.MULTILINE)
_MOST_CHARS = 16_000
"""Of a block; Python's parser reads some 2 MB a second, and everybody waits for it."""
_MOST_BLOCKS = 20
_SESSION = re.compile(r"^[^\S\n]*(?:>>>|\.\.\. |In \[\d+\]|[%!]\w)", re.MULTILINE)
"""Of an interpreter or a notebook: not the language itself."""


def code(draft: Draft, wanted: Wanted) -> Finding | None:
    """Parse each block of a language that is known here; what is only hinted at (`...` in JSON) is not judged."""
    found = []
    for language, text in islice(_blocks(draft.text), _MOST_BLOCKS):
        parses = _PARSERS.get(language.lower())
        if parses is not None and len(text) <= _MOST_CHARS:
            found.append(parses(text))
    broken = found.count(False)
    if broken:
        return Finding(0.2, f"{broken} of {len(found)} blocks of code cannot be parsed")
    return NOTHING_AGAINST if True in found else None


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Give the blocks that say their language, with what is in them; fences are looked at once, whoever opens many."""
    language, begins = None, 0
    for fence in _FENCE.finditer(text):
        if language is None:
            language, begins = fence[1], fence.end() + 1
        elif fence[1] is None:
            yield language, text[begins : fence.start()]
            language = None


def _is_python(text: str) -> bool | None:
    if _SESSION.search(text):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _is_json(text: str) -> bool | None:
    if "..." in text or "//" in text or "\u2026" in text:
        return None
    try:
        json.loads(text, strict=False)  # lines may break within strings: nine in ten of one model's blocks do that
    except (ValueError, RecursionError):
        return False
    return True


_PARSERS: Mapping[str, Callable[[str], bool | None]] = {
    "python": _is_python,
    "python3": _is_python,
    "py": _is_python,
    "json": _is_json,
}
