"""Environment variables and flags laid over the file: `STREAMROUTE__SERVER__LISTEN=0.0.0.0:80`.

The parts of a name are matched without regard to case, and `_` stands for any character that a variable's name
cannot hold, so `STREAMROUTE__UPSTREAMS__GPT_4O__MODEL` reaches `upstreams.gpt-4o.model`. A value is read as TOML
(`3`, `true`, `["a", "b"]`), and taken as plain text where it is not. Overrides change what the file has or leave a
setting its name; they do not invent providers, upstreams or routes.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from streamroute.config.draft import Draft, Tree
from streamroute.config.fields import Table
from streamroute.config.locate import Path
from streamroute.config.model import Source
from streamroute.config.schema import is_secret, shape_at
from streamroute.config.suggestion import suggestion

PREFIX = "STREAMROUTE__"


def apply_overrides(draft: Draft, *, environ: Mapping[str, str], flags: Mapping[str, str]) -> None:
    """Lay the variables that begin with `PREFIX` and then `flags` (by dotted path) over the tree of `draft`."""
    for name in sorted(environ):
        if name.upper().startswith(PREFIX):
            parts = name[len(PREFIX) :].split("__")
            _apply(draft, parts, environ[name], Source(where="env", detail=name))
    for name, text in flags.items():
        flag = "--" + name.rpartition(".")[2].replace("_", "-")
        _apply(draft, name.split("."), text, Source(where="flag", detail=flag))


def _apply(draft: Draft, parts: Sequence[str], text: str, source: Source) -> None:
    path = _resolve(draft, parts, source)
    if path is None:
        return
    table: Tree = draft.tree
    for key in path[:-1]:
        child = table.setdefault(str(key), {})
        if not isinstance(child, dict):
            child = table[str(key)] = {}
        table = child
    table[str(path[-1])] = _parse(text, path, table.get(str(path[-1])))
    draft.overridden[path] = source


def _resolve(draft: Draft, parts: Sequence[str], source: Source) -> Path | None:
    path: Path = ()
    for part in parts:
        shape = shape_at(path)
        existing = draft.table(*(str(key) for key in path))
        if isinstance(shape, type) and issubclass(shape, Table):
            known: Iterable[str] = shape.model_fields
        elif shape == "free":
            known = existing
        else:
            known = ()
        hits = [name for name in known if _folded(name) == _folded(part)]
        if len(hits) != 1:
            if path and path[-1] == "headers" and not hits:
                hits = [part.replace("_", "-")]  # a new header; their names hold dashes, not underscores
            else:
                what = "matches several names" if hits else "no such setting" if known else "nothing can be set"
                near = suggestion(part.lower(), tuple(hits or known))
                _report(draft, (*path, part.lower()), f"{what} here{near}", source)
                return None
        path = (*path, hits[0])
    if shape_at(path) not in ("leaf", "list"):
        _report(draft, path, "is a table; name a setting in it" + suggestion("", _fields(path)), source)
        return None
    return path


def _fields(path: Path) -> tuple[str, ...]:
    shape = shape_at(path)
    return tuple(shape.model_fields) if isinstance(shape, type) and issubclass(shape, Table) else ()


def _report(draft: Draft, path: Path, message: str, source: Source) -> None:
    draft.overridden[path] = source
    draft.report(path, message)
    del draft.overridden[path]


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "_", name.casefold())


def _parse(text: str, path: Path, current: object) -> object:
    is_list = shape_at(path) == "list"
    if is_secret(path) and not is_list:
        return text
    try:
        parsed = tomllib.loads(f"value = {text}", parse_float=Decimal)
    except tomllib.TOMLDecodeError:
        parsed = {"value": text}
    value = parsed["value"]
    if is_list:
        return value if len(parsed) == 1 and isinstance(value, list) else [text]
    is_plain = len(parsed) == 1 and isinstance(value, str | int | Decimal)
    if not is_plain or (isinstance(current, str) and not isinstance(value, str)):
        return text
    return value
