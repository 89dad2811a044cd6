"""Chance that can be repeated: a fraction drawn from the hash of what it is for.

A hash instead of a generator: no state, so the draw for request 7 does not depend on the order in which the
requests before it asked, and it is the same in every version of Python.
"""

import hashlib

_SCALE = float(1 << 64)


def fraction(*parts: object) -> float:
    """Return a number in [0, 1) that depends on `parts` alone (by their `str`)."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _SCALE


def token_hex(*parts: object) -> str:
    """Return 24 hexadecimal digits that depend on `parts` alone."""
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=12).hexdigest()
