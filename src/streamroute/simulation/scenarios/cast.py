"""The three providers that every scenario has, when they are well.

`a` is the quickest and the preferred one, `b` its backup, `c` the slow last resort. The figures are of the order of
hosted models as measured by thefastest.ai in 2024 (ttft 0.2 to 0.5 s), with a pace that keeps a demo lively.
"""

from collections.abc import Mapping, Sequence

from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Phase, Script

TROUBLE_FROM_S = 3.0
"""When scenarios begin to go wrong: time enough for estimates to settle."""
TROUBLE_UNTIL_S = 10.0
"""When they are well again; a scenario is watched for about 15 seconds."""

_TTFT_S = {"a": 0.2, "b": 0.3, "c": 0.45}
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


def trouble(time_scale: float) -> tuple[float, float]:
    """Return (from_s, until_s) of the usual time of trouble."""
    return TROUBLE_FROM_S * time_scale, TROUBLE_UNTIL_S * time_scale
