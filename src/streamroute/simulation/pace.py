"""How fast a provider that is well answers one request, and what it does about too many: drawn once per request."""

import math
from dataclasses import replace
from statistics import NormalDist

from streamroute.core.rate_limit import RateLimitReport
from streamroute.simulation.moment import Moment
from streamroute.simulation.profile import Profile
from streamroute.simulation.timeline import Timeline, jitter_factor

_NORMAL = NormalDist()
_LEAST = 1e-9
"""The normal quantile of 0 is infinite."""
_MOST_SLOWDOWN = 20.0
"""A server whose queue is longer than this refuses, or its clients are gone."""


def first_token_s(profile: Profile, moment: Moment) -> float:
    """Return the seconds until the first content token of this request."""
    median_s = profile.ttft_s + profile.ttft_per_ktok_s * moment.prompt_tokens / 1000
    return median_s * _spread(profile, moment) * jitter_factor(profile.jitter, moment.seed, moment.draw, 0)


def _spread(profile: Profile, moment: Moment) -> float:
    factor = 1.0
    if profile.ttft_sigma:
        factor = math.exp(profile.ttft_sigma * _NORMAL.inv_cdf(max(_LEAST, moment.fraction("ttft"))))
    if profile.ttft_tail_share and moment.fraction("tail") < profile.ttft_tail_share:
        least, most = profile.ttft_tail_factor
        factor *= least * (most / least) ** moment.fraction("tail factor")
    return factor


def has_base_error(profile: Profile, moment: Moment) -> bool:
    """Return whether this is one of the requests that fail though nothing is wrong."""
    return profile.error_share > 0 and moment.fraction("error") < profile.error_share


def load_ratio(profile: Profile, moment: Moment) -> float:
    """Return load / capacity as this request finds it, itself included; 0 where there is no capacity to exceed."""
    by_rate = (moment.recent_rps + 1) / profile.capacity_rps if profile.capacity_rps else 0.0
    by_count = (moment.in_flight + 1) / profile.max_in_flight if profile.max_in_flight else 0.0
    return max(by_rate, by_count)


def under_load(profile: Profile, moment: Moment) -> Profile:
    """Return the profile with the pace that the load leaves."""
    ratio = load_ratio(profile, moment)
    if profile.over_capacity != "slow" or ratio <= 1:
        return profile
    factor = min(_MOST_SLOWDOWN, ratio * ratio)
    return replace(
        profile,
        ttft_s=profile.ttft_s * factor,
        ttft_per_ktok_s=profile.ttft_per_ktok_s * factor,
        tpot_s=profile.tpot_s * factor,
    )


def refusal_status(profile: Profile, moment: Moment) -> int | None:
    """Return the status with which this request is turned away for capacity or quota; None: it is not."""
    if profile.limit_requests is not None and moment.window_requests >= profile.limit_requests:
        return 429
    if profile.over_capacity != "slow" and load_ratio(profile, moment) > 1:
        return int(profile.over_capacity)
    return None


def rate_limit_report(profile: Profile, moment: Moment) -> RateLimitReport | None:
    """Return what the headers say after this request; None: there is no limit that counts."""
    if profile.limit_requests is None:
        return None
    return RateLimitReport(
        limit_requests=profile.limit_requests,
        remaining_requests=max(0, profile.limit_requests - moment.window_requests - 1),
        reset_requests_s=profile.limit_window_s - moment.script_s % profile.limit_window_s,
    )


def normal_timeline(profile: Profile, moment: Moment, *, tokens: int, is_stream: bool) -> Timeline:
    """Return the good answer of `tokens` content tokens to this request."""
    paced = under_load(profile, moment)
    ttft_s = first_token_s(paced, moment)
    normal = Timeline(
        rate_limit=rate_limit_report(profile, moment),
        tpot_s=paced.tpot_s,
        tokens=tokens,
        jitter=profile.jitter,
        draw_key=(moment.seed, moment.draw),
        ends_at_token=tokens,
        is_stream=is_stream,
        ttft_s=ttft_s,
    )
    return normal.paced(ttft_s=ttft_s, tpot_s=paced.tpot_s) if tokens else replace(normal, ttft_s=None)
