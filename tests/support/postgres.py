"""A PostgreSQL server that a test may stop and start again; see `scripts/postgres`.

with PostgresServer() as server:          # not running yet
    server.start()
    server.stop()                         # connections are cut
"""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "postgres"
STOP_TIMEOUT_S = 30

needs_postgres = pytest.mark.skipif(
    "STREAMROUTE_TEST_POSTGRES" not in os.environ, reason="run by `scripts/postgres run`, which sees to a server"
)


class PostgresServer:
    """A folder and a port of its own."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="postgres-")
        Path(self._folder.name).chmod(0o755)  # under root the server is somebody else
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"postgresql://streamroute@127.0.0.1:{self.port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it takes connections; what is in the folder is there again."""
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), "start", f"{self._folder.name}/data", str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().startswith(b"listening"), "the server did not start"

    def stop(self) -> None:
        """Stop it, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.communicate(timeout=STOP_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()
