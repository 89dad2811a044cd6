"""One call to one upstream: from the provider's bytes to a plan's events.

Rules of the file:

1. Callbacks of the transport run to completion without awaiting; what they find is told to the plan by `notify`.
2. An attempt settles once: `succeeded`, `failed` or `cancelled`. Nothing is told after that, and its observation is
   published exactly then, on every path.
3. Until `flow_to` is called everything is held back, within `MAX_HELD_BYTES`.
"""

import asyncio
from collections.abc import Callable

from streamroute.clock import now, wall
from streamroute.core.execution.events import (
    AttemptEvent,
    AttemptId,
    Connected,
    Failed,
    HeadReceived,
    Produced,
    Progressed,
    Succeeded,
)
from streamroute.core.observation import AttemptObservation
from streamroute.core.outcome import CancelReason, Failure, OutcomeKind
from streamroute.core.rate_limit import RateLimitReport
from streamroute.core.upstream import Rung, Upstream
from streamroute.core.usage import Usage
from streamroute.engine.attempt_options import AttemptOptions
from streamroute.engine.decoding import StreamDecoder
from streamroute.errors import TransportError
from streamroute.providers.transport import ResponseHead
from streamroute.wire.openai_chat.errors import MAX_ERROR_BYTES
from streamroute.wire.rate_limit import read_rate_limit
from streamroute.wire.retry_after import retry_after_s

MAX_HELD_BYTES = 4 << 20
"""4 MiB of a stream without any content: no provider does that and means well."""
MAX_ANSWER_BYTES = 64 << 20
"""64 MiB: twice the largest request; images in base64 fit."""


class Attempt:
    """Follows one exchange with a provider; an `ExchangeHandler`."""

    def __init__(self, options: AttemptOptions) -> None:
        self._options = options
        self._id = options.attempt
        self._notify = options.notify
        self._started_at = now()
        self._connected_at: float | None = None
        self._head_at: float | None = None
        self._first_token_at: float | None = None
        self._head: ResponseHead | None = None
        self._rate_limit: RateLimitReport | None = None
        self._decoder: StreamDecoder | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._write: Callable[[bytes], None] | None = None
        self._progress_events = 0
        self._is_produced = False
        self._progress_at = 0.0
        self._max_gap_s: float | None = None
        self._reported_progress_at = 0.0
        self._was_whole = False
        self._received_bytes = 0
        self._paused_at: float | None = None
        self._paused_s = 0.0
        self._is_settled = False
        self.is_over = asyncio.Event()  # anyio's cannot be made in a plain callback
        """Set when the exchange is over, its connection returned or closed."""
        self.usage: Usage | None = None
        """What the provider has counted, once it said so."""
        request = options.provider.request(options.chat, options.upstream, options.forwarded, options.rung)
        self._exchange = options.transport.exchange(request, self)

    @property
    def number(self) -> AttemptId:
        """Which call of its request this is."""
        return self._id

    @property
    def upstream(self) -> Upstream:
        """Whom this attempt asks."""
        return self._options.upstream

    @property
    def rung(self) -> Rung | None:
        """How a continuation carries on."""
        return self._options.rung

    @property
    def connect_s(self) -> float | None:
        """Seconds it took to get a connection."""
        return None if self._connected_at is None else self._connected_at - self._started_at

    async def run(self) -> None:
        """Perform the attempt; returns when it is over. Cancelling the task cancels the attempt."""
        try:
            await self._exchange.run()
        finally:
            self._settle("cancelled", cancel_reason="aborted")
            self.is_over.set()

    # -- what the runner asks

    def flow_to(self, write: Callable[[bytes], None]) -> None:
        """Deliver what is held, and from now on each block as it comes."""
        self._write = write
        held, self._held = self.held, []
        clean = self._options.clean
        if held:
            write(held if clean is None else clean(held))

    @property
    def held(self) -> bytes:
        """What was produced and is not delivered."""
        return b"".join(self._held)

    def cancel(self, reason: CancelReason, failure: Failure | None) -> None:
        """End at once; with a failure where it was too late, not unwanted."""
        if failure is None:
            self._settle("cancelled", cancel_reason=reason)
        else:
            self._settle("failed", failure=failure)
        self._exchange.abort()

    def report_progress(self) -> None:
        """Tell the plan of progress since the last time."""
        if self._progress_at > self._reported_progress_at and not self._is_settled:
            self._reported_progress_at = self._progress_at
            self._notify(Progressed(self._id, self._progress_at))

    def conclude(self) -> None:
        """Judge by what is known, now that a deadline has passed: a stream that is whole but does not end has ended,
        and an error status has said enough though its body drips."""
        if self._is_settled:
            return
        if self._decoder is not None and self._decoder.is_whole:
            self._conclude_stream()
            self._exchange.abort()
        elif self._head is not None and self._head.status != 200:
            self._fail_by_status()
            self._exchange.abort()

    def pause(self) -> None:
        """Stop reading: the client is slow."""
        if self._paused_at is None and not self._is_settled:
            self._paused_at = now()
            self._exchange.pause()

    def resume(self) -> None:
        """Read on."""
        if self._paused_at is not None:
            self._paused_s += now() - self._paused_at
            self._paused_at = None
            self._progress_at = max(self._progress_at, now())  # the silence was the client's
            self._exchange.resume()

    # -- what the transport tells

    def on_connected(self) -> None:
        """See `ExchangeHandler`."""
        self._connected_at = now()
        self._options.connected()
        self._tell(Connected(self._id))

    def on_head(self, head: ResponseHead) -> None:
        """See `ExchangeHandler`."""
        self._head_at = now()
        self._head = head
        self._rate_limit = read_rate_limit(head.headers, wall())
        if self._rate_limit is not None:
            self._options.reported(self._rate_limit)
        if head.status == 200:
            is_json = head.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
            if self._options.chat.stream and not is_json:
                self._decoder = self._options.decoder()
        self._tell(HeadReceived(self._id))

    def on_body(self, data: bytes) -> None:
        """See `ExchangeHandler`. This is the data path."""
        self._received_bytes += len(data)
        decoder = self._decoder
        if decoder is None:
            self._collect(data)
            return
        if self._is_settled:  # what follows the end of a stream
            return
        block = decoder.feed(data)
        if decoder.progress_events != self._progress_events:
            self._progress(decoder)
        elif self._write is not None and decoder.is_whole and not self._was_whole:
            self._was_whole = True
            self._progress_at = now()  # what may follow the finish reason, such as usage, has as long as a token
        if self._write is not None:
            if block:
                self._write(block)
        elif decoder.error is None:
            self._hold(block, decoder)
        if decoder.error is not None:
            self._fail(decoder.error)
            self._exchange.abort()
        elif decoder.is_done:
            self._conclude_stream()

    def on_end(self) -> None:
        """See `ExchangeHandler`."""
        if self._is_settled or self._head is None:
            return
        if self._head.status != 200:
            self._fail_by_status()
        elif self._decoder is not None:
            self._take_last_event(self._decoder)
            self._conclude_stream()
        else:
            self._conclude_answer()

    def on_error(self, error: TransportError) -> None:
        """See `ExchangeHandler`."""
        if self._is_settled:
            return
        if self._decoder is not None and self._decoder.is_whole:
            self._conclude_stream()
        elif self._head is not None and self._head.status != 200:
            self._fail_by_status()  # the status has said enough
        else:
            where = "before the response" if self._head is None else "within the response"
            suffix = "" if error.failure == "connect_error" else f" ({where})"
            self._fail(Failure(kind=error.failure, message=error.message + suffix))

    # -- judging

    def _progress(self, decoder: StreamDecoder) -> None:
        """Take note of content, whether or not it can be delivered yet."""
        at = now()
        self._progress_events = decoder.progress_events
        if self._first_token_at is None:
            self._first_token_at = at
            self._options.first_token()
        else:
            gap_s = at - self._progress_at
            if self._max_gap_s is None or gap_s > self._max_gap_s:
                self._max_gap_s = gap_s
        self._progress_at = at

    def _hold(self, block: bytes, decoder: StreamDecoder) -> None:
        """Keep what came before the plan has committed; the first content asks it to."""
        if block:
            self._held.append(block)
            self._held_bytes += len(block)
        if decoder.content_events and not self._is_produced:
            self._is_produced = True
            self._tell(Produced(self._id))
        elif self._held_bytes > MAX_HELD_BYTES:
            self._fail(Failure(kind="malformed", message="a stream of events without content"))
            self._exchange.abort()

    def _collect(self, data: bytes) -> None:
        self._held.append(data)
        self._held_bytes += len(data)
        is_error = self._head is not None and self._head.status != 200
        if not is_error and not self._options.chat.stream:
            self._progress_at = now()
        if is_error and self._held_bytes > MAX_ERROR_BYTES:
            self._fail_by_status()
            self._exchange.abort()
        elif self._held_bytes > MAX_ANSWER_BYTES:
            self._fail(Failure(kind="malformed", message=f"an answer of more than {MAX_ANSWER_BYTES} bytes"))
            self._exchange.abort()

    def _take_last_event(self, decoder: StreamDecoder) -> None:
        block = decoder.close()
        if decoder.progress_events != self._progress_events:
            self._progress(decoder)
        if self._write is not None:
            if block:
                self._write(block)
        else:
            self._hold(block, decoder)

    def _conclude_stream(self) -> None:
        decoder = self._decoder
        if decoder is None or self._is_settled:
            return
        self.usage = decoder.usage
        if decoder.error is not None:
            self._fail(decoder.error)
        elif not decoder.is_whole:
            end = "[DONE]" if decoder.is_done else "its end"
            self._fail(Failure(kind="truncated", message=f"the stream came to {end} without a finish reason"))
        elif decoder.is_empty:
            self._fail(Failure(kind="empty", message="the stream finished without any content"))
        else:
            self._succeed()

    def _conclude_answer(self) -> None:
        answer = self._options.provider.answer(b"".join(self._held))
        if isinstance(answer, Failure):
            self._fail(answer)
        elif self._options.chat.stream:
            self._fail(Failure(kind="malformed", message="a whole answer where a stream was asked for"))
        else:
            self.usage = answer.usage
            self._held = [answer.body]
            self._succeed()

    def _fail_by_status(self) -> None:
        if self._head is not None:
            wait_s = retry_after_s(self._head.headers, wall())
            self._fail(self._options.provider.failure(self._head.status, b"".join(self._held), wait_s))

    # -- settling

    def _succeed(self) -> None:
        self._settle("succeeded")
        self._notify(Succeeded(self._id))

    def _fail(self, failure: Failure) -> None:
        if not self._is_settled:
            failure = failure.scrubbed(self._options.provider.secrets)
            self._settle("failed", failure=failure)
            self._notify(Failed(self._id, failure))

    def _tell(self, event: AttemptEvent) -> None:
        if not self._is_settled:
            self._notify(event)

    def _settle(
        self, outcome: OutcomeKind, *, failure: Failure | None = None, cancel_reason: CancelReason | None = None
    ) -> None:
        if self._is_settled:
            return
        self._is_settled = True
        self.resume()
        ended_at, decoder = now(), self._decoder
        if decoder is not None and decoder.usage is not None:
            self.usage = decoder.usage
        options = self._options
        options.settled(
            AttemptObservation(
                request_id=options.request_id,
                ledger_id=options.ledger_id,
                attribution=options.attribution,
                attempt=options.attempt,
                route=options.route,
                upstream=options.upstream.id,
                provider=options.upstream.provider,
                credential=options.upstream.credential,
                model=options.upstream.model,
                stream=options.chat.stream,
                cause=options.cause,
                rung=options.rung,
                outcome=outcome,
                failure=None if failure is None else failure.without_quotes(),
                cancel_reason=cancel_reason,
                http_status=None if self._head is None else self._head.status,
                ended_at=ended_at,
                connect_s=self.connect_s,
                headers_s=self._since_start(self._head_at),
                ttft_s=self._since_start(self._first_token_at),
                duration_s=ended_at - self._started_at,
                paused_s=self._paused_s,
                usage=self.usage,
                tier=(self.usage.tier if self.usage is not None else None) or options.chat.service_tier,
                prompt_tokens=options.chat.prompt_tokens,
                images=options.chat.images,
                max_output_tokens=options.chat.longest_output_tokens,
                content_events=self._progress_events,
                is_whole=outcome == "succeeded" or (decoder is not None and decoder.is_whole),
                max_gap_s=self._max_gap_s,
                rate_limit=self._rate_limit,
                is_committed=self._write is not None,
                malformed_events=0 if decoder is None else decoder.malformed_events,
                received_bytes=self._received_bytes,
            )
        )

    def _since_start(self, at: float | None) -> float | None:
        return None if at is None else at - self._started_at
