"""`docs/howto/auto.md` as a reader would try it: its files and scripts, and what it says that they print."""

import asyncio
import re
import signal
import sys
from asyncio.subprocess import PIPE
from contextlib import AsyncExitStack
from pathlib import Path

from streamroute.config.load import load_config
from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from tests.support.command import run_command
from tests.support.serve_process import ServeProcess

DOCUMENT = (Path(__file__).parents[2] / "docs" / "howto" / "auto.md").read_text()
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [found[2] for found in _BLOCK.finditer(DOCUMENT) if found[1] == language]


CONFIG, REAL, AUDITED = blocks("toml")
RULE = blocks("sh")[1].partition("\n")[2].partition("\nEOT")[0]
ASK, REFUSED, RULED, JUDGED = blocks("python")
TOLD = blocks("text")


async def output_of(script: str) -> str:
    """Run it as a program of its own, as clients are; return what it prints."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=PIPE, stderr=PIPE)
    said, trouble = await process.communicate()
    assert process.returncode == 0, trouble.decode()
    return said.decode()


async def test_a_reader_gets_what_is_printed_there() -> None:
    """Block by block, on three providers; figures of learning differ a little from run to run."""
    async with AsyncExitStack() as stack:
        text = CONFIG
        for port in ("9001", "9002", "9003"):
            server = await stack.enter_async_context(SimulationServer(profile=Profile(ttft_s=0.005, tpot_s=0.001)))
            text = text.replace(f"http://127.0.0.1:{port}/v1", server.base_url)
        with ServeProcess(text) as serve:

            async def printed(*scripts: str) -> str:
                return await output_of("\n".join(scripts).replace("http://127.0.0.1:8700", serve.url))

            assert await printed(ASK, REFUSED) == TOLD[0] + TOLD[1]
            with serve.config_file.open("a") as file:
                file.write(f"\n{RULE}\n")
            serve.signal(signal.SIGHUP)
            await asyncio.to_thread(serve.wait_for_stderr, "config.reloaded")
            functions = ASK.partition("\nprint(")[0]
            assert await printed(functions, RULED, JUDGED) == TOLD[2] + TOLD[3]
            serve.signal(signal.SIGTERM)
            assert await asyncio.to_thread(serve.wait, 10) == 0

            config, other = serve.config_file, serve.config_file.with_name("other.toml")
            shown = (await run_command("routing", "show", "--config", str(config))).stdout
            assert re.search(r"^large +medicine +\d+ +1\.0 ", shown, re.MULTILINE)
            assert re.search(r"^small +medicine +\d+ +0\.0 ", shown, re.MULTILINE)
            report = (await run_command("routing", "report", "--config", str(config))).stdout
            assert re.search(r"^auto +- +66 +100\.0 % ", report, re.MULTILINE)
            other.write_text(config.read_text().replace("\nlog = ", '\nmode = "rules"\nlog = '))
            log = str(config.with_name("routing.jsonl"))
            replayed = (await run_command("replay", log, "--config", str(other))).stdout
            assert re.search(r"^quality gained: -0\.\d", replayed, re.MULTILINE)


def test_the_other_files(tmp_path: Path) -> None:
    """Real providers in place of simulated ones, and audits: valid, and nothing to warn of."""
    real, audited = tmp_path / "real.toml", tmp_path / "audited.toml"
    real.write_text(f"version = 1\n{REAL}")
    assert list(load_config(real, environ={"OPENAI_API_KEY": "sk-x"}).upstreams) == ["small"]
    audited.write_text(re.sub(r"\[routes.auto\]\n.*\n", "", CONFIG) + AUDITED)
    found = load_config(audited, environ={})
    assert found.warnings == {}
    assert found.routes["auto"].judge == "referee"
