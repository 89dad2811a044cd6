"""Timelines: what is played over connections and what is told as a value is the same."""

from dataclasses import replace

import pytest

from streamroute.simulation.faults import (
    FAULTS,
    Cut,
    Drift,
    EmptyAnswer,
    ErrorStatus,
    Fault,
    Flapping,
    HeavyTail,
    MalformedEvent,
    MissingDone,
    NoResponse,
    RateLimit,
    Refuse,
    Reset,
    Slow,
    SlowDrip,
    SlowFirstToken,
    Stall,
    StreamError,
)
from streamroute.simulation.profile import Profile
from streamroute.simulation.record import RequestRecord
from streamroute.simulation.script import Phase, Script
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.timeline import Timeline, TimelineEnding
from tests.simulation.clients import RawAnswer, ask, chat
from tests.simulation.virtual import run_virtually

TOKENS = 12
PATIENCE_S = 100.0
PROFILE = Profile(
    ttft_s=0.5, ttft_sigma=0.35, ttft_tail_share=0.3, ttft_per_ktok_s=1.0, tpot_s=0.02, jitter=0.2, tokens=TOKENS
)
FAULT_EXAMPLES: list[Fault | None] = [
    None,
    ErrorStatus(status=503, delay_s=1.5, retry_after_s=3),
    RateLimit(retry_after_s=2.5, form="ms"),
    RateLimit(form="none"),
    Refuse(after_s=2.0),
    Reset(delay_s=1.0),
    NoResponse(),
    NoResponse(after="headers"),
    NoResponse(after="role"),
    Slow(factor=3.0, tpot_factor=2.0),
    SlowFirstToken(ttft_s=4.0),
    SlowFirstToken(ttft_s=4.0, after="accept"),
    HeavyTail(from_share=1.0, to_share=1.0, factor=5.0),
    HeavyTail(from_share=0.0, to_share=0.0),
    Drift(factor=4.0, over_s=10.0),
    Stall(at_token=5),
    Stall(at_random=True),
    Stall(at_token=5, for_s=3.0),
    Cut(at_token=0),
    Cut(at_token=5),
    Cut(at_random=True),
    Cut(at_token=5, how="close"),
    Cut(at_token=5, how="eof"),
    MalformedEvent(),
    MissingDone(),
    StreamError(at_token=5),
    StreamError(at_random=True),
    EmptyAnswer(),
    EmptyAnswer(shape="no_events"),
    SlowDrip(),
    Flapping(period_s=5.0),
    Flapping(period_s=5.0, failure="reset"),
]


def played(script: Script, *, stream: bool, at_s: float) -> tuple[RawAnswer, RequestRecord]:
    """Ask a provider that plays `script` for `at_s` seconds already, on a loop with virtual time."""

    async def main() -> tuple[RawAnswer, RequestRecord]:
        async with SimulationServer(script) as server:
            asked_at = server._provider._started_at
            assert asked_at is not None
            server._provider._started_at = asked_at - at_s
            answer = await ask(server, chat(stream=stream), patience_s=PATIENCE_S)
            await server.wait_until(lambda: server.in_flight == 0)
            return answer, server.log[0]

    return run_virtually(main)


def ending_of(answer: RawAnswer) -> TimelineEnding:
    """Return what a client makes of it."""
    if answer.end == "open":
        return "hang"
    if answer.end in {"close", "reset"}:
        return "reset"
    if answer.status == 200 and b'"error"' in answer.body:
        return "error_event"
    return "done"


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("fault", FAULT_EXAMPLES, ids=repr)
def test_play_and_timeline_agree(fault: Fault | None, *, stream: bool) -> None:
    """For each fault: status, tokens, times and the way it ends, on connections and as a value."""
    script = Script.of(fault, profile=PROFILE, seed=5)
    at_s = 7.0
    told = script.timeline(elapsed_s=at_s, ordinal=0, tokens=TOKENS, prompt_tokens=7, stream=stream)
    answer, record = played(script, stream=stream, at_s=at_s)
    assert answer.status == told.status
    assert ending_of(answer) == ("done" if told.ending == "eof" and ending_of(answer) == "done" else told.ending)
    assert told.is_good == has_whole_answer(answer, stream=stream)
    if stream:
        assert record.tokens_sent == told.ends_at_token
        if told.ttft_s is not None:
            assert record.first_token_at is not None
            assert record.first_token_at - record.received_at == pytest.approx(told.ttft_s, abs=0.05)
    if told.head_s is not None:
        assert record.first_byte_at is not None
        assert record.first_byte_at - record.received_at == pytest.approx(told.head_s, abs=0.05)
    if told.end_s is not None:
        assert record.ended_at is not None
        assert record.ended_at - record.received_at == pytest.approx(told.end_s, abs=0.3)


def has_whole_answer(answer: RawAnswer, *, stream: bool) -> bool:
    """Return whether the last token and a finish reason arrived; bad events in between do not matter."""
    if answer.status != 200 or answer.end != "eof":
        return False
    body = answer.body.decode("utf-8", "replace")
    has_last = f"-{TOKENS - 1:04d} " in body and '"finish_reason":"stop"' in body
    return has_last if stream else has_last and body.endswith("}") and body.startswith('{"id"')


def test_every_fault_is_compared() -> None:
    """A new fault needs a line above."""
    assert {fault.kind for fault in FAULT_EXAMPLES if fault is not None} == set(FAULTS)


def test_same_draw_whoever_asks() -> None:
    """The time to the first token depends on seed and number alone; other seeds and numbers differ."""
    script = Script(seed=3, profile=PROFILE)

    def ttft(script: Script, ordinal: int, elapsed_s: float = 1.0) -> float | None:
        return script.timeline(elapsed_s=elapsed_s, ordinal=ordinal, tokens=5).ttft_s

    assert ttft(script, 8) == ttft(script, 8, 250.0)
    assert len({ttft(script, 8), ttft(script, 9), ttft(replace(script, seed=4), 8)}) == 3


def test_spread_of_first_tokens() -> None:
    """The median, the spread and the share of the tail are those of the profile."""
    script = Script(profile=Profile(ttft_s=0.5, ttft_sigma=0.35))
    drawn = sorted(script.timeline(elapsed_s=0, ordinal=i, tokens=1).ttft_s or 0 for i in range(4000))
    assert drawn[2000] == pytest.approx(0.5, rel=0.03)
    assert drawn[3364] == pytest.approx(0.5 * 1.419, rel=0.04)  # one sigma above: 84.1 %
    tailed = Script(profile=Profile(ttft_s=0.5, ttft_tail_share=0.05))
    all_of_them = [tailed.timeline(elapsed_s=0, ordinal=i, tokens=1) for i in range(4000)]
    late = [one for one in all_of_them if one.ttft_s != 0.5]
    assert 150 < len(late) < 250
    assert all(1.5 <= (one.ttft_s or 0) <= 7.5 for one in late)


def test_errors_of_every_day() -> None:
    """A share of the requests fails with 500 though nothing is wrong."""
    script = Script(profile=Profile(error_share=0.05))
    statuses = [script.timeline(elapsed_s=0, ordinal=i, tokens=1).status for i in range(4000)]
    assert 150 < statuses.count(500) < 250
    assert set(statuses) == {200, 500}


def test_random_tokens_are_spread_evenly() -> None:
    """A mid-stream fault strikes after 1 to n-1 tokens, none of them rare."""
    script = Script.of(Cut(at_random=True), profile=Profile(ttft_s=0.5, tpot_s=0.02))
    struck = [script.timeline(elapsed_s=0, ordinal=i, tokens=11).ends_at_token for i in range(2000)]
    assert set(struck) == set(range(1, 11))
    assert min(struck.count(token) for token in range(1, 11)) > 140


@pytest.mark.parametrize(
    ("profile", "traffic", "status", "ttft_s"),
    [
        (Profile(ttft_s=0.5, capacity_rps=4.0), {"recent_rps": 3.0}, 200, 0.5),
        (Profile(ttft_s=0.5, capacity_rps=4.0), {"recent_rps": 7.0}, 200, 2.0),
        (Profile(ttft_s=0.5, capacity_rps=4.0), {"recent_rps": 1000.0}, 200, 10.0),
        (Profile(ttft_s=0.5, capacity_rps=4.0, over_capacity="503"), {"recent_rps": 4.0}, 503, None),
        (Profile(ttft_s=0.5, max_in_flight=4, over_capacity="429"), {"in_flight": 3}, 200, 0.5),
        (Profile(ttft_s=0.5, max_in_flight=4, over_capacity="429"), {"in_flight": 4}, 429, None),
    ],
)
def test_capacity(profile: Profile, traffic: dict[str, float], status: int, ttft_s: float | None) -> None:
    """Above capacity it slows down with the square of the load, or refuses."""
    told = Script(profile=profile).timeline(elapsed_s=0, ordinal=0, tokens=3, **traffic)  # type: ignore[arg-type]
    assert (told.status, told.ttft_s) == (status, ttft_s)


def test_quota_counts_down_in_headers() -> None:
    """The headers say what is left of the window; then 429 until it is over."""
    script = Script(profile=Profile(limit_requests=3, limit_window_s=60))
    one = script.timeline(elapsed_s=70.0, ordinal=1, tokens=3, window_requests=1)
    assert one.rate_limit is not None
    assert (one.rate_limit.remaining_requests, one.rate_limit.reset_requests_s) == (1, 50.0)
    none = script.timeline(elapsed_s=70.0, ordinal=1, tokens=3, window_requests=3)
    assert (none.status, none.retry_after_s) == (429, 50.0)

    async def main() -> list[RawAnswer]:
        async with SimulationServer(script) as server:
            return [await ask(server, chat()) for _ in range(4)]

    answers = run_virtually(main)
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    left = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
    assert left == ["2", "1", "0", "0"]


def test_events_in_order() -> None:
    """A client sees the connection, the head, the role, the tokens and the end; after a hang no end."""
    script = Script(profile=Profile(ttft_s=0.5, tpot_s=0.1))
    told = script.timeline(elapsed_s=0, ordinal=0, tokens=3)
    assert [(event.kind, round(event.at_s, 6)) for event in told.events()] == [
        ("connected", 0.0),
        ("head", 0.0),
        ("role", 0.0),
        ("token", 0.5),
        ("token", 0.6),
        ("token", 0.7),
        ("end", 0.7),
    ]
    hung = Script.of(Stall(at_token=1), profile=script.profile).timeline(elapsed_s=0, ordinal=0, tokens=3)
    assert [event.kind for event in hung.events()] == ["connected", "head", "role", "token"]
    gone = Script.of(Refuse(after_s=1.0)).timeline(elapsed_s=0, ordinal=0, tokens=3)
    assert [(event.kind, event.at_s) for event in gone.events()] == [("refused", 1.0)]


@pytest.mark.parametrize(
    ("timeline", "at_s", "count", "gap_s"),
    [
        (Timeline(ttft_s=1.0, tpot_s=0.5, tokens=4, ends_at_token=4), 0.9, 0, 0.5),
        (Timeline(ttft_s=1.0, tpot_s=0.5, tokens=4, ends_at_token=4), 1.5, 2, 0.5),
        (Timeline(ttft_s=1.0, tpot_s=0.5, tokens=4, ends_at_token=4), 9.0, 4, 0.5),
        (Timeline(ttft_s=1.0, tpot_s=0.5, tokens=4, ends_at_token=4, gaps=((2, 3.0),)), 4.4, 2, 3.5),
        (Timeline(ttft_s=1.0, tpot_s=0.5, tokens=4, ends_at_token=4, gaps=((2, 3.0),)), 5.0, 3, 3.5),
    ],
)
def test_tokens_by_a_time(timeline: Timeline, at_s: float, count: int, gap_s: float) -> None:
    """How far an answer has come, and its longest silence."""
    assert (timeline.tokens_by(at_s), timeline.max_gap_s()) == (count, gap_s)
    assert list(timeline.token_times()) == [timeline.token_at_s(token) for token in range(4)]


def test_phases_count_from_their_begin() -> None:
    """A fault that grows does so from the beginning of its phase."""
    script = Script(
        profile=Profile(ttft_s=1.0), phases=(Phase(from_s=60.0, until_s=120.0, fault=Drift(factor=3.0, over_s=60.0)),)
    )
    ttfts = [script.timeline(elapsed_s=at_s, ordinal=0, tokens=1).ttft_s for at_s in (59.0, 60.0, 90.0, 120.0)]
    assert ttfts == [1.0, 1.0, 2.0, 1.0]
