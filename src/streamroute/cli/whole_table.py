"""Tables of figures, none of which is ever cut: on a narrow terminal their lines wrap."""

from rich.console import Console
from rich.table import Table

MAX_WIDTH = 1000


def print_whole(table: Table) -> None:
    """Print a table as wide as it needs to be."""
    console = Console()
    wide = console.options.update(width=MAX_WIDTH)
    console.width = max(console.width, console.measure(table, options=wide).maximum)
    console.print(table)
