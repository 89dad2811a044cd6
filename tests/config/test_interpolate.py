"""References in strings."""

from pathlib import Path

import pytest

from streamroute.config.interpolate import MAX_FILE_BYTES, interpolate

ENVIRON = {"A": "alpha", "EMPTY": "", "TRICKY": "${A} $$"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("a $ b $c", "a $ b $c"),
        ("$${A}", "${A}"),
        ("$$", "$"),
        ("${A}", "alpha"),
        ("x-${A}-${A}", "x-alpha-alpha"),
        ("${A:-other}", "alpha"),
        ("${NOPE:-other}", "other"),
        ("${NOPE:-}", ""),
        ("${NOPE:-a:-b}", "a:-b"),
        ("${EMPTY:-other}", "other"),
        ("${EMPTY}", ""),
        ("${TRICKY}", "${A} $$"),
    ],
)
def test_expands_as_a_shell_would(text: str, expected: str) -> None:
    """Names, defaults and `$$`; what a variable holds is not expanded again."""
    assert interpolate(text, environ=ENVIRON, base_dir=Path())[0] == expected


def test_plain_text_leaves_no_mark() -> None:
    """Only text with a reference is marked as coming from elsewhere."""
    assert interpolate("cost: 5$ $$", environ={}, base_dir=Path()) == ("cost: 5$ $", None)


def test_mark_tells_references_but_not_values() -> None:
    """What a reference stood for is not kept; that it was one is."""
    _, mark = interpolate("${A}${NOPE}${X:-d}", environ=ENVIRON, base_dir=Path())
    assert mark is not None
    assert mark.references == ("${A}", "${NOPE}", "${X}")
    assert mark.missing == ("NOPE",)
    assert mark.defaults == ("d",)
    assert "alpha" not in repr(mark)


def test_reads_a_file_without_its_last_line_end(tmp_path: Path) -> None:
    """`${file:...}` is for mounted secrets, which editors end with a newline."""
    (tmp_path / "key").write_text("s3cret\r\n")
    absolute, _ = interpolate(f"${{file:{tmp_path}/key}}", environ={}, base_dir=Path("/nowhere"))
    relative, mark = interpolate("${file:key}", environ={}, base_dir=tmp_path)
    assert absolute == relative == "s3cret"
    assert mark is not None
    assert mark.is_sensitive


@pytest.mark.parametrize("content", [None, b"\xff", b"x" * (MAX_FILE_BYTES + 1)])
def test_an_unreadable_file_is_told_by_its_path_alone(tmp_path: Path, content: bytes | None) -> None:
    """Missing, not text, or far too large: the message names the file, not what is in it."""
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    _, mark = interpolate("${file:key}", environ={}, base_dir=tmp_path)
    assert mark is not None
    assert mark.error is not None
    assert "key" in mark.error
    assert "xxx" not in mark.error


@pytest.mark.parametrize("text", ["${A", "${}", "${A B}", "${1A}", "${A-b}", "${file:\0}"])
def test_malformed_references_are_errors(text: str) -> None:
    """A typo must not become an empty string."""
    _, mark = interpolate(text, environ=ENVIRON, base_dir=Path())
    assert mark is not None
    assert mark.error is not None
