"""The health board: live estimates of every upstream, and of every credential's rate limit.

Health is kept per upstream, rate limits per credential, nothing per provider: one bad model must not shut its
neighbours, and a 429 says something about a quota, not about a model's health.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from streamroute.core.health.breaker import Permit
from streamroute.core.health.options import HealthOptions
from streamroute.core.health.standing import Estimate, Standing
from streamroute.core.health.upstream_health import UpstreamHealth
from streamroute.core.observation import AttemptObservation
from streamroute.core.upstream import CredentialId, Upstream, UpstreamId

DEFAULT_RATE_LIMIT_S = 1.0
"""How long a credential rests after a 429 that names no time: the shortest wait that providers ask for."""

MAX_TRACKED = 1000
"""Upstreams and credentials that are remembered: clients can name any `provider/model`, and memory stays bounded."""


class HealthBoard:
    """What is known of every upstream, fed by observations."""

    def __init__(self, uniform: Callable[[], float], options: HealthOptions = HealthOptions()) -> None:
        """`uniform` draws from [0, 1), for the breakers' jitter."""
        self._uniform = uniform
        self.options = options
        self._upstreams: dict[UpstreamId, UpstreamHealth] = {}
        self._rate_limited_until: dict[CredentialId, float] = {}

    def standing(self, upstream: Upstream, now: float) -> Standing:
        """Return how an upstream stands."""
        until = self._rate_limited_until.get(upstream.credential)
        if until is not None:
            if now < until:
                return Standing(kind="rate_limited", until=until, can_ask=False, reason="its rate limit is used up")
            del self._rate_limited_until[upstream.credential]
        breaker = self._of(upstream.id, now).breaker
        can_ask = breaker.is_ready(now)
        return Standing(breaker=breaker.state, until=breaker.reopens_at, can_ask=can_ask)

    def estimate(self, upstream: Upstream, now: float, *, prompt_tokens: int) -> Estimate:
        """Return what a request with a prompt of about `prompt_tokens` can expect."""
        health = self._of(upstream.id, now)
        return Estimate(ttft_s=1.0, normal_ttft_s=1.0, in_flight=health.figures().in_flight)

    def is_panic(self, upstreams: Sequence[Upstream], now: float) -> bool:
        """Return whether so many of a route's upstreams are in trouble that health must not decide any more: hedges
        and races are off, nobody is steered away from but for rejected keys and unexpired `Retry-After`."""
        return False

    def admit(
        self,
        upstream: Upstream,
        now: float,
        *,
        is_last_resort: bool = False,
        prompt_tokens: int = 0,
        is_stream: bool = True,
    ) -> Permit | None:
        """Give leave for one call, or None; a given permit comes back through `observe` or `give_back`."""
        if self.standing(upstream, now).kind == "rate_limited":
            return None
        health = self._of(upstream.id, now)
        self._upstreams[upstream.id] = self._upstreams.pop(upstream.id)  # the latest used stands last
        permit = health.breaker.admit(now, is_last_resort=is_last_resort)
        if permit is not None:
            health.started()
        return permit

    def connected(self, permit: Permit, upstream: Upstream, now: float) -> None:
        """Learn that the call has its connection."""

    def first_token(self, permit: Permit, upstream: Upstream, now: float) -> None:
        """Learn that the first content token of a stream has come, at once and not at its end."""

    def give_back(self, permit: Permit, upstream: Upstream, now: float) -> None:
        """Take a permit back for a call that was never made."""
        self._of(upstream.id, now).abandoned(permit, now)

    def observe(self, permit: Permit, observation: AttemptObservation) -> None:
        """Learn from an attempt that is over and take its permit back."""
        now = observation.ended_at
        self._of(observation.upstream, now).ended(permit, observation)
        failure = observation.failure
        if failure is not None and failure.kind == "rate_limited":
            wait_s = DEFAULT_RATE_LIMIT_S if failure.retry_after_s is None else failure.retry_after_s
            until = max(now + wait_s, self._rate_limited_until.get(observation.credential, 0.0))
            if len(self._rate_limited_until) >= MAX_TRACKED:
                self._rate_limited_until = {each: at for each, at in self._rate_limited_until.items() if at > now}
            self._rate_limited_until[observation.credential] = until

    def health(self, upstream: UpstreamId, now: float) -> UpstreamHealth:
        """Return what is known of one upstream."""
        return self._of(upstream, now)

    @property
    def rate_limited_until(self) -> Mapping[CredentialId, float]:
        """Credentials that must wait, and until when (monotonic seconds)."""
        return MappingProxyType(self._rate_limited_until)

    def _of(self, upstream: UpstreamId, now: float) -> UpstreamHealth:
        health = self._upstreams.get(upstream)
        if health is None:
            if len(self._upstreams) >= MAX_TRACKED:
                self._forget_one()
            health = self._upstreams[upstream] = UpstreamHealth(self._uniform, now)
        return health

    def _forget_one(self) -> None:
        """Forget the upstream that was used longest ago, rather one that nothing is known against."""
        idle = [upstream for upstream, health in self._upstreams.items() if health.is_idle]
        well = [upstream for upstream in idle if self._upstreams[upstream].breaker.state == "closed"]
        for upstream in (well or idle)[:1]:
            del self._upstreams[upstream]
