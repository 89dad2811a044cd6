"""Numbers in clients' texts."""

from decimal import Decimal

import pytest

from streamroute.wire.number_text import number_of


@pytest.mark.parametrize("text", ["0", "10", " 1.5 ", "1.", ".5", "-3", "+2", "1e3", "1E-400", "5e+2"])
def test_numbers(text: str) -> None:
    """Exactly as they are written."""
    assert number_of(text) == Decimal(text.strip())


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "e5",
        "1e",
        "1_0",
        "1_000.0",
        "1 0",
        "٣",
        "1²",
        "0x10",
        "nan",
        "inf",
        "-Infinity",
        "1,5",
        "1e9999999999",
    ],
)
def test_what_is_no_number(text: str) -> None:
    """Whatever Python makes of it."""
    assert number_of(text) is None
