"""`streamroute` as it is typed, in this process: one of its own would take a second to import everything anew."""

import asyncio

from typer.testing import CliRunner, Result

from streamroute.cli.main import app


async def run_command(*args: str) -> Result:
    """Run it beside the event loop; return `exit_code`, `stdout` and `stderr`."""
    runner = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"})
    return await asyncio.to_thread(runner.invoke, app, args)
