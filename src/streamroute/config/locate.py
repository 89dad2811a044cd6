"""On which line of a TOML text each value stands, which `tomllib` does not tell.

Assumes a text that `tomllib` accepts: nothing is validated, only walked, so it stays small. A property test
compares the paths it finds with those of `tomllib`.

Rules: a key's line is the line on which the key begins; a table's line is that of its first header or of the
first key below it; an array's items have the line on which each begins.
"""

import re
import tomllib

Path = tuple[str | int, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BASIC_KEY = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL_KEY = re.compile(r"'[^'\n]*'")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")


def locate(text: str) -> dict[Path, int]:
    """Return the 1-based line of every table, key and array item of `text`, which must be valid TOML."""
    return _Walker(text.replace("\r\n", "\n")).walk()


class _Walker:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._lines: dict[Path, int] = {}
        self._last_index: dict[Path, int] = {}
        """Of each array of tables, the index of its newest table."""

    def walk(self) -> dict[Path, int]:
        table: Path = ()
        while not self._skip(_BLANK):
            if self._peek("[["):
                table = self._header(closing="]]")
            elif self._peek("["):
                table = self._header(closing="]")
            else:
                self._pair(table)
        return self._lines

    def _header(self, closing: str) -> Path:
        line = self._line
        self._at += len(closing)
        keys = self._keys()
        self._at += len(closing)
        path: Path = ()
        for position, key in enumerate(keys):
            path += (key,)
            self._lines.setdefault(path, line)
            if closing == "]]" and position == len(keys) - 1:
                self._last_index[path] = self._last_index.get(path, -1) + 1
            if path in self._last_index:
                path += (self._last_index[path],)
                self._lines.setdefault(path, line)
        return path

    def _pair(self, table: Path) -> None:
        line = self._line
        path = table
        for key in self._keys():
            path += (key,)
            self._lines.setdefault(path, line)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._skip(_SPACE)
            keys.append(self._key())
            self._skip(_SPACE)
            if not self._peek("."):
                return keys
            self._at += 1

    def _key(self) -> str:
        if self._peek('"'):
            return next(iter(tomllib.loads(self._take(_BASIC_KEY) + "=0")))
        if self._peek("'"):
            return self._take(_LITERAL_KEY)[1:-1]
        return self._take(_BARE_KEY)

    def _value(self, path: Path) -> None:
        if self._peek("["):
            self._array(path)
        elif self._peek("{"):
            self._inline_table(path)
        elif self._peek('"') or self._peek("'"):
            self._take(_STRING)
        else:
            self._take(_SCALAR)

    def _array(self, path: Path) -> None:
        self._at += 1
        index = 0
        while not self._closes("]"):
            self._lines[(*path, index)] = self._line
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while not self._closes("}"):
            self._pair(path)

    def _closes(self, bracket: str) -> bool:
        """Skip a comma; at the closing `bracket`, or at the end of the text, step over it and say so."""
        self._skip(_BLANK)
        if self._peek(","):
            self._at += 1
            self._skip(_BLANK)
        if self._peek(bracket) or self._at >= len(self._text):
            self._at += 1
            return True
        return False

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        """Step over what `pattern` matches; return whether the text is at its end."""
        self._take(pattern)
        return self._at >= len(self._text)

    def _peek(self, start: str) -> bool:
        return self._text.startswith(start, self._at)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        taken = match.group() if match else self._text[self._at : self._at + 1]  # never stands still
        self._at += len(taken) if taken or match else 1
        self._line += taken.count("\n")
        return taken
