"""Every fault x {stream, whole answer} x {one healthy backup, none} x {each simulated wire format}, on real sockets,
with the five invariants.

1. Exactly one terminal event reaches the client; a cut stream is never presented as complete.
2. No lost and no repeated text: what was delivered is a prefix of the answer, the whole of it if it looks whole.
3. The attempts that the client is told of are those that the providers have seen.
4. Every permit and connection is released.
5. No task outlives its request.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from streamroute.core.request import WireFormatName
from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import (
    Cut,
    Drift,
    EmptyAnswer,
    ErrorStatus,
    Flapping,
    MalformedEvent,
    MissingDone,
    NoResponse,
    RateLimit,
    Reset,
    SlowDrip,
    SlowFirstToken,
    Stall,
    StreamError,
)
from streamroute.simulation.formats import FORMATS
from tests.support.rig import Reply, Rig


@dataclass(frozen=True)
class Case:
    """What a client must see: an HTTP status, a `whole` answer, or a stream that says it broke by an `error event`."""

    fault: Fault
    stream_alone: int | str
    whole_alone: int | str
    stream_backed: int | str = "whole"
    whole_backed: int | str = "whole"
    code: str | None = None
    """`error.code` where the reply is an error."""
    not_in: WireFormatName | None = None
    """A wire format in which no provider says so."""

    @property
    def name(self) -> str:
        fields = [str(getattr(self.fault, name)) for name in self.fault.__slots__ if name in _TELLING]
        return "-".join([self.fault.kind, *fields])


_TELLING = {"status", "form", "after", "how", "shape", "alive", "at_token", "code", "body"}

CASES = [
    Case(ErrorStatus(status=500), 502, 502, code="server_error"),
    Case(ErrorStatus(status=503, body="html"), 503, 503, code="overloaded"),
    Case(ErrorStatus(status=529, body="empty"), 503, 503, code="overloaded"),
    Case(ErrorStatus(status=400), 400, 400, 400, 400),
    Case(ErrorStatus(status=401), 502, 502, code="auth_failed"),
    Case(ErrorStatus(status=422), 422, 422, 422, 422),
    Case(ErrorStatus(status=404), 404, 404, 404, 404),
    Case(ErrorStatus(status=404, code="model_not_found"), 404, 404),
    Case(ErrorStatus(status=400, code="context_length_exceeded"), 400, 400, code="context_length_exceeded"),
    Case(ErrorStatus(status=400, code="content_filter"), 400, 400, 400, 400, code="content_filter", not_in="gemini"),
    Case(RateLimit(form="seconds"), 429, 429, code="rate_limit_exceeded"),
    Case(RateLimit(form="ms"), 429, 429, code="rate_limit_exceeded"),
    Case(RateLimit(form="date"), 429, 429, code="rate_limit_exceeded"),
    Case(RateLimit(form="none"), 429, 429, code="rate_limit_exceeded"),
    Case(Reset(), 502, 502, code="reset"),
    Case(NoResponse(after="accept"), 503, 503),
    Case(NoResponse(after="headers"), 503, 503),
    Case(NoResponse(after="role"), 503, 503),
    Case(SlowFirstToken(ttft_s=30), 503, 503),
    Case(Drift(factor=3, over_requests=1), "whole", "whole"),
    Case(Stall(at_token=0), 503, 503),
    Case(Stall(at_token=4), "error event", 503, code="stall"),
    Case(Stall(at_token=4, alive="comments", every_s=0.02), "error event", 503, code="stall"),
    Case(Stall(at_token=4, alive="empty_deltas", every_s=0.02), "error event", 503, code="stall"),
    Case(Cut(at_token=0, how="reset"), 502, 502, code="reset"),
    Case(Cut(at_token=0, how="close"), 502, 502, code="reset"),
    Case(Cut(at_token=0, how="eof"), 502, 502),
    Case(Cut(at_token=4, how="reset"), "error event", 502, code="reset"),
    Case(Cut(at_token=4, how="close"), "error event", 502, code="reset"),
    Case(Cut(at_token=4, how="eof"), "error event", 502),
    Case(MalformedEvent(shape="truncated"), "whole", 502),
    Case(MalformedEvent(shape="not_json"), "whole", 502),
    Case(MalformedEvent(shape="unbalanced"), "whole", 502),
    Case(MalformedEvent(shape="raw"), "whole", 502),
    Case(MalformedEvent(shape="binary", at_token=0), "whole", 502),
    Case(MissingDone(), "whole", "whole"),
    Case(StreamError(at_token=0, shape="openai"), 502, 502, code="server_error"),
    Case(StreamError(at_token=0, shape="event"), 502, 502),
    Case(StreamError(at_token=4, shape="openai"), "error event", 502, code="server_error"),
    Case(StreamError(at_token=4, shape="openrouter", then_done=True), "error event", 502),
    Case(EmptyAnswer(), 502, 502, code="empty"),
    Case(SlowDrip(), "whole", "whole"),
    Case(Flapping(every_requests=1), "whole", "whole"),
]


@pytest.fixture(params=[False, True], ids=["alone", "backed"])
def is_backed(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize(
    ("case", "wire_format"),
    [pytest.param(case, name, id=f"{case.name}-{name}") for case in CASES for name in FORMATS if case.not_in != name],
)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_fault(case: Case, stream: bool, is_backed: bool, wire_format: WireFormatName) -> None:
    """Each fault ends for the client as `CASES` says, and the invariants hold."""
    before = asyncio.all_tasks()
    expected = {
        (True, False): case.stream_alone,
        (False, False): case.whole_alone,
        (True, True): case.stream_backed,
        (False, True): case.whole_backed,
    }[stream, is_backed]
    scripts: Sequence[Fault | None] = [case.fault, None] if is_backed else [case.fault]
    async with Rig.of(*scripts, wire_formats=[wire_format]) as rig:
        reply = await rig.ask(stream=stream)
        await rig.settled()
        _check_invariants(rig, reply)
        if expected == "whole":
            assert (reply.status, reply.error, reply.text) == (200, None, rig.expected_text)
            assert reply.finish_reasons == ["stop"]
        elif expected == "error event":
            assert reply.status == 200
            assert reply.error is not None
            assert reply.text
        else:
            assert reply.status == expected, reply.error
        if case.code is not None and expected != "whole":
            assert reply.error is not None
            assert reply.error["code"] == case.code
        if reply.status >= 500:
            assert reply.headers["x-should-retry"] == "false"
    assert asyncio.all_tasks() == before


def _check_invariants(rig: Rig, reply: Reply) -> None:
    assert rig.expected_text.startswith(reply.text)
    if reply.presents_itself_as_complete:
        assert reply.text == rig.expected_text
    if reply.error is not None:
        assert not reply.is_done
        assert set(reply.finish_reasons) <= {"error"}
        assert set(reply.error) >= {"message", "type", "param", "code"}
    assert not reply.is_cut, "every response ends by HTTP's rules"
    assert int(reply.headers["x-streamroute-attempts"]) + reply.joints == sum(rig.requests) or reply.error is not None
    assert rig.in_flight() == [0] * len(rig.providers)
    assert rig.app.dispatcher.in_flight == 0
