"""docs/reference/cli.md holds the commands' own `--help`.

`python tests/cli/test_reference.py --write` writes it anew.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import typer

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
COMMANDS = (
    "", "demo", "serve", "check", "simulate", "usage", "reconcile", "replay",
    "keys", "keys create", "keys list", "keys rotate", "keys revoke", "routing", "routing show", "routing reset",
    "routing report",
)  # fmt: skip
"""In the order of the document; the empty one is `streamroute` itself."""
_HEAD = """\
# Command line

Data goes to standard output, talk to standard error. `python -m streamroute` is the same command.

| exit code | meaning |
|---|---|
| 0 | well; `serve`: stopped after draining |
| 1 | ran, but what it watches failed (`demo`: an invariant broke; `reconcile`: invoice and ledger differ; `replay`: no request to go by) |
| 2 | wrong usage |
| 69 | unavailable: the address to listen on, or the ledger, is not to be had |
| 78 | the configuration is wrong; every problem is listed with file and line |
| 130 | interrupted (Ctrl-C) |

## Signals to `serve`

| signal | what happens |
|---|---|
| SIGTERM, SIGINT | `/readyz` says 503 at once, new requests are refused after `server.drain_delay_s`, live streams finish for up to `server.drain_timeout_s`, the rest end in an error event |
| the same again | live streams end in an error event now |
| SIGHUP | the configuration is read anew: new requests follow it, running ones finish with the old one; where the file is wrong the old one stays, and the log says why |

`server.listen`, `[ledger]` and the files of `[routing]` are read at start only.

The rest of this page is what `--help` prints. `python tests/cli/test_reference.py --write` renews it.
"""  # noqa: E501 - rows of a Markdown table


def reference() -> str:
    """Return the document as it should be."""
    with ThreadPoolExecutor(2) as pool:
        helps = list(pool.map(_help, COMMANDS))
    sections = [
        f"## {f'streamroute {command}'.strip()}\n\n```text\n{text}\n```\n"
        for command, text in zip(COMMANDS, helps, strict=True)
    ]
    return "\n".join((_HEAD, *sections))


def _help(command: str) -> str:
    """Run `--help` in surroundings that are the same everywhere."""
    kept = {key: value for key, value in os.environ.items() if key in {"PATH", "PYTHONPATH", "HOME", "LANG"}}
    ended = subprocess.run(
        [sys.executable, "-m", "streamroute", *command.split(), "--help"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**kept, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "PYTHONIOENCODING": "utf-8"},
        timeout=20,
        check=True,
    )
    lines = [line.rstrip() for line in ended.stdout.splitlines()]
    return "\n".join(lines).strip("\n").replace("python -m streamroute", "streamroute")


def test_the_reference_is_what_help_prints() -> None:
    """The document shows every command and option as they are now."""
    assert REFERENCE.read_text() == reference(), "write it anew: python tests/cli/test_reference.py --write"


def test_every_command_is_in_the_reference() -> None:
    """A new command is not forgotten in the document."""
    from streamroute.cli.main import app  # noqa: PLC0415 - the script above needs no import of the product

    names = commands_of(app)
    for group in app.registered_groups:
        inner = group.typer_instance
        assert inner is not None
        names |= {str(inner.info.name)} | {f"{inner.info.name} {name}" for name in commands_of(inner)}
    assert names == set(COMMANDS) - {""}


def commands_of(app: typer.Typer) -> set[str]:
    return {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}


if __name__ == "__main__" and "--write" in sys.argv[1:]:
    REFERENCE.write_text(reference())
