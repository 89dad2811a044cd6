"""Traps that health boards fall into: seeded traffic, the board's API only.

The table of all the traps, each with its tests, stands in `docs/concepts/health.md`; those of load and of calls beside
the first one are in `test_traps_of_load.py`, those that need sockets in `tests/regressions/test_traps_on_the_wire.py`.
"""

import math
from math import inf
from random import Random

import pytest

from streamroute.core.execution.hedge_delay import HedgeDelays
from streamroute.core.health.board import HealthBoard
from streamroute.core.health.degradation import STEER_NATS
from streamroute.core.outcome import FailureKind
from streamroute.core.upstream import Steering
from tests.support.health_load import Load, SteeredLoad, usual_ttft_s
from tests.support.observations import attempt, failed_attempt, upstream

A = upstream("a")
QUIET_S = 0.2
"""Between calls: five a second."""


def warmed(calls: int = 200, prompt_tokens: int = 0) -> tuple[HealthBoard, float]:
    """Return a board that knows `a` as half a second to the first token, and the time."""
    board, draw = HealthBoard(lambda: 0.5), Random(3)
    for i in range(calls):
        serve(board, i * QUIET_S, 0.5 * math.exp(draw.gauss(0.0, 0.35)), prompt_tokens=prompt_tokens)
    return board, calls * QUIET_S


def serve(
    board: HealthBoard, at: float, ttft_s: float, *, prompt_tokens: int = 0, paused_s: float = 0.0, tokens: int = 50
) -> None:
    """Make a call to `a` that is over before the next one begins."""
    permit = board.admit(A, at, prompt_tokens=prompt_tokens, is_last_resort=True)
    assert permit is not None
    board.first_token(permit, A, at + ttft_s)
    ended_at = at + ttft_s + 0.02 * tokens + paused_s
    board.observe(
        permit,
        attempt(
            A, ended_at=ended_at, duration_s=ended_at - at, ttft_s=ttft_s, content_events=tokens, paused_s=paused_s
        ),
    )  # fmt: skip


def refuse(board: HealthBoard, at: float, kind: FailureKind) -> None:
    """Let a call to `a` fail after 50 ms."""
    permit = board.admit(A, at, is_last_resort=True)
    assert permit is not None
    board.observe(permit, failed_attempt(kind, A, ended_at=at + 0.05, duration_s=0.05))


def penalty(board: HealthBoard, now: float, prompt_tokens: int = 0) -> float:
    return board.estimate(A, now, prompt_tokens=prompt_tokens).penalty


@pytest.mark.parametrize(("rate", "requests", "most"), [(0.1, 2000, 17), (5.0, 20000, 8), (50.0, 20000, 2)])
def test_health_raises_few_false_alarms(rate: float, requests: int, most: int) -> None:
    """About one false alarm an hour and upstream, give or take luck, and no breaker opens by chance."""
    load = Load(1, rate=rate)
    load.run(requests / rate)
    assert len(load.seen.steers) <= most
    assert load.seen.opens == []


@pytest.mark.parametrize(("factor", "within_s"), [(inf, 4.0), (3.0, 5.0)])
def test_trouble_shows_while_calls_are_under_way(factor: float, within_s: float) -> None:
    """A hang, or three times slower, moves traffic long before any timeout ends a call."""
    for seed in range(5):
        load = Load(seed, rate=5.0)
        load.run(200.0)
        load.run(215.0, lambda who, _at: factor if who.id == "u0" else 1.0)
        assert load.seen.first_steer_s("u0", 200.0) <= within_s


# -- survivorship: what never came is no sample of what comes


def test_calls_that_never_answer_count_though_nobody_waited_for_their_end() -> None:
    """A fifth of the calls hang and are cancelled; the others are as fast as ever. Judged by the answers that came,
    nothing is wrong."""
    board, at = warmed()
    began_at, draw = at, Random(5)
    hung = []
    while penalty(board, at) < STEER_NATS and at < began_at + 60.0:
        if draw.random() < 0.2:
            permit = board.admit(A, at, is_last_resort=True)
            assert permit is not None
            hung.append((at, permit))
        else:
            serve(board, at, usual_ttft_s(draw))
        while hung and hung[0][0] < at - 10.0:
            started_at, permit = hung.pop(0)
            board.observe(permit, attempt(A, outcome="cancelled", ended_at=at, duration_s=at - started_at))
        at += QUIET_S
    assert at - began_at < 30.0


def test_percentiles_for_people_count_those_who_waited_in_vain() -> None:
    """Ten seconds without a first token are at least ten seconds, not a missing value."""
    board, at = warmed(80)
    for _ in range(20):
        permit = board.admit(A, at, is_last_resort=True)
        assert permit is not None
        late = failed_attempt("first_token_timeout", A, ended_at=at + 10.0, duration_s=10.0)
        board.observe(permit, late)
        at += 11.0
    figures = board.health(A.id, at).figures()
    assert figures.ttft_p99_s == 10.0
    assert figures.ttft_p50_s is not None
    assert figures.ttft_p50_s < 1.0


def test_a_quick_no_is_no_first_token() -> None:
    """An error in 50 ms lowers no percentile, and no expectation."""
    board, at = warmed()
    before = board.health(A.id, at).figures(), board.estimate(A, at, prompt_tokens=0)
    for i in range(5):
        refuse(board, at + i, "server_error")
    after = board.health(A.id, at + 6).figures(), board.estimate(A, at + 6, prompt_tokens=0)
    assert (after[0].ttft_p50_s, after[0].ttft_p99_s) == (before[0].ttft_p50_s, before[0].ttft_p99_s)
    assert after[1].normal_ttft_s == before[1].normal_ttft_s
    assert after[1].ttft_s >= before[1].ttft_s


# -- baseline poisoning


def test_a_fault_does_not_become_the_baseline() -> None:
    """Five minutes at three times the pace: what is normal has hardly moved, and it is still held against it."""
    load = Load(11, rate=6.0)
    load.run(300.0)
    who = load.upstreams[0]
    before_s = load.board.estimate(who, load.now, prompt_tokens=0).normal_ttft_s
    load.run(600.0, lambda each, _at: 3.0 if each is who else 1.0)
    after = load.board.estimate(who, load.now, prompt_tokens=0)
    assert after.normal_ttft_s == pytest.approx(before_s, rel=0.15)
    assert after.penalty > STEER_NATS


def test_an_outage_does_not_become_the_error_rate() -> None:
    """A minute of errors, and soon another one: it is seen after as many as the first."""
    board, at = warmed()
    seen: list[int] = []
    for _ in range(2):
        failures = 0
        while penalty(board, at) < STEER_NATS:
            refuse(board, at, "server_error")
            failures, at = failures + 1, at + QUIET_S
        seen.append(failures)
        for _ in range(int(60 / QUIET_S)):
            refuse(board, at, "server_error")
            at += QUIET_S
        for _ in range(int(100 / QUIET_S)):
            serve(board, at, 0.5)
            at += QUIET_S
        assert penalty(board, at) == 0.0
    assert seen[0] == seen[1]


def test_stalls_do_not_drag_the_hedge_along() -> None:
    """One first token in twelve takes four times as long: a percentile would follow it, and hedge after the stall."""
    load, stalls = Load(12, rate=6.0), Random(1)
    load.run(300.0)
    first, second = load.upstreams[:2]
    load.run(600.0, lambda who, _at: 4.0 if who is first and stalls.random() < 1 / 12 else 1.0)
    estimates = [load.board.estimate(each, load.now, prompt_tokens=0) for each in (first, second)]
    delay_s = HedgeDelays().delay_s(*estimates, is_suspect=False)
    assert delay_s is not None
    assert delay_s < 4.0 * 0.5


# -- starvation


@pytest.mark.parametrize("steering", ["balanced", "preferred"])
def test_who_was_steered_away_from_has_its_share_back(steering: Steering) -> None:
    """Slow for two minutes, then well: without traffic nothing would ever prove it."""
    load = SteeredLoad(21, rate=5.0, steering=steering)
    load.run(120.0)
    usual = load.seen.share("u0", 60.0, 120.0)
    load.run(240.0, lambda who, _at: 4.0 if who.id == "u0" else 1.0)
    assert load.seen.share("u0", 180.0, 240.0) < 0.2 * usual
    load.run(330.0)
    assert load.seen.share("u0", 270.0, 330.0) > 0.6 * usual


# -- fast failures


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_errors_that_come_fast_attract_nobody(share: float) -> None:
    """Errors free the connection in 50 ms: by least latency or least in flight it would look best of all."""
    load = SteeredLoad(22, rate=10.0)
    load.run(120.0)
    usual = load.seen.share("u0", 60.0, 120.0)
    load.run(180.0, failing=lambda who: share if who.id == "u0" else 0.0)
    assert load.seen.share("u0", 140.0, 180.0) < 0.5 * usual


# -- minute-aligned counters


@pytest.mark.parametrize("offset_s", [0.0, 17.3, 59.9, 60.0, 3599.95, 86399.9])
def test_nothing_is_forgotten_on_the_minute(offset_s: float) -> None:
    """Evidence is the same wherever the clock stands: failures half before and half after :00 add up."""
    seen = []
    for start in (0.0, offset_s):
        board = HealthBoard(lambda: 0.5)
        for i in range(40):
            serve(board, start - 8.0 + i * QUIET_S, 0.5)
        for i in range(3):
            refuse(board, start + 0.1 * i, "server_error")
            standing = board.standing(A, start + 0.1 * i + 0.06)
            seen.append((start, standing.kind, standing.breaker, round(penalty(board, start + 0.1 * i + 0.06), 6)))
    half = len(seen) // 2
    assert [each[1:] for each in seen[:half]] == [each[1:] for each in seen[half:]]
    assert seen[-1][2] == "open"


# -- 429


def test_a_429_is_neither_failure_nor_success() -> None:
    """However many come, nothing is held against the upstream; and they do not end a row of failures."""
    board, at = warmed()
    for i in range(100):
        at += 5.0
        permit = board.admit(A, at)
        assert permit is not None, i
        board.observe(permit, failed_attempt("rate_limited", A, ended_at=at + 0.05, duration_s=0.05))
    at += 5.0
    assert board.standing(A, at).kind == "healthy"
    assert board.standing(A, at).breaker == "closed"
    assert penalty(board, at) == 0.0
    assert board.health(A.id, at).figures().error_ratio == 0.0
    for kind in ("server_error", "rate_limited", "server_error", "rate_limited", "server_error"):
        refuse(board, at, kind)  # type: ignore[arg-type]  # a tuple of literals is one of str to mypy
        at += 2.0
    assert board.standing(A, at).breaker != "closed"


def test_a_429_is_asked_again_only_when_its_time_is_over() -> None:
    """Taken for a success it would be hammered: the credential rests, and calls of all of its upstreams with it."""
    board, at = warmed()
    sibling = upstream("sibling")
    permit = board.admit(A, at)
    assert permit is not None
    board.observe(permit, failed_attempt("rate_limited", A, ended_at=at, duration_s=0.05, retry_after_s=7.0))
    assert [board.admit(who, at + 6.9, is_last_resort=True) for who in (A, sibling)] == [None, None]
    assert None not in [board.admit(who, at + 7.0 * 1.2) for who in (A, sibling)]


# -- self-inflicted


def test_our_own_lateness_is_held_against_nobody() -> None:
    """The event loop stood still for two seconds: all first tokens were read late, and one call missed its limit."""
    board, at = warmed()
    late = [board.admit(A, at + 0.1 * i) for i in range(8)]
    board.local_trouble(at + 2.5, 2.4)
    for i, permit in enumerate(late):
        assert permit is not None
        started_at = at + 0.1 * i
        if i < 4:
            board.first_token(permit, A, at + 2.5)
            ended = attempt(A, ended_at=at + 3.5, duration_s=at + 3.5 - started_at, ttft_s=at + 2.5 - started_at)
        else:
            ended = failed_attempt("first_token_timeout", A, ended_at=at + 2.6, duration_s=at + 2.6 - started_at)
        board.observe(permit, ended)
    assert penalty(board, at + 3.6) == 0.0
    assert board.standing(A, at + 3.6).breaker == "closed"


def test_a_client_that_reads_slowly_makes_no_slow_provider() -> None:
    """Time in which the client kept us from reading is no part of the upstream's pace."""
    board, at = warmed()
    pace_s = board.estimate(A, at, prompt_tokens=0).tpot_s
    for i in range(40):
        serve(board, at + 60.0 * i, 0.5, paused_s=45.0)
    assert penalty(board, at + 2400.0) == 0.0
    assert board.estimate(A, at + 2400.0, prompt_tokens=0).tpot_s == pytest.approx(pace_s, rel=0.05)


# -- mixes and drifts that are no trouble


def prefill_s(tokens: int, draw: Random) -> float:
    """Draw the time to a first token of a model whose prefill is linear: twice as long at 5,000 tokens as at 500."""
    return (0.45 + 0.1 * tokens / 1000.0) * math.exp(draw.gauss(0.0, 0.3))


@pytest.mark.parametrize("seed", range(4))
def test_longer_prompts_are_no_degradation(seed: int) -> None:
    """All prompts are ten times as long from one moment on: first tokens come later, as they must."""
    board, draw, at = HealthBoard(lambda: 0.5), Random(seed), 0.0
    worst = 0.0
    for i in range(1200):
        median = 500 if i < 600 else 5000
        tokens = round(median * draw.lognormvariate(0.0, 0.5))
        serve(board, at, prefill_s(tokens, draw), prompt_tokens=tokens)
        at += 1.6
        worst = max(worst, penalty(board, at, tokens))
    assert worst < STEER_NATS
    assert board.standing(A, at).breaker == "closed"


def test_the_load_of_the_day_is_no_degradation() -> None:
    """First tokens take twice as long in the afternoon as at night. The baseline's half-life is half an hour, so it
    goes along, and what is steered away from is not more than chance gives."""
    load = Load(31, rate=0.15)
    load.run(43_200.0, lambda _who, at: 2.0 ** (0.5 * math.sin(at * 2 * math.pi / 86_400.0)))
    upstream_hours = 3 * 12
    assert len(load.seen.steers) <= 0.5 * upstream_hours
    assert load.seen.opens == []


# -- time


def test_the_same_moment_twice_changes_nothing() -> None:
    """Asking is not learning: an estimate does not depend on how often it was asked for."""
    board, at = warmed()
    refuse(board, at, "server_error")
    first = [(board.standing(A, at + 1.0), board.estimate(A, at + 1.0, prompt_tokens=9)) for _ in range(50)]
    assert all(each == first[0] for each in first)


def test_long_prompts_do_not_excuse_a_hang_for_ever() -> None:
    """A limit shorter than so long a prompt takes is no failure; one after the other without an answer is."""
    board, at = HealthBoard(lambda: 0.5), 0.0
    for _ in range(200):
        serve(board, at, 1.0, prompt_tokens=300)
        at += 3.0
    for _ in range(12):
        permit = board.admit(A, at, prompt_tokens=100_000, is_last_resort=True)
        assert permit is not None
        at += 10.0
        board.observe(permit, failed_attempt("first_token_timeout", A, ended_at=at, duration_s=10.0))
    assert board.standing(A, at).breaker == "open"


def test_what_an_operator_forced_is_not_forgotten() -> None:
    """However many names clients make up."""
    board = HealthBoard(lambda: 0.5)
    board.operate(A, "open", 0.0)
    for i in range(1100):
        made_up, at = upstream(f"x/{i}", credential=f"x/{i}"), 1.0 + 0.01 * i
        permit = board.admit(made_up, at, is_last_resort=True)
        assert permit is not None
        board.observe(permit, failed_attempt("auth_failed", made_up, ended_at=at, duration_s=0.0))
    assert board.standing(A, 20.0).breaker == "open"
