"""A scenario as scripts for the simulated providers of the product, for runs of the whole application."""

from collections.abc import Iterator

from failover_lab.scenarios import Scenario
from failover_lab.weather import Condition, Provider, Segment
from failover_lab.world import NORMAL_PROMPT_TOKENS, PROMPT_SHARE
from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import (
    Cut,
    Drift,
    ErrorStatus,
    NoResponse,
    RateLimit,
    Refuse,
    Stall,
    StreamError,
)
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Phase, Script

_MS = 1000


def scripts(scenario: Scenario, seed: int) -> dict[str, Script]:
    """Return the script of each provider; the laws of the discrete-event simulation, draws of their own."""
    return {
        each.name: Script(
            name=f"{scenario.name}/{each.name}",
            seed=seed * 16 + i,
            profile=_profile(each, each.weather.normally),
            phases=tuple(_phases(each)),
        )
        for i, each in enumerate(scenario.providers)
    }


def _profile(provider: Provider, condition: Condition) -> Profile:
    ttft_s = provider.ttft_s * condition.slow
    return Profile(
        ttft_s=ttft_s * (1 - PROMPT_SHARE),
        ttft_per_ktok_s=ttft_s * PROMPT_SHARE / NORMAL_PROMPT_TOKENS * _MS,
        ttft_sigma=provider.sigma,
        ttft_tail_share=condition.tail,
        ttft_tail_factor=(condition.tail_from, condition.tail_to),
        tpot_s=provider.tpot_s * condition.pace,
        jitter=0.3,
        limit_requests=condition.quota_rpm,
        sends_rate_limit_headers=condition.quota_rpm is not None,
        capacity_rps=condition.capacity_rps,
        max_in_flight=None if condition.congestion_at is None else round(condition.congestion_at),
        over_capacity="slow" if condition.capacity_rps is None else "503",
    )


def _phases(provider: Provider) -> Iterator[Phase]:
    for segment in provider.weather.segments:
        profile = _profile(provider, segment.condition)
        for share, fault in _faults(segment):
            if share > 0:
                yield Phase(
                    from_s=segment.from_s, until_s=segment.until_s, probability=share, fault=fault, profile=profile
                )
        yield Phase(from_s=segment.from_s, until_s=segment.until_s, fault=_drift(segment), profile=profile)


def _faults(segment: Segment) -> list[tuple[float, Fault]]:
    it = segment.condition
    limit = RateLimit(form="none") if it.retry_after_s is None else RateLimit(retry_after_s=it.retry_after_s)
    return [
        (it.refused, Refuse()),
        (it.auth, ErrorStatus(status=401)),
        (it.limited, limit),
        (it.error, ErrorStatus(status=it.status, delay_s=0.05)),
        (it.hang / 2, NoResponse()),
        (it.hang / 2 / max(1e-9, 1 - it.hang / 2), NoResponse(after="role")),
        (it.hang_after_head, NoResponse(after="role")),
        (it.cut, Cut(at_random=True)),
        (it.stall, Stall(at_random=True)),
        (it.truncated, Cut(at_random=True, how="eof")),
        (it.stream_error, StreamError(at_random=True)),
    ]


def _drift(segment: Segment) -> Drift | None:
    to = segment.condition.slow_to
    if to is None:
        return None
    return Drift(factor=to / segment.condition.slow, over_s=segment.until_s - segment.from_s)
