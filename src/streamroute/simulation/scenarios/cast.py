"""The three providers that every scenario has, when they are well.

`a` is the quickest and the preferred one, `b` its backup, `c` the slow last resort. The figures are of the order of
hosted models as measured by thefastest.ai in 2024 (ttft 0.2 to 0.5 s), with a pace that keeps a demo lively.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from streamroute.simulation.fault import Fault
from streamroute.simulation.profile import Profile
from streamroute.simulation.scenario import Timing
from streamroute.simulation.script import Phase, Script

_TTFT_S = {"a": 0.2, "b": 0.3, "c": 0.45}
_MEDIAN_TTFT_S = {"a": 0.45, "b": 0.5, "c": 0.6}
_TPOT_S = {"a": 0.01, "b": 0.012, "c": 0.02}


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

    Medians of hosted models as thefastest.ai measured them in 2024; a spread of .35 and a heavy hundredth as in
    llmperf's public results; no jitter between tokens, so that a timeline costs nothing to walk.
    """
    return Profile(
        ttft_s=_MEDIAN_TTFT_S[provider] * timing.scale,
        ttft_sigma=0.35,
        ttft_tail_share=0.01,
        tpot_s=0.02 * timing.scale,
        error_share=0.002,
        tokens=100,
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
    return Phase(
        from_s=timing.trouble_from_s,
        until_s=timing.trouble_until_s,
        fault=fault,
        probability=probability,
        profile=profile,
    )
