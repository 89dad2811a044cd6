"""Scenarios: complete, seeded, scalable, and as bad as they say."""

import math
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest

from streamroute.simulation.meter import Meter
from streamroute.simulation.scenario import by_name
from streamroute.simulation.scenarios import SCENARIOS, Timing
from streamroute.simulation.script import Script
from streamroute.simulation.timeline import Timeline
from streamroute.simulation.traffic import Load, Tokens

ALL = pytest.mark.parametrize("name", SCENARIOS)
TIMING = Timing()
MOST_REQUESTS = 4000
"""Of one scenario here: more of the same show nothing new."""
NEVER_FAULTY = {name for name, scenario in SCENARIOS.items() if not scenario.faulty}


@cache
def served(name: str, provider: str) -> list[tuple[float, Timeline]]:
    """Return when the scenario's whole load comes, and what one provider would give to each of its requests."""
    scenario = SCENARIOS[name]
    script = scenario.scripts(1, TIMING)[provider]
    meter, told = Meter(), []
    for arrival in scenario.load_for(TIMING).arrivals(1, min(TIMING.end_s, MOST_REQUESTS / scenario.load.rps)):
        one = script.serve(
            meter,
            elapsed_s=arrival.at_s,
            ordinal=arrival.ordinal,
            tokens=arrival.answer_tokens,
            prompt_tokens=arrival.prompt_tokens,
        )
        meter.end()
        told.append((arrival.at_s, one))
    return told


def timelines(name: str, provider: str, from_s: float, until_s: float) -> list[Timeline]:
    """Return what one provider would give to the scenario's whole load, for the requests in that time."""
    return [one for at_s, one in served(name, provider) if from_s <= at_s < until_s]


@ALL
def test_three_providers_with_their_own_seeds(name: str) -> None:
    """Each scenario has a, b and c; the same seed gives the same scripts, another seed others."""
    scenario = SCENARIOS[name]
    scripts = scenario.scripts(7, TIMING)
    assert scenario.name == name
    assert scenario.title
    assert list(scripts) == ["a", "b", "c"]
    assert scripts == scenario.scripts(7, TIMING)
    assert len({script.seed for script in [*scripts.values(), *scenario.scripts(8, TIMING).values()]}) == 6
    assert set(scenario.faulty) <= set(scripts)


@ALL
def test_trouble_stays_in_its_time_and_with_the_faulty(name: str) -> None:
    """Estimates can settle first, recovery can be watched, and nobody else misbehaves."""
    scenario = SCENARIOS[name]
    for provider, script in scenario.scripts(0, TIMING).items():
        assert provider in scenario.faulty or not script.phases
        for phase in script.phases:
            assert TIMING.trouble_from_s <= phase.from_s < phase.until_s <= TIMING.trouble_until_s


@ALL
def test_all_are_well_before_and_after(name: str) -> None:
    """Outside of the trouble nothing fails."""
    for provider in "abc":
        for from_s, until_s in ((0.0, TIMING.trouble_from_s), (TIMING.trouble_until_s, TIMING.end_s)):
            told = timelines(name, provider, from_s, until_s)
            assert all(one.is_good for one in told)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("outage_503", 1.0, 1.0),
        ("outage_60s", 0.4, 0.6),
        ("refused", 1.0, 1.0),
        ("reset", 1.0, 1.0),
        ("hang", 1.0, 1.0),
        ("hang_half", 0.43, 0.57),
        ("hang_after_head", 1.0, 1.0),
        ("errors_5", 0.02, 0.09),
        ("errors_20", 0.15, 0.25),
        ("errors_50", 0.43, 0.57),
        ("slow_1_5x", 0.0, 0.0),
        ("slow_2x", 0.0, 0.0),
        ("slow_3x", 0.0, 0.0),
        ("ramp", 0.4, 0.6),
        ("tail_growth", 0.0, 0.0),
        ("heavy_tail", 0.0, 0.0),
        ("decode_slow", 0.0, 0.0),
        ("cut", 0.43, 0.57),
        ("stall", 0.43, 0.57),
        ("truncated", 0.43, 0.57),
        ("stream_error", 0.43, 0.57),
        ("rate_limit_storm", 0.82, 0.92),
        ("rate_limit_bare", 0.82, 0.92),
        ("quota", 0.7, 0.9),
        ("flapping", 0.4, 0.6),
        ("domain", 1.0, 1.0),
        ("all_30_errors", 0.24, 0.36),
        ("all_slow_3x", 0.0, 0.0),
        ("cold_capacity", 0.9, 1.0),
        ("capacity_coupled", 1.0, 1.0),
        ("auth", 1.0, 1.0),
        ("incident_replay", 0.3, 0.5),
        ("egress_loss", 0.15, 0.35),
        ("afternoon", 0.5, 0.8),
        *((name, 0.0, 0.0) for name in sorted(NEVER_FAULTY - {"heavy_tail"})),
    ],
)
def test_share_of_failures_of_the_preferred(name: str, least: float, most: float) -> None:
    """Everything asked of `a` while there is trouble: how much of it fails."""
    told = timelines(name, "a", TIMING.trouble_from_s, TIMING.trouble_until_s)
    assert least <= sum(not one.is_good for one in told) / len(told) <= most


def median_ttft_s(name: str, provider: str, from_s: float, until_s: float) -> float:
    """Return the median time to the first token in that time, of requests that have one."""
    drawn = sorted(one.ttft_s for one in timelines(name, provider, from_s, until_s) if one.ttft_s is not None)
    return drawn[len(drawn) // 2]


@pytest.mark.parametrize(
    ("name", "provider", "from_s", "until_s", "factor"),
    [
        ("slow_1_5x", "a", 60, 180, 1.5),
        ("slow_2x", "a", 60, 180, 2.0),
        ("slow_3x", "a", 60, 180, 3.0),
        ("ramp", "a", 110, 120, 5.6),
        ("decode_slow", "a", 60, 180, 1.0),
        ("tail_growth", "a", 60, 180, 1.0),
        ("slow_3x", "b", 60, 180, 1.0),
    ],
)
def test_how_much_slower(name: str, provider: str, from_s: float, until_s: float, factor: float) -> None:
    """The median against that of the same requests where all are well."""
    ratio = median_ttft_s(name, provider, from_s, until_s) / median_ttft_s("none", provider, from_s, until_s)
    assert ratio == pytest.approx(factor, rel=0.06)


def test_decoding_slows_down() -> None:
    """In `decode_slow` every token but the first takes four times as long."""
    slow, usual = (timelines(name, "a", 60, 180) for name in ("decode_slow", "none"))
    assert all(one.tpot_s == pytest.approx(4 * other.tpot_s) for one, other in zip(slow, usual, strict=True))
    assert timelines("decode_slow", "a", 0, 60) == timelines("none", "a", 0, 60)


def test_tails() -> None:
    """First tokens after five seconds: a few percent while the tail has grown, 2 % where it always is."""
    late = [(one.ttft_s or 0) > 5 for one in timelines("tail_growth", "a", 120, 180)]
    assert 0.02 < sum(late) / len(late) < 0.09
    late = [(one.ttft_s or 0) > 5 for one in timelines("heavy_tail", "a", 0, 300)]
    assert 0.01 < sum(late) / len(late) < 0.035


def test_longer_prompts() -> None:
    """In `prompt_shift` prompts are ten times as long in the time of trouble, and first tokens later on all."""
    scenario = SCENARIOS["prompt_shift"]
    prompts = [(one.at_s, one.prompt_tokens) for one in scenario.load_for(TIMING).arrivals(1, 300)]
    usual = sorted(tokens for at_s, tokens in prompts if at_s < 60)
    longer = sorted(tokens for at_s, tokens in prompts if 60 <= at_s < 180)
    assert 7 < longer[len(longer) // 2] / usual[len(usual) // 2] < 14
    for provider in "abc":
        assert median_ttft_s("prompt_shift", provider, 60, 180) > 1.3 * median_ttft_s("prompt_shift", provider, 0, 60)


def test_backups_slow_down_with_their_load() -> None:
    """In `capacity_coupled` b is slow when too many ask it at once, first tokens more than others."""
    script = SCENARIOS["capacity_coupled"].scripts(1, TIMING)["b"]
    busy, calm = (script.timeline(elapsed_s=70, ordinal=4, tokens=9, in_flight=count) for count in (27, 5))
    assert busy.ttft_s == pytest.approx(4 * (calm.ttft_s or 0))
    assert busy.tpot_s == pytest.approx(2 * calm.tpot_s)


def test_recovery_with_cold_capacity() -> None:
    """In `cold_capacity` a takes a tenth of the load in the last quarter of the trouble, then all of it."""
    served = [one.is_good for one in timelines("cold_capacity", "a", 150, 180)]
    assert 0.05 < sum(served) / len(served) < 0.15
    assert all(one.is_good for one in timelines("cold_capacity", "a", 180, 300))


@ALL
def test_scripts_say_how_bad_they_are(name: str) -> None:
    """What a script tells of its severity is what requests meet, on average; loads and quotas come on top."""
    script = SCENARIOS[name].scripts(1, TIMING)["a"]
    for from_s, until_s in ((0, 60), *((at, at + 20) for at in range(60, 180, 20)), (180, 300)):
        spans = [at for at in range(from_s, until_s) if script.profile_at(at) == script.profile]
        failing = [script.severity_at(at + 0.5).failing for at in spans]
        told = [one for at in spans for one in timelines_of(script, at)]
        if told:
            assert sum(not one.is_good for one in told) / len(told) == pytest.approx(sum(failing) / len(spans), abs=0.1)


def timelines_of(script: Script, at: int) -> list[Timeline]:
    """Return what thirty requests of one second would see."""
    return [script.timeline(elapsed_s=at + i / 30, ordinal=at * 30 + i, tokens=20) for i in range(30)]


@ALL
def test_time_scale_scales_everything(name: str) -> None:
    """At a tenth of the time the same requests meet the same phases, and see the same ten times as fast."""
    whole, tenth = (SCENARIOS[name].scripts(3, Timing.benchmark(scale)) for scale in (1.0, 0.1))
    for provider in "abc":
        assert math.isclose(tenth[provider].profile.ttft_s, whole[provider].profile.ttft_s / 10)
        for ordinal in range(0, 300, 3):
            at_s = ordinal + 0.001
            one = whole[provider].timeline(elapsed_s=at_s, ordinal=ordinal, tokens=20)
            other = tenth[provider].timeline(elapsed_s=at_s / 10, ordinal=ordinal, tokens=20)
            assert (one.status, one.ending, one.ends_at_token) == (other.status, other.ending, other.ends_at_token)
            assert (one.ttft_s is None) == (other.ttft_s is None)
            assert one.ttft_s is None or math.isclose(other.ttft_s or 0, one.ttft_s / 10)


@pytest.mark.parametrize(
    "fields",
    [{"scale": 0}, {"trouble_from_s": -1}, {"trouble_from_s": 200}, {"end_s": 100}],
)
def test_impossible_timings(fields: dict[str, float]) -> None:
    """Time goes forward."""
    with pytest.raises(ValueError, match=r"scale|ascend"):
        replace(TIMING, **fields)


def test_names_are_unique() -> None:
    """Two scenarios of one name would hide one of them."""
    with pytest.raises(ValueError, match="same name"):
        by_name(SCENARIOS["hang"], SCENARIOS["hang"])


@pytest.mark.parametrize(("cv", "least", "most"), [(1.0, 0.9, 1.1), (4.0, 3.2, 4.8)])
def test_arrivals(cv: float, least: float, most: float) -> None:
    """The rate and the variation of the gaps are those asked for; the same seed gives the same."""
    load = Load(rps=5.0, arrivals_cv=cv)
    times = [one.at_s for one in load.arrivals(3, 4000)]
    assert times == [one.at_s for one in load.arrivals(3, 4000)]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    assert mean == pytest.approx(0.2, rel=0.12)
    assert least < math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) / mean < most


@pytest.mark.parametrize(
    ("tokens", "uniform", "factor", "count"),
    [
        (Tokens(median=100), 0.9, 1.0, 100),
        (Tokens(median=100, sigma=1.0), 0.5, 1.0, 100),
        (Tokens(median=100, sigma=1.0), 0.8413, 1.0, 272),
        (Tokens(median=100, sigma=1.0, most=200), 0.8413, 1.0, 200),
        (Tokens(median=100), 0.5, 10.0, 1000),
        (Tokens(median=1, sigma=5.0), 0.0, 1.0, 1),
    ],
)
def test_numbers_of_tokens(tokens: Tokens, uniform: float, factor: float, count: int) -> None:
    """Lognormal, bounded."""
    assert tokens.draw(uniform, factor) == count


def test_meter_counts_what_is_served() -> None:
    """The rate of the last second, the window of the limit, and who is inside; the refused cost nothing."""
    meter = Meter()
    for at_s in (0.0, 0.5, 0.9):
        meter.begin(at_s)
    found = meter.begin(1.2)
    assert (found.in_flight, found.recent_rps, found.window_requests) == (3, 2.0, 3)
    meter.turn_away()
    meter.end()
    found = meter.begin(1.3)
    assert (found.in_flight, found.recent_rps, found.window_requests) == (3, 2.0, 3)
    found = meter.begin(60.0)
    assert (found.recent_rps, found.window_requests) == (0.0, 0)


def test_phase_choice_by_seed() -> None:
    """A share of the requests is chosen by seed and number: the same in every run."""
    script: Script = SCENARIOS["errors_20"].scripts(1, TIMING)["a"]

    def hit(ordinal: int) -> bool:
        return script.timeline(elapsed_s=100.0, ordinal=ordinal, tokens=5).status == 500

    assert [hit(i) for i in range(50)] == [hit(i) for i in range(50)]
    assert 0 < sum(hit(i) for i in range(50)) < 25
