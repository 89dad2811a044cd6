"""The `streamroute` command: one file a subcommand, listed here.

Data goes to stdout, talk to stderr. Exit codes: 0 well, 1 ran but failed, 2 usage, 69 unavailable, 78 configuration,
130 interrupted.
"""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from streamroute import __version__
from streamroute.cli.on_demand import OnDemand

COMMANDS = (
    OnDemand(
        "demo",
        "streamroute.cli.demo:demo",
        "Watch answers survive failing providers: 20 seconds, no key, no network.",
    ),
    OnDemand(
        "serve",
        "streamroute.cli.serve:serve",
        "Run the sidecar: point an OpenAI client at http://HOST:PORT/v1.",
    ),
    OnDemand(
        "check",
        "streamroute.cli.check:check",
        "Check the configuration and print every effective value with where it came from.",
    ),
    OnDemand(
        "simulate",
        "streamroute.cli.simulate:simulate",
        "Run a simulated provider, in the wire formats of OpenAI, Anthropic and Gemini, until it is stopped.",
    ),
    OnDemand(
        "usage",
        "streamroute.cli.usage:usage",
        "Add up the ledger: requests, attempts, tokens and cost.",
    ),
    OnDemand(
        "reconcile",
        "streamroute.cli.reconcile:reconcile",
        "Compare a provider's invoice with the ledger, by day and model.",
    ),
    OnDemand(
        "replay",
        "streamroute.cli.replay:replay",
        "Decide a recorded workload anew by another configuration: cost, quality and shares of tiers, with intervals.",
    ),
    OnDemand(
        "keys",
        "streamroute.cli.keys:app",
        "Client keys: make, list, replace and end them.",
    ),
    OnDemand(
        "routing",
        "streamroute.cli.routing:app",
        "What routing has come to, and what it has learned.",
    ),
)
"""In the order of help. Each says what its own help begins with."""


class _Commands(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for command in COMMANDS:
            self.add_command(command)


app = typer.Typer(
    name="streamroute",
    cls=_Commands,
    help="A sidecar between your application and its LLM providers: streams survive providers that fail.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals can hold keys
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"streamroute {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Say what is common to all subcommands."""


def main() -> None:
    """Run the command line."""
    app()
