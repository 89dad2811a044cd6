"""`streamroute routing show` and `reset`: what was learned, from its file, or from the sidecar that writes it.

A sidecar holds what it has learned in memory and saves it over whatever stands in the file, so a reset goes to the one
that runs; only where nobody listens is the file changed.
"""

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from streamroute.cli.usage import EXIT_UNAVAILABLE, config_or_exit
from streamroute.cli.whole_table import print_whole
from streamroute.config.model import Config
from streamroute.core.upstream import UpstreamId
from streamroute.engine.learning import Learning
from streamroute.errors import StoreError
from streamroute.routing_memory import GATES
from streamroute.server.learned import PATH, learned_status, nothing_learned
from streamroute.stores.state_file import State, read_state, save_state

KEY = "STREAMROUTE_KEY"
TIMEOUT_S = 5.0

ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help="TOML file; ./config.toml or the shipped one by default.")
]


def show(
    *,
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of objects.")] = False,
) -> None:
    """Show what was learned of each upstream in each domain, as it was saved last."""
    loaded = config_or_exit(config)
    path, _, learning = _saved(loaded)
    rows = learned_status(learning)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        interval_s = loaded.routing_files.save_interval_s
        typer.echo(f"nothing is saved yet in {path}; a running sidecar saves every {interval_s:g} s")
        return
    table = Table(box=None, pad_edge=False)
    for name in rows[0]:
        table.add_column(name, justify="left" if name in {"upstream", "domain"} else "right")
    for row in rows:
        table.add_row(*("-" if value is None else str(value) for value in row.values()))
    print_whole(table)


def reset(
    *,
    upstream: Annotated[str | None, typer.Option("--upstream", help="Only what was learned of this one.")] = None,
    domain: Annotated[str | None, typer.Option("--domain", help="Only what was learned in this one.")] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="Of the running sidecar; by default where the configuration listens.")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Forget what was learned. A key for the running sidecar is read from STREAMROUTE_KEY."""
    if upstream is not None and domain is not None:
        raise typer.BadParameter("choose one of --upstream and --domain")
    loaded = config_or_exit(config)
    at = url or _address(loaded)
    try:
        count = _reset_running(at, upstream, domain)
        where = f"the sidecar at {at}"
    except ConnectionRefusedError:
        if url is not None:
            typer.echo(f"nobody listens at {url}", err=True)
            raise typer.Exit(EXIT_UNAVAILABLE) from None
        count, where = _reset_file(loaded, upstream, domain)
    typer.echo(f"{where} has forgotten {count} outcomes", err=True)


def _saved(config: Config) -> tuple[Path, State, Learning]:
    """Return the file, what is in it, and what of that was learned of answers; leaves the program where there is
    none to be had."""
    path = config.routing_files.state
    if path is None:
        typer.echo("nothing is kept: there is no ledger, and no `routing.state`", err=True)
        raise typer.Exit(EXIT_UNAVAILABLE)
    learning = Learning()
    try:
        state = read_state(path)
        if state is not None:
            learning.restore(state)
    except (StoreError, ValueError, KeyError) as error:
        typer.echo(f"what was learned cannot be read: {error}", err=True)
        raise typer.Exit(EXIT_UNAVAILABLE) from None
    return path, state or {}, learning


def _reset_file(config: Config, upstream: str | None, domain: str | None) -> tuple[int, str]:
    path, state, learning = _saved(config)
    unknown = nothing_learned(learning, upstream, domain)
    if unknown is not None:
        typer.echo(f"{path}: {unknown}", err=True)
        raise typer.Exit(1)
    kept = {name: each for name, each in state.items() if name.startswith(GATES)}  # as a running sidecar does
    count = learning.forget(None if upstream is None else UpstreamId(upstream), domain)
    try:
        save_state(path, {**learning.state(), **kept})
    except StoreError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_UNAVAILABLE) from None
    return count, str(path)


def _reset_running(url: str, upstream: str | None, domain: str | None) -> int:
    """Return how many outcomes were forgotten; raises ConnectionRefusedError where nobody listens."""
    if not url.startswith(("http://", "https://")):
        raise typer.BadParameter("expected http://HOST:PORT", param_hint="--url")
    key = os.environ.get(KEY)
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
    given = {name: value for name, value in (("upstream", upstream), ("domain", domain)) if value is not None}
    request = urllib.request.Request(url.rstrip("/") + PATH, json.dumps(given).encode(), headers, method="POST")  # noqa: S310 - checked above
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a sidecar is not behind a proxy
    try:
        with opener.open(request, timeout=TIMEOUT_S) as reply:
            return int(json.loads(reply.read())["forgotten_outcomes"])
    except urllib.error.HTTPError as error:
        body = error.read()
        try:
            text = json.loads(body)["error"]["message"]
        except (ValueError, KeyError, TypeError):
            text = f"HTTP {error.code}"
        hint = f" (a key is read from {KEY})" if error.code == 401 else ""
        typer.echo(f"{url} refuses: {text}{hint}", err=True)
        raise typer.Exit(1) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionRefusedError):
            raise error.reason from None
        typer.echo(f"{url} cannot be reached: {error.reason}", err=True)
        raise typer.Exit(EXIT_UNAVAILABLE) from None


def _address(config: Config) -> str:
    host = config.server.host
    return f"http://[{host}]:{config.server.port}" if ":" in host else f"http://{host}:{config.server.port}"
