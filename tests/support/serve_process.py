"""`streamroute serve` as people run it: a process of its own, on a free port.

with ServeProcess(config_text) as serve:
    ...                                     # requests to serve.url
    serve.signal(signal.SIGTERM)
    assert serve.wait(5) == 0

The methods block; in a test whose event loop also runs a provider, call those that wait through `asyncio.to_thread`.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

READY_TIMEOUT_S = 20.0
"""Far more than it takes: a test says how fast it should be, this only ends a hang."""
STOP_TIMEOUT_S = 5.0
_ANNOUNCED = re.compile(r"streamroute listens on (http://\S+)")


class ServeProcess:
    """A running sidecar process, always stopped in the end."""

    def __init__(
        self,
        config_text: str,
        *,
        env: Mapping[str, str] | None = None,
        args: Sequence[str] = ("--listen=127.0.0.1:0",),
        prefix: Sequence[str] = (),
    ) -> None:
        """`prefix`: a command that becomes the one it is given."""
        self._args = tuple(args)
        self._prefix = tuple(prefix)
        self._folder = tempfile.TemporaryDirectory(prefix="serve-")
        self._env = {**os.environ, "NO_COLOR": "1", "XDG_STATE_HOME": self._folder.name, **(env or {})}
        self.config_file = Path(self._folder.name) / "config.toml"
        self.config_file.write_text(config_text)
        self.url = ""
        self.ready_s = 0.0
        """From the start of the process to its announcement."""
        self._stderr = ""
        self._has_ended = False
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        started_at = time.monotonic()
        self._process = subprocess.Popen(
            [*self._prefix, *_command(self.config_file, self._args)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=self._env,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            announced = self.wait_for_stderr(_ANNOUNCED.pattern, READY_TIMEOUT_S)
        except BaseException:
            self._stop()
            raise
        self.ready_s = time.monotonic() - started_at
        self.url = announced[1]
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def stderr(self) -> str:
        """All it has said so far."""
        with self._changed:
            return self._stderr

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self, timeout_s: float) -> int:
        """Wait for its end and for the last of its words; return the exit code, or raise TimeoutExpired."""
        code = self._process.wait(timeout_s)
        self._reader.join(timeout_s)
        return code

    def wait_for_stderr(self, pattern: str, timeout_s: float = 5.0) -> re.Match[str]:
        """Wait until stderr holds the pattern; fails when it ends or the time runs out without."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_ended or re.search(pattern, self._stderr) is not None, timeout_s)
            match = re.search(pattern, self._stderr)
            assert match is not None, f"no {pattern!r} on stderr:\n{self._stderr}"
            return match

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._changed:
                self._stderr += line
                self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def _stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None:
                break
            self._process.send_signal(number)
            try:
                self._process.wait(STOP_TIMEOUT_S / 5)
            except subprocess.TimeoutExpired:
                continue
        self._process.wait(STOP_TIMEOUT_S)
        self._reader.join(STOP_TIMEOUT_S)
        if self._process.stderr is not None:
            self._process.stderr.close()
        self._folder.cleanup()


def serve_until_it_ends(
    config_text: str, *, env: Mapping[str, str] | None = None, args: Sequence[str] = ("--listen=127.0.0.1:0",)
) -> subprocess.CompletedProcess[str]:
    """Run a `serve` that is expected to refuse; its file is named `config.toml`."""
    with tempfile.TemporaryDirectory(prefix="serve-") as folder:
        file = Path(folder) / "config.toml"
        file.write_text(config_text)
        return subprocess.run(
            _command(file, args),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, "NO_COLOR": "1", **(env or {})},
            timeout=READY_TIMEOUT_S,
            check=False,
        )


def provider_table(name: str, base_url: str, *, more: str = "") -> str:
    """Return the TOML of a provider and of one upstream on it, both called `name`."""
    return (
        f'[providers.{name}]\nkind = "openai_compatible"\nbase_url = "{base_url}"\n{more}\n'
        f'[upstreams.{name}]\nprovider = "{name}"\nmodel = "model-{name}"\n'
    )


def _command(file: Path, args: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "streamroute", "serve", "-c", str(file), *args]
