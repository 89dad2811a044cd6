"""A support desk of 1,000 tickets a day, and what it costs to ask for each ticket no more than it needs.

    python bench/support_desk.py [--json] [--keep DIR]

A thousand real requests go through a real sidecar, over sockets, to simulated providers that count the tokens; the
task is in a header. Prices are made up so that a ticket, 2,000 tokens of prompt and 500 of answer, costs what the table
says. What is printed then is `streamroute usage --by task --baseline large`, from the rows of the ledger: nothing is
calculated here. The day is fixed by its mix, not drawn: 40 % simple, 35 % moderate, 20 % complex, 5 % edge cases.
Exit code 1: a ticket was not answered.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import aiohttp

from streamroute.app import App
from streamroute.config.load import load_config
from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from streamroute.telemetry.logs import configure_logs

PROMPT_TOKENS = 2_000
ANSWER_TOKENS = 500
CLIENTS = 16
TICKETS = {"simple": 400, "moderate": 350, "complex": 200, "edge": 50}
UPSTREAMS = {
    "simple": ("small", "input_per_mtok = 2.5, output_per_mtok = 30"),  # 2,000 and 500 tokens: $0.02
    "moderate": ("medium", "input_per_mtok = 7.5, output_per_mtok = 70"),  # $0.05
    "complex": ("large", "input_per_mtok = 25, output_per_mtok = 200"),  # $0.15
    "edge": ("largest", "input_per_mtok = 35, output_per_mtok = 260"),  # $0.20
}
"""By task: who is asked, and at what price."""
BASELINE = "large"
"""Without a choice everything would be asked of whoever can do all but the edge cases."""
REPORT = ("--by", "task", "--baseline", BASELINE)


def main() -> int:
    """Work through a day, then print the command's own report."""
    parser = argparse.ArgumentParser(description="a support desk's day, from the ledger")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    parser.add_argument("--keep", type=Path, help="keep the configuration and the ledger there")
    arguments = parser.parse_args()
    configure_logs("warning")  # to standard error: the report goes to standard output
    with ExitStack() as stack:
        folder = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "config.toml"
        asyncio.run(work(config))
        command = [sys.executable, "-m", "streamroute", "usage", "-c", str(config), *REPORT]
        return subprocess.run([*command, "--json"] if arguments.json else command, check=False).returncode


async def work(file: Path) -> None:
    """Have every ticket answered; raises where one is not."""
    async with AsyncExitStack() as stack:
        provider = SimulationServer(None, profile=Profile(tokens=ANSWER_TOKENS), keep_bodies=False)
        await stack.enter_async_context(provider)
        await asyncio.to_thread(file.write_text, config_text(provider.base_url))
        app = await stack.enter_async_context(App(await asyncio.to_thread(load_config, file, environ={})))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        tickets = [task for task, count in TICKETS.items() for _ in range(count)]
        async with asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(answer(session, app.url, tickets[number::CLIENTS]))


async def answer(session: aiohttp.ClientSession, url: str, tickets: list[str]) -> None:
    """One client: one ticket after the other."""
    prompt = "My order has not come. ".ljust(4 * PROMPT_TOKENS, ".")  # the simulated provider counts four bytes a token
    for task in tickets:
        body = {"model": f"support-{task}", "messages": [{"role": "user", "content": prompt}]}
        headers = {"x-streamroute-task": task}
        async with session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as response:
            response.raise_for_status()
            await response.read()


def config_text(base_url: str) -> str:
    """Return a route for each kind of ticket."""
    text = f"""version = 1
[ledger]
url = "sqlite:///ledger.db"
[server]
listen = "127.0.0.1:0"
[providers.lab]
kind = "openai_compatible"
base_url = "{base_url}"
"""
    for task, (name, price) in UPSTREAMS.items():
        text += f'[upstreams.{name}]\nprovider = "lab"\nmodel = "model-{name}"\nprice = {{ {price} }}\n'
        text += f'[routes.support-{task}]\nupstreams = ["{name}"]\nplan = "failover"\n'
    return text


if __name__ == "__main__":
    sys.exit(main())
