"""`streamroute serve`: run the sidecar until it is told to stop.

SIGTERM and SIGINT drain (a second one stops at once), SIGHUP reloads the configuration. Exit codes: 0 stopped after
draining, 69 (EX_UNAVAILABLE) the address is not to be had, 78 (EX_CONFIG) the configuration is wrong, 130 interrupted.
"""

import contextlib
import gc
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import anyio
import orjson
import structlog
import typer

from streamroute.app import App
from streamroute.cli.event_loop import run_on_fast_loop
from streamroute.clock import wall_iso
from streamroute.config.load import load_config
from streamroute.config.model import Config
from streamroute.errors import ConfigError
from streamroute.telemetry.logs import configure_logs, is_console

EXIT_UNAVAILABLE = 69
EXIT_CONFIG = 78
EXIT_INTERRUPTED = 130

if sys.platform != "win32":
    import resource

_log = structlog.get_logger("streamroute")


def serve(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="TOML file; ./config.toml or the shipped one by default.")
    ] = None,
    listen: Annotated[str | None, typer.Option("--listen", "-l", help="HOST:PORT; port 0 takes a free one.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", "-p", min=0, max=65535, help="The same as --listen 127.0.0.1:PORT.")
    ] = None,
) -> None:
    """Run the sidecar: point an OpenAI client at http://HOST:PORT/v1."""
    if port is not None:
        if listen is not None:
            raise typer.BadParameter("choose one of --listen and --port")
        listen = f"127.0.0.1:{port}"
    try:
        loaded = _load(config, listen)
    except ConfigError as error:
        _print_problems(error)
        raise typer.Exit(EXIT_CONFIG) from None
    configure_logs(loaded.log.level, loaded.log.format)
    _raise_file_limit()
    try:
        stopped_by = run_on_fast_loop(_serve, loaded, config, listen)
    except ConfigError as error:
        _print_problems(error)
        raise typer.Exit(EXIT_CONFIG) from None
    except OSError as error:
        address = f"{loaded.server.host}:{loaded.server.port}"
        typer.echo(
            f"cannot listen on {address}: {error.strerror or error}; choose another with --listen or `server.listen`",
            err=True,
        )
        raise typer.Exit(EXIT_UNAVAILABLE) from None
    if stopped_by == signal.SIGINT:
        raise typer.Exit(EXIT_INTERRUPTED)


def _raise_file_limit() -> None:
    """Use all the file descriptors that the system grants: each stream takes two, and the usual soft limit is 1024."""
    if sys.platform != "win32":
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            with contextlib.suppress(OSError, ValueError):  # macOS refuses "unlimited"
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(config: Config, file: Path | None, listen: str | None) -> int:
    """Serve until a signal says stop; return that signal."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with App(config) as app, anyio.create_task_group() as tasks:
            _announce(app)
            # What start-up left behind stays for the life of the process: not worth another look at each collection.
            gc.freeze()
            stopped_by = 0
            async for received in signals:
                if received == signal.SIGHUP:
                    await _reload(app, file, listen)
                elif stopped_by:
                    _log.warning("drain.cut_short", signal=signal.Signals(received).name)
                    app.stop_requests()
                    break
                else:
                    stopped_by = received
                    tasks.start_soon(_drain, app, tasks.cancel_scope)
            tasks.cancel_scope.cancel()
        return stopped_by


async def _drain(app: App, scope: anyio.CancelScope) -> None:
    await app.drain()
    scope.cancel()


async def _reload(app: App, file: Path | None, listen: str | None) -> None:
    """Replace the configuration, or keep the old one and say why."""
    try:
        config = await anyio.to_thread.run_sync(_load, file, listen)  # a policy of many megabytes may be in it
        await app.reload(config)
        configure_logs(config.log.level, config.log.format)
    except ConfigError as error:
        _log.error("config.reload_refused", problems=[str(problem) for problem in error.problems])
    except Exception:  # noqa: BLE001 - whatever it is, the old configuration goes on serving
        _log.exception("config.reload_refused")


def _load(file: Path | None, listen: str | None) -> Config:
    overrides = {} if listen is None else {"server.listen": listen}
    return load_config(file, environ=os.environ, overrides=overrides)


def _announce(app: App) -> None:
    """Say where to point clients, loudly where answers are made up, and what is missing; whatever the log level."""
    config, url = app.config, app.url
    _say(
        config,
        "serve.started",
        f"streamroute listens on {url} (clients: {url}/v1, operators: {url}/status; configuration: {config.file})",
        url=url,
        config_file=str(config.file),
    )
    made_up = [name for name, upstream in config.upstreams.items() if upstream.is_simulated]
    routes = [name for name, route in config.served.items() if set(route.upstreams) & set(made_up)]
    if routes:
        _say(
            config,
            "serve.simulated",
            f"SIMULATED: answers of {', '.join(routes)} are made up, by embedded simulated providers. "
            "Set a provider's key (such as OPENAI_API_KEY) to get real ones.",
            routes=routes,
        )
    for name, warning in config.warnings.items():
        if name in config.rule_warnings:
            _say(config, "serve.rule_is_odd", warning)
        else:
            _say(config, "serve.route_has_one_upstream", warning, route=name)
    for each in config.disabled:
        if each.kind == "provider":
            text = f"disabled provider {each.name}: {each.reason}"
            _say(config, "serve.provider_disabled", text, provider=each.name, reason=each.reason)


def _say(config: Config, event: str, text: str, **facts: object) -> None:
    """Write to stderr what belongs to the start, in the form of the log."""
    with contextlib.suppress(OSError):  # nobody reads it: no reason not to serve
        if is_console(config.log.format):
            loud = event == "serve.simulated"
            typer.secho(text, err=True, bold=loud, fg=typer.colors.YELLOW if loud else None)
        else:
            level = "warning" if event == "serve.simulated" else "info"
            line = {"event": event, "level": level, "timestamp": wall_iso(), "message": text, **facts}
            typer.echo(orjson.dumps(line), err=True)


def _print_problems(error: ConfigError) -> None:
    for problem in error.problems:
        typer.echo(str(problem), err=True)
    count = len(error.problems)
    typer.echo(f"{count} problem{'s' if count != 1 else ''} found; nothing was started", err=True)
