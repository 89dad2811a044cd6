"""Real llama.cpp servers as providers: they can be killed or frozen in the middle of an answer.

The model is small and answers at about 50 tokens per second on one core. At temperature 0 every server gives the same
text byte for byte, so the answer of one is the oracle for an answer that another had to finish.

Mark a test that uses this `@pytest.mark.llm`, and give it a fixture:

    from tests.support.local_llm import LocalLlm, started_pair

    @pytest.fixture
    def local_llm_pair() -> Iterator[tuple[LocalLlm, LocalLlm]]:
        with started_pair() as pair:
            yield pair

Without the download (`scripts/local-llm fetch`) such a test is skipped, or fails where the environment variable
STREAMROUTE_REQUIRE_LOCAL_LLM is set, as CI does: there a skip would hide that the real thing was never tried.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import openai
import pytest

from streamroute.app import App
from streamroute.config.load import load_config

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "local-llm"

MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
"""The name under which a server lists its model. It answers to any name."""

READY_WITHIN_S = 60.0
"""Loading takes 0.5 s on an idle core; the rest is room for a busy machine."""

STOP_WITHIN_S = 5.0
"""Seconds between SIGTERM and SIGKILL. It stops at once: there is nothing to save."""

REQUIRE_VARIABLE = "STREAMROUTE_REQUIRE_LOCAL_LLM"


class LocalLlm:
    """One server process. `launch` starts it, `wait_until_ready` waits for it; as a context manager it does both.

    Always ends in `stop`, which is safe to call in any state and more than once.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._base_url: str | None = None

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT/v1`, as a provider's `base_url` wants it."""
        assert self._base_url is not None, "wait_until_ready() comes first"
        return self._base_url

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._started().pid

    @property
    def is_running(self) -> bool:
        """Whether the process exists, paused or not."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start the process on a free port, without waiting for it."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process; closed in stop()
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), "start", "0", "--until-stdin-closes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )

    def wait_until_ready(self, within_s: float = READY_WITHIN_S) -> None:
        """Block until requests are answered; AssertionError with the server's log when it does not get there."""
        process = self._started()
        assert process.stdout is not None
        deadline = time.monotonic() + within_s
        line = b""
        while not line.endswith(b"\n"):  # bounded by the deadline and by the end of the output
            readable, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(process.stdout.fileno(), 4096) if readable else b""
            if not piece:
                reason = "ended" if readable else f"was not ready within {within_s:g} s"
                raise AssertionError(f"the local LLM {reason}; its log ends:\n{self._log_tail()}")
            line += piece
        address = line.decode().strip().removeprefix("listening on ")
        self._base_url = f"{address}/v1"

    def kill(self) -> None:
        """Death without a word (SIGKILL): its sockets are closed by the system, in mid-answer where there is one."""
        process = self._started()
        process.kill()
        process.wait(STOP_WITHIN_S)

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open and are even accepted, but nothing is answered."""
        self._started().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `pause` (SIGCONT)."""
        self._started().send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the process, however it is, and release what belongs to it."""
        process, self._process = self._process, None
        if process is not None:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)  # a paused process receives SIGTERM only when it runs again
                process.terminate()
                try:
                    process.wait(STOP_WITHIN_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(STOP_WITHIN_S)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        if self._log is not None:
            self._log.close()
            self._log = None

    def __enter__(self) -> Self:
        try:
            self.launch()
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _started(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "launch() comes first"
        return self._process

    def _log_tail(self) -> str:
        assert self._log is not None
        self._log.seek(0)
        return self._log.read()[-2000:].decode(errors="replace")


@contextlib.contextmanager
def started_pair() -> Iterator[tuple[LocalLlm, LocalLlm]]:
    """Two servers, loaded side by side and ready; both are stopped at the end. Skips when not fetched."""
    skip_unless_fetched()
    first, second = LocalLlm(), LocalLlm()
    with contextlib.ExitStack() as stack:
        for server in (first, second):
            stack.callback(server.stop)
            server.launch()
        for server in (first, second):
            server.wait_until_ready()
        yield first, second


def skip_unless_fetched() -> None:
    """Skip the running test, or fail it where the environment requires the local LLM, unless it was downloaded."""
    found = subprocess.run([sys.executable, str(SCRIPT), "paths"], capture_output=True, timeout=30, check=False)
    if found.returncode == 0 and json.loads(found.stdout)["fetched"]:
        return
    reason = "the local LLM was not downloaded: run `scripts/local-llm fetch` once"
    if os.environ.get(REQUIRE_VARIABLE):
        pytest.fail(f"{reason} ({REQUIRE_VARIABLE} is set)")
    pytest.skip(reason)


@contextlib.asynccontextmanager
async def asked_through(config: str, folder: Path) -> AsyncIterator[tuple[App, openai.AsyncOpenAI]]:
    """Start a sidecar of this configuration in `folder`, and the official SDK before it; it does not retry."""
    file = folder / "config.toml"
    file.write_text(config)
    loaded = load_config(file, environ={}, overrides={"server.listen": "127.0.0.1:0"})
    async with (
        App(loaded) as app,
        openai.AsyncOpenAI(base_url=f"{app.url}/v1", api_key="none", max_retries=0) as client,
    ):
        yield app, client
