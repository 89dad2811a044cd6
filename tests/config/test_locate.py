"""The line locator against tomllib: same paths, right lines."""

import string
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamroute.config.locate import Path, locate


def paths_of(tree: object, at: Path = ()) -> set[Path]:
    items: list[tuple[str | int, Any]] = []
    if isinstance(tree, dict):
        items = list(tree.items())
    elif isinstance(tree, list):
        items = list(enumerate(tree))
    found = {(*at, key) for key, _ in items}
    for key, value in items:
        found |= paths_of(value, (*at, key))
    return found


KEYS = st.one_of(
    st.text(string.ascii_letters + "_-0123456789", min_size=1, max_size=4),
    st.text(string.ascii_letters + ' .#="[]{}é\t\\', max_size=4),
)


@st.composite
def written_keys(draw: st.DrawFn, key: str) -> str:
    """Return `key` in one of the ways in which TOML allows it to be written."""
    basic = '"' + key.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t") + '"'
    ways = [basic]
    if key and all(char in string.ascii_letters + string.digits + "_-" for char in key):
        ways += [key, key]
    if "'" not in key:
        ways.append(f"'{key}'")
    return draw(st.sampled_from(ways))


SCALARS = st.sampled_from(
    [
        "1", "-1.5e3", "true", "inf", "1979-05-27 07:32:00Z", "07:32:00", '""', "''", '"a # b"', "'[x]'", '"\\"}"',
        '"""\nline # one\n"quoted" [two]\n"""', "'''\n{a}\n, ] '\n'''", '"""a"""""', '""""a"""', "''''a'''",
        '"""\\"""a"""',
    ]
)  # fmt: skip


@st.composite
def values(draw: st.DrawFn, depth: int = 2) -> str:
    kind = draw(st.sampled_from(["scalar", "scalar", "array", "inline"])) if depth else "scalar"
    if kind == "array":
        items = draw(st.lists(values(depth=depth - 1), max_size=3))
        gap = draw(st.sampled_from(["", " ", "\n", " # c ] ,\n  "]))
        tail = draw(st.sampled_from(["", ","])) if items else ""
        return "[" + gap + f",{gap}".join(items) + gap + tail + gap + "]"
    if kind == "inline":
        keys = draw(st.lists(KEYS, unique=True, max_size=3))
        pairs = [f"{draw(written_keys(key))} = {draw(values(depth=depth - 1))}" for key in keys]
        return "{ " + ", ".join(pairs) + " }"
    return draw(SCALARS)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[Path, int]]:
    """Return a TOML text and the line of each key that was written on a line of its own."""
    text, expected = "", {}
    noise = st.sampled_from(["", "\n", "# [x] = 1\n", "  \t\n"])
    headers = draw(st.lists(st.lists(KEYS, min_size=1, max_size=3), max_size=4, unique_by=tuple))
    newest: dict[Path, int] = {}
    tables: list[tuple[list[str], bool]] = [([], False)]
    for header in headers:
        is_array = draw(st.booleans())
        tables += [(header, is_array)] * (draw(st.integers(1, 3)) if is_array else 1)
    for header, is_array in tables:
        text += draw(noise)
        base: Path = ()
        line = text.count("\n") + 1
        if header:
            dotted = " . ".join(draw(written_keys(key)) for key in header)
            text += f"[[{dotted}]] # t\n" if is_array else f"[ {dotted} ]\n"
        for position, key in enumerate(header):
            base = (*base, key)
            if is_array and position == len(header) - 1:
                newest[base] = newest.get(base, -1) + 1
            if base in newest:
                base = (*base, newest[base])
        if is_array:
            expected[base] = line
        for key in draw(st.lists(KEYS, unique=True, max_size=3)):
            text += draw(noise)
            expected[(*base, key)] = text.count("\n") + 1
            text += f"{draw(written_keys(key))} = {draw(values())}{draw(st.sampled_from(['', ' # end']))}\n"
    return text, expected


@settings(deadline=None)
@given(documents())
def test_finds_exactly_the_paths_of_tomllib_on_the_lines_where_they_were_written(
    document: tuple[str, dict[Path, int]],
) -> None:
    """For whatever tomllib accepts, every key, table and item is found, and nothing else, on its own line."""
    text, expected = document
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # the generator may define a key twice
    lines = locate(text)
    assert set(lines) == paths_of(tree)
    assert {path: lines[path] for path in expected} == expected


def test_counts_windows_line_ends_once() -> None:
    """CRLF is one line end."""
    assert locate("a = 1\r\n\r\nb = 2\r\n") == {("a",): 1, ("b",): 3}


def test_dotted_keys_and_implicit_tables_have_the_line_of_the_first_key_below_them() -> None:
    """A table nobody wrote a header for is where its first key is."""
    assert locate("\n[a.b]\nc.d = 1\n[a]\ne = 2\n") == {
        ("a",): 2,
        ("a", "b"): 2,
        ("a", "b", "c"): 3,
        ("a", "b", "c", "d"): 3,
        ("a", "e"): 5,
    }


@pytest.mark.parametrize("text", ["", "\n", "# only a comment", "a = 1"])
def test_ends_at_the_end(text: str) -> None:
    """Texts without a final line end, or without anything, are walked to their end."""
    assert set(locate(text)) == paths_of(tomllib.loads(text))


@settings(deadline=None)
@given(st.text(max_size=40))
def test_never_hangs_or_raises_anything_unexpected(text: str) -> None:
    """It is only given valid TOML, but it stands still for nothing."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(locate(text)) == paths_of(tomllib.loads(text))
