"""Whoever reads the log may die; the sidecar answers on."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from streamroute.simulation.faults import ErrorStatus
from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import expected_text
from tests.support.rig import PROMPT, Reply, read_stream
from tests.support.serve_process import provider_table

ASK = {"model": "chat", "stream": True, "messages": [{"role": "user", "content": PROMPT}]}


def _start(file: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "streamroute", "serve", "-c", str(file), "--listen=127.0.0.1:0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1"},
    )


@pytest.mark.parametrize("level", ["info", "debug"])
async def test_a_closed_log_costs_no_answer(tmp_path: Path, level: str) -> None:
    """With stderr's other end closed (`serve 2>&1 | head`) requests fail over, are refused, and signals are obeyed."""
    async with (
        SimulationServer(ErrorStatus(), profile=Profile(tokens=3)) as broken,
        SimulationServer(profile=Profile(tokens=3)) as well,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session,
    ):
        file = tmp_path / "config.toml"
        file.write_text(
            f'version = 1\n[log]\nlevel = "{level}"\n{provider_table("a", broken.base_url)}'
            f'{provider_table("b", well.base_url)}[routes.chat]\nupstreams = ["a", "b"]\n'
        )
        process = _start(file)
        assert process.stderr is not None
        try:
            announced = (await asyncio.to_thread(process.stderr.readline)).decode()
            url = next(word for word in announced.split() if word.startswith("http://"))
            process.stderr.close()
            for _ in range(3):
                async with session.post(f"{url}/v1/chat/completions", json=ASK) as response:
                    reply = Reply(response.status, response.headers)
                    read_stream(await response.read(), reply)
                assert (reply.text, reply.is_done) == (expected_text(PROMPT, 3), True)
            async with session.post(f"{url}/v1/chat/completions", json={}) as response:
                assert response.status == 400
            process.send_signal(signal.SIGHUP)
            async with session.get(f"{url}/livez") as response:
                assert response.status == 200
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 5) == 0
        finally:
            process.kill()
            process.wait()
