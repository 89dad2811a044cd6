"""A subcommand whose module is imported when it is called: listing all of them costs the imports of none."""

import gc
from pkgutil import resolve_name
from typing import Any

import typer
from typer.core import TyperCommand
from typer.main import get_command


class OnDemand(TyperCommand):
    """Stands in a list of commands for the one that it imports."""

    def __init__(self, name: str, place: str, summary: str) -> None:
        """`place`: module and object, as in `package.module:object`; a function with typer's options, or a Typer."""
        super().__init__(name=name, help=summary)
        self.place = place

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Return the context of the imported command, so that it is the one that is run, or tells its own help."""
        return self.imported().make_context(info_name, args, parent, **extra)

    def imported(self) -> Any:
        """Import it; return what typer makes of it."""
        gc.disable()  # nothing of it is garbage: looking for some is a tenth of the time
        try:
            found = resolve_name(self.place)
        finally:
            gc.enable()
        if isinstance(found, typer.Typer):
            return get_command(found)
        alone = typer.Typer(add_completion=False)
        alone.command(self.name)(found)
        return get_command(alone)
