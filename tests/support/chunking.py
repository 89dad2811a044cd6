"""Every way of cutting bytes into the blocks that a socket might deliver."""

from collections.abc import Iterator, Sequence
from random import Random

from hypothesis import strategies as st

cuts = st.lists(st.integers(min_value=0, max_value=1 << 16), max_size=12)
"""Where to cut; taken modulo the length of what is cut."""


def blocks(data: bytes, at: Sequence[int]) -> list[bytes]:
    """Cut `data` at those places; some blocks may be empty."""
    places = sorted({cut % (len(data) + 1) for cut in at})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def single_bytes(data: bytes) -> list[bytes]:
    """Cut everywhere."""
    return [data[at : at + 1] for at in range(len(data))]


def random_blocks(data: bytes, draw: Random, counts: Sequence[int] = (2, 20, 200)) -> Iterator[list[bytes]]:
    """Cut at so many places, wherever they fall."""
    for count in counts:
        yield blocks(data, [draw.randrange(len(data)) for _ in range(count)])
