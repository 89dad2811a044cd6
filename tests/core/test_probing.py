"""Whom the policy of active probes asks, how, and when."""

from dataclasses import replace
from decimal import Decimal

import pytest

from streamroute.core.health.options import HealthOptions
from streamroute.core.health.probing import (
    ACTIVE_S,
    COMPLETION_TOKENS,
    MAX_WAIT_S,
    UNKNOWN_PRICE,
    Probe,
    ProbePolicy,
    Subject,
    price_usd,
)
from streamroute.core.health.standing import Standing
from streamroute.core.observation import ProbeObservation
from streamroute.core.outcome import FailureKind
from streamroute.core.upstream import Route, TokenPrice, UpstreamId
from tests.support.observations import attempt, upstream

WELL = Standing()
SUSPECT = Standing(kind="suspect")
OPEN = Standing(breaker="open", can_ask=False, until=1000.0)
HALF_OPEN = Standing(breaker="half_open")
ROUTES = {"chat": Route(name="chat", upstreams=tuple(UpstreamId(name) for name in "abc"))}


def policy(*, jitter: float = 0.0, **options: object) -> ProbePolicy:
    return ProbePolicy(replace(HealthOptions(), **options), lambda: jitter)  # type: ignore[arg-type]


def due(
    probes: ProbePolicy, now: float, standing: Standing = SUSPECT, *, name: str = "a", is_unknown: bool = False
) -> list[Probe]:
    subject = Subject(upstream=upstream(name), standing=standing, is_unknown=is_unknown)
    return probes.due([subject], ROUTES, now)


def end(
    probes: ProbePolicy,
    probe: Probe,
    at: float,
    *,
    ok: bool = True,
    failure: FailureKind | None = None,
    cost_usd: float = 0.0,
) -> None:
    observation = ProbeObservation(
        upstream=probe.upstream.id,
        provider=probe.upstream.provider,
        step=probe.step,
        ok=ok,
        failure=failure,
        ended_at=at,
        duration_s=0.1,
        cost_usd=cost_usd,
    )
    probes.ended(probe, observation)


@pytest.mark.parametrize(
    ("standing", "is_unknown", "step"),
    [
        (WELL, False, None),
        (WELL, True, "connect"),
        (SUSPECT, False, "connect"),
        (Standing(kind="slow"), False, "connect"),
        (OPEN, False, "connect"),
        (Standing(kind="rate_limited", can_ask=False), True, None),
        (Standing(kind="auth_failed", can_ask=False, breaker="open"), True, None),
        (Standing(kind="suspect", can_ask=False), False, None),
        (Standing(breaker="open", can_ask=False), False, None),
    ],
)
def test_who_is_probed_after_ten_seconds_of_silence(standing: Standing, is_unknown: bool, step: str | None) -> None:
    """In doubt or never asked; not who is well, must wait, needs a person, or was drained."""
    probes = policy()
    assert due(probes, 0.0, standing, is_unknown=is_unknown) == []
    assert due(probes, 9.9, standing, is_unknown=is_unknown) == []
    found = due(probes, 10.0, standing, is_unknown=is_unknown)
    assert [probe.step for probe in found] == ([] if step is None else [step])


def test_users_requests_come_first() -> None:
    """What a user's request tells need not be probed for; and the ladder begins anew."""
    probes = policy()
    due(probes, 0.0)
    probes.attempted(attempt(upstream("a"), ended_at=5.0))
    assert due(probes, 14.9) == []
    (probe,) = due(probes, 15.0)
    end(probes, probe, 15.1)
    probes.attempted(attempt(upstream("a"), ended_at=16.0))
    assert [probe.step for probe in due(probes, 26.0)] == ["connect"]


def test_a_completion_of_the_prober_is_no_users_request() -> None:
    """It has no route, and does not reset the waits."""
    probes = policy()
    due(probes, 0.0)
    probes.attempted(attempt(upstream("a"), ended_at=5.0, route=""))
    assert [probe.step for probe in due(probes, 10.0)] == ["connect"]


def test_the_ladder_and_its_waits() -> None:
    """Connection, models, completion, completion; each wait twice the one before, up to ten minutes."""
    probes, at, steps, waits_s = policy(), 10.0, [], []
    due(probes, 0.0)
    for _ in range(11):
        (probe,) = due(probes, at)
        assert due(probes, at + 1000) == [], "one at a time"
        end(probes, probe, at)
        steps.append(probe.step)
        following = probes.next_at(UpstreamId("a"))
        assert following is not None
        waits_s.append(following - at)
        assert due(probes, following - 0.01) == []
        at = following
    assert steps == ["connect", "models"] + ["completion"] * 9
    assert waits_s == [2.5, 5, 10, 20, 40, 80, 160, 320, MAX_WAIT_S, MAX_WAIT_S, MAX_WAIT_S]


def test_a_step_that_fails_is_repeated() -> None:
    """Without a connection there is no sense in a dearer step."""
    probes = policy()
    due(probes, 0.0)
    (probe,) = due(probes, 10.0)
    end(probes, probe, 10.0, ok=False, failure="connect_error")
    assert [probe.step for probe in due(probes, 12.5)] == ["connect"]


def test_an_open_breaker_costs_no_money() -> None:
    """While it is open only free steps are made."""
    probes, at = policy(), 10.0
    due(probes, 0.0, OPEN)
    for _ in range(4):
        (probe,) = due(probes, at, OPEN)
        assert probe.step != "completion"
        end(probes, probe, at)
        at = probes.next_at(UpstreamId("a")) or 0.0


def test_half_open_is_tried_where_no_user_does() -> None:
    """After two seconds, with a completion, silence or not; not while its permit is out."""
    probes = policy()
    due(probes, 0.0, OPEN)
    probes.attempted(attempt(upstream("a"), ended_at=4.0))
    assert due(probes, 5.0, HALF_OPEN) == []
    assert due(probes, 6.9, HALF_OPEN) == []
    assert due(probes, 7.0, replace(HALF_OPEN, can_ask=False)) == []
    (probe,) = due(probes, 7.0, HALF_OPEN)
    assert probe.step == "completion"


def test_a_return_takes_three_proofs_two_seconds_apart() -> None:
    """The breaker wants more than one; after a failure the waits grow, up to a minute."""
    probes, at = policy(), 2.0
    due(probes, 0.0, HALF_OPEN)
    for _ in range(3):
        (probe,) = due(probes, at, HALF_OPEN)
        end(probes, probe, at)
        assert due(probes, at + 1.9, HALF_OPEN) == []
        at += 2.0
    for _ in range(8):
        (probe,) = due(probes, at, HALF_OPEN)
        end(probes, probe, at, ok=False, failure="stall")
        assert due(probes, at + 1.9, OPEN) == []
        due(probes, at + 1.9, HALF_OPEN)
        at += 1.9 + 60.0
    assert due(probes, at - 0.1, HALF_OPEN) == []


def test_who_matters() -> None:
    """The first two of a route always; the others while the route is in use."""
    probes = policy()
    due(probes, 0.0, name="c")
    assert due(probes, 10.0, name="c") == []
    probes.attempted(attempt(upstream("a"), ended_at=10.0))
    assert due(probes, 10.0 + ACTIVE_S, name="c") == []
    assert len(due(probes, 9.0 + ACTIVE_S, name="c")) == 1


def test_the_budget_of_a_day() -> None:
    """Completions stop when it is spent and go on the next day; what was not made costs nothing."""
    priced = upstream("a", price=TokenPrice(input_per_mtok=Decimal(1000), output_per_mtok=Decimal(16_000)))
    cost_usd = price_usd(priced, COMPLETION_TOKENS)
    assert cost_usd == pytest.approx(0.04)
    probes = policy()
    subjects = [Subject(upstream=priced, standing=HALF_OPEN)]
    probes.due(subjects, ROUTES, 0.0)
    (refused,) = probes.due(subjects, ROUTES, 2.0)
    probes.given_up(refused, 2.0)
    steps, at = [], 4.0
    for _ in range(3):
        (probe,) = probes.due(subjects, ROUTES, at)
        end(probes, probe, at, cost_usd=probe.cost_usd)
        steps.append(probe.step)
        at += MAX_WAIT_S
    assert steps == ["completion", "completion", "models"]
    assert probes.spent_today_usd == pytest.approx(0.08)
    assert probes.cost_usd(priced.id) == pytest.approx(0.08)
    (probe,) = probes.due(subjects, ROUTES, 86_402.0)
    assert probe.step == "completion"


@pytest.mark.parametrize(("simulated", "steps"), [(True, ["completion"]), (False, ["connect"])])
def test_without_a_budget_only_what_is_free(simulated: bool, steps: list[str]) -> None:
    """An unknown price counts as a high one; a simulated answer costs nothing."""
    probes = policy(probe_budget_usd_per_day=0.0)
    subjects = [Subject(upstream=upstream("a", is_simulated=simulated), standing=HALF_OPEN)]
    probes.due(subjects, ROUTES, 0.0)
    assert [probe.step for probe in probes.due(subjects, ROUTES, 2.0)] == steps


def test_jitter_only_adds() -> None:
    """Waits are up to a quarter longer, never shorter; the first one too, for sidecars are started together."""
    probes = policy(jitter=0.96)
    due(probes, 0.0)
    assert probes.next_at(UpstreamId("a")) == pytest.approx(12.4)
    assert due(probes, 12.3) == []
    (probe,) = due(probes, 12.5)
    end(probes, probe, 12.5)
    assert probes.next_at(UpstreamId("a")) == pytest.approx(12.5 + 2.5 * 1.24)
    probes.attempted(attempt(upstream("a"), ended_at=20.0))
    assert probes.next_at(UpstreamId("a")) == pytest.approx(32.4)


def test_probing_can_be_switched_off() -> None:
    """`is_probing = false` probes nobody."""
    probes = policy(is_probing=False)
    due(probes, 0.0)
    assert due(probes, 100.0) == []


def test_unknown_prices_are_high() -> None:
    """A budget must hold although nobody has told the price."""
    assert price_usd(upstream(), COMPLETION_TOKENS) == pytest.approx(
        float(24 * UNKNOWN_PRICE.input_per_mtok + UNKNOWN_PRICE.output_per_mtok) / 1e6
    )
