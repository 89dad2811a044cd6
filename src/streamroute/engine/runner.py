"""Performs one plan: the shell around `core.execution`, by the checklist in `core.execution.plan`.

Nothing here decides. Events arrive by plain calls and are fed in the order in which they happened, also when a
command that is being performed causes the next one. One timer serves all deadlines, and is re-armed only when it
fires or when a deadline comes earlier: a deadline that moves away with every chunk costs nothing.

The task group is asyncio's: attempts are started by plain callbacks, outside of any task, where anyio's cannot.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import anyio

from streamroute.clock import now
from streamroute.core.execution.commands import Abandon, Assess, Cancel, Command, Commit, Fail, Finish, Start
from streamroute.core.execution.events import (
    Assessed,
    AttemptEvent,
    AttemptId,
    ClientGone,
    ClientPaused,
    ClientResumed,
    Failed,
    Produced,
    ShutDown,
    Succeeded,
)
from streamroute.core.execution.plan import Plan
from streamroute.core.outcome import Failure
from streamroute.core.quality.verdict import Verdict
from streamroute.core.usage import Usage
from streamroute.engine.attempt import Attempt
from streamroute.engine.sink import AnswerHead, AnswerSink, AnswerSummary, PartialAnswer
from streamroute.wire.openai_chat.transcript import Transcript

LINGER_S = 0.05
"""How long a finished stream's connection may take to reach its end and return to the pool; then it is closed."""

Judge = Callable[["Attempt"], Verdict | Callable[[], Coroutine[Any, Any, Verdict]]]
"""Says what a held answer is worth, or how to find out."""
OpenAttempt = Callable[[Start, Callable[[AttemptEvent], None]], Attempt | Failure]
"""Makes an attempt ready to run, or says why the call must not be made now."""


class Runner:
    """Runs one request to its end; also the sink's `FlowControl`."""

    def __init__(
        self,
        plan: Plan,
        sink: AnswerSink,
        open_attempt: OpenAttempt,
        *,
        arrived_at: float,
        transcript: Transcript | None = None,
        judge: Judge | None = None,
        decided: Callable[[Attempt | None], None] | None = None,
    ) -> None:
        """`transcript` is told what the client gets of a stream; None where the answer does not stream. `judge` says
        what an answer that is held is worth; None where none is held. `decided` is told whose answer the client gets,
        before it gets any of it."""
        self._plan = plan
        self._transcript = transcript
        self._judge = judge
        self._decided = decided
        self._sink = sink
        self._open_attempt = open_attempt
        self._arrived_at = arrived_at
        self._route_s = now() - arrived_at
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._inbox: deque[Callable[[float], Sequence[Command]]] = deque()
        self._is_feeding = False
        self._group: asyncio.TaskGroup | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._attempts: dict[AttemptId, Attempt] = {}
        self._verdicts: dict[AttemptId, asyncio.Task[None]] = {}
        """That are being found."""
        self._committed: Attempt | None = None
        self._legs: list[Attempt] = []
        self._is_paused = False
        self.summary = AnswerSummary()
        """How it went, complete when `run` has returned."""

    @property
    def route_s(self) -> float:
        """Seconds from the request's arrival until it was decided whom to ask."""
        return self._route_s

    @property
    def attempts(self) -> int:
        """How many calls were made so far."""
        return len(self._attempts)

    async def run(self) -> None:
        """Perform the plan. Cancelling this task means that the client has gone."""
        self._sink.attach(self)
        try:
            await self._perform_plan()
        finally:
            # A task that is cancelled before its first step never comes to the `finally` of its attempt.
            for attempt in self._attempts.values():
                attempt.cancel("aborted", None)

    async def _perform_plan(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                self._ask_plan(self._plan.start)
                await asyncio.wait((self._over,))  # to await it would cancel it, and the plan must still be told
                self._over.result()
                await self._linger()
            except asyncio.CancelledError:
                self.feed(ClientGone())
                raise
            finally:
                self._disarm()
                for task in self._tasks:
                    task.cancel()

    def shut_down(self) -> None:
        """End now: the process must stop."""
        self.feed(ShutDown())

    # -- flow control, asked by the sink

    def pause(self) -> None:
        """Stop reading the committed attempt."""
        if self._committed is not None and not self._is_paused:
            self._is_paused = True
            self._committed.report_progress()
            self._committed.pause()
            self.feed(ClientPaused())

    def resume(self) -> None:
        """Read on."""
        if self._committed is not None and self._is_paused:
            self._is_paused = False
            self.feed(ClientResumed())
            self._committed.resume()

    # -- feeding

    def feed(self, event: AttemptEvent) -> None:
        """Tell the plan what happened, and do what it says; safe to call while that is being done."""
        if isinstance(event, Produced | Succeeded) and self._committed is not None:
            self._committed.report_progress()  # whoever would take over must know whether it has fallen silent
        self._ask_plan(partial(self._plan.handle, event))

    def _ask_plan(self, question: Callable[[float], Sequence[Command]]) -> None:
        if self._over.done():
            return
        self._inbox.append(question)
        if self._is_feeding:
            return
        self._is_feeding = True
        try:
            while self._inbox:
                for command in self._inbox.popleft()(now()):
                    self._perform(command)
        except Exception as error:
            # A defect of ours: end the request with it, and let nothing that was still to be done look like an answer.
            self._inbox.clear()
            if self._over.done():
                raise
            self._over.set_exception(error)
        finally:
            self._is_feeding = False
        self._arm()

    def _perform(self, command: Command) -> None:
        match command:
            case Start():
                self._start(command)
            case Cancel(attempt=attempt, reason=reason, failure=failure):
                if attempt in self._attempts:
                    self._attempts[attempt].cancel(reason, failure)
                if attempt in self._verdicts:
                    self._verdicts.pop(attempt).cancel()
            case Commit(attempt=attempt):
                self._commit(self._attempts[attempt])
            case Assess(attempt=attempt):
                if self._judge is None:
                    raise RuntimeError("there is nobody to judge a held answer")
                self._assess(attempt, self._judge)
            case Finish(attempt=attempt):
                self.summary.usage = self._usage()
                self.summary.is_finished = True
                self._sink.finish()
                self._end()
            case Fail():
                self.summary.fail = command
                self.summary.usage = self._usage()
                self._sink.fail(command, len(self._attempts), self._partial())
                self._end()
            case Abandon():
                self._end()

    def _assess(self, attempt: AttemptId, judge: Judge) -> None:
        found = judge(self._attempts[attempt])
        if isinstance(found, Verdict):
            self.feed(Assessed(attempt, found))
            return

        async def find() -> None:
            self.feed(Assessed(attempt, await found()))

        self._verdicts[attempt] = self._task(find())

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        if self._group is None:
            raise RuntimeError("a plan must be run within `Runner.run`")
        task = self._group.create_task(work)
        self._tasks.append(task)
        return task

    def _start(self, command: Start) -> None:
        attempt = self._open_attempt(command, self.feed)
        if isinstance(attempt, Failure):
            self.feed(Failed(command.attempt, attempt))
            return
        self._attempts[command.attempt] = attempt
        self._task(attempt.run())

    def _commit(self, attempt: Attempt) -> None:
        previous, self._committed = self._committed, attempt
        self._legs.append(attempt)
        if previous is None:
            if self._decided is not None:
                self._decided(attempt)
            self._begin(attempt)
        elif attempt.rung is not None:
            self.summary.continuations.append(attempt.rung)
        attempt.flow_to(self._sink.write if self._transcript is None else self._deliver)
        if self._is_paused:
            attempt.pause()

    def _begin(self, attempt: Attempt) -> None:
        head = AnswerHead(
            upstream=attempt.upstream.id,
            provider=attempt.upstream.provider,
            model=attempt.upstream.model,
            is_simulated=attempt.upstream.is_simulated,
            attempts=len(self._attempts),
            route_s=self._route_s,
            connect_s=attempt.connect_s,
            ttft_s=now() - self._arrived_at,
        )
        self.summary.head = head
        self._sink.begin(head)

    def _deliver(self, data: bytes) -> None:
        """Write for the client, and remember it. This is the data path."""
        self._sink.write(data)
        if self._transcript is not None:
            self._transcript.append(data)

    def _usage(self) -> Usage | None:
        """Add up what the providers have counted for the parts of the answer."""
        counted = [each.usage for each in self._legs if each.usage is not None]
        return sum(counted[1:], counted[0]) if counted else None

    def _partial(self) -> PartialAnswer | None:
        """Return what the client has of an answer that broke off."""
        if self._committed is None or self._transcript is None:
            return None
        delivered, is_kept = self._transcript.read(), self._transcript.is_kept
        return PartialAnswer(
            id=delivered.id,
            model=delivered.model,
            chars=len(delivered.text) if is_kept else None,
            tokens=delivered.tokens if is_kept else None,
        )

    # -- time

    def _arm(self) -> None:
        """Make sure that the timer fires no later than the plan's next deadline."""
        due = None if self._over.done() else self._plan.next_deadline()
        if due is None or due == float("inf"):
            return
        if self._timer is not None and self._timer_due <= due:
            return
        self._disarm()
        self._timer, self._timer_due = self._loop.call_at(due, self._on_timer), due

    def _on_timer(self) -> None:
        self._timer = None
        if self._over.done():
            return
        attempts = list(self._attempts.values())
        for attempt in attempts:
            attempt.report_progress()
        due = self._plan.next_deadline()
        if due is not None and due <= now():
            for attempt in attempts:
                attempt.conclude()
        self._ask_plan(self._plan.on_deadline)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    async def _linger(self) -> None:
        """Let the answering attempt's exchange reach its end, so that its connection can be used again."""
        answering = self._committed
        if answering is not None and self.summary.is_finished and not answering.is_over.is_set():
            with anyio.move_on_after(LINGER_S):
                await answering.is_over.wait()
