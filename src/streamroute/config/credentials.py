"""Keys: where they may stand, and what happens where one is missing. Nothing here puts a key into a message."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamroute.config.draft import Draft
from streamroute.config.locate import Path
from streamroute.config.model import Source
from streamroute.config.schema import ProviderTable
from streamroute.providers.presets import Preset

PLACEHOLDERS = frozenset(
    {"", "none", "local", "dummy", "empty", "no-key", "not-needed", "sk-no-key-required", "lm-studio", "ollama"}
)
"""Keys that protect nothing; servers on one's own machine ask for some text. Compared without regard to case."""

_CREDENTIAL_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie"}
)
_FRAMING_HEADERS = frozenset({"connection", "content-length", "content-type", "transfer-encoding", "upgrade"})


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAnswer:
    """What became of a provider's key."""

    value: str | None = field(default=None, repr=False)
    reason: str | None = None
    """Why the provider cannot be used, and which variable would change that."""


def find_key(draft: Draft, name: str, table: ProviderTable, preset: Preset, environ: Mapping[str, str]) -> KeyAnswer:
    """Return the key of provider `name`, or why there is none.

    Without `api_key` the preset's usual variable is read, but never for a `base_url` of one's own: a key for one
    service must not be sent to another by accident.
    """
    path = ("providers", name, "api_key")
    if table.auth == "none" or (preset.auth == "none" and table.auth is None):
        return KeyAnswer()
    mark = draft.missing_keys.get(name)
    if mark is not None:
        return KeyAnswer(reason=f"set {' and '.join(mark.missing)} to enable it")
    if table.api_key is not None:
        value = table.api_key.get_secret_value().strip()
        refuse_literal(draft, path, value, example="${" + (preset.env or "API_KEY") + "}")
        check_header_value(draft, path, value)
        if not value and preset.requires_key:
            return KeyAnswer(reason=_empty_reason(draft, path))
        return KeyAnswer(value=value or None)
    is_own_url = table.base_url is not None and preset.base_url is not None
    value = environ.get(preset.env, "").strip() if preset.env and not is_own_url else ""
    if value and preset.env:
        check_header_value(draft, path, value)
        source = Source(where="preset", detail=preset.kind, references=("${" + preset.env + "}",))
        draft.sources[f"providers.{name}.api_key"] = source
        return KeyAnswer(value=value)
    if preset.requires_key:
        how = f"set {preset.env}" if preset.env and not is_own_url else 'give it api_key = "${...}" or auth = "none"'
        return KeyAnswer(reason=f"{how} to enable it")
    return KeyAnswer()


def refuse_literal(draft: Draft, path: Path, value: str, *, example: str) -> None:
    """Report a secret that stands in the file itself, as a value or as a default."""
    if draft.override_of(path) is not None:
        return
    mark = draft.marks.get(path)
    literals = mark.defaults if mark else (value,)
    if any(literal.strip().casefold() not in PLACEHOLDERS for literal in literals):
        draft.report(path, f'holds a key in plain text; write "{example}" or "${{file:/run/secrets/NAME}}"')


def check_header_value(draft: Draft, path: Path, value: str) -> None:
    """Report a value that HTTP cannot carry, without showing it."""
    if any(not " " <= char <= "~" for char in value):
        draft.report(path, "holds a character that an HTTP header cannot carry (a line break, or not ASCII)")


def check_headers(draft: Draft, name: str, headers: Mapping[str, str]) -> None:
    """Report extra headers that cannot be sent, or that hold a credential in plain text."""
    for header, value in headers.items():
        path = ("providers", name, "headers", header)
        if not header or any(not ("!" <= char <= "~") or char in '()<>@,;:\\"/[]?={}' for char in header):
            draft.report(path, "is not a valid header name")
        if header.casefold() in _FRAMING_HEADERS:
            draft.report(path, "is set by the HTTP client; remove it")
        check_header_value(draft, path, value)
        if header.casefold() in _CREDENTIAL_HEADERS:
            refuse_literal(draft, path, value, example="${NAME}")


def _empty_reason(draft: Draft, path: Path) -> str:
    mark = draft.marks.get(path)
    what = ", ".join(mark.references) if mark else "api_key"
    return f"{what} is empty; set it to enable this provider"
