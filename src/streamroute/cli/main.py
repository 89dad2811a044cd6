"""The `streamroute` command: one file a subcommand, listed here.

Data goes to stdout, talk to stderr. Exit codes: 0 well, 1 ran but failed, 2 usage, 69 unavailable, 78 configuration,
130 interrupted.
"""

from typing import Annotated

import typer

from streamroute import __version__
from streamroute.cli.check import check
from streamroute.cli.demo import demo
from streamroute.cli.keys import app as keys
from streamroute.cli.reconcile import reconcile
from streamroute.cli.replay import replay
from streamroute.cli.routing import app as routing
from streamroute.cli.serve import serve
from streamroute.cli.simulate import simulate
from streamroute.cli.usage import usage

app = typer.Typer(
    name="streamroute",
    help="A sidecar between your application and its LLM providers: streams survive providers that fail.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals can hold keys
)
for command in (demo, serve, check, simulate, usage, reconcile, replay):
    app.command()(command)
app.add_typer(keys)
app.add_typer(routing)


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
