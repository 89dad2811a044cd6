"""How fast a provider that is well answers one request, and what it does about too many: drawn once per request."""

import math
from statistics import NormalDist, fmean

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
    of_prompt_s = profile.ttft_per_ktok_s * moment.prompt_tokens / 1000
    jitter = jitter_factor(profile.jitter, moment.seed, moment.draw, 0)
    draws = profile.ttft_draws_s
    if draws:
        return (draws[int(moment.fraction("ttft") * len(draws))] + of_prompt_s) * jitter
    return (profile.ttft_s + of_prompt_s) * _spread(profile, moment) * jitter


def mean_first_token_s(profile: Profile, prompt_tokens: int) -> float:
    """Return what a request with such a prompt has to expect: the mean, of which a heavy tail is a large part."""
    of_prompt_s = profile.ttft_per_ktok_s * prompt_tokens / 1000
    if profile.ttft_draws_s:
        return fmean(profile.ttft_draws_s) + of_prompt_s
    least, most = profile.ttft_tail_factor
    tail = (most - least) / math.log(most / least) if most > least else least  # the mean of a log-uniform variable
    spread = math.exp(profile.ttft_sigma**2 / 2) * (1 + profile.ttft_tail_share * (tail - 1))
    return (profile.ttft_s + of_prompt_s) * spread


def _spread(profile: Profile, moment: Moment) -> float:
    factor = _lognormal(profile.ttft_sigma, moment, "ttft")
    if profile.ttft_tail_share and moment.fraction("tail") < profile.ttft_tail_share:
        least, most = profile.ttft_tail_factor
        factor *= least * (most / least) ** moment.fraction("tail factor")
    return factor


def _lognormal(sigma: float, moment: Moment, what: str) -> float:
    return math.exp(sigma * _NORMAL.inv_cdf(max(_LEAST, moment.fraction(what)))) if sigma else 1.0


def has_base_error(profile: Profile, moment: Moment) -> bool:
    """Return whether this is one of the requests that fail though nothing is wrong."""
    return profile.error_share > 0 and moment.fraction("error") < profile.error_share


def load_ratio(profile: Profile, moment: Moment) -> float:
    """Return load / capacity as this request finds it, itself included; 0 where there is no capacity to exceed."""
    rate = moment.recent_rps + 1 / profile.rate_window_s
    by_rate = rate / profile.capacity_rps if profile.capacity_rps else 0.0
    by_count = (moment.in_flight + 1) / profile.max_in_flight if profile.max_in_flight else 0.0
    return max(by_rate, by_count)


def load_factors(profile: Profile, moment: Moment) -> tuple[float, float]:
    """Return how many times as long the first token and each further one take under the load that this request finds.

    Those who are served share what there is, so that tokens slow down with the load; those who come wait in a queue
    besides.
    """
    ratio = load_ratio(profile, moment)
    if profile.over_capacity != "slow" or ratio <= 1:
        return 1.0, 1.0
    return min(_MOST_SLOWDOWN, ratio * ratio), min(_MOST_SLOWDOWN, ratio)


def pace_factors(profile: Profile, moment: Moment) -> tuple[float, float]:
    """Return how many times the profile's this answer's time to the first token and to each further token are."""
    ttft_factor, tpot_factor = load_factors(profile, moment)
    return ttft_factor, tpot_factor * _lognormal(profile.tpot_sigma, moment, "pace of all")


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
    ttft_factor, tpot_factor = pace_factors(profile, moment)
    normal = Timeline(
        rate_limit=rate_limit_report(profile, moment),
        tpot_s=profile.tpot_s * tpot_factor,
        tokens=tokens,
        jitter=profile.jitter,
        draw_key=(moment.seed, moment.draw),
        ends_at_token=tokens,
        is_stream=is_stream,
        ttft_s=first_token_s(profile, moment) * ttft_factor if tokens else None,
    )
    if is_stream or normal.ttft_s is None:
        return normal
    return normal.paced(ttft_s=normal.ttft_s, tpot_s=normal.tpot_s)
