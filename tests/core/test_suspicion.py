"""Who is told when an upstream comes under suspicion: once, as soon as anything finds it out."""

import math
from random import Random

import pytest

from streamroute.core.health.board import HealthBoard
from streamroute.core.health.breaker import Permit
from streamroute.core.upstream import Upstream, UpstreamId
from tests.support.observations import attempt, failed_attempt, upstream

A, B = upstream("a", provider="x"), upstream("b", provider="y")


class Listener:
    """A board that knows both upstreams as half a second to the first token, and what it tells."""

    def __init__(self) -> None:
        self.board = HealthBoard(Random(2).random)
        self.told: list[UpstreamId] = []
        draw = Random(3)
        for i in range(400):
            ttft_s = 0.5 * math.exp(draw.gauss(0.0, 0.35))
            self.answer(self.call(A if i % 2 else B, 0.1 * i), A if i % 2 else B, 0.1 * i, ttft_s)
        self.board.on_doubt = self.told.append
        self.now = 45.0

    def call(self, who: Upstream, at: float) -> Permit:
        permit = self.board.admit(who, at, is_last_resort=True)
        assert permit is not None
        return permit

    def answer(self, permit: Permit, who: Upstream, started_at: float, ttft_s: float) -> None:
        self.board.first_token(permit, who, started_at + ttft_s)
        ended_at = started_at + ttft_s + 0.1
        self.board.observe(permit, attempt(who, ended_at=ended_at, duration_s=ttft_s + 0.1, ttft_s=ttft_s))

    def fail(self, who: Upstream, at: float) -> None:
        permit = self.call(who, at)
        self.board.observe(permit, failed_attempt("server_error", who, ended_at=at + 0.05, duration_s=0.05))

    def look(self, at: float) -> None:
        self.board.outlook([A, B], at, prompt_tokens=0)


def test_nobody_is_told_of_who_is_well() -> None:
    """However often somebody looks."""
    listener = Listener()
    for i in range(20):
        listener.answer(listener.call(A, 45.0 + i), A, 45.0 + i, 0.5)
        listener.look(45.5 + i)
    assert listener.told == []


def test_a_hang_is_told_once_and_before_it_is_an_alarm() -> None:
    """By the first look that finds it out, while it may still be luck: a hedge costs little. Not by every look."""
    listener = Listener()
    for i in range(4):
        listener.call(A, 45.0 + 0.1 * i)
    at = 45.4
    while not listener.told:
        assert at < 48.0
        at += 0.05
        listener.look(at)
    assert listener.told == ["a"]
    assert listener.board.health(A.id, at).verdict.ratio < 1.0
    assert listener.board.standing(A, at).kind == "suspect"
    for i in range(100):
        listener.look(at + 0.1 * i)
    assert listener.told == ["a"]


def test_failures_are_told_without_a_look() -> None:
    """The end of a call finds it out by itself: whoever waits need not wait for the next request."""
    listener = Listener()
    listener.fail(A, 45.0)
    listener.fail(A, 45.1)
    assert listener.told == ["a"]
    listener.fail(A, 45.2)
    assert listener.board.health(A.id, 45.3).breaker.state == "open"
    for i in range(50):
        listener.look(45.3 + 0.1 * i)
    assert listener.told == ["a"], "an open breaker is the same suspicion"


@pytest.mark.parametrize("is_operators", [False, True])
def test_the_next_suspicion_is_told_again(is_operators: bool) -> None:
    """One that has ended and another one are two, whether answers or an operator have ended it."""
    listener = Listener()
    for at in (45.0, 45.1):
        listener.fail(A, at)
    if is_operators:
        listener.board.operate(A, "close", 46.0)
    else:
        for i in range(60):
            listener.answer(listener.call(A, 46.0 + i), A, 46.0 + i, 0.5)
    listener.look(120.0)
    assert listener.told == ["a"]
    for at in (121.0, 121.1):
        listener.fail(A, at)
    assert listener.told == ["a", "a"]


def test_each_upstream_is_told_of_by_itself() -> None:
    """Suspicion of one is not suspicion of another."""
    listener = Listener()
    for who in (A, B, A, B):
        listener.fail(who, 45.0)
    assert sorted(listener.told) == ["a", "b"]


def test_a_breaker_that_an_operator_opens_is_told() -> None:
    """Who waits for its first token need not hope for it."""
    listener = Listener()
    listener.board.operate(A, "open", 45.0)
    listener.look(45.0)
    assert listener.told == ["a"]


def test_nobody_need_listen() -> None:
    """The board works by itself."""
    listener = Listener()
    listener.board.on_doubt = None
    for i in range(3):
        listener.fail(A, 45.0 + 0.1 * i)
    assert listener.told == []
