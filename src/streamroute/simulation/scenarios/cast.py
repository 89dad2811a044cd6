"""The three providers that every scenario has, when they are well.

`a` is the quickest and the preferred one, `b` its backup, `c` the slow last resort. Those of the demo are of the order
of hosted models as measured by thefastest.ai in 2024 (ttft 0.2 to 0.5 s), with a pace that keeps it lively.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import ErrorStatus
from streamroute.simulation.profile import Profile
from streamroute.simulation.scenario import Timing
from streamroute.simulation.script import Phase, Script
from streamroute.simulation.traffic import Load

_TTFT_S = {"a": 0.2, "b": 0.3, "c": 0.45}
_TPOT_S = {"a": 0.01, "b": 0.012, "c": 0.02}
_MEDIAN_TTFT_S = {"a": 0.45, "b": 0.5, "c": 0.6}
_MEDIAN_TPOT_S = {"a": 0.020, "b": 0.022, "c": 0.025}
_PROMPT_SHARE = 0.2
"""Part of the usual time to the first token that grows with the prompt."""
_TAIL_SHARE = 0.008
"""With it whoever asks b alone has a p99 of 1.36 s, the oracle's in `slow_3x` (median of 40 seeds; 1.42 s in 100,000
requests); 1.38 s in the simulations that the targets come from. llmperf's public results have up to a hundredth."""
_ERROR_S = 0.05
"""How long it takes to say no, the way there and back included."""


def profile_of(provider: str, time_scale: float) -> Profile:
    """Return how `a`, `b` or `c` behaves when well; `time_scale` above 0 multiplies every duration."""
    return Profile(ttft_s=_TTFT_S[provider] * time_scale, tpot_s=_TPOT_S[provider] * time_scale, jitter=0.3, tokens=48)


def stage(
    name: str, seed: int, time_scale: float, phases: Mapping[str, Sequence[Phase]] | None = None
) -> dict[str, Script]:
    """Return the scripts of `a`, `b` and `c`, with the given phases; seeds differ so that they jitter apart."""
    if time_scale <= 0:
        raise ValueError(f"time_scale must be above 0, not {time_scale}")
    return {
        provider: Script(
            name=f"{name}/{provider}",
            seed=seed * 3 + i,
            profile=profile_of(provider, time_scale),
            phases=tuple((phases or {}).get(provider, ())),
        )
        for i, provider in enumerate(_TTFT_S)
    }


def well(provider: str, timing: Timing) -> Profile:
    """Return how `a`, `b` or `c` behaves in scenarios when well.

    The three of the simulations that the benchmark's targets come from. No jitter between tokens, so that a timeline
    costs nothing to walk.
    """
    ttft_s = _MEDIAN_TTFT_S[provider] * timing.scale
    return Profile(
        ttft_s=ttft_s * (1 - _PROMPT_SHARE),
        ttft_per_ktok_s=ttft_s * _PROMPT_SHARE / Load().prompt.median * 1000,
        ttft_sigma=0.35,
        ttft_tail_share=_TAIL_SHARE,
        tpot_s=_MEDIAN_TPOT_S[provider] * timing.scale,
        tpot_sigma=0.1,
        tokens=150,
    )


def cast(
    name: str,
    seed: int,
    timing: Timing,
    phases: Mapping[str, Sequence[Phase]] | None = None,
    **changes: Mapping[str, Any],
) -> dict[str, Script]:
    """Return the scripts of `a`, `b` and `c` with the given phases; `changes`: fields of a provider's profile."""
    return {
        provider: Script(
            name=f"{name}/{provider}",
            seed=seed * 3 + i,
            profile=replace(well(provider, timing), **changes.get(provider, {})),
            phases=tuple((phases or {}).get(provider, ())),
        )
        for i, provider in enumerate(_MEDIAN_TTFT_S)
    }


def during(timing: Timing, fault: Fault | None, *, probability: float = 1.0, profile: Profile | None = None) -> Phase:
    """Return the phase of the whole trouble."""
    return part(timing, 0.0, 1.0, fault, probability=probability, profile=profile)


def part(
    timing: Timing,
    from_: float,
    until: float,
    fault: Fault | None = None,
    *,
    probability: float = 1.0,
    profile: Profile | None = None,
) -> Phase:
    """Return the phase between two shares (0 to 1) of the trouble."""
    return Phase(
        from_s=timing.at(from_), until_s=timing.at(until), fault=fault, probability=probability, profile=profile
    )


def down(timing: Timing) -> Fault:
    """Return what an outage is: 503 after a moment."""
    return ErrorStatus(status=503, delay_s=_ERROR_S * timing.scale)


def broken(timing: Timing) -> Fault:
    """Return what an error is: 500 after a moment."""
    return ErrorStatus(status=500, delay_s=_ERROR_S * timing.scale)
