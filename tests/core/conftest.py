"""What tests of the core share."""

from collections.abc import Iterator

import pytest

from tests.support.playbook import Playbook


@pytest.fixture(autouse=True)
def every_script_is_answered_to_its_end() -> Iterator[None]:
    """Hold the last step of a script to what every other one is held to: nothing unexpected."""
    Playbook.played.clear()
    yield
    for book in Playbook.played:
        book.end()
