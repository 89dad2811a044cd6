"""docs/reference/cli.md holds the commands' own `--help`.

`python tests/cli/test_reference.py --write` writes it anew.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from typer.main import get_command

from streamroute.cli.main import COMMANDS as ON_DEMAND
from streamroute.cli.main import app
from streamroute.cli.on_demand import OnDemand

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
COMMANDS = (
    "", "demo", "serve", "check", "simulate", "usage", "reconcile", "replay",
    "keys", "keys create", "keys list", "keys rotate", "keys revoke", "routing", "routing show", "routing reset",
    "routing report", "routing fit",
)  # fmt: skip
"""In the order of the document; the empty one is `streamroute` itself."""
_HEAD = """\
# Command line

Data goes to standard output, talk to standard error. `python -m streamroute` is the same command.

| exit code | meaning |
|---|---|
| 0 | well; `serve`: stopped after draining |
| 1 | ran, but what it watches failed (`demo`: an invariant broke; `reconcile`: invoice and ledger differ; `replay`: no request to go by; `routing fit`: no policy to be had) |
| 2 | wrong usage |
| 69 | unavailable: the address to listen on, the ledger, or a file of outcomes is not to be had |
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


_RENDER = """
import json, sys
from typer.testing import CliRunner
from streamroute.cli.main import app
ended = [CliRunner().invoke(app, [*command.split(), "--help"]) for command in json.load(sys.stdin)]
json.dump([each.stdout if each.exit_code == 0 else repr(each) for each in ended], sys.stdout)
"""


def reference() -> str:
    """Return the document as it should be."""
    helps = json.loads(run(["-c", _RENDER], json.dumps(COMMANDS)))
    sections = [
        f"## {f'streamroute {command}'.strip()}\n\n```text\n{tidy(text)}\n```\n"
        for command, text in zip(COMMANDS, helps, strict=True)
    ]
    return "\n".join((_HEAD, *sections))


def run(args: Sequence[str], said: str = "") -> str:
    """Run Python in surroundings that are the same everywhere."""
    kept = {key: value for key, value in os.environ.items() if key in {"PATH", "PYTHONPATH", "HOME", "LANG"}}
    return subprocess.run(
        [sys.executable, *args],
        input=said,
        capture_output=True,
        text=True,
        env={**kept, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "PYTHONIOENCODING": "utf-8"},
        timeout=30,
        check=True,
    ).stdout


def tidy(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join(lines).strip("\n").replace("python -m streamroute", "streamroute")


def test_the_reference_is_what_help_prints() -> None:
    """The document shows every command and option as they are now."""
    assert REFERENCE.read_text() == reference(), "write it anew: python tests/cli/test_reference.py --write"


def test_a_process_of_its_own_prints_the_same() -> None:
    """The document was made by calling the commands in one process: here is one as people start it."""
    assert f"```text\n{tidy(run(['-m', 'streamroute', 'keys', 'create', '--help']))}\n```" in REFERENCE.read_text()


def test_every_command_is_in_the_reference() -> None:
    """A new command is not forgotten in the document."""
    assert set(named(get_command(app))) == set(COMMANDS)


def test_the_list_of_commands_says_what_they_say_themselves() -> None:
    """The list is there without importing them, so it holds the beginning of their help a second time."""
    assert {each.name: each.help for each in ON_DEMAND} == {
        each.name: " ".join((each.imported().help or "").partition("\n\n")[0].split()) for each in ON_DEMAND
    }


def test_the_list_of_commands_costs_no_imports() -> None:
    """Nobody waits for a database and a web server to be told what there is."""
    heavy = {"aiohttp", "alembic", "numpy", "prometheus_client", "pydantic", "sqlalchemy", "structlog"}
    loaded = run(["-c", f"{_RENDER}\nprint(*sys.modules)"], json.dumps([""])).split()
    assert "streamroute.cli.main" in loaded
    assert heavy & set(loaded) == set()


def named(command: Any, before: str = "") -> Iterator[str]:
    """Give a command and all below it as they are typed."""
    yield before
    for name, each in getattr(command, "commands", {}).items():
        yield from named(each.imported() if isinstance(each, OnDemand) else each, f"{before} {name}".strip())


if __name__ == "__main__" and "--write" in sys.argv[1:]:
    REFERENCE.write_text(reference())
