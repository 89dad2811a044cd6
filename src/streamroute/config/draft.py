"""A configuration while it is read: the merged tree, where each value came from, and the problems so far."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from streamroute.config.interpolate import Mark
from streamroute.config.locate import Path
from streamroute.config.model import Source
from streamroute.errors import Problem

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

Tree = dict[str, Any]
"""What tomllib returns; it is looked into only here, in `overrides` and by the schema."""


class Broken:
    """Stands in the tree for a value that has a problem already, so that it is not reported twice."""


BROKEN = Broken()


@dataclass(slots=True, kw_only=True)
class Draft:
    """Passed from step to step; each adds what it finds."""

    file: FilePath
    tree: Tree = field(repr=False)
    lines: Mapping[Path, int] = field(repr=False)
    overridden: dict[Path, Source] = field(default_factory=dict)
    """Values that the environment or a flag gave."""
    marks: dict[Path, Mark] = field(default_factory=dict, repr=False)
    sources: dict[str, Source] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    missing_keys: dict[str, Mark] = field(default_factory=dict)
    """By provider, the reference in `api_key` that led nowhere."""

    def report(self, path: Path, message: str) -> None:
        """Add a problem, placed on the line of `path` or of the nearest thing around it."""
        override = self.override_of(path)
        if override is not None:
            self.problems.append(Problem(path=dotted(path), message=message, file=override.detail))
            return
        line = next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), None)
        self.problems.append(Problem(path=dotted(path), message=message, file=str(self.file), line=line))

    def override_of(self, path: Path) -> Source | None:
        """Return the variable or flag that gave the value at `path`, or something around it."""
        return next((self.overridden[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.overridden), None)

    def shown(self, path: Path, text: str) -> str:
        """Return `text` in quotes for a message; what it was written as where it held a reference."""
        mark = self.marks.get(path)
        return f'"{text if mark is None else "".join(mark.references)}"'

    def note_sources(self) -> None:
        """Remember for each key of the tree where it came from."""
        for path in _paths(self.tree, ()):
            mark = self.marks.get(path)
            override = self.override_of(path)
            if override is not None:
                self.sources[dotted(path)] = override
            elif path in self.lines:
                self.sources[dotted(path)] = Source(
                    where="file",
                    detail=f"{self.file.name}:{self.lines[path]}",
                    references=mark.references if mark else (),
                    is_sensitive=bool(mark and mark.is_sensitive),
                )

    def table(self, *keys: str) -> Tree:
        """Return the table at `keys`; empty where there is none or something else stands there."""
        found: object = self.tree
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}


def dotted(path: Path) -> str:
    """Write `path` as people do: `routes.chat.upstreams[1]`, keys quoted where TOML would."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _BARE_KEY.fullmatch(part) else '"' + part.replace('"', '\\"') + '"'
            text += f".{key}" if text else key
    return text


def _paths(tree: object, at: Path) -> list[Path]:
    items: list[tuple[str | int, object]] = []
    if isinstance(tree, dict):
        items = list(tree.items())
    elif isinstance(tree, list):
        items = list(enumerate(tree))
    found: list[Path] = []
    for key, value in items:
        found.append((*at, key))
        found.extend(_paths(value, (*at, key)))
    return found
