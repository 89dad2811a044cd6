"""`streamroute serve` that can be asked what is alive inside it: tasks, and the objects that belong to a request.

    python -m harness.inside serve --config FILE --listen 127.0.0.1:0        in bench/

The same composition root as the product, without its signals and reloading; the product itself gets no such door.
SIGUSR1 makes it write one JSON object to stdout: {"tasks": N, "tasks_by_kind": {...}, "objects": {...}}. Objects are
counted after a full garbage collection: what is left then is held by somebody.
"""

import argparse
import asyncio
import gc
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path

from streamroute.app import App
from streamroute.cli.event_loop import run_on_fast_loop
from streamroute.config.load import load_config
from streamroute.core.execution.failover import Failover
from streamroute.engine.attempt import Attempt
from streamroute.engine.runner import Runner
from streamroute.providers.aiohttp_transport import AiohttpExchange
from streamroute.server.answers import StreamAnswer
from streamroute.server.connection import Connection
from streamroute.telemetry.logs import configure_logs

OF_A_REQUEST = (Runner, Failover, Attempt, AiohttpExchange, StreamAnswer, Connection)
"""What a request makes, and nobody else; `Connection` lives as long as its client wants."""


def report() -> None:
    """Write what is alive."""
    gc.collect()
    tasks = Counter(getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks())
    alive = Counter(type(each) for each in gc.get_objects())
    objects = {kind.__name__: alive[kind] for kind in OF_A_REQUEST}
    facts = {"tasks": tasks.total(), "tasks_by_kind": dict(tasks), "objects": objects}
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def _serve(config: Path, listen: str) -> None:
    loaded = load_config(config, environ=os.environ, overrides={"server.listen": listen})
    configure_logs(loaded.log.level, loaded.log.format)
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, report)
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stopped.set)
    async with App(loaded) as app:
        print(f"listens on {app.url}", file=sys.stderr, flush=True)
        await stopped.wait()


def main() -> None:
    """Parse the command line and serve until terminated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--listen", required=True)
    arguments = parser.parse_args()
    run_on_fast_loop(_serve, arguments.config, arguments.listen)


if __name__ == "__main__":
    main()
