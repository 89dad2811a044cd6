"""`streamroute keys create|list|rotate|revoke`: who may call, for what, and how much. Running sidecars follow at once.

A secret goes to standard output, alone, and nowhere else; it is shown once. Exit codes: 0 well, 2 usage, 69
(EX_UNAVAILABLE) the ledger, which keeps the keys, is not to be had, 78 (EX_CONFIG) the configuration is wrong.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamroute.cli.key_settings import checked_name, checked_requirements, checked_scope
from streamroute.clock import wall, wall_iso
from streamroute.config.load import load_config
from streamroute.config.model import Config
from streamroute.core.cost.client_key import ClientKey, amount_text, key_budgets
from streamroute.core.routing.explain_match import explain_requirements
from streamroute.errors import ConfigError, StoreError
from streamroute.stores.keys import KeyStore, new_key, new_secret
from streamroute.wire.moments import moment_ms, span_s

EXIT_UNAVAILABLE = 69
EXIT_CONFIG = 78
MAX_GRACE_S = 366 * 86_400
"""A secret that is to be good for longer need not be replaced."""
MAX_MS = 253_402_300_800_000
"""The year 10000, which no date can be written after."""

app = typer.Typer(
    name="keys", help="Client keys: make, list, replace and end them.", no_args_is_help=True, add_completion=False
)

Name = Annotated[str, typer.Argument(help="The key's name; spend is attributed to it.")]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help="TOML file; ./config.toml or the shipped one by default.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def create(  # noqa: PLR0913, PLR0917 - one option a setting
    name: Name,
    budget: Annotated[
        list[str] | None,
        typer.Option("--budget", help="The most it may spend: 5USD/day; per hour, day, month or total. Repeatable."),
    ] = None,
    warn_at: Annotated[
        list[str] | None,
        typer.Option("--warn-at", help="Soft limit: 4USD/day, or a share of every budget, 80%. Repeatable."),
    ] = None,
    team: Annotated[str | None, typer.Option("--team", help="Whom spend belongs to where a request says none.")] = None,
    task: Annotated[str | None, typer.Option("--task", help="What for, where a request does not say.")] = None,
    route: Annotated[
        list[str] | None, typer.Option("--route", help="Only this may stand in `model`. Repeatable.")
    ] = None,
    upstream: Annotated[
        list[str] | None, typer.Option("--upstream", help="Only this upstream may answer. Repeatable.")
    ] = None,
    rpm: Annotated[int | None, typer.Option("--rpm", min=1, max=10**9, help="Requests a minute.")] = None,
    tpm: Annotated[
        int | None, typer.Option("--tpm", min=1, max=10**12, help="Tokens a minute, of prompts and answers.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", help="When it ends: 90d, 12h, or a date or time (UTC): 2027-01-31.")
    ] = None,
    allow_unpriced: Annotated[
        bool, typer.Option("--allow-unpriced", help="With a budget: may use upstreams whose price nobody knows.")
    ] = False,
    require: Annotated[
        list[str] | None,
        typer.Option(
            "--require",
            help="What its requests are held to, whatever they say: min_quality=0.9, residency=eu. Repeatable.",
        ),
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="May use /admin.")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. The secret is printed once, and cannot be had again."""
    now_ms = _now_ms()
    checked_name(name, "NAME")
    for hint, value in (("--team", team), ("--task", task)):
        if value is not None:
            checked_name(value, hint)
    try:
        budgets = key_budgets(name, budget or [], warn_at or [])
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--budget, --warn-at") from None
    requirements = checked_requirements(require or [])
    expires_at_ms = None if expires is None else _end_ms(expires, now_ms)
    loaded = _loaded(config)
    routes, upstreams = checked_scope(loaded, route, upstream)
    secret = new_secret()
    key = new_key(
        name,
        secret,
        now_ms=now_ms,
        expires_at_ms=expires_at_ms,
        team=team,
        task=task,
        routes=routes,
        upstreams=upstreams,
        requests_per_min=rpm,
        tokens_per_min=tpm,
        budgets=budgets,
        may_use_unpriced=allow_unpriced,
        is_admin=admin,
        requirements=requirements,
    )
    with _store(loaded) as store:
        is_first = not store.all()
        store.create(key)
    if is_first and not loaded.server.api_keys:
        text = f"from now on every client of {loaded.ledger.url} needs a key, /status and /metrics too"
        typer.echo(f"the first key: {text}", err=True)
    _print_secret(key, secret, "", as_json=as_json)


@app.command(name="list")
def list_(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List all keys, those that have ended too."""
    with _store(_loaded(config)) as store:
        keys = store.all()
    if as_json:
        typer.echo(json.dumps([_document(key) for key in keys], indent=2))
    else:
        _print_table(keys)


@app.command()
def rotate(
    name: Name,
    grace: Annotated[
        str,
        typer.Option(
            "--grace",
            help="How long the secret until now goes on working: 24h, 30m, 7d, or 0. "
            "A day, so that every client is deployed anew once.",
        ),
    ] = "24h",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Give a key a new secret; settings, budgets and what was spent stay. A secret still in its grace ends."""
    now_ms, secret = _now_ms(), new_secret()
    until_ms = now_ms + _grace_ms(grace)
    with _store(_loaded(config)) as store:
        key = store.rotate(name, secret, now_ms=now_ms, previous_until_ms=until_ms)
    before = f"goes on working until {_iso(until_ms)}" if until_ms > now_ms else "ends now, within 2 seconds"
    _print_secret(key, secret, f"; the one before {before}", as_json=as_json)


@app.command()
def revoke(name: Name, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """End a key now: running sidecars refuse it within 2 seconds."""
    with _store(_loaded(config)) as store:
        key = store.revoke(name, now_ms=_now_ms())
    if as_json:
        typer.echo(json.dumps(_document(key), indent=2))
    else:
        typer.echo(f"revoked {name} ({key.shown}...); running sidecars refuse it within 2 seconds", err=True)


def _now_ms() -> int:
    return int(wall() * 1000)


def _iso(at_ms: int | None) -> str | None:
    return None if at_ms is None else wall_iso(at_ms / 1000)


def _grace_ms(text: str) -> int:
    seconds = 0 if text == "0" else span_s(text)
    if seconds is None or seconds > MAX_GRACE_S:
        raise typer.BadParameter(f"{text!r} is no span such as 30m, 24h, 7d or 0, up to 366d", param_hint="--grace")
    return seconds * 1000


def _end_ms(text: str, now_ms: int) -> int:
    seconds, moment = span_s(text), moment_ms(text)
    at_ms = moment if seconds is None else now_ms + seconds * 1000
    if at_ms is None:
        raise typer.BadParameter(f"{text!r} is neither 90d, 12h nor a date", param_hint="--expires")
    if not now_ms < at_ms < MAX_MS:
        raise typer.BadParameter(f"{text!r} is over already, or never", param_hint="--expires")
    return at_ms


def _loaded(config: Path | None) -> Config:
    try:
        return load_config(config, environ=os.environ)
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        raise typer.Exit(EXIT_CONFIG) from None


@contextmanager
def _store(config: Config) -> Iterator[KeyStore]:
    """Open the key store; what it refuses is wrong usage, all else that it is not to be had."""
    if config.ledger.url is None:
        typer.echo("there is no ledger to keep keys in: `ledger.url` is off", err=True)
        raise typer.Exit(EXIT_UNAVAILABLE)
    try:
        with closing(KeyStore(config.ledger.url)) as store:
            yield store
    except StoreError as error:
        if error.is_refused:
            raise typer.BadParameter(str(error), param_hint="NAME") from None
        typer.echo(f"the ledger, which keeps the keys, is not to be had: {error}", err=True)
        raise typer.Exit(EXIT_UNAVAILABLE) from None


def _print_secret(key: ClientKey, secret: str, more: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"key": secret, **_document(key)}, indent=2))
        return
    typer.echo(f"key {key.name}: this is the only time that it is shown{more}", err=True)
    typer.echo(secret)


def _document(key: ClientKey) -> dict[str, object]:
    return {
        "name": key.name,
        "shown": key.shown,
        "state": key.state(_now_ms()),
        "created_at": _iso(key.created_at_ms),
        "expires_at": _iso(key.expires_at_ms),
        "rotated_at": _iso(key.rotated_at_ms),
        "previous_until": _iso(key.previous_until_ms),
        "revoked_at": _iso(key.revoked_at_ms),
        "team": key.team,
        "task": key.task,
        "routes": None if key.routes is None else sorted(key.routes),
        "upstreams": None if key.upstreams is None else sorted(key.upstreams),
        "requests_per_min": key.requests_per_min,
        "tokens_per_min": key.tokens_per_min,
        "budgets": [
            {
                "limit": amount_text(each.limit, each.window),
                "warn_at": None if each.warn_at is None else amount_text(each.warn_at, each.window),
            }
            for each in key.budgets
        ],
        "may_use_unpriced": key.may_use_unpriced,
        "is_admin": key.is_admin,
        "requirements": explain_requirements(key.requirements),
    }


def _print_table(keys: list[ClientKey]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("name", "key", "state", "until", "team", "may use", "limits"):
        table.add_column(title, overflow="fold", no_wrap=title in {"key", "state", "until"})
    for key in keys:
        scope = [*sorted(key.routes or ()), *sorted(key.upstreams or ())]
        limits = [
            *([f"{key.requests_per_min} rpm"] if key.requests_per_min is not None else []),
            *([f"{key.tokens_per_min} tpm"] if key.tokens_per_min is not None else []),
            *(amount_text(each.limit, each.window) for each in key.budgets),
            *(f"{name}={value}" for name, value in explain_requirements(key.requirements).items()),
        ]
        until = (_iso(key.revoked_at_ms if key.revoked_at_ms is not None else key.expires_at_ms) or "-")[:16]
        scope_text = ", ".join([*scope, *(["/admin"] if key.is_admin else [])]) or "everything"
        cells = (key.name, f"{key.shown}...", key.state(_now_ms()), until, key.team or "-", scope_text)
        table.add_row(*map(Text, cells), Text(", ".join(limits) or "-"))
    # A pipe has no width: names that are cut there could not be found again.
    Console(width=None if sys.stdout.isatty() else 1000).print(table if keys else "there is no key")
