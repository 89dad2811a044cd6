"""The failover benchmark: its world, its peers and its figures, with short runs and literal numbers."""

import math
from dataclasses import replace

import pytest
from failover_lab.baselines import ConsecutiveErrors, CooldownRatio, Window100
from failover_lab.metrics import Shares, figures, percentile
from failover_lab.picture import draw
from failover_lab.records import CallRecord, RequestRecord, RunRecord
from failover_lab.run import POLICIES, run
from failover_lab.scenarios import CAST, SCENARIOS, Scenario
from failover_lab.suite import Job, perform, summarise
from failover_lab.targets import TARGETS, judge
from failover_lab.weather import Condition, Provider, Segment, Weather
from failover_lab.world import Request, World


def short(name: str) -> Scenario:
    """Return a scenario with ten seconds of trouble and as much of aftermath."""
    scenario = SCENARIOS[name]
    providers = tuple(
        replace(
            each,
            weather=replace(
                each.weather,
                segments=[replace(segment, until_s=min(segment.until_s, 70.0)) for segment in each.weather.segments],
            ),
        )
        for each in scenario.providers
    )
    return replace(scenario, providers=providers, trouble_until_s=70.0, ends_s=80.0, judged_until_s=None)


def request(
    number: int, at: float, primary: str, *, ttft_s: float | None = 0.5, is_whole: bool = True
) -> RequestRecord:
    """Make the record of a request with one call."""
    made = RequestRecord(number, at, 100, 100, primary=primary, ttft_s=ttft_s, is_whole=is_whole)
    made.calls.append(CallRecord(primary, "first", at, was_connected=True, tokens=100, was_used=is_whole))
    return made


def test_draws_do_not_depend_on_the_policy() -> None:
    """The same call of the same request goes the same way, whatever was asked before."""
    first, second = World(CAST, 3), World(CAST, 3)
    second.call("a", Request(number=1, arrived_at=0.0), 0, 0.0)
    asked = Request(number=2, arrived_at=1.0)
    assert first.call("b", asked, 0, 1.0) == second.call("b", asked, 0, 1.0)
    assert first.call("b", asked, 1, 1.0) != second.call("b", replace(asked, number=3), 1, 1.0)


def test_tokens_come_one_by_one() -> None:
    """A course says how many tokens have come at any time, and when the latest did."""
    course = World(CAST, 0).call("a", Request(number=0, arrived_at=0.0, output_tokens=50), 0, 0.0)
    at = course.first_token_at
    assert course.tokens_by(at - 0.001) == 0
    assert course.tokens_by(at) == 1
    assert course.tokens_by(at + 2.5 * course.gap_s) == 3
    assert course.last_token_at(at + 2.5 * course.gap_s) == pytest.approx(at + 2 * course.gap_s)
    assert course.tokens_by(math.inf) == 50


@pytest.mark.parametrize(
    ("condition", "failure", "status"),
    [
        (Condition(error=1.0), "overloaded", 503),
        (Condition(error=1.0, status=500), "server_error", 500),
        (Condition(refused=1.0), "connect_error", None),
        (Condition(limited=1.0), "rate_limited", 429),
        (Condition(auth=1.0), "auth_failed", 401),
        (Condition(cut=1.0), "reset", 200),
        (Condition(truncated=1.0), "truncated", 200),
        (Condition(capacity_rps=0.001), "overloaded", 529),
    ],
)
def test_conditions_end_calls(condition: Condition, failure: str, status: int | None) -> None:
    """What is wrong with a provider decides how its calls end."""
    world = World([Provider(name="a", weather=Weather(normally=condition))], 0)
    courses = [world.call("a", Request(number=i, arrived_at=0.0), 0, 0.0) for i in range(3)]
    assert (courses[-1].failure, courses[-1].status) == (failure, status)


@pytest.mark.parametrize("condition", [Condition(hang=1.0), Condition(stall=1.0)])
def test_silence_has_no_end(condition: Condition) -> None:
    """A hang and a stall end only when somebody ends them."""
    world = World([Provider(name="a", weather=Weather(normally=condition))], 0)
    assert world.call("a", Request(number=0, arrived_at=0.0), 0, 0.0).ends_at == math.inf


def test_a_ramp_is_linear_and_its_breach_is_known() -> None:
    """Halfway through the ramp it is half as much slower; 2.5 times the normal is reached after 30 % of it."""
    weather = Weather(segments=[Segment(from_s=60.0, until_s=120.0, condition=Condition(slow_to=6.0))])
    assert weather.at(90.0)[1] == pytest.approx(3.5)
    assert weather.breach_s(60.0) == pytest.approx(78.0, abs=0.11)
    assert weather.is_well(59.0)
    assert not weather.is_well(125.0, for_s=10.0)


def test_consecutive_errors_eject_ever_longer() -> None:
    """Envoy's rule: the fifth error in a row ejects for 30 s, the next time for 60 s."""
    peer = ConsecutiveErrors(CAST, 0)
    for i in range(4):
        peer.ended("a", float(i), is_success=False)
    assert not peer.is_shut_out("a", 4.0)
    peer.ended("a", 4.0, is_success=False)
    assert peer.is_shut_out("a", 33.9)
    assert not peer.is_shut_out("a", 34.0)
    for i in range(5):
        peer.ended("a", 40.0 + i, is_success=False)
    assert peer.is_shut_out("a", 103.9)


def test_the_cooldown_forgets_at_the_minute() -> None:
    """LiteLLM's rule: five calls at least, more than half of them failed, within a minute of the clock."""
    peer = CooldownRatio(CAST, 0)
    for i in range(4):
        peer.ended("a", 58.0 + i / 10, is_success=False)
    peer.ended("a", 60.0, is_success=False)
    assert not peer.is_shut_out("a", 60.1)
    for i in range(4):
        peer.ended("a", 61.0 + i / 10, is_success=False)
    assert peer.is_shut_out("a", 66.2)
    assert not peer.is_shut_out("a", 66.4)


def test_the_window_wants_a_hundred_calls() -> None:
    """Resilience4j's rule: half of a full window of 100; ten calls decide after a minute."""
    peer = Window100(CAST, 0)
    for i in range(99):
        peer.ended("a", i / 100, is_success=i % 2 == 0)
    assert not peer.is_shut_out("a", 1.0)
    peer.ended("a", 1.0, is_success=False)
    assert peer.is_shut_out("a", 60.9)
    assert not peer.is_shut_out("a", 61.0)
    for _ in range(10):
        peer.ended("a", 62.0, is_success=False)
    assert peer.is_shut_out("a", 63.0)


def test_steering_is_seen_in_the_shares() -> None:
    """The first moment from which a window has less than a tenth of the base share."""
    picks = [(i / 10, i % 2 == 0 and not 600 <= i < 900) for i in range(1200)]
    shares = Shares(picks)
    assert shares.between(0.0, 60.0) == pytest.approx(0.5)
    assert shares.first(55.0, 90.0, 5.0, lambda share: share < 0.05) == pytest.approx(59.4)
    assert shares.first(80.0, 110.0, 10.0, lambda share: share > 0.375) == pytest.approx(87.5, abs=0.5)


def test_figures_count_failures_as_patience() -> None:
    """A request without an answer counts as 30 s, and only the time of trouble counts."""
    scenario = SCENARIOS["hang"]
    record = RunRecord()
    record.requests = [request(i, float(i), "a" if i % 2 else "b") for i in range(60)]
    record.requests += [request(60, 61.0, "a", ttft_s=None, is_whole=False), request(61, 62.0, "b")]
    made = figures(scenario, record)
    assert made.requests == 62
    assert made.client_error_ratio == 0.5
    assert made.ttft_p99_s == 30.0
    assert made.wasted_spend_ratio == pytest.approx(0.5)


def test_figures_tell_false_openings_from_true_ones() -> None:
    """Shutting out a provider that is well, and was for a while, is false."""
    record = RunRecord(openings=[(30.0, "a"), (70.0, "a"), (185.0, "a"), (70.0, "b")])
    assert figures(SCENARIOS["hang"], record).false_opens == 2


def test_calls_before_their_time_are_counted() -> None:
    """A call that begins before a 429's wait is over is early; one under way when it came is not."""
    record = RunRecord(requests=[request(i, at, "a") for i, at in enumerate((61.0, 61.2, 63.0, 67.0))])
    limited = record.requests[0].calls[0]
    limited.ended_at, limited.limited_until = 61.5, 66.5
    assert figures(SCENARIOS["rate_limit_storm"], record).early_calls == 1


def test_percentiles_are_nearest_rank() -> None:
    """The 99th of a hundred values is the second largest."""
    values = [float(i) for i in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([], 0.5)) == (50.0, 99.0, 0.0)


def test_what_did_not_happen_is_null() -> None:
    """A median of infinity is None, and lost text is summed up."""
    one = figures(SCENARIOS["hang"], RunRecord(requests=[request(i, float(i), "a") for i in range(150)]))
    row = summarise("hang", "x", "des", [one, replace(one, lost_chars=7), replace(one, lost_chars=4)])
    assert row["time_to_steer_s"] is None
    assert row["lost_chars"] == 11
    assert row["seeds"] == 3


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_serves_every_request(policy: str) -> None:
    """Each request has an end, and its calls have one too."""
    record = run(short("hang_half"), policy, 1)
    assert len(record.requests) > 300
    assert all(each.is_whole or each.error for each in record.requests)
    assert all(call.ended_at >= call.at for each in record.requests for call in each.calls)


def test_a_run_can_be_repeated() -> None:
    """The same seed gives the same figures, another one others."""
    scenario = short("errors_50")
    first, again, other = (figures(scenario, run(scenario, "streamroute", seed)) for seed in (2, 2, 3))
    assert first == again
    assert first != other


def test_cut_streams_are_joined_without_loss() -> None:
    """The client of a stream that breaks off has the whole text, once."""
    scenario = short("cut")
    made = figures(scenario, run(scenario, "streamroute", 0))
    assert (made.client_error_ratio, made.lost_chars, made.repeated_chars) == (0.0, 0, 0)
    assert made.seam_gap_p95_s is not None


def test_peers_lose_streams_that_break_off() -> None:
    """Without continuation, half of the streams of a third of the requests are errors."""
    scenario = short("cut")
    made = figures(scenario, run(scenario, "round_robin_retry", 0))
    assert 0.08 < made.client_error_ratio < 0.3


def test_targets_name_scenarios_and_figures_that_exist() -> None:
    """A target that could never be looked at would always hold."""
    row = summarise("none", "streamroute", "des", [perform(Job("none_0.1", "oracle", 0, is_fast=True))[1]])
    assert {each.scenario for each in TARGETS} <= set(SCENARIOS)
    assert {each.figure for each in TARGETS} <= set(row)


def test_a_missing_figure_misses_its_target() -> None:
    """None is never good enough."""
    row: dict[str, object] = {"scenario": "hang", "policy": "streamroute", "time_to_steer_s": None, "ttft_p99_s": 1.0}
    verdicts = {each.target.figure: each.is_met for each in judge([row])}
    assert verdicts == {"client_error_ratio": False, "time_to_steer_s": False, "ttft_p99_s": True}


def test_a_picture_shows_every_policy() -> None:
    """One block each, and well-formed."""
    scenario = short("hang")
    svg = draw(scenario, [(policy, run(scenario, policy, 0)) for policy in ("consecutive_5", "oracle")])
    assert svg.startswith("<svg")
    assert svg.rstrip().endswith("</svg>")
    assert "consecutive_5: errors" in svg
    assert "oracle: errors" in svg
