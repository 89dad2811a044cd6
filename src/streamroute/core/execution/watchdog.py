"""Which of an attempt's deadlines runs out next.

One attempt is in one phase at a time; each phase has one limit, but the limits of connecting and of the first token
both count from the attempt's start. While the client keeps us from reading, none of the upstream's limits runs.
"""

import math
from dataclasses import replace
from typing import Literal

from streamroute.core.outcome import Failure, FailureKind
from streamroute.core.upstream import Deadlines

_Phase = Literal["connecting", "waiting_head", "waiting_token", "flowing"]


class Watchdog:
    """Follows one attempt. All times are monotonic seconds."""

    __slots__ = (
        "_deadlines", "_due", "_is_paused", "_phase", "_since", "_soft_stall_s", "_started", "_stream", "_verdict",
    )  # fmt: skip

    def __init__(self, deadlines: Deadlines, *, stream: bool, now: float, soft_stall_s: float = math.inf) -> None:
        """`soft_stall_s`: a gap between tokens that gives cause for concern, long before `stall_s` ends the attempt."""
        self._deadlines = deadlines
        self._soft_stall_s = soft_stall_s
        self._stream = stream
        self._started = now
        self._is_paused = False
        self._verdict: FailureKind
        self._enter("connecting", now)

    @property
    def due(self) -> float:
        """When the current phase has lasted too long; infinity while paused."""
        return self._due

    @property
    def concern_due(self) -> float:
        """When a stream that flows has been silent for longer than it should; infinity in every other phase."""
        return math.inf if self._is_paused or self._phase != "flowing" else self._since + self._soft_stall_s

    @property
    def is_flowing(self) -> bool:
        """Content has come, whether or not the client can have it yet."""
        return self._phase == "flowing"

    @property
    def progressed_at(self) -> float:
        """When the phase began, or the last token came."""
        return self._since

    @property
    def verdict(self) -> FailureKind:
        """What it means if it does."""
        return self._verdict

    def failure(self, now: float) -> Failure:
        """Put into words that it has lasted too long; a stream that flowed may have been given up before its limit."""
        limits = self._deadlines
        limit_s, what = {
            "connect_timeout": (limits.connect_s, "no connection"),
            "headers_timeout": (limits.headers_s, "no response headers"),
            "first_token_timeout": (limits.first_token_s, "no content token"),
            "answer_timeout": (limits.answer_s, "no answer"),
            "stall": (min(limits.stall_s, max(0.0, now - self._since)), "no further content"),
        }[self._verdict]
        return Failure(kind=self._verdict, message=f"{what} within {limit_s:.3g} s")

    def connected(self, now: float) -> None:
        """Wait for the status line from here on."""
        if self._phase == "connecting":
            self._enter("waiting_head", now)

    def head_received(self, now: float) -> None:
        """Wait for the first token of a stream, or for the next block of an answer that does not stream."""
        if self._phase in {"connecting", "waiting_head"}:
            self._enter("waiting_token" if self._stream else "flowing", now)

    def progressed(self, at: float) -> None:
        """Wait for the next token."""
        if at >= self._since or self._phase != "flowing":
            self._enter("flowing", at)

    def allow_stall(self, stall_s: float) -> None:
        """Wait so long between tokens, from the last one on."""
        self._deadlines = replace(self._deadlines, stall_s=stall_s)
        if self._phase == "flowing":
            self._enter("flowing", self._since)

    def paused(self) -> None:
        """Stop judging: silence is now the client's doing."""
        self._is_paused = True
        self._due = math.inf

    def resumed(self, now: float) -> None:
        """Judge again, from here."""
        self._is_paused = False
        self._enter(self._phase, now)

    def _enter(self, phase: _Phase, now: float) -> None:
        self._phase, self._since = phase, now
        limits = self._deadlines
        if phase == "flowing":
            self._due, self._verdict = now + limits.stall_s, "stall"
        elif self._stream:
            self._due, self._verdict = self._started + limits.first_token_s, "first_token_timeout"
        else:
            self._due, self._verdict = self._started + limits.answer_s, "answer_timeout"
        if phase == "connecting":
            self._sooner(now + limits.connect_s, "connect_timeout")
        elif phase == "waiting_head" and self._stream:
            self._sooner(now + limits.headers_s, "headers_timeout")
        if self._is_paused:
            self._due = math.inf

    def _sooner(self, due: float, verdict: FailureKind) -> None:
        if due <= self._due:
            self._due, self._verdict = due, verdict
