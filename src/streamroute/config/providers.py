"""`[providers.*]` -> `ProviderOptions`: a preset, the table over it, and a key."""

from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from streamroute.config.credentials import check_headers, find_key
from streamroute.config.draft import Draft
from streamroute.config.model import Disabled, Source
from streamroute.config.price_list import price_list
from streamroute.config.schema import ProviderTable, QuirksTable, SimulationTable
from streamroute.config.suggestion import suggestion
from streamroute.core.upstream import ProviderName
from streamroute.providers.formats import FORMATS
from streamroute.providers.options import ProviderOptions, Quirks, SimulationOptions
from streamroute.providers.presets import PRESETS, SIMULATED, Preset

_PLACEHOLDER_HOST = "RESOURCE"


def build_provider(
    draft: Draft, name: str, table: ProviderTable, environ: Mapping[str, str]
) -> ProviderOptions | Disabled | None:
    """Return provider `name`, why it is disabled, or None where problems were reported."""
    preset = PRESETS.get(table.kind)
    if preset is None:
        path = ("providers", name, "kind")
        near = suggestion(table.kind, PRESETS) or _ALL_KINDS
        draft.report(path, f"unknown kind {draft.shown(path, table.kind)}{near}")
        return None
    wire_format = table.wire_format or preset.wire_format
    format_ = FORMATS[wire_format]
    chat_path = table.chat_path or format_.chat_path
    base_url = _base_url(draft, name, table, preset, chat_path)
    headers = {key: value.get_secret_value() for key, value in table.headers.items()}
    check_headers(draft, name, headers)
    key = find_key(draft, name, table, preset, environ)
    if table.simulation is not None and preset.kind != SIMULATED:
        draft.report(("providers", name, "simulation"), f'only a provider of kind "{SIMULATED}" is simulated')
    simulation = _simulation(draft, name, table.simulation) if preset.kind == SIMULATED else None
    if key.reason is not None:
        return Disabled(kind="provider", name=name, reason=key.reason)
    if table.base_url is None and preset.base_url is not None:
        draft.sources[f"providers.{name}.base_url"] = Source(where="preset", detail=preset.kind)
    _note_preset(draft, name, table, preset)
    return ProviderOptions(
        name=ProviderName(name),
        kind=preset.kind,
        base_url=base_url,
        wire_format=wire_format,
        auth=table.auth or (preset.auth if format_ is FORMATS[preset.wire_format] else format_.auth),
        api_key=key.value,
        headers=headers,
        chat_path=chat_path,
        quirks=_quirks(table.quirks, preset.quirks),
        price_list=price_list(draft, name, table, preset),
        residency=None if table.residency is None else table.residency.lower(),
        simulation=simulation,
    )


_ALL_KINDS = f"; kinds are {', '.join(PRESETS)}"


def _base_url(draft: Draft, name: str, table: ProviderTable, preset: Preset, chat_path: str) -> str:
    path = ("providers", name, "base_url")
    if preset.kind == SIMULATED:
        if table.base_url is not None:
            draft.report(path, "a simulated provider has no address of its own; remove this line")
        return ""
    if table.base_url is None:
        if preset.base_url is None:
            example = "https://RESOURCE.openai.azure.com/openai/v1" if preset.env else "http://127.0.0.1:9001/v1"
            draft.report(path[:2], f'kind "{preset.kind}" needs base_url, such as "{example}"')
        return preset.base_url or ""
    try:
        parts = urlsplit(table.base_url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, is_usable = SplitResult("", "", "", "", ""), False
    if not is_usable:
        draft.report(path, 'expected a URL such as "https://api.example.com/v1"')
    elif parts.username or parts.password or parts.query or parts.fragment:
        draft.report(path, "must hold no user, password, query or fragment; keys belong in api_key or headers")
    elif _PLACEHOLDER_HOST in parts.netloc:
        draft.report(path, f"put your own resource in place of {_PLACEHOLDER_HOST}")
    elif parts.path.rstrip("/").endswith(chat_path):
        draft.report(path, f'leave out "{chat_path}"; it is added (see chat_path)')
    return table.base_url.rstrip("/")


def _quirks(table: QuirksTable, preset: Quirks) -> Quirks:
    bills = table.bills_cancelled_streams
    optional = table.finish_reason_optional
    notes, details = table.takes_google_notes, table.takes_reasoning_details
    return Quirks(
        usage_on_stream=table.usage_on_stream or preset.usage_on_stream,
        finish_reason_optional=preset.finish_reason_optional if optional is None else optional,
        rate_limit_scope=table.rate_limit_scope or preset.rate_limit_scope,
        takes_google_notes=preset.takes_google_notes if notes is None else notes,
        takes_reasoning_details=preset.takes_reasoning_details if details is None else details,
        bills_cancelled_streams=preset.bills_cancelled_streams if bills is None else bills,
        continuation_chat_path=table.continuation_chat_path or preset.continuation_chat_path,
        default_max_tokens=table.default_max_tokens or preset.default_max_tokens,
        sampling=table.sampling or preset.sampling,
        reasoning=table.reasoning or preset.reasoning,
    )


def _note_preset(draft: Draft, name: str, table: ProviderTable, preset: Preset) -> None:
    default = Quirks()
    source = Source(where="preset", detail=preset.kind)
    for field in QuirksTable.model_fields:
        if getattr(table.quirks, field) is None and getattr(preset.quirks, field) != getattr(default, field):
            draft.sources[f"providers.{name}.quirks.{field}"] = source
    own = FORMATS[preset.wire_format]
    if table.wire_format is None and own is not FORMATS["openai_chat"]:
        draft.sources[f"providers.{name}.wire_format"] = source
    is_own = table.wire_format is None or FORMATS[table.wire_format] is own
    if table.auth is None and is_own and preset.auth != "bearer":
        draft.sources[f"providers.{name}.auth"] = source


def _simulation(draft: Draft, name: str, table: SimulationTable | None) -> SimulationOptions:
    if table is None:
        return SimulationOptions()
    script = draft.file.parent / table.script if table.script is not None else None
    if script is not None and not script.is_file():
        draft.report(("providers", name, "simulation", "script"), "there is no such file")
    return SimulationOptions(
        ttft_s=table.ttft_s,
        tokens_per_s=table.tokens_per_s,
        answer_tokens=table.answer_tokens,
        seed=table.seed,
        script=script,
    )
