"""Requests that wait for an upstream are hedged as soon as others show that it is in trouble; on real sockets."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streamroute.clock import now
from streamroute.core.health.options import HealthOptions
from streamroute.core.upstream import Deadlines, PlanName, UpstreamId
from streamroute.engine.call import Call
from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import ErrorStatus, NoResponse
from streamroute.simulation.script import Phase, Script
from streamroute.wire.openai_chat.request import decode_request
from tests.support.rig import LIVELY, PROMPT, Reply, Rig

MEDIAN_S = 0.4
PATIENT = Deadlines(headers_s=10.0, first_token_s=10.0, total_s=20.0)
A, B = UpstreamId("a"), UpstreamId("b")


@asynccontextmanager
async def familiar(script: Script | Fault, plan: PlanName = "hedge") -> AsyncIterator[Rig]:
    """Start a rig that knows both upstreams, as unsteady as they come: by itself a hedge would be late."""
    generous = HealthOptions(hedge_spend={"interactive": 1.0})
    async with Rig.of(script, None, deadlines=PATIENT, health=generous, plan=plan) as rig:
        for name in (A, B):
            baseline = rig.app.dispatcher.board.health(name, now()).baseline
            for i in range(400):
                baseline.learn(math.log(MEDIAN_S) + 0.8 * math.sin(i), 0.0, now())
        rig.app.dispatcher.budget.spent("interactive", 1.0, now())
        yield rig


def another() -> Call:
    body = b'{"model":"chat","stream":true,"messages":[{"role":"user","content":"%b"}]}' % PROMPT.encode()
    return Call(request_id="req_another", chat=decode_request(body), arrived_at=now())


async def ask(rig: Rig, into: list[tuple[float, Reply]]) -> None:
    """Ask, and keep how long it took."""
    began_at = now()
    reply = await rig.ask(stream=True)
    into.append((now() - began_at, reply))


async def asked(rig: Rig, number: int) -> None:
    """Return once so many requests have reached the first provider."""
    await rig.providers[0].wait_until(lambda: len(rig.providers[0].log) >= number)


async def test_a_hang_is_over_for_all_once_the_first_ones_show_it() -> None:
    """Eight requests hang, none is late enough for a hedge of its own; together they are. The next decision sees it."""
    replies: list[tuple[float, Reply]] = []
    async with familiar(NoResponse()) as rig:
        hedge_after_s = rig.app.dispatcher.foresee(another()).hedge_after_s
        assert hedge_after_s is not None
        assert hedge_after_s > 4 * MEDIAN_S
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(ask(rig, replies))
            await asked(rig, 8)
            while not replies:  # traffic goes on
                rig.app.dispatcher.foresee(another())
                await asyncio.sleep(0)
        assert {(reply.text, reply.headers["x-streamroute-upstream"]) for _, reply in replies} == {
            (rig.expected_text, "b")
        }
        assert max(took_s for took_s, _ in replies) < hedge_after_s
        assert rig.requests == [8, 8]
        await rig.settled()


async def test_failures_of_others_are_heard_at_once() -> None:
    """Two requests fail, and the ones that were waiting for the same upstream wait no longer."""
    script = Script(profile=LIVELY, phases=(Phase(fault=NoResponse(), until_request=3), Phase(fault=ErrorStatus())))
    replies: list[tuple[float, Reply]] = []
    async with familiar(script) as rig:
        hedge_after_s = rig.app.dispatcher.foresee(another()).hedge_after_s
        assert hedge_after_s is not None
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(ask(rig, replies))
            await asked(rig, 3)
            for _ in range(2):
                assert (await rig.ask(stream=True)).text == rig.expected_text
        assert [reply.text for _, reply in replies] == [rig.expected_text] * 3
        assert max(took_s for took_s, _ in replies) < hedge_after_s
        await rig.settled()


async def test_who_wants_no_hedges_waits_on() -> None:
    """A route whose plan is `failover` is told, and does nothing."""
    script = Script(profile=LIVELY, phases=(Phase(fault=NoResponse(), until_request=1), Phase(fault=ErrorStatus())))
    async with familiar(script, plan="failover") as rig:
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            waiting = group.create_task(rig.ask(stream=True))
            await asked(rig, 1)
            for _ in range(2):
                assert (await rig.ask(stream=True)).text == rig.expected_text
            assert rig.app.dispatcher.board.standing(rig.app.config.upstreams[A], now()).kind == "suspect"
            served = rig.requests[1]
            for _ in range(50):
                await asyncio.sleep(0)
            assert (rig.requests[1], waiting.done()) == (served, False)
            waiting.cancel()
        await rig.settled()
