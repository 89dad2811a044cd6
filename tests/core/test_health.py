"""What is known of upstreams: the figures of each, and the board of all."""

import typing
from dataclasses import replace

import pytest

from streamroute.core.health import board as board_module
from streamroute.core.health.board import DEFAULT_RATE_LIMIT_S, HealthBoard
from streamroute.core.health.breaker import FAILURES_TO_OPEN, OPEN_S, Permit
from streamroute.core.health.classify import DISPOSITIONS, disposition
from streamroute.core.health.standing import Standing
from streamroute.core.health.upstream_health import RECENT_ATTEMPTS, RECENT_ERRORS, UpstreamHealth, quantile
from streamroute.core.observation import AttemptObservation
from streamroute.core.outcome import FailureKind
from streamroute.core.upstream import Upstream
from tests.support.observations import attempt, failed_attempt, upstream

KINDS: tuple[FailureKind, ...] = typing.get_args(FailureKind)
A, B = upstream("a"), upstream("b")
ELSEWHERE = upstream("c", credential="other")
READY = Standing()


def board(draw: float = 0.0) -> HealthBoard:
    """`draw` 0: rate limits are not lengthened; 0.5: pauses of breakers are neither lengthened nor shortened."""
    return HealthBoard(lambda: draw)


def health_after(*observations: AttemptObservation) -> UpstreamHealth:
    health = UpstreamHealth(lambda: 0.0, 0.0)
    for observation in observations:
        permit = health.breaker.admit(observation.ended_at, is_last_resort=True)
        assert permit is not None
        health.started(permit, observation.ended_at)
        health.ended(permit, observation)
    return health


def call(subject: HealthBoard, of: Upstream, observation: AttemptObservation, *, started_at: float) -> None:
    subject.observe(permitted(subject, of, started_at), observation)


def permitted(subject: HealthBoard, of: Upstream, now: float) -> Permit:
    permit = subject.admit(of, now, is_last_resort=False)
    assert permit is not None
    return permit


def test_every_kind_of_failure_has_a_meaning() -> None:
    """The table covers the closed list, no more and no less."""
    assert set(DISPOSITIONS) == set(KINDS)
    assert disposition("stall") is DISPOSITIONS["stall"]


def test_the_clients_errors_are_not_held_against_an_upstream() -> None:
    """What is returned to the client, what stops us, and rate limits are no evidence of bad health."""
    for kind, meaning in DISPOSITIONS.items():
        if meaning.next_step in {"return", "stop", "larger_context"} or kind in {"rate_limited", "blocked"}:
            assert not meaning.counts, kind


def test_figures() -> None:
    """Counts, the ratio of what says something, quantiles of what was measured, the newest errors first."""
    figures = health_after(
        attempt(ttft_s=0.1),
        attempt(ttft_s=0.3, ended_at=2.0),
        failed_attempt("server_error", ended_at=3.0),
        failed_attempt("client_error", ended_at=4.0),
        attempt(outcome="cancelled", cancel_reason="client_gone", ttft_s=0.2, ended_at=5.0),
    ).figures()
    assert (figures.attempts, figures.succeeded, figures.failed, figures.cancelled) == (5, 2, 2, 1)
    assert figures.in_flight == 0
    assert figures.error_ratio == pytest.approx(1 / 3)
    assert (figures.ttft_p50_s, figures.ttft_p95_s) == (0.2, 0.3)
    assert figures.last_success_at == 2.0
    assert [each.kind for each in figures.recent_errors] == ["client_error", "server_error"]


def test_figures_of_nothing() -> None:
    """Nothing is known of an upstream that was never asked; nothing is made up."""
    figures = health_after().figures()
    assert (figures.error_ratio, figures.ttft_p50_s, figures.ttft_p95_s, figures.last_success_at) == (None,) * 4
    assert figures.recent_errors == ()


def test_figures_look_back_a_bounded_way() -> None:
    """A hundred attempts and five errors: the past fades, memory stays."""
    history = [failed_attempt("reset", ttft_s=9.0)] * 20 + [attempt(ttft_s=0.1)] * RECENT_ATTEMPTS
    figures = health_after(*history).figures()
    assert (figures.error_ratio, figures.ttft_p95_s, figures.failed) == (0.0, 0.1, 20)
    assert len(figures.recent_errors) == RECENT_ERRORS


def test_in_flight() -> None:
    """Counted from the permit to its return, also where the attempt was cancelled."""
    subject = board()
    permits = [permitted(subject, A, 0.0) for _ in range(2)]
    assert subject.health(A.id, 0.0).figures().in_flight == 2
    subject.observe(permits[0], attempt(A))
    subject.observe(permits[1], attempt(A, outcome="cancelled", cancel_reason="lost"))
    assert subject.health(A.id, 0.0).figures().in_flight == 0


@pytest.mark.parametrize(("ordered", "p50", "p95"), [([], None, None), ([1.0], 1.0, 1.0), ([1.0, 2.0], 1.0, 2.0)])
def test_quantile(ordered: list[float], p50: float | None, p95: float | None) -> None:
    """The nearest rank: a value that was really measured."""
    assert (quantile(ordered, 0.5), quantile(ordered, 0.95)) == (p50, p95)
    hundred = [float(value) for value in range(1, 101)]
    assert (quantile(hundred, 0.5), quantile(hundred, 0.95), quantile(hundred, 0.0)) == (50.0, 95.0, 1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_what_opens_the_breaker(kind: FailureKind) -> None:
    """Evidence opens it after three in a row, rejected credentials and empty accounts at once, the rest never."""
    meaning = DISPOSITIONS[kind]
    state = health_after(*[failed_attempt(kind)] * FAILURES_TO_OPEN).breaker.state
    assert (state == "open") == (meaning.counts or meaning.blocks_for_s is not None)
    after_one = health_after(failed_attempt(kind)).breaker
    assert after_one.state == ("closed" if meaning.blocks_for_s is None else "open")
    assert after_one.reopens_at == (None if meaning.blocks_for_s is None else 1.0 + meaning.blocks_for_s)


def test_one_bad_model_does_not_shut_its_neighbours() -> None:
    """Health is kept per upstream: another model of the same provider and credential stays ready."""
    subject = board(0.5)
    for _ in range(FAILURES_TO_OPEN):
        call(subject, A, failed_attempt("server_error", A), started_at=1.0)
    standing = subject.standing(A, 1.0)
    assert (standing.breaker, standing.can_ask, standing.until) == ("open", False, 1.0 + OPEN_S)
    assert subject.standing(B, 1.0) == READY
    assert subject.admit(A, 1.0, is_last_resort=False) is None
    assert subject.admit(A, 1.0, is_last_resort=True) is not None


def test_a_probe_under_way_has_no_end_in_sight() -> None:
    """While one call tests the waters nobody knows when the upstream returns."""
    subject = board(0.5)
    for _ in range(FAILURES_TO_OPEN):
        call(subject, A, failed_attempt("server_error", A), started_at=1.0)
    permitted(subject, A, 1.0 + OPEN_S)
    standing = subject.standing(A, 1.0 + OPEN_S)
    assert (standing.breaker, standing.can_ask, standing.until) == ("half_open", False, None)


def test_what_is_drained_is_shown_as_it_is_now() -> None:
    """Time goes on for its breaker, too: it does not look open after its pause has ended."""
    subject = board(0.5)
    for _ in range(FAILURES_TO_OPEN):
        call(subject, A, failed_attempt("server_error", A), started_at=1.0)
    subject.operate(A, "drain", 1.0)
    assert [subject.standing(A, at).breaker for at in (1.0, 1.0 + OPEN_S)] == ["open", "half_open"]
    assert not subject.standing(A, 1.0 + OPEN_S).can_ask


def test_an_operator_who_closes_a_breaker_wipes_the_slate() -> None:
    """What was held against the upstream is forgotten with it: one more failure does not open it again."""
    subject = board(0.5)
    for _ in range(FAILURES_TO_OPEN):
        call(subject, A, failed_attempt("server_error", A), started_at=1.0)
    subject.operate(A, "close", 1.0)
    assert subject.standing(A, 1.0) == READY
    call(subject, A, failed_attempt("server_error", A, ended_at=2.0), started_at=1.5)
    assert subject.standing(A, 2.0).breaker == "closed"


def test_a_rate_limit_is_the_credentials() -> None:
    """A 429 rests every upstream that draws on the same quota, not even as a last resort; others stay ready."""
    subject = board()
    call(subject, A, failed_attempt("rate_limited", A, retry_after_s=7.0), started_at=0.5)
    for each in (A, B):
        standing = subject.standing(each, 7.99)
        assert (standing.kind, standing.can_ask, standing.until) == ("rate_limited", False, 8.0)
        assert subject.admit(each, 7.99, is_last_resort=True) is None
    assert subject.standing(ELSEWHERE, 1.0) == READY
    assert dict(subject.rate_limited_until) == {"lab": 8.0}
    assert subject.standing(A, 8.0) == READY
    assert dict(subject.rate_limited_until) == {}
    assert subject.health(A.id, 8.0).breaker.state == "closed"


def test_a_rate_limit_without_a_time() -> None:
    """A second, where the provider does not say."""
    subject = board()
    call(subject, A, failed_attempt("rate_limited", A), started_at=0.5)
    assert subject.standing(A, 1.0).until == 1.0 + DEFAULT_RATE_LIMIT_S


def test_a_rate_limit_is_never_shortened() -> None:
    """Of two wishes the longer one counts."""
    subject = board()
    permits = [permitted(subject, A, 0.5), permitted(subject, B, 0.5)]
    subject.observe(permits[0], failed_attempt("rate_limited", A, retry_after_s=9.0))
    subject.observe(permits[1], failed_attempt("rate_limited", B, retry_after_s=1.0))
    assert subject.standing(A, 1.0).until == 10.0


def test_retry_after_of_other_failures_is_no_rate_limit() -> None:
    """A 503 with `Retry-After` concerns that upstream alone."""
    subject = board()
    call(subject, A, failed_attempt("overloaded", A, retry_after_s=9.0), started_at=0.5)
    standing = subject.standing(A, 1.0)
    assert (standing.can_ask, standing.breaker) == (True, "closed")
    assert standing.kind != "rate_limited"


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that clients make up push out the one used longest ago, never one that is busy or known to be bad."""
    monkeypatch.setattr(board_module, "MAX_TRACKED", 3)
    subject = board()
    busy = permitted(subject, A, 0.0)
    for _ in range(FAILURES_TO_OPEN):
        call(subject, B, failed_attempt("server_error", B), started_at=1.0)
    for number in range(10):
        made_up = upstream(f"lab/{number}")
        call(subject, made_up, attempt(made_up), started_at=1.0)
    assert len(subject._upstreams) <= 3
    assert subject.standing(B, 1.0).breaker == "open"
    assert subject.health(A.id, 1.0).figures().in_flight == 1
    subject.observe(busy, replace(attempt(A), ended_at=2.0))


def test_a_call_that_was_never_made_leaves_nothing() -> None:
    """A permit that is given back counts neither as in flight nor as an attempt."""
    board = HealthBoard(lambda: 0.5)
    permit = board.admit(upstream("a"), 0.0, is_last_resort=False)
    assert permit is not None
    board.give_back(permit, upstream("a"), 0.1)
    figures = board.health(upstream("a").id, 0.1).figures()
    assert (figures.in_flight, figures.attempts, permit.is_settled) == (0, 0, True)


def test_an_outlook_is_what_single_looks_say() -> None:
    """Together or one by one: how upstreams stand, and what to expect of each, also where an operator drained one."""
    all_of_them = [upstream(name, credential=name, provider=name) for name in "abcd"]
    _, failed, drained, limited = all_of_them
    subject = board()
    for at in range(1, 13):
        for each in all_of_them:
            call(subject, each, attempt(each, ended_at=at + 0.4, ttft_s=0.2, duration_s=0.4), started_at=float(at))
    call(subject, failed, failed_attempt("server_error", failed, ended_at=14.0), started_at=13.5)
    call(subject, limited, failed_attempt("rate_limited", limited, ended_at=14.0, retry_after_s=9.0), started_at=13.5)
    subject.operate(drained, "drain", 14.0)
    together = subject.outlook(all_of_them, 15.0, prompt_tokens=500)
    assert list(together.standings) == [subject.standing(each, 15.0) for each in all_of_them]
    assert list(together.estimates) == [subject.estimate(each, 15.0, prompt_tokens=500) for each in all_of_them]
    assert [each.can_ask for each in together.standings] == [True, True, False, False]
    assert [each.kind for each in together.standings] == ["healthy", "suspect", "healthy", "rate_limited"]
    assert not together.is_panic
    assert subject.outlook([failed, drained, limited], 15.0, prompt_tokens=0).is_panic


def test_an_outlook_hears_the_alarms_of_siblings_that_come_later() -> None:
    """Two siblings in trouble speak against the first of a domain, whichever is looked at first."""
    siblings = [upstream(name, credential=name, provider="lab") for name in "abc"]
    subject = board()
    for each in siblings[1:]:
        for at in (1.0, 2.0):
            call(subject, each, failed_attempt("server_error", each, ended_at=at + 0.1), started_at=at)
    first, *others = subject.outlook(siblings, 2.5, prompt_tokens=0).estimates
    assert all(each.penalty > first.penalty > 0.0 for each in others)
