"""The control group: clients with an SDK's plain retries, straight to one provider.

As the OpenAI SDK does by default: two further tries after 0.5 s and 1 s, less up to a quarter at random, on connection
errors, timeouts, 408, 409, 429 and 5xx, and none once an answer has begun.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import anyio

from streamroute import clock
from streamroute.simulation.load import LoadOptions, LoadResult, run_load
from streamroute.simulation.seeded import fraction

MAX_RETRIES = 2
_BACKOFF_S = 0.5
_RETRIED = frozenset({None, 200, 408, 409, 429})
"""Statuses, beside 5xx. None: no response; 200: one without a word in it until the client lost patience."""


async def run_control(url: str, options: LoadOptions, on_result: Callable[[LoadResult], None]) -> None:
    """Send a Poisson stream of requests, each with its retries, and tell `on_result` what came of each in the end."""

    async def one(index: int) -> None:
        on_result(await ask(url, replace(options, requests=1, rate=None, seed=options.seed + index), index))

    async with anyio.create_task_group() as clients:
        due = clock.now()
        ends_at = due + options.duration_s
        for index in range(options.requests):
            await anyio.sleep(max(0.0, due - clock.now()))
            if due >= ends_at:
                break
            clients.start_soon(one, index)
            due -= math.log(1 - fraction(options.seed, "gap", index)) / (options.rate or 1.0)


async def ask(url: str, options: LoadOptions, index: int) -> LoadResult:
    """Ask until there is an answer or no try left; times count from the first try."""
    started_at = clock.now()
    for attempt in range(1, MAX_RETRIES + 2):
        tried_at = clock.now()
        [result] = await run_load(url, options)
        is_retried = not result.is_complete and not result.text
        is_retried &= result.status in _RETRIED or (result.status or 0) >= 500
        if is_retried and attempt <= MAX_RETRIES:
            jitter = 1 - 0.25 * fraction(options.seed, "back-off", attempt)
            await anyio.sleep(_BACKOFF_S * 2 ** (attempt - 1) * jitter)
            continue
        ttft_s = None if result.ttft_s is None else result.ttft_s + tried_at - started_at
        break
    return replace(
        result,
        index=index,
        started_at=started_at,
        duration_s=clock.now() - started_at,
        ttft_s=ttft_s,
        attempts=attempt,
    )
