"""Traps of calls that are load themselves: retries, hedges, probes, and everybody's return at once.

See `test_traps.py` for the others.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from streamroute.core.execution.admission import Admission, Leave
from streamroute.core.execution.commands import Start
from streamroute.core.execution.events import AttemptId
from streamroute.core.execution.hedge_delay import HedgeDelays
from streamroute.core.execution.plans import PlanRequest, build_plan
from streamroute.core.health.attempt_budget import AttemptBudget
from streamroute.core.health.board import HealthBoard
from streamroute.core.health.breaker import OPEN_S, RAMP_SHARES, Breaker, Permit
from streamroute.core.health.options import HealthOptions
from streamroute.core.health.probing import Probe, ProbePolicy, Subject
from streamroute.core.health.standing import Estimate
from streamroute.core.observation import ProbeObservation
from streamroute.core.outcome import AttemptCause, Failure
from streamroute.core.rate_limit import RateLimitReport
from streamroute.core.request import ChatRequest
from streamroute.core.routing.decision import Candidate, Decision
from streamroute.core.routing.steering import decide
from streamroute.core.upstream import PlanName, Route, Steering, Upstream
from tests.support.observations import attempt, failed_attempt, upstream
from tests.support.playbook import candidate, failed, failover, start

A, B, C = (upstream(name, credential=name, provider=name) for name in "abc")
CHAT = ChatRequest(wire_format="openai_chat", payload={}, model="chat", stream=True, prompt_bytes=2000)


def opened(board: HealthBoard, who: Upstream, at: float) -> None:
    """Let calls fail until the breaker is open."""
    for i in range(3):
        permit = board.admit(who, at + 0.01 * i, is_last_resort=True)
        assert permit is not None
        board.observe(permit, failed_attempt("server_error", who, ended_at=at + 0.01 * i + 0.005, duration_s=0.005))
    assert board.standing(who, at + 0.1).breaker == "open"


# -- a probe's permit


@pytest.mark.parametrize("age_s", [0.0, 0.2, 1.0, 9.0])
def test_cancelled_probes_leak_no_permit(age_s: float) -> None:
    """A hedge that wins cancels the hung probe, over and over. In a simulation the permit was lost then, and in 11 of
    16 runs the upstream stayed shut for ever."""
    board, at = HealthBoard(lambda: 0.5), 0.0
    opened(board, A, at)
    for _ in range(20):
        at += 60.0
        permit = board.admit(A, at)
        assert permit is not None, "it is time for a probe, and none is under way"
        assert permit.is_probe
        assert board.admit(A, at) is None
        ended_at = at + age_s
        board.observe(permit, attempt(A, outcome="cancelled", ended_at=ended_at, duration_s=age_s, cause="probe"))
    for _ in range(4):
        at += 60.0
        permit = board.admit(A, at)
        assert permit is not None
        board.first_token(permit, A, at + 0.4)
        board.observe(permit, attempt(A, ended_at=at + 1.0, duration_s=1.0, ttft_s=0.4))
    assert board.standing(A, at + 60.0).breaker == "closed"


# -- metastability


class Everybody:
    """Requests that try each upstream in turn, as far as they may; each call ends before the next begins."""

    def __init__(self) -> None:
        self.board = HealthBoard(Random(1).random)
        self.budget = AttemptBudget()
        self.admission = Admission(self.board, self.budget)
        self.calls = 0

    def request(self, at: float, *, is_well: bool) -> None:
        for i, who in enumerate((A, B, C)):
            leave = self.ask(who, at, "first" if i == 0 else "failover", is_last_resort=True)
            if isinstance(leave, Failure):
                continue
            self.calls += 1
            ended_at = at + 0.01 * (i + 1)
            ended = attempt(who, ended_at=ended_at, duration_s=0.01, ttft_s=0.005)
            failed = failed_attempt("overloaded", who, ended_at=ended_at, duration_s=0.01)
            self.admission.settle(leave, ended if is_well else failed)
            if is_well:
                return

    def ask(self, who: Upstream, at: float, cause: AttemptCause, *, is_last_resort: bool = False) -> Leave | Failure:
        start = Start(AttemptId(1), who, is_last_resort, cause)
        return self.admission.admit(
            start, at, latency_class="interactive", prompt_tokens=500, is_stream=True, in_flight=5
        )


@pytest.mark.parametrize("every_s", [0.05, 1.0, 3600.0])
def test_extra_calls_fall_with_success_and_not_with_time(every_s: float) -> None:
    """Everything fails: soon there is one call a request and no hedge, however much time passes between two. Retries
    that time alone brings back are what keeps an overload alive after its cause is gone."""
    everybody = Everybody()
    for i in range(20):
        everybody.request(i * every_s, is_well=False)
    everybody.calls = 0
    for i in range(20, 120):
        everybody.request(i * every_s, is_well=False)
        assert isinstance(everybody.ask(B, i * every_s + 0.1, "hedge"), Failure)
    assert everybody.calls == 100


def test_extra_calls_come_back_with_success() -> None:
    """And when the cause is gone, what was denied is allowed again after a few answers."""
    everybody = Everybody()
    for i in range(50):
        everybody.request(i * 1.0, is_well=False)
    for i in range(100):
        everybody.request(100.0 + i, is_well=True)
    assert isinstance(everybody.ask(B, 210.0, "failover"), Leave)
    assert isinstance(everybody.ask(C, 210.0, "hedge"), Leave)


# -- the herd of those that return


def test_sidecars_do_not_come_back_in_step() -> None:
    """A hundred of them saw the same outage begin in the same instant: their first probes are spread out."""
    firsts = []
    for seed in range(100):
        breaker = Breaker(Random(seed).random, 0.0)
        breaker.trip(0.0, "down")
        assert breaker.reopens_at is not None
        firsts.append(breaker.reopens_at)
    assert min(firsts) >= OPEN_S
    at_once = max(sum(at <= each < at + 0.05 for each in firsts) for at in firsts)
    assert at_once <= 25


def test_a_return_is_a_slope() -> None:
    """After the last probe it gets a quarter, then half, and no more at once than it has proved."""
    board, at = HealthBoard(lambda: 0.5), 0.0
    opened(board, A, at)
    at = 30.0
    while board.standing(A, at).breaker != "ramping":
        permit = board.admit(A, at)
        assert permit is not None
        board.first_token(permit, A, at + 0.3)
        board.observe(permit, attempt(A, ended_at=at + 0.5, duration_s=0.5, ttft_s=0.3))
        at += 0.5
    estimate = board.estimate(A, at, prompt_tokens=0)
    assert estimate.capacity == RAMP_SHARES[0] < 0.5
    under_way = [board.admit(A, at) for _ in range(50)]
    assert 1 <= sum(permit is not None for permit in under_way) <= 10


def test_rate_limits_do_not_end_in_step() -> None:
    """Sidecars that share a key were all told to wait five seconds: they wait a little longer, each its own time."""
    ends = set()
    for seed in range(50):
        board = HealthBoard(Random(seed).random)
        permit = board.admit(A, 0.0)
        assert permit is not None
        board.observe(permit, failed_attempt("rate_limited", A, ended_at=0.1, duration_s=0.1, retry_after_s=5.0))
        ends.add(round(board.rate_limited_until[A.credential], 2))
    assert min(ends) >= 5.1
    assert len(ends) > 25


# -- hedges


def decision(*candidates: Candidate, plan: PlanName = "hedge") -> Decision:
    names = tuple(each.upstream.id for each in candidates)
    return Decision(route=Route(name="chat", upstreams=names, plan=plan), candidates=candidates, plan=plan)


def causes(*candidates: Candidate, plan: PlanName = "hedge") -> Sequence[tuple[str, str]]:
    """Return whom a plan asks within a minute in which nobody answers, and why."""
    made = build_plan(decision(*candidates, plan=plan), PlanRequest(stream=True, arrived_at=0.0), HedgeDelays())
    commands = [*made.start(0.0)]
    for _ in range(20):
        due = made.next_deadline()
        if due is None or due > 5.0:
            break
        commands += made.on_deadline(due)
    return [(each.upstream.id, each.cause) for each in commands if isinstance(each, Start)]


@pytest.mark.parametrize(("plan", "cause"), [("hedge", "hedge"), ("race", "race")])
def test_what_fails_together_is_no_backup(plan: PlanName, cause: AttemptCause) -> None:
    """Azure beside OpenAI, Bedrock beside Anthropic: where they share what fails, a call beside is only load."""
    first, twin, other = candidate("a", domain="shared"), candidate("b", domain="shared"), candidate("c")
    assert (twin.upstream.id, cause) not in causes(first, twin, plan=plan)
    assert (other.upstream.id, cause) in causes(first, twin, other, plan=plan)


def short_of(name: str, **more: float) -> Candidate:
    """Make a candidate that stands well but has no room for more than its own requests."""
    full = Estimate(ttft_s=1.0, normal_ttft_s=1.0)
    return replace(candidate(name), estimate=replace(full, **more))  # type: ignore[arg-type]  # names of its fields


@pytest.mark.parametrize(
    "more", [{"capacity": 0.4}, {"in_flight": 6, "in_flight_limit": 6.0}], ids=["quota or ramp", "learned limit"]
)
@pytest.mark.parametrize(("plan", "cause"), [("hedge", "hedge"), ("race", "race")])
def test_calls_beside_take_nothing_from_those_who_have_nothing_to_spare(
    more: dict[str, float], plan: PlanName, cause: AttemptCause
) -> None:
    """A hedge uses up another's quota, or fills an upstream that is just coming back: first calls need that more."""
    assert ("b", cause) not in causes(candidate("a"), short_of("b", **more), plan=plan)
    assert ("c", cause) in causes(candidate("a"), short_of("b", **more), candidate("c"), plan=plan)


def test_a_failure_may_still_use_the_last_of_a_quota() -> None:
    """With nobody else to ask, the rest of a quota is for requests that would fail."""
    book = failover(candidate("a"), short_of("b", capacity=0.1), hedge_after_s=1.0)
    book.start() << start(1, "a")
    book.wake(at=1.0)
    book.tell(failed(1, "reset"), at=1.5) << start(2, "b")


@pytest.mark.parametrize("steering", ["preferred", "balanced"])
def test_shifted_traffic_respects_the_quota_of_who_takes_it(steering: Steering) -> None:
    """`a` is down; the answers of `b` say that its quota ends in seconds at our pace, those of `c` do not: most of the
    shifted traffic goes to `c`, before the first 429."""
    draw = Random(4)
    board = HealthBoard(draw.random)
    for i in range(100):
        for who in (B, C):
            permit = board.admit(who, i * 0.2)
            assert permit is not None
            board.first_token(permit, who, i * 0.2 + 0.1)
            board.observe(permit, attempt(who, ended_at=i * 0.2 + 0.15, duration_s=0.15, ttft_s=0.1))
    opened(board, A, 20.0)
    board.reported(B, RateLimitReport(limit_requests=100, remaining_requests=5, reset_requests_s=50.0), 20.1)
    board.reported(C, RateLimitReport(limit_requests=9000, remaining_requests=8900, reset_requests_s=50.0), 20.1)
    for who in (B, C):
        permit = board.admit(who, 20.15)
        assert permit is not None
        board.give_back(permit, who, 20.15)
    route = Route(name="chat", upstreams=(A.id, B.id, C.id), steering=steering)
    heads = [decide(CHAT, route, (A, B, C), board, 20.2, draw.random).candidates[0].upstream for _ in range(200)]
    assert heads.count(A) == 0
    assert heads.count(C) > 120


def test_an_upstream_comes_back_where_no_probe_beside_a_request_lives_to_tell() -> None:
    """The backup's whole answers take 20 ms, the first token of the one on its way back 200 ms: every probe beside a
    request is cancelled with it. In a trial at 20 requests a second it was still half open after 100 s."""
    board, at = HealthBoard(lambda: 0.5), 0.0
    probes = ProbePolicy(HealthOptions(), lambda: 0.5)
    routes = {"chat": Route(name="chat", upstreams=(A.id, B.id))}
    opened(board, A, at)
    own: tuple[Permit, Probe] | None = None
    for i in range(1, 20 * 30):
        at = i * 0.05
        permit = board.admit(A, at) if board.standing(A, at).can_ask else None
        if permit is not None and board.standing(A, at).breaker == "half_open":
            ended_at = at + 0.02
            board.observe(permit, attempt(A, outcome="cancelled", ended_at=ended_at, duration_s=0.02, cause="probe"))
        elif permit is not None:
            break
        if own is not None and i % 10 == 4:
            board.first_token(own[0], A, at)
            board.observe(own[0], attempt(A, ended_at=at, duration_s=0.2, ttft_s=0.2, cause="probe"))
            told = ProbeObservation(
                upstream=A.id, provider=A.provider, step="completion", ok=True, ended_at=at, duration_s=0.2
            )
            probes.ended(own[1], told)
            own = None
        if i % 10 == 0:
            for probe in probes.due([Subject(upstream=A, standing=board.standing(A, at))], routes, at):
                mine = board.admit(A, at, is_active=True) if board.standing(A, at).breaker != "open" else None
                if mine is None:
                    probes.given_up(probe, at)
                else:
                    own = (mine, probe)
    assert board.standing(A, at).breaker in {"ramping", "closed"}
    assert at <= 15.0
