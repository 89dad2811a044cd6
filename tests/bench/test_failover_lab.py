"""The failover benchmark: its world, its peers and its figures, with short runs and literal numbers."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from failover_lab.baselines import ConsecutiveErrors, CooldownRatio, Oracle, Unhedged, Window100
from failover_lab.catalogue import is_simulation_only, names, scenario_named
from failover_lab.metrics import Shares, figures, percentile
from failover_lab.picture import draw
from failover_lab.records import CallRecord, RequestRecord, RunRecord
from failover_lab.replays import REPLAYS
from failover_lab.run import POLICIES, run
from failover_lab.scheduler import Scheduler
from failover_lab.staged import Staged, staged
from failover_lab.suite import Job, perform, summarise
from failover_lab.targets import TARGETS, judge
from failover_lab.world import Request, World

from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import Cut, ErrorStatus, NoResponse, RateLimit, Refuse, Slow, Stall
from streamroute.simulation.profile import Profile
from streamroute.simulation.scenario import Pause, Timing
from streamroute.simulation.scenarios import SCENARIOS
from streamroute.simulation.script import Phase, Script

NAMES = ["a", "b", "c"]
PROFILE = Profile(ttft_s=0.5, ttft_sigma=0.35, tpot_s=0.02)


def stage(name: str) -> Staged:
    """Return a scenario as the simulation plays it."""
    return staged(scenario_named(name))


def short(name: str) -> Staged:
    """Return a scenario with ten seconds of trouble and as much of aftermath."""
    return replace(stage(name), timing=Timing(trouble_from_s=60.0, trouble_until_s=70.0, end_s=80.0))


def world_of(seed: int = 0, fault: Fault | None = None, **profiles: Profile) -> World:
    """Return a world of which every provider plays a fault."""
    return World(
        {name: Script.of(fault, profile=profiles.get(name, PROFILE), seed=seed * 3 + i) for i, name in enumerate(NAMES)}
    )


def request(
    number: int, at: float, primary: str, *, ttft_s: float | None = 0.5, is_whole: bool = True
) -> RequestRecord:
    """Make the record of a request with one call."""
    made = RequestRecord(number, at, 100, 100, primary=primary, ttft_s=ttft_s, is_whole=is_whole)
    made.calls.append(CallRecord(primary, "first", at, was_connected=True, tokens=100, was_used=is_whole))
    return made


def test_draws_do_not_depend_on_the_policy() -> None:
    """The same call of the same request goes the same way, whatever was asked before."""
    first, second = world_of(), world_of()
    second.call("a", Request(number=1, arrived_at=0.0), 0, 0.0)
    asked = Request(number=2, arrived_at=1.0)
    came_at = first.call("b", asked, 0, 1.0).first_token_at
    assert came_at == second.call("b", asked, 0, 1.0).first_token_at
    others = {
        first.call("b", asked, 1, 1.0).first_token_at,
        first.call("b", replace(asked, number=3), 0, 1.0).first_token_at,
        first.call("a", asked, 0, 1.0).first_token_at,
        world_of(seed=1).call("b", asked, 0, 1.0).first_token_at,
    }
    assert len(others | {came_at}) == 5


def test_tokens_come_one_by_one() -> None:
    """A course says how many tokens have come at any time, and when the latest did."""
    course = world_of().call("a", Request(number=0, arrived_at=0.0, output_tokens=50), 0, 7.0)
    at = course.first_token_at
    assert course.tokens_by(at - 0.001) == 0
    assert course.tokens_by(at) == 1
    assert course.tokens_by(at + 0.05) == 3
    assert course.last_token_at(at + 0.05) == pytest.approx(at + 0.04)
    assert course.tokens_by(math.inf) == 50
    assert course.ends_at == pytest.approx(at + 49 * 0.02)


@pytest.mark.parametrize(
    ("fault", "failure", "status"),
    [
        (ErrorStatus(status=503), "overloaded", 503),
        (ErrorStatus(status=500), "server_error", 500),
        (ErrorStatus(status=401), "auth_failed", 401),
        (Refuse(), "connect_error", None),
        (RateLimit(), "rate_limited", 429),
        (Cut(), "reset", 200),
        (Cut(how="eof"), "truncated", 200),
    ],
)
def test_faults_end_calls_as_the_product_names_it(fault: Fault, failure: str, status: int | None) -> None:
    """What a script plays decides how a call ends, in the words of the core."""
    course = world_of(fault=fault).call("a", Request(number=0, arrived_at=0.0), 0, 0.0)
    assert (course.failure, course.status) == (failure, status)
    assert not math.isinf(course.ends_at)


@pytest.mark.parametrize("fault", [NoResponse(), NoResponse(after="role"), Stall()])
def test_silence_has_no_end(fault: Fault) -> None:
    """A hang and a stall end only when somebody ends them."""
    assert world_of(fault=fault).call("a", Request(number=0, arrived_at=0.0), 0, 0.0).ends_at == math.inf


def test_calls_count_as_in_flight_until_they_end() -> None:
    """Who is asked by too many at once refuses, until one of them is over."""
    world = world_of(a=replace(PROFILE, max_in_flight=2, over_capacity="503"))
    asked = [world.call("a", Request(number=i, arrived_at=0.0), 0, 0.0).status for i in range(3)]
    assert asked == [200, 200, 503]
    world.ended("a")
    world.ended("a")
    assert world.call("a", Request(number=4, arrived_at=1.0), 0, 1.0).status == 200


def test_the_truth_follows_from_the_scripts() -> None:
    """When a provider is well, and when a client that never steers meets the first breach: 2.5 times the normal, which
    a ramp to 6 times in a minute has after 30 % of it; or the first call that can fail."""
    ramp = stage("ramp")
    assert ramp.breach_s("a") == pytest.approx(78.0, abs=0.11)
    assert ramp.breach_s("b") is None
    assert (ramp.is_well("a", 59.0), ramp.is_well("a", 61.0), ramp.is_well("a", 185.0, for_s=10.0)) == (1, 0, 0)
    assert ramp.is_well("a", 191.0, for_s=10.0)
    assert (ramp.well_s("a"), ramp.well_s("b")) == (180.0, 300.0)
    assert stage("errors_5").breach_s("a") == 60.0
    assert stage("slow_2x").breach_s("a") is None


@pytest.mark.parametrize(
    ("name", "watched", "trouble_until_s", "judged_s"),
    [
        ("hang", "a", 180.0, (60.0, 180.0)),
        ("outage_60s", "a", 120.0, (60.0, 120.0)),
        ("flapping", "a", 170.0, (60.0, 170.0)),
        ("cold_capacity", "a", 180.0, (60.0, 240.0)),
        ("capacity_coupled", "a", 180.0, (60.0, 240.0)),
        ("all_30_errors", None, 180.0, (60.0, 180.0)),
        ("burst", None, 180.0, (60.0, 180.0)),
        ("none_50", None, 100.0, (0.0, 100.0)),
    ],
)
def test_what_is_judged(name: str, watched: str | None, trouble_until_s: float, judged_s: tuple[float, float]) -> None:
    """Whose share is watched, when its trouble is over for good, and which clients count."""
    made = stage(name)
    assert (made.watched, made.trouble_until_s, made.judged_s) == (watched, trouble_until_s, judged_s)


def test_who_has_limits_or_is_cut_off_by_us_is_not_misjudged() -> None:
    """Shutting out who slows down under load is not called false; where the trouble is ours, all of it is."""
    assert not stage("capacity_coupled").is_well("b", 30.0)
    assert stage("egress_loss").is_well("a", 70.0)


def test_every_mode_plays_the_same_scenario() -> None:
    """The same requests and scripts, in less time; `fast` watches half of the aftermath, or a quarter of the calm."""
    des, virtual, sockets = (staged(scenario_named("hang"), mode) for mode in ("des", "virtual", "sockets"))
    assert [each.end_s for each in (des, virtual, sockets)] == [300.0, 110.0, 40.0]
    ahead = list(virtual.load.arrivals(3, 40.0))
    assert list(des.load.arrivals(3, 40.0)) == ahead == list(sockets.load.arrivals(3, 40.0))
    assert des.scripts(3)["a"].profile == virtual.scripts(3)["a"].profile
    assert staged(scenario_named("hang"), is_fast=True).end_s == 240.0
    assert staged(scenario_named("none"), is_fast=True).end_s == 250.0
    assert staged(scenario_named("none"), rps=50.0).end_s == 100.0


def test_a_loop_that_stands_still_does_everything_late() -> None:
    """What was due in a pause is done at its end, in its order; what comes after it in time."""
    scheduler, done = Scheduler([Pause(at_s=2.0, for_s=1.5), Pause(at_s=5.0, for_s=1.0)]), list[tuple[float, float]]()
    for due in (1.0, 2.0, 3.4, 3.5, 4.0, 5.9, 6.0):
        scheduler.at(due, lambda due=due: done.append((due, scheduler.now)))  # type: ignore[misc]
    scheduler.run(10.0)
    assert done == [(1.0, 1.0), (2.0, 3.5), (3.4, 3.5), (3.5, 3.5), (4.0, 4.0), (5.9, 6.0), (6.0, 6.0)]


def test_the_oracle_asks_the_quickest_that_is_well() -> None:
    """Known to be slow, broken or full means not asked, also where that is still quicker; else the quickest is."""
    quick = replace(PROFILE, ttft_s=0.1)
    slow = Phase(from_s=10.0, until_s=20.0, fault=Slow(factor=2.0))
    scripts: Mapping[str, Script] = {
        "a": Script(profile=quick, phases=(slow,)),
        "b": Script(profile=replace(PROFILE, ttft_tail_share=0.1, ttft_tail_factor=(50.0, 50.0))),
        "c": Script(profile=PROFILE),
    }
    oracle = Oracle(NAMES, 0, World(scripts).outlook)
    assert [oracle.pick([], now) for now in (5.0, 15.0, 20.0)] == ["a", "c", "a"]
    assert oracle.pick(["a", "c"], 5.0) == "b"
    assert oracle.pick(NAMES, 5.0) is None


def test_the_unhedged_client_has_its_order() -> None:
    """It asks the next one on failure alone."""
    peer = Unhedged(NAMES, 0)
    assert [peer.pick(tried, 0.0) for tried in ([], ["a"], ["a", "b"], NAMES)] == ["a", "b", "c", None]


def test_consecutive_errors_eject_ever_longer() -> None:
    """Envoy's rule: the fifth error in a row ejects for 30 s, the next time for 60 s."""
    peer = ConsecutiveErrors(NAMES, 0)
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
    peer = CooldownRatio(NAMES, 0)
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
    peer = Window100(NAMES, 0)
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
    scenario = stage("hang")
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
    assert figures(stage("hang"), record).false_opens == 2


def test_probes_count_as_calls() -> None:
    """Also those that no request had a part in."""
    record = RunRecord(requests=[request(i, 61.0 + i, "a") for i in range(4)])
    record.probes = [CallRecord("a", "probe", at) for at in (10.0, 62.0, 63.0)]
    assert figures(stage("hang"), record).calls_per_request == 1.5


def test_calls_before_their_time_are_counted() -> None:
    """A call that begins before a 429's wait is over is early; one under way when it came is not."""
    record = RunRecord(requests=[request(i, at, "a") for i, at in enumerate((61.0, 61.2, 63.0, 67.0))])
    limited = record.requests[0].calls[0]
    limited.ended_at, limited.limited_until = 61.5, 66.5
    assert figures(stage("rate_limit_storm"), record).early_calls == 1


def test_percentiles_are_nearest_rank() -> None:
    """The 99th of a hundred values is the second largest."""
    values = [float(i) for i in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([], 0.5)) == (50.0, 99.0, 0.0)


def test_what_did_not_happen_is_null() -> None:
    """A median of infinity is None, and lost text is summed up."""
    one = figures(stage("hang"), RunRecord(requests=[request(i, float(i), "a") for i in range(150)]))
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
    assert {each.scenario for each in TARGETS} <= {*SCENARIOS, *REPLAYS}
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
    assert svg.count("while there is trouble") == 2
    assert "never steered away from a" in svg
    assert "steered away from a after 0.0 s" in svg


def test_scenarios_by_their_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without recordings there are no replays, and whoever asks for one is told why."""
    assert {*SCENARIOS} <= {*names()}
    assert is_simulation_only("loop_lag")
    assert "loop_lag" not in names("virtual")
    monkeypatch.setenv("STREAMROUTE_SHARED_DATA", str(tmp_path))
    assert list(names()) == list(SCENARIOS)
    with pytest.raises(ValueError, match="replays recorded traffic"):
        scenario_named("replay_incident")
    with pytest.raises(ValueError, match="no scenario 'storm'"):
        scenario_named("storm")
