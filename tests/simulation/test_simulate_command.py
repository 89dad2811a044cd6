"""`streamroute simulate` as a person runs it."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from typer.testing import CliRunner

from streamroute.cli.simulate import simulate
from streamroute.simulation.load import LoadOptions, run_load

PROGRAM = "import typer; from streamroute.cli.simulate import simulate; a = typer.Typer(); a.command()(simulate); a()"

app = typer.Typer()
app.command()(simulate)


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def test_serves_a_script_until_sigterm(tmp_path: Path) -> None:
    """The base URL is on standard output; SIGTERM ends it with a summary and exit code 0."""
    path = tmp_path / "script.toml"
    path.write_text('phases = [{ until_request = 1, fault = { kind = "cut" } }]')
    with running("--port", "0", "--script", str(path)) as process:
        base_url = process.stdout.readline().strip()
        results = await run_load(base_url, LoadOptions(model="m", requests=3, concurrency=1))
        assert [result.is_exact for result in results] == [False, True, True]
        process.send_signal(signal.SIGTERM)
        _, talk = process.communicate(timeout=5)
        assert process.returncode == 0
        assert "3 requests: 2 answered, 1 cut" in talk


def test_sigint_exits_with_130() -> None:
    """Ctrl-C ends it as a shell expects."""
    with running("--port", "0", "--scenario", "outage_503", "--provider", "b") as process:
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=5)
        assert process.returncode == 130


def test_port_in_use_exits_with_69() -> None:
    """A port that is taken is said in a sentence, with what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = CliRunner().invoke(app, ["--port", str(taken.getsockname()[1])])
    assert result.exit_code == 69
    assert "choose another with --port" in result.output


def test_wrong_choices_exit_with_78(tmp_path: Path) -> None:
    """Wrong scripts, scenarios and providers are explained."""
    script = tmp_path / "s.toml"
    script.write_text('phases = [{ fault = { kind = "stal" } }]')
    for arguments, words in (
        (["--script", str(script)], "did you mean 'stall'?"),
        (["--script", str(script), "--scenario", "hang"], "cannot be combined"),
        (["--scenario", "storm"], "no scenario 'storm'"),
        (["--scenario", "hang", "--provider", "z"], "no provider 'z'"),
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 78
        assert words in result.output
