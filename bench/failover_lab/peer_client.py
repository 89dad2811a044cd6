"""A client with a peer's router: one call at a time, two retries before the first token."""

import math
from collections.abc import Callable

from failover_lab.baselines import Peer
from failover_lab.records import CallRecord, RequestRecord
from failover_lab.scheduler import Scheduler
from failover_lab.world import TOKEN_CHARS, CallCourse, Request, World
from streamroute.core.outcome import AttemptCause

RETRIES = 2


class PeerClient:
    """Serves requests by one peer's choice."""

    def __init__(
        self, scheduler: Scheduler, world: World, peer: Peer, patience_s: float, looked: Callable[[float], None]
    ) -> None:
        """`patience_s`: of clients without a first token, and the timeout of a call and of a silence. `looked` is
        called whenever the peer may have changed its mind."""
        self._patience_s = patience_s
        self._scheduler = scheduler
        self._world = world
        self._peer = peer
        self._looked = looked

    def serve(self, request: Request, record: RequestRecord) -> None:
        """Begin a request."""
        self._attempt(request, record, [])

    def _attempt(self, request: Request, record: RequestRecord, tried: list[str]) -> None:
        now = self._scheduler.now
        name = self._peer.pick(tried, now)
        if name is None:
            record.error = "nobody left"
            return
        cause: AttemptCause = "failover" if tried else "first"
        if not tried:
            record.primary = name
        call = CallRecord(name, cause, now)
        record.calls.append(call)
        course = self._world.call(name, request, 0, now)
        gives_up_at = request.arrived_at + self._patience_s
        tried = [*tried, name]
        if course.first_token_at <= gives_up_at and course.tokens:
            self._scheduler.at(course.first_token_at, lambda: self._produced(request, record, call, course))
            return
        at = min(course.ends_at, gives_up_at)

        def over() -> None:
            is_late = course.ends_at > gives_up_at
            self._end(call, course)
            self._peer.ended(name, at, is_success=False)
            self._looked(at)
            is_retried = not is_late and len(tried) <= RETRIES
            if is_retried:
                self._attempt(request, record, tried)
            else:
                record.error = "too late" if is_late else str(course.failure)

        self._scheduler.at(at, over)

    def _produced(self, request: Request, record: RequestRecord, call: CallRecord, course: CallCourse) -> None:
        now = self._scheduler.now
        record.ttft_s = now - request.arrived_at
        call.was_used = True
        ends_at = course.ends_at
        if math.isinf(ends_at):
            ends_at = course.last_token_at(ends_at) + self._patience_s
        is_whole = course.failure is None and not math.isinf(course.ends_at)

        def over() -> None:
            self._end(call, course)
            self._peer.ended(call.provider, ends_at, is_success=is_whole)
            self._looked(ends_at)
            record.is_whole = is_whole
            if not is_whole:
                record.error = str(course.failure or "stall")
                record.lost_chars = (request.output_tokens - course.tokens) * TOKEN_CHARS

        self._scheduler.at(ends_at, over)

    def _end(self, call: CallRecord, course: CallCourse) -> None:
        now = self._scheduler.now
        call.ended_at = now
        call.was_connected = course.connected_at <= now
        call.is_error = course.status != 200
        if course.status == 429 and course.ends_at <= now:
            call.limited_until = now + (course.retry_after_s or 0.0)
        call.tokens = course.tokens_by(now)
        self._world.ended(call.provider)
