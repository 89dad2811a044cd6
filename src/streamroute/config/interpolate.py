"""`${NAME}`, `${NAME:-default}` and `${file:/path}` in the strings of a configuration file; `$$` is a plain `$`.

Rules: only the file is expanded, never what came from the environment or a flag; an expansion is not expanded
again; a variable that is set but empty counts as unset where there is a default, as in a shell. What a reference
stood for is remembered, so that the value need not be shown.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

MAX_FILE_BYTES = 64 * 1024
"""Largest file that `${file:...}` reads: secrets are small, and a wrong path may be a device or a log."""

_REFERENCE = re.compile(r"\$\$|\$\{(?P<body>[^}]*)\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_NAME = re.compile(r"key|token|secret|passw|credential|auth", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What is remembered of a string that held references."""

    references: tuple[str, ...] = ()
    """As written, without defaults: `${OPENAI_API_KEY}`, `${file:/run/secrets/key}`."""
    missing: tuple[str, ...] = ()
    """Names of variables that are not set and have no default."""
    defaults: tuple[str, ...] = ()
    """Default texts that were given, used or not."""
    error: str | None = None
    """Why it cannot be expanded at all."""

    @property
    def is_sensitive(self) -> bool:
        """The value may be a secret, wherever it was put."""
        return any(ref.startswith("${file:") or _SECRET_NAME.search(ref) for ref in self.references)


def interpolate(text: str, *, environ: Mapping[str, str], base_dir: FilePath) -> tuple[str, Mark | None]:
    """Return `text` with its references replaced, and what they were; None where there was none.

    A relative path in `${file:...}` is relative to `base_dir`. Never raises: a fault is told by the mark.
    """
    references: list[str] = []
    missing: list[str] = []
    defaults: list[str] = []
    errors: list[str] = []

    def replace(match: re.Match[str]) -> str:
        if match.group() == "$$":
            return "$"
        body = match.group("body")
        if body is None:
            errors.append("`${` without a closing `}`; write `$$` for a plain `$`")
            return ""
        if body.startswith("file:"):
            references.append("${" + body + "}")
            value, error = _read(body.removeprefix("file:"), base_dir)
            errors.extend([error] if error else [])
            return value
        name, separator, default = body.partition(":-")
        if not _NAME.fullmatch(name):
            errors.append("malformed reference; write `${NAME}`, `${NAME:-default}` or `${file:/path}`")
            return ""
        references.append("${" + name + "}")
        if separator:
            defaults.append(default)
            return environ.get(name) or default
        if name not in environ:
            missing.append(name)
        return environ.get(name, "")

    expanded = _REFERENCE.sub(replace, text)
    if not references and not errors:
        return expanded, None
    error = errors[0] if errors else None
    return expanded, Mark(references=tuple(references), missing=tuple(missing), defaults=tuple(defaults), error=error)


def _read(path: str, base_dir: FilePath) -> tuple[str, str | None]:
    try:
        with (base_dir / path).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a valid path"
        return "", f"cannot read file {path}: {reason}"
    if len(data) > MAX_FILE_BYTES:
        return "", f"file {path} is larger than {MAX_FILE_BYTES} bytes"
    try:
        return data.decode().rstrip("\r\n"), None
    except UnicodeDecodeError:
        return "", f"file {path} is not UTF-8 text"
