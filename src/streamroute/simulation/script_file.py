"""Reading scripts from TOML, JSON or a decoded mapping; every mistake is reported, not just the first.

name = "afternoon"
seed = 7
profile = { ttft_s = 0.2, tpot_s = 0.01, tokens = 64 }
[[phases]]
from_s = 5.0
until_s = 10.0
fault = { kind = "rate_limit", retry_after_s = 2.0 }
"""

import dataclasses
import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from streamroute.errors import ConfigError, Problem
from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import FAULTS
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Phase, Script

_MAX_FILE_BYTES = 1_000_000
"""A script is written by hand; a larger file is a mistake."""

_T = TypeVar("_T")


def load_script(path: Path) -> Script:
    """Read a `.toml` or `.json` file; raises `ConfigError` with everything that is wrong with it."""
    try:
        data = path.read_bytes()
        if len(data) > _MAX_FILE_BYTES:
            raise ConfigError([Problem(path="", message=f"larger than {_MAX_FILE_BYTES} bytes", file=str(path))])
        text = data.decode()
        decoded = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise ConfigError([Problem(path="", message=message, file=str(path))]) from error
    except json.JSONDecodeError as error:
        message = f"is not JSON: {error.msg}"
        raise ConfigError([Problem(path="", message=message, file=str(path), line=error.lineno)]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(path="", message=f"is not TOML: {error}", file=str(path))]) from error
    if isinstance(decoded, dict):
        decoded.setdefault("name", path.stem)
    return read_script(decoded, file=str(path))


def read_script(decoded: object, *, file: str | None = None) -> Script:
    """Build a script from a decoded mapping; raises `ConfigError` with everything that is wrong with it."""
    reader = _Reader(file)
    script = reader.script(decoded)
    if reader.problems or script is None:
        raise ConfigError(reader.problems)
    return script


class _Reader:
    def __init__(self, file: str | None) -> None:
        self._file = file
        self.problems: list[Problem] = []

    def script(self, decoded: object) -> Script | None:
        table = self._table(decoded, "")
        if table is None:
            return None
        fields = dict(table)
        profile = self._profile(fields.pop("profile", None), "profile", Profile())
        listed = fields.pop("phases", [])
        if not isinstance(listed, list):
            self._report("phases", f"must be a list of tables, not {listed!r}")
            listed = []
        phases = [self._phase(one, f"phases[{i}]", profile or Profile()) for i, one in enumerate(listed)]
        simple = self._build(Script, fields, "", ready={})
        if simple is None or profile is None:
            return None
        return dataclasses.replace(simple, profile=profile, phases=tuple(phase for phase in phases if phase))

    def _phase(self, decoded: object, path: str, default: Profile) -> Phase | None:
        table = self._table(decoded, path)
        if table is None:
            return None
        fields = dict(table)
        ready: dict[str, object] = {}
        if "profile" in fields:
            ready["profile"] = self._profile(fields.pop("profile"), f"{path}.profile", default)
        if "fault" in fields:
            ready["fault"] = self._fault(fields.pop("fault"), f"{path}.fault")
        return self._build(Phase, fields, path, ready=ready)

    def _fault(self, decoded: object, path: str) -> Fault | None:
        table = self._table(decoded, path)
        if table is None:
            return None
        fields = dict(table)
        kind = fields.pop("kind", None)
        found = FAULTS.get(kind) if isinstance(kind, str) else None
        if found is None:
            known = ", ".join(FAULTS)
            what = "kind is missing" if kind is None else f"unknown fault kind {kind!r}{_nearest(kind, FAULTS)}"
            self._report(f"{path}.kind", f"{what}; there are: {known}")
            return None
        return self._build(found, fields, path, ready={})

    def _profile(self, decoded: object, path: str, default: Profile) -> Profile | None:
        table = self._table({} if decoded is None else decoded, path)
        if table is None:
            return None
        return self._build(Profile, dataclasses.asdict(default) | dict(table), path, ready={})

    def _table(self, decoded: object, path: str) -> Mapping[str, object] | None:
        if isinstance(decoded, Mapping):
            return decoded
        self._report(path, f"must be a table, not {decoded!r}")
        return None

    def _build(
        self, cls: type[_T], fields: Mapping[str, object], path: str, *, ready: Mapping[str, object]
    ) -> _T | None:
        """Validate `fields` against the dataclass `cls`; `ready` holds values that are validated already."""
        assert dataclasses.is_dataclass(cls)  # noqa: S101  a fact about FAULTS, for the type checker
        names = [one.name for one in dataclasses.fields(cls)]
        unknown = [name for name in fields if name not in names]
        for name in unknown:
            self._report(_join(path, name), f"unknown key{_nearest(name, names)}; there are: {', '.join(names)}")
        types = {one.name: one.type for one in dataclasses.fields(cls)}
        values: dict[str, object] = dict(ready)
        is_sound = not unknown
        for name in fields:
            if name in types:
                is_sound &= self._check(types[name], fields[name], _join(path, name), values, name)
        if not is_sound:
            return None
        try:
            return cls(**values)
        except ValueError as error:
            self._report(path, str(error))
            return None

    def _check(self, type_: Any, value: object, path: str, values: dict[str, object], name: str) -> bool:
        try:
            values[name] = TypeAdapter[object](type_).validate_python(_with_tuples(value), strict=True)
        except ValidationError as error:
            found = "; ".join(dict.fromkeys(one["msg"] for one in error.errors(include_url=False)))
            found = found.replace("a valid tuple", "a list")  # as it is called where it is written
            self._report(path, f"{found}, not {value!r}")
            return False
        return True

    def _report(self, path: str, message: str) -> None:
        self.problems.append(Problem(path=path, message=message, file=self._file))


def _with_tuples(value: object) -> object:
    """Return a decoded value with its lists as what dataclasses have in their place."""
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _nearest(name: object, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f", did you mean {near[0]!r}?" if near else ""
