"""After the commit: who has the word, and who takes over when the answer breaks off or falls silent.

    flowing ──silence──▶ doubted: a continuation starts in parallel, the first to produce wins
       │ Failed               │ progress: the continuation is thrown away   │ Produced: it has the word
       └──────────────────▶ broken: rung after rung of the ladder, until one joins or none is left

Kept apart from `failover`, because nothing that holds before the commit holds here: nobody is replaced, text is
only ever added.
"""

import math
from collections.abc import Sequence

from streamroute.core.execution.calls import Calls, LiveCall
from streamroute.core.execution.commands import Command, Commit, Tried
from streamroute.core.execution.rescue import MAX_LEGS, Ladder
from streamroute.core.health.classify import disposition
from streamroute.core.outcome import NOT_ASKED, Failure

POLL_S = 0.1
"""How often a silent stream is asked whether it has resumed, while a continuation is under way beside it."""
MAX_CONCERNS = 1
"""Continuations that a stream may outrun: one that stalls again and again would have each of them thrown away."""


class Delivery:
    """Follows one answer from its first token on. Times are monotonic seconds."""

    def __init__(self, calls: Calls, speaker: LiveCall, ladder: Ladder | None, tried: list[Tried]) -> None:
        """`ladder` None: an answer that breaks off is not carried on. `tried` is added to."""
        self._calls = calls
        self._speaker = speaker
        self._ladder = ladder
        self._tried = tried
        self._broke_off: Failure | None = None
        self._legs = 1
        self._concerns = 0
        self._polled_at = -math.inf
        self._is_paused = False
        if ladder is None:
            calls.be_patient(speaker)
        self.failure: Failure | None = None
        """Set once the answer is lost."""

    @property
    def speaker(self) -> LiveCall:
        """Whose text the client gets."""
        return self._speaker

    def due(self) -> float:
        """Return when the silence of the stream must be seen to; infinity where it need not."""
        if self._ladder is None or self._legs >= MAX_LEGS or self._speaker not in self._calls:
            return math.inf
        due = self._speaker.watchdog.concern_due
        return due if self._continuation() is None else max(due, self._polled_at + POLL_S)

    def on_due(self, now: float) -> Sequence[Command]:
        """React to the silence of the stream."""
        if now < self.due():
            return ()
        self._polled_at = now
        if self._continuation() is not None:
            return ()  # progress would have been reported before this
        if self._concerns >= MAX_CONCERNS:
            failure = self._calls.late(self._speaker, now)
            cancel = self._calls.cancel(self._speaker, "lost", failure)
            return [cancel, *self.failed(self._speaker, failure, now)]
        self._concerns += 1
        return self._continue(now)

    def paused(self) -> None:
        """Judge nobody: the client does not read."""
        self._is_paused = True
        self._speaker.watchdog.paused()

    def resumed(self, now: float) -> None:
        """Judge again, from here."""
        self._is_paused = False
        self._speaker.watchdog.resumed(now)

    def progressed(self, call: LiveCall, at: float) -> Sequence[Command]:
        """Take note of text; what a continuation was built on is then out of date."""
        is_news = at > call.watchdog.progressed_at
        call.watchdog.progressed(at)
        pending = self._continuation()
        if call is not self._speaker or pending is None or not is_news:
            return ()
        return [self._calls.cancel(pending, "lost")]

    def produced(self, call: LiveCall, now: float) -> Sequence[Command]:
        """Give a continuation the word; anyone else has shown what it was to show."""
        if call.cause != "continuation":
            return [self._calls.cancel(call, "lost")]
        commands: list[Command] = []
        if self._speaker in self._calls:
            stalled = self._calls.late(self._speaker, now)
            commands.append(self._calls.cancel(self._speaker, "lost", stalled))
            self._note(self._speaker, stalled)
        self._speaker = call
        self._legs += 1
        self._concerns = 0
        self._broke_off = None
        if self._is_paused:
            call.watchdog.paused()
        return [*commands, Commit(call.attempt)]

    def failed(self, call: LiveCall, failure: Failure, now: float) -> Sequence[Command]:
        """Take note of a call that is over without a whole answer: look for somebody who carries on."""
        if call.cause == "probe" and call is not self._speaker:
            return ()
        if failure.kind in NOT_ASKED:
            self._calls.not_made()
        if call is self._speaker:
            self._note(call, failure)
            self._broke_off = failure
            is_over = disposition(failure.kind).next_step != "another" or self._legs >= MAX_LEGS
            if is_over or self._ladder is None:
                return self._lose(failure)
        elif self._ladder is not None and call.rung is not None:
            if failure.kind == "not_continuable":
                self._ladder.not_continuable()
            else:
                self._ladder.failed(call.candidate.upstream, call.rung, failure.kind)
                if failure.kind not in NOT_ASKED:
                    self._tried.append(Tried(upstream=call.candidate.upstream.id, failure=failure))
        return () if self._continuation() is not None else self._continue(now)

    # -- steps

    def _continuation(self) -> LiveCall | None:
        for call in self._calls:
            if call.cause == "continuation" and call is not self._speaker:
                return call
        return None

    def _note(self, call: LiveCall, failure: Failure) -> None:
        self._tried.append(Tried(upstream=call.candidate.upstream.id, failure=failure))
        if self._ladder is not None:
            self._ladder.broke_off(call.candidate.upstream)

    def _continue(self, now: float) -> Sequence[Command]:
        """Try the next rung; where there is none, wait for a stream that is merely silent, or give up."""
        step = None if self._ladder is None or self._calls.is_exhausted else self._ladder.next(now)
        if step is not None:
            self._polled_at = now
            return [self._calls.start(step[0], now, cause="continuation", rung=step[1])]
        self._ladder = None
        if self._broke_off is not None:
            return self._lose(self._broke_off)
        self._calls.be_patient(self._speaker)
        return ()

    def _lose(self, failure: Failure) -> Sequence[Command]:
        self.failure = failure
        return ()
