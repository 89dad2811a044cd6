"""Sums that an answer shows, reckoned again: a wrong one is the plainest sign of a wrong answer that there is.

Only chains of + - * / between plain numbers are read; what cannot be read is not counted. Results may be rounded to
the digits they are given with.
"""

import re

_SUM = re.compile(
    r"(?<![\w.)])(?<!\d,)([-+]?\$?\d[\d,]*+(?:\.\d++)?+(?:\s?[-+*/\u00d7\u00f7]\s?\$?\d[\d,]*+(?:\.\d++)?+){1,8})"
    r"\s?=\s?\$?([-+]?\d[\d,]*(?:\.\d+)?)"
)
"""Each number is read once and as a whole: a list of numbers without blanks would take the square of its length."""
_PART = re.compile(r"\d+(?:\.\d+)?|[-+*/]")
_CLEAN = str.maketrans({"\u00d7": "*", "\u00f7": "/", ",": None, "$": None, " ": None})
_RELATIVE = 0.006
"""Answers round by the way, to three digits or so."""


def checked_sums(text: str) -> tuple[int, int]:
    """Return how many sums are right and how many wrong."""
    right = wrong = 0
    for left, result in _SUM.findall(text):
        value = _value(left.translate(_CLEAN))
        if value is None:
            continue
        shown = result.translate(_CLEAN)
        digits = len(shown.partition(".")[2])
        if abs(value - float(shown)) <= max(0.51 * 10.0**-digits, _RELATIVE * abs(value)):
            right += 1
        else:
            wrong += 1
    return right, wrong


def _value(expression: str) -> float | None:
    """Products first, then the sum of them; None where it divides by zero or ends in an operator."""
    total, product, sign = 0.0, None, 1.0
    operator = "*"
    for part in _PART.findall(expression):
        if part in "*/":
            operator = part
        elif part in "+-":
            if product is None:
                sign = -sign if part == "-" else sign
                continue
            total += product
            product, operator, sign = None, "*", -1.0 if part == "-" else 1.0
        elif product is None:
            product = sign * float(part)
        elif operator == "*":
            product *= float(part)
        elif float(part) == 0.0:
            return None
        else:
            product /= float(part)
    return None if product is None else total + product
