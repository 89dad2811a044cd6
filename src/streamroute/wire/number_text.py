"""Numbers that clients write as text, in headers, bodies and settings of keys: as JSON writes them, and no other way.

Python's own readers take more, which nobody means: `1_0` as ten, digits of other scripts, `inf` and `nan`.
"""

import re
from decimal import Decimal

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?")


def number_of(text: str) -> Decimal | None:
    """Return the number that a text is, blanks around it left out; None where it is none."""
    text = text.strip()
    return Decimal(text) if _NUMBER.fullmatch(text) else None
