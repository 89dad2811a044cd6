"""From a path, an environment and flags to a `Config`, or to every problem at once.

Steps, each adding to one `Draft`: 1 read and parse; 2 lay the environment and the flags over it; 3 expand
references; 4 validate each table for itself; 5 check the references between tables; 6 build the Options and leave
out what cannot take part. Steps after 1 always run to the end.
"""

import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path as FilePath

from streamroute.config.bidders import build_bidders
from streamroute.config.budgets import build_budgets
from streamroute.config.draft import BROKEN, Draft, Tree
from streamroute.config.health import build_health
from streamroute.config.interpolate import Mark, interpolate
from streamroute.config.ledger import build_ledger
from streamroute.config.listen import build_server
from streamroute.config.locate import Path, locate
from streamroute.config.model import Config, Disabled, LogOptions
from streamroute.config.overrides import apply_overrides
from streamroute.config.price_feeds import build_price_feeds
from streamroute.config.prices import build_prices
from streamroute.config.providers import build_provider
from streamroute.config.routes import (
    build_auto,
    build_requirements,
    build_route,
    build_upstream,
    is_any_simulated,
    settle_auto,
    settle_routes,
)
from streamroute.config.routing import build_routing, build_routing_files, routing_table
from streamroute.config.rules import rule_warnings
from streamroute.config.schema import (
    FileTable,
    HealthTable,
    LedgerTable,
    LogTable,
    ProviderTable,
    RouteTable,
    ServerTable,
    UpstreamTable,
)
from streamroute.config.suggestion import suggestion
from streamroute.config.tier_policies import build_tier_policies
from streamroute.config.validate import validate
from streamroute.core.requirements import Requirements
from streamroute.core.upstream import ProviderName, Route, Upstream, UpstreamId
from streamroute.errors import ConfigError, Problem
from streamroute.providers.options import ProviderOptions
from streamroute.server.options import ServerOptions

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
_AT_LINE = re.compile(r"\(at line (\d+), (column \d+)\)")
MAX_UPSTREAMS = 500
"""Half of what health is remembered of (`core.health.board.MAX_TRACKED`), so that models which clients name as
`provider/model` have room beside them."""
_NAMED_TABLES = ("providers", "upstreams", "routes")


def default_config_path() -> FilePath:
    """Return `./config.toml`, else the file shipped in the package, else that of the checkout this runs from.

    Raises `ConfigError` where there is none.
    """
    here = FilePath(__file__).resolve()
    candidates = [FilePath("config.toml"), here.with_name("default.toml")]
    candidates += [parent / "config.toml" for parent in here.parents[2:4]]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise ConfigError([Problem(path="", message="no config.toml here; give one with --config")])


def load_config(
    path: FilePath | None, *, environ: Mapping[str, str], overrides: Mapping[str, str] | None = None
) -> Config:
    """Read `path` (None: `default_config_path()`); precedence: `overrides` > `environ` > file > default.

    `overrides` are the flags, by dotted path. Raises `ConfigError` with every problem found; neither it nor its
    context holds a secret.
    """
    file = path or default_config_path()
    draft = _read(file)
    apply_overrides(draft, environ=environ, flags=overrides or {})
    draft.tree = {key: _expand(draft, value, (key,), environ) for key, value in draft.tree.items()}
    draft.note_sources()
    config = _build(draft, environ)
    if draft.problems:
        raise ConfigError(sorted(draft.problems, key=lambda problem: (problem.line is None, problem.line or 0)))
    return config


def _read(file: FilePath) -> Draft:
    problem: Problem | None = None
    tree: Tree = {}
    text = ""
    try:
        text = file.read_bytes().decode("utf-8-sig")
        tree = tomllib.loads(text, parse_float=Decimal)
    except OSError as error:
        problem = Problem(path="", message=f"cannot be read: {error.strerror}", file=str(file))
    except RecursionError:
        problem = Problem(path="", message="is nested too deeply", file=str(file))
    except UnicodeDecodeError:
        problem = Problem(path="", message="is not UTF-8 text", file=str(file))
    except tomllib.TOMLDecodeError as error:
        at = _AT_LINE.search(str(error))
        line = int(at.group(1)) if at else text.count("\n") + 1
        column = f" (at {at.group(2)})" if at else ""
        message = f"not valid TOML: {_AT_LINE.sub('', str(error)).strip()}{column}"
        problem = Problem(path="", message=message, file=str(file), line=line)
    if problem is not None:
        raise ConfigError([problem])  # outside of the handlers: their exceptions hold the text
    return Draft(file=file, tree=tree, lines=locate(text))


def _expand(draft: Draft, value: object, path: Path, environ: Mapping[str, str]) -> object:
    if path in draft.overridden:
        return value
    if isinstance(value, dict):
        return {key: _expand(draft, item, (*path, key), environ) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(draft, item, (*path, index), environ) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    text, mark = interpolate(value, environ=environ, base_dir=draft.file.parent)
    if mark is None:
        return text
    draft.marks[path] = mark
    return _checked(draft, path, text, mark)


def _checked(draft: Draft, path: Path, text: str, mark: Mark) -> object:
    if mark.error is not None:
        draft.report(path, mark.error)
        return BROKEN
    if not mark.missing:
        return text
    match path:
        case ("providers", str(name), "api_key"):
            draft.missing_keys[name] = mark
            return None
        case _:
            name = mark.missing[0]
            draft.report(path, f"variable {name} is not set; set it, or write ${{{name}:-default}}")
            return BROKEN


def _build(draft: Draft, environ: Mapping[str, str]) -> Config:
    _check_top(draft)
    server = validate(draft, ServerTable, ("server",), draft.tree.get("server", {}))
    log = validate(draft, LogTable, ("log",), draft.tree.get("log", {})) or LogTable()
    health = validate(draft, HealthTable, ("health",), draft.tree.get("health", {})) or HealthTable()
    ledger = validate(draft, LedgerTable, ("ledger",), draft.tree.get("ledger", {})) or LedgerTable()
    ledger_options = build_ledger(draft, ledger, environ)
    has_ledger = ledger_options.url is not None
    server_options = ServerOptions() if server is None else build_server(draft, server, has_ledger=has_ledger)
    _check_references(draft)
    providers, disabled = _providers(draft, environ)
    upstreams, off = _upstreams(draft, providers, disabled)
    table = routing_table(draft)
    routing = build_routing(draft, table)
    auto = build_auto(draft)
    routes, requirements = _routes(draft)
    tier_policies = build_tier_policies(draft, routes)
    kept, left, fallen = settle_routes(routes, upstreams, off)
    auto = None if auto is None else settle_auto(auto, left)
    used = {upstream.provider for upstream in left.values()}
    for name in [name for name, provider in providers.items() if provider.is_simulated and name not in used]:
        del providers[name]
        disabled.append(Disabled(kind="provider", name=name, reason="simulated, and no upstream of it is in use"))
    disabled += [Disabled(kind="upstream", name=name, reason=reason) for name, reason in off.items()]
    return Config(
        file=draft.file,
        server=server_options,
        log=LogOptions(level=log.level, format=log.format),
        health=build_health(health),
        ledger=ledger_options,
        prices=build_prices(draft),
        price_feeds=build_price_feeds(draft),
        budgets=build_budgets(draft),
        providers=providers,
        upstreams=left,
        routes=kept,
        tiers={name: route.tiers for name, route in routes.items()},
        tier_policies=tier_policies,
        auto=auto,
        requirements=requirements,
        routing=routing,
        bidders=build_bidders(draft),
        rule_warnings=rule_warnings(routing.rules, left, kept),
        routing_files=build_routing_files(table, draft.file, ledger_options),
        disabled=(*disabled, *fallen),
        is_simulated=is_any_simulated([*kept.values(), *([] if auto is None else [auto])], left),
        sources=draft.sources,
    )


def _check_top(draft: Draft) -> None:
    if "version" not in draft.tree:
        draft.report(("version",), "is missing; add version = 1 at the top")
    elif draft.tree["version"] is not BROKEN and (draft.tree["version"] != 1 or draft.tree["version"] is True):
        draft.report(("version",), "must be 1, the only version there is")
    for key, value in draft.tree.items():
        if key not in FileTable.model_fields:
            draft.report((key,), f'unknown key "{key}"' + suggestion(key, tuple(FileTable.model_fields)))
        elif key in _NAMED_TABLES and not isinstance(value, dict):
            draft.report((key,), f"expected tables such as [{key}.NAME]")
    for kind in _NAMED_TABLES:
        for name in draft.table(kind):
            if not _ID.fullmatch(name):
                message = "a name begins with a letter or digit and goes on with letters, digits, or any of . _ : -"
                draft.report((kind, name), message)
    if not draft.table("upstreams"):
        draft.report(("upstreams",), "there is none; add [upstreams.NAME] with a provider and a model")
    if len(draft.table("upstreams")) > MAX_UPSTREAMS:
        draft.report(("upstreams",), f"there are more than {MAX_UPSTREAMS}; split them among several sidecars")


def _check_references(draft: Draft) -> None:
    providers, upstreams = draft.table("providers"), draft.table("upstreams")
    for name in upstreams:
        provider = draft.table("upstreams", name).get("provider")
        if isinstance(provider, str) and provider not in providers:
            path = ("upstreams", name, "provider")
            near = suggestion(provider, providers)
            draft.report(path, f"there is no provider {draft.shown(path, provider)}{near}")
    for name in draft.table("routes"):
        if name in upstreams:
            draft.report(("routes", name), "an upstream has the same name; a request could not tell them apart")
        for at, upstream in _listed(draft, name):
            if upstream not in upstreams:
                near = suggestion(upstream, upstreams)
                draft.report(at, f"there is no upstream {draft.shown(at, upstream)}{near}")


def _listed(draft: Draft, route: str) -> list[tuple[Path, str]]:
    """Return the upstreams that a route names, and where."""
    table, at = draft.table("routes", route), ("routes", route)
    tiers = table.get("tiers")
    lists: list[tuple[Path, object]] = [((*at, "upstreams"), table.get("upstreams"))]
    asked = [((*at, key), each) for key in ("agree_with", "judge") if isinstance(each := table.get(key), str)]
    lists += [((*at, "tiers", i), tier) for i, tier in enumerate(tiers if isinstance(tiers, list) else ())]
    return asked + [
        ((*path, position), upstream)
        for path, names in lists
        for position, upstream in enumerate(names if isinstance(names, list) else ())
        if isinstance(upstream, str)
    ]


def _providers(draft: Draft, environ: Mapping[str, str]) -> tuple[dict[ProviderName, ProviderOptions], list[Disabled]]:
    providers: dict[ProviderName, ProviderOptions] = {}
    disabled: list[Disabled] = []
    for name, value in draft.table("providers").items():
        table = validate(draft, ProviderTable, ("providers", name), value)
        match build_provider(draft, name, table, environ) if table is not None else None:
            case Disabled() as off:
                disabled.append(off)
            case ProviderOptions() as options:
                providers[options.name] = options
            case None:
                pass
    return providers, disabled


def _upstreams(
    draft: Draft, providers: Mapping[ProviderName, ProviderOptions], disabled: list[Disabled]
) -> tuple[dict[UpstreamId, Upstream], dict[str, str]]:
    reasons = {off.name: off.reason for off in disabled}
    upstreams: dict[UpstreamId, Upstream] = {}
    off: dict[str, str] = {}
    for name, value in draft.table("upstreams").items():
        table = validate(draft, UpstreamTable, ("upstreams", name), value)
        if table is None:
            continue
        provider = providers.get(ProviderName(table.provider))
        if provider is not None:
            upstreams[UpstreamId(name)] = build_upstream(draft, name, table, provider)
        elif table.provider in reasons:
            off[name] = f"provider {table.provider} is disabled: {reasons[table.provider]}"
    return upstreams, off


def _routes(draft: Draft) -> tuple[dict[str, Route], dict[str, Requirements]]:
    routes: dict[str, Route] = {}
    requirements: dict[str, Requirements] = {}
    for name, value in draft.table("routes").items():
        table = validate(draft, RouteTable, ("routes", name), value)
        if table is not None:
            routes[name] = build_route(draft, name, table)
            if table.requirements.model_fields_set:
                requirements[name] = build_requirements(table.requirements)
    return routes, requirements
