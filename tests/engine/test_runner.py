"""The runner around a plan: cancellation anywhere, shutdown, health that steers, on real sockets."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import cast

import anyio
import anyio.lowlevel
import pytest

from streamroute.clock import now
from streamroute.core.cost.budget import Budgets
from streamroute.core.cost.budget_line import BudgetLine
from streamroute.core.cost.price_book import DatedPrice, PriceBook
from streamroute.core.cost.pricing import Terms
from streamroute.core.execution.commands import Command, Fail, Start
from streamroute.core.execution.events import AttemptEvent, AttemptId, Produced
from streamroute.core.health.breaker import FAILURES_TO_OPEN
from streamroute.core.health.options import HealthOptions
from streamroute.core.money import MAX_MONEY
from streamroute.core.observation import AttemptObservation
from streamroute.core.upstream import Deadlines, PlanName, RetryOptions, TokenPrice
from streamroute.engine.attempt import Attempt
from streamroute.engine.call import Call
from streamroute.engine.runner import Runner
from streamroute.engine.sink import AnswerHead, FlowControl, PartialAnswer
from streamroute.engine.spending import now_ms
from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import Cut, ErrorStatus, NoResponse, RateLimit, Reset, Stall
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Phase, Script
from streamroute.wire.openai_chat.request import decode_request
from tests.support.observations import upstream
from tests.support.rig import LIVELY, PROMPT, QUICK, Rig

INSTANT = Profile(tokens=12)
OF_SERVERS = ("RequestHandler", "_accept_connection")
"""What tasks of the simulated providers' servers are called, which run on the same loop."""
MAX_STEPS = 400
"""More rounds of the event loop than a request of this size takes."""


class Collector:
    """An `AnswerSink` that keeps what it is given."""

    def __init__(self) -> None:
        self.head: AnswerHead | None = None
        self.data = b""
        self.fail_: Fail | None = None
        self.is_finished = False
        self.flow: FlowControl | None = None
        self.written = asyncio.Event()

    def attach(self, flow: FlowControl) -> None:
        self.flow = flow

    def begin(self, head: AnswerHead) -> None:
        assert self.head is None, "an answer begins once"
        self.head = head

    def write(self, data: bytes) -> None:
        assert not self.is_finished
        assert self.fail_ is None
        self.data += data
        self.written.set()

    def finish(self) -> None:
        assert self.fail_ is None
        self.is_finished = True

    def fail(self, fail: Fail, attempts: int, partial: PartialAnswer | None) -> None:
        del attempts
        assert not self.is_finished
        self.fail_ = fail


def call_of(*, stream: bool = True) -> Call:
    body = b'{"model":"chat","stream":%b,"messages":[{"role":"user","content":"%b"}]}'
    chat = decode_request(body % (b"true" if stream else b"false", PROMPT.encode()))
    return Call(request_id="req_test", chat=chat, arrived_at=now())


def put_under_budget(rig: Rig) -> Budgets:
    """Give every upstream a price and everybody a budget that suffices."""
    spending = rig.app.dispatcher.spending
    upstreams = rig.app.config.upstreams
    price = TokenPrice(input_per_mtok=Decimal(1), output_per_mtok=Decimal(10))
    prices = [DatedPrice(subject=each, price=price, source="test") for each in upstreams]
    spending.pricing.apply(Terms(prices=PriceBook(prices), find=upstreams.get))
    spending.budgets.apply((BudgetLine(scope="global", limit=MAX_MONEY),), now_ms())
    return spending.budgets


async def cancelled_at_every_step(rig: Rig, begin: Callable[[], Awaitable[None]], *, stream: bool) -> None:
    """Cancel a request at every round of the event loop, counted from where `begin` returns, until it finishes first;
    every time all permits, budgets and tasks must be back where they started."""
    board, budget = rig.app.dispatcher.board, rig.app.dispatcher.budget
    budgets = put_under_budget(rig)
    listed = list(rig.app.config.upstreams.values())
    for _ in range(3):
        await anyio.lowlevel.checkpoint()  # what runs beside requests has begun by then
    before = asyncio.all_tasks()
    was_cancelled = False
    for steps in range(MAX_STEPS):
        for each in listed:
            board.operate(each, "close", now())  # what was learned from the last round is forgotten
        sink = Collector()
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            task = group.create_task(rig.app.dispatcher.dispatch(call_of(stream=stream), sink))
            await begin()
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
        was_cancelled |= task.cancelled()
        assert rig.app.dispatcher.in_flight == 0
        assert rig.in_flight() == [0] * len(listed)
        assert budget.figures(now()).hedges_in_flight == 0
        assert [each.reserved for each in budgets.named(now_ms())] == [0]
        assert all(board.health(each.id, now()).breaker.is_ready(now() + 100.0) for each in listed), "a permit was lost"
        ours = {each for each in asyncio.all_tasks() - before if not any(name in repr(each) for name in OF_SERVERS)}
        assert ours == set()
        if not task.cancelled() and sink.is_finished:
            break
    assert was_cancelled
    assert sink.is_finished
    await rig.settled()


class OneAfterTheOther:
    """A plan that makes a call, and at its first sign a second one."""

    def start(self, now: float) -> Sequence[Command]:
        return [Start(AttemptId(1), upstream("a"))]

    def handle(self, event: AttemptEvent, now: float) -> Sequence[Command]:
        return [Start(AttemptId(2), upstream("b"))] if isinstance(event, Produced) else []

    def next_deadline(self) -> float | None:
        return None

    def on_deadline(self, now: float) -> Sequence[Command]:
        return []


class Broken:
    """An attempt with a defect."""

    def __init__(self, notify: Callable[[AttemptEvent], None]) -> None:
        self.notify = notify
        self.has_run = self.is_settled = False

    async def run(self) -> None:
        self.has_run = True
        asyncio.get_running_loop().call_soon(self.notify, Produced(AttemptId(1)))
        raise RuntimeError("a defect")

    def cancel(self, reason: str, failure: object) -> None:
        self.is_settled = True


async def test_a_call_that_never_began_is_settled() -> None:
    """A defect in one call ends the others, also one whose task has yet to run; what is reserved for it comes back."""
    opened: list[Broken] = []

    def open_attempt(start: Start, notify: Callable[[AttemptEvent], None]) -> Attempt:
        opened.append(Broken(notify))
        return cast("Attempt", opened[-1])

    with pytest.raises(ExceptionGroup):
        await Runner(OneAfterTheOther(), Collector(), open_attempt, arrived_at=now()).run()
    assert [each.has_run for each in opened] == [True, False]
    assert [each.is_settled for each in opened] == [True, True]


@pytest.mark.parametrize("plan", ["failover", "race"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(
    "fault", [None, ErrorStatus(), Reset(), Cut(at_token=0, how="eof"), Cut(at_token=6, how="eof")], ids=str
)
async def test_cancel_at_every_step(fault: Fault | None, stream: bool, plan: PlanName) -> None:
    """Wherever the client leaves, permits, connections and tasks are back where they started: before the first token,
    between two upstreams, within a race, and while somebody else carries the answer on."""

    async def at_once() -> None:
        """Count from the start."""

    async with Rig.of(fault, None, profile=INSTANT, plan=plan) as rig:
        await cancelled_at_every_step(rig, at_once, stream=stream)


async def test_cancel_while_a_hedge_is_under_way() -> None:
    """From the hedge's start to the end of the answer that it brings, the silent first call beside it."""
    generous = HealthOptions(hedge_spend={"interactive": 1.0})
    async with Rig.of(NoResponse(), None, profile=INSTANT, health=generous) as rig:
        for each in rig.app.config.upstreams:
            baseline = rig.app.dispatcher.board.health(each, now()).baseline
            for _ in range(20):
                baseline.learn(math.log(0.005), 0.0, now())

        async def hedged() -> None:
            while not rig.app.dispatcher.budget.figures(now()).hedges_in_flight:  # noqa: ASYNC110 - the core has no events
                await asyncio.sleep(0)

        await cancelled_at_every_step(rig, hedged, stream=True)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("fault", [None, ErrorStatus(), NoResponse()], ids=str)
async def test_cancel_while_a_probe_is_under_way(fault: Fault | None, stream: bool) -> None:
    """Beside the request a half-open upstream is tried; its permit comes back too, or it would stay shut for ever."""
    async with Rig.of(fault, None, profile=INSTANT) as rig:
        board = rig.app.dispatcher.board
        half_open = next(iter(rig.app.config.upstreams.values()))

        async def begin() -> None:
            board.health(half_open.id, now()).breaker.block(now(), 0.0)  # until now: it is time for a probe

        await cancelled_at_every_step(rig, begin, stream=stream)
        assert board.health(half_open.id, now()).figures().attempts > 1, "it was probed"


async def test_shut_down_ends_a_stream_with_an_error_event() -> None:
    """What cannot finish is ended honestly."""
    async with Rig.of(Stall(at_token=4), deadlines=Deadlines()) as rig:
        sink = Collector()
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(rig.app.dispatcher.dispatch(call_of(), sink))
            await sink.written.wait()
            rig.app.dispatcher.shut_down()
        assert sink.fail_ is not None
        assert sink.fail_.failure.kind == "shutting_down"
        await rig.settled()


async def test_pause_stops_the_upstream_and_its_deadlines() -> None:
    """While the client is slow the upstream is not read, and its silence is not a stall."""
    async with Rig.of(None, profile=LIVELY, deadlines=Deadlines(stall_s=0.05)) as rig:
        sink = Collector()
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(rig.app.dispatcher.dispatch(call_of(), sink))
            await sink.written.wait()
            assert sink.flow is not None
            sink.flow.pause()
            before, until = sink.data, now() + 0.2
            while now() < until:  # noqa: ASYNC110 - there is no event for what does not come
                await asyncio.sleep(0)
            assert sink.data == before
            assert sink.fail_ is None
            sink.flow.resume()
        assert sink.is_finished, sink.fail_
        await rig.settled()


# -- what was learned steers the next request


async def test_an_open_breaker_is_not_asked() -> None:
    """After a failure or two the upstream rests, and requests go to the backup at once."""
    async with Rig.of(ErrorStatus(), None) as rig:
        for _ in range(20):
            reply = await rig.ask(stream=True)
            assert reply.text == rig.expected_text
        assert reply.headers["x-streamroute-attempts"] == "1"
        assert rig.requests[0] <= FAILURES_TO_OPEN


async def test_a_lone_upstream_is_asked_though_its_breaker_is_open() -> None:
    """Nobody else is left: an upstream that is probably down beats none, and is not hammered."""
    async with Rig.of(Reset()) as rig:
        first = await rig.ask(stream=True)
        assert first.headers["x-streamroute-attempts"] == "3"
        second = await rig.ask(stream=True)
        assert second.headers["x-streamroute-attempts"] == "1"
        rig.providers[0].play(None)
        assert (await rig.ask(stream=True)).text == rig.expected_text
        assert (await rig.ask(stream=True)).headers["x-streamroute-attempts"] == "1"


async def test_retry_after_holds_the_next_request_back() -> None:
    """A credential that must wait is not used before its time; with nobody else the client is told when."""
    async with Rig.of(RateLimit(retry_after_s=30)) as rig:
        for _ in range(2):
            reply = await rig.ask(stream=False)
            assert reply.status == 429
            assert 25 <= int(reply.headers["retry-after"]) <= 36, "what was asked, and a fifth of jitter"
        assert rig.requests == [1]
        assert "x-should-retry" not in reply.headers, "nobody was asked, so the client may come back"


async def test_a_route_may_wait_for_its_preferred_upstream() -> None:
    """`wait_for_preferred_s`: a short Retry-After is waited for instead of asking the backup."""
    script = Script(profile=LIVELY, phases=(Phase(fault=RateLimit(retry_after_s=0.05, form="ms"), until_request=1),))
    async with Rig.of(script, None, retry=RetryOptions(wait_for_preferred_s=2.0, backoff_s=0.01)) as rig:
        reply = await rig.ask(stream=True)
        assert reply.text == rig.expected_text
        assert (reply.headers["x-streamroute-upstream"], rig.requests) == ("a", [2, 0])


async def test_a_route_may_ask_the_same_upstream_again() -> None:
    """`same_upstream`: a transient failure is retried there before the backup is asked."""
    script = Script(profile=LIVELY, phases=(Phase(fault=ErrorStatus(), until_request=1),))
    async with Rig.of(script, None, retry=RetryOptions(same_upstream=1, backoff_s=0.01)) as rig:
        assert (await rig.ask(stream=True)).headers["x-streamroute-upstream"] == "a"
        assert rig.requests == [2, 0]


async def test_total_deadline_covers_all_attempts() -> None:
    """However many upstreams hang, the client hears by `total_s`."""
    deadlines = Deadlines(headers_s=0.2, first_token_s=0.2, total_s=0.3)
    async with Rig.of(NoResponse(), NoResponse(), NoResponse(), deadlines=deadlines) as rig:
        reply = await rig.ask(stream=True)
        assert (reply.status, reply.error and reply.error["code"]) == (503, "total_timeout")
        assert rig.requests == [1, 1, 0]
        await rig.settled()


async def test_client_timeout_header_shortens_the_total() -> None:
    """`x-streamroute-timeout` is the client's own limit."""
    async with Rig.of(NoResponse(), deadlines=QUICK) as rig:
        reply = await rig.ask(stream=True, headers={"x-streamroute-timeout": "0.05"})
        assert (reply.status, reply.error and reply.error["code"]) == (503, "total_timeout")


class BrokenSink(Collector):
    """A sink with a defect."""

    def begin(self, head: AnswerHead) -> None:
        raise RuntimeError("a defect")


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_a_defect_of_ours_does_not_look_like_an_answer(stream: bool) -> None:
    """After an unexpected exception nothing more is performed: no end of an answer that was never delivered."""
    async with Rig.of(None) as rig:
        sink = BrokenSink()
        with pytest.raises(ExceptionGroup):
            await rig.app.dispatcher.dispatch(call_of(stream=stream), sink)
        assert not sink.is_finished
        assert sink.data == b""
        await rig.settled()
        assert rig.in_flight() == [0]


async def test_a_defect_where_calls_are_admitted_keeps_no_money() -> None:
    """What was set aside for a call that could not be made is free again."""
    async with Rig.of(None) as rig:
        budgets = put_under_budget(rig)
        rig.app.dispatcher._opening._admission._board = None
        with pytest.raises(ExceptionGroup):
            await rig.app.dispatcher.dispatch(call_of(), Collector())
        [figures] = budgets.named(now_ms())
        assert figures.reserved == 0


async def test_the_plan_is_told_that_the_client_has_gone() -> None:
    """Who cancels a request's task is a client that left: attempts say so, and not that something of ours broke."""
    seen: list[AttemptObservation] = []
    async with Rig.of(Stall(at_token=3), None) as rig:
        rig.app.bus.subscribe(lambda each: seen.append(each) if isinstance(each, AttemptObservation) else None)
        async with rig.session.post(
            f"{rig.app.url}/v1/chat/completions",
            json={"model": "chat", "stream": True, "messages": [{"role": "user", "content": PROMPT}]},
        ) as response:
            await response.content.readany()
            response.close()
        await rig.settled()
    assert [each.cancel_reason for each in seen if each.upstream == "a"] == ["client_gone"]
