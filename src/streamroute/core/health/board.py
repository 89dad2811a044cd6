"""The health board: live estimates of every upstream, and of every credential's rate limit.

Health is kept per upstream, rate limits per credential, nothing per provider: one bad model must not shut its
neighbours, and a 429 says something about a quota, not about a model's health.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from math import exp
from types import MappingProxyType
from typing import Literal

from streamroute.core.health.breaker import Permit
from streamroute.core.health.degradation import STEER_NATS, SUSPECT_RATIO, Verdict, risk_of
from streamroute.core.health.domains import Domains, Ourselves
from streamroute.core.health.headroom import Headroom
from streamroute.core.health.options import HealthOptions
from streamroute.core.health.standing import WELL, Estimate, Outlook, Standing
from streamroute.core.health.ttft import size_of
from streamroute.core.health.upstream_health import UpstreamHealth
from streamroute.core.observation import AttemptObservation
from streamroute.core.rate_limit import RateLimitReport
from streamroute.core.upstream import CredentialId, Upstream, UpstreamId

DEFAULTS = HealthOptions()
DEFAULT_RATE_LIMIT_S = 1.0
"""How long a credential rests after a 429 that names no time: the shortest wait that providers ask for."""

LONELY_RISK = 0.7
"""Of an upstream that has failed once: it is asked beside requests only, for a moment."""
DRAINED = "drained by the operator"
FORCED = "forced by the operator"

RATE_LIMIT_JITTER = 0.2
"""Part of a wait that is added at random: sidecars must not return in step."""
COLD_TTFT_S = 1.0
"""What is assumed of an upstream without a sample: about what hosted models take."""
PANIC_CAPACITY = 0.5
"""Below half of the capacity health does not decide any more: Envoy's panic threshold."""
MAX_TRACKED = 1000
"""Upstreams and credentials that are remembered: clients can name any `provider/model`, and memory stays bounded."""


OperatorAction = Literal["drain", "enable", "open", "close"]
"""`drain`: no new requests, running ones finish; `enable`: back again; `open` and `close` force the breaker."""


SHOWN_RATIO = 0.8
"""Evidence below a third of its threshold is noise: no estimate moves for it."""
_UNREACHABLE = frozenset({"connect_error", "connect_timeout"})


class HealthBoard:
    """What is known of every upstream, fed by observations."""

    def __init__(self, uniform: Callable[[], float], options: HealthOptions = DEFAULTS) -> None:
        """`uniform` draws from [0, 1), for the breakers' jitter."""
        self._uniform = uniform
        self.options = options
        self._upstreams: dict[UpstreamId, UpstreamHealth] = {}
        self._rate_limited_until: dict[CredentialId, float] = {}
        self._drained: set[UpstreamId] = set()
        self._headrooms: dict[CredentialId, Headroom] = {}
        self._domains = Domains()
        self._domain_of: dict[UpstreamId, str] = {}
        self._ourselves = Ourselves()
        self._doubted: set[UpstreamId] = set()
        self.on_doubt: Callable[[UpstreamId], None] | None = None
        """Told each time that an upstream becomes suspect, from within whatever call finds it out: put off what it
        leads to."""

    def apply(self, options: HealthOptions, now: float) -> None:
        """Judge by new options, upstreams that are known too; what was learned stays. Credentials that were rejected
        and domains of failure are looked at afresh, for both may have been changed with the options."""
        self.options = options
        self._domain_of.clear()
        for health in self._upstreams.values():
            health.apply(options, now)

    def standing(self, upstream: Upstream, now: float) -> Standing:
        """Return how an upstream stands."""
        return self._standing(upstream, self._of(upstream.id, now), now)

    def estimate(self, upstream: Upstream, now: float, *, prompt_tokens: int) -> Estimate:
        """Return what a request with a prompt of about `prompt_tokens` can expect."""
        health = self._of(upstream.id, now)
        self._look(upstream, health, now)
        return self._estimate(upstream, health, now, size_of(prompt_tokens))

    def outlook(self, upstreams: Sequence[Upstream], now: float, *, prompt_tokens: int) -> Outlook:
        """Return how all upstreams of a route stand, and what a request with such a prompt can expect of each."""
        healths = [self._of(upstream.id, now) for upstream in upstreams]
        known = list(zip(upstreams, healths, strict=True))
        standings = [self._standing(upstream, health, now) for upstream, health in known]
        # Who is drained was not looked at; and an alarm of one that was looked at late may speak against its siblings.
        if self._drained or self._domains.alarmed_at == now:
            for upstream, health in known:
                self._look(upstream, health, now)
        size = size_of(prompt_tokens)
        estimates = [self._estimate(upstream, health, now, size) for upstream, health in known]
        return Outlook(standings=standings, estimates=estimates, is_panic=_is_panic(standings, estimates, healths))

    def admit(
        self,
        upstream: Upstream,
        now: float,
        *,
        is_last_resort: bool = False,
        prompt_tokens: int = 0,
        is_stream: bool = True,
        is_active: bool = False,
    ) -> Permit | None:
        """Give leave for one call, or None; a given permit comes back through `observe` or `give_back`.

        `is_active`: for the prober, beside no request.
        """
        if upstream.id in self._drained:
            return None
        is_limited = self._rate_limited_until or self._headrooms  # most providers tell of no limit
        if is_limited and self._must_wait_until(upstream.credential, now, prompt_tokens) is not None:
            return None
        health = self._of(upstream.id, now)
        self._look(upstream, health, now)
        self._upstreams[upstream.id] = self._upstreams.pop(upstream.id)  # the latest used stands last
        permit = health.breaker.admit(now, is_last_resort=is_last_resort, is_active=is_active)
        if permit is not None:
            health.started(permit, now, prompt_tokens=prompt_tokens, is_stream=is_stream)
            self._ourselves.asked(upstream.id, now)
            headroom = self._headrooms.get(upstream.credential)
            if headroom is not None:
                headroom.sent(now, prompt_tokens)
        return permit

    def operate(self, upstream: Upstream, action: OperatorAction, now: float) -> None:
        """Do what an operator says; it holds until an operator undoes it, over reloads but not over a restart."""
        match action:
            case "drain":
                self._drained.add(upstream.id)
            case "enable":
                self._drained.discard(upstream.id)
            case "open":
                self._of(upstream.id, now).breaker.force("open", now, FORCED)
            case "close":
                self._of(upstream.id, now).forgive()
                self._of(upstream.id, now).breaker.force("closed", now, FORCED)

    def connected(self, permit: Permit, upstream: Upstream, now: float) -> None:
        """Learn that the call has its connection."""
        self._ourselves.reached(upstream.id)
        self._of(upstream.id, now).connected(permit, now, self._ourselves.until)

    def first_token(self, permit: Permit, upstream: Upstream, now: float) -> None:
        """Learn that the first content token of a stream has come, at once and not at its end."""
        ourselves = self._ourselves
        if ourselves.is_anyone_refused:
            ourselves.reached(upstream.id)
        health = self._upstreams.get(upstream.id) or self._of(upstream.id, now)
        health.first_token(permit, now, ourselves.until)

    def reported(self, upstream: Upstream, report: RateLimitReport, now: float) -> None:
        """Learn how much is left of a credential's rate limit, as soon as an answer's headers say so."""
        self._headroom(upstream.credential, now).reported(report, now)

    def local_trouble(self, now: float, lag_s: float) -> None:
        """Learn that our own event loop was `lag_s` late: for a while nothing is held against anybody."""
        self._ourselves.lagged(now, lag_s)

    @property
    def local_trouble_until(self) -> float:
        """Until when we suspect ourselves (monotonic seconds); minus infinity where we never did."""
        return self._ourselves.until

    def give_back(self, permit: Permit, upstream: Upstream, now: float) -> None:
        """Take a permit back for a call that was never made."""
        self._of(upstream.id, now).abandoned(permit, now)

    def observe(self, permit: Permit, observation: AttemptObservation) -> None:
        """Learn from an attempt that is over and take its permit back."""
        now, failure = observation.ended_at, observation.failure
        upstream = observation.upstream
        health = self._of(upstream, now)
        if failure is not None and failure.kind in _UNREACHABLE and not failure.is_clients_limit:
            for each in self._ourselves.unreachable(upstream, now, self._domain_of):
                self._of(each, now).unblame()
        elif observation.http_status is not None or observation.outcome == "succeeded":
            self._ourselves.reached(upstream)
        health.ended(permit, observation, self._ourselves.until)
        if observation.outcome != "succeeded":  # what a success says against an upstream, the next decision sees
            self._look_at(upstream, health, now)
        if observation.rate_limit is not None:
            self._headroom(observation.credential, now).reported(
                observation.rate_limit, now - observation.duration_s + (observation.headers_s or 0.0)
            )
        if failure is not None and failure.kind == "rate_limited":
            wait_s = DEFAULT_RATE_LIMIT_S if failure.retry_after_s is None else failure.retry_after_s
            wait_s *= 1.0 + RATE_LIMIT_JITTER * self._uniform()
            until = max(now + wait_s, self._rate_limited_until.get(observation.credential, 0.0))
            if len(self._rate_limited_until) >= MAX_TRACKED:
                self._rate_limited_until = {each: at for each, at in self._rate_limited_until.items() if at > now}
            self._rate_limited_until[observation.credential] = until

    def health(self, upstream: UpstreamId, now: float) -> UpstreamHealth:
        """Return what is known of one upstream."""
        return self._of(upstream, now)

    @property
    def drained(self) -> Collection[UpstreamId]:
        """Those that an operator has drained."""
        return frozenset(self._drained)

    def known(self) -> list[UpstreamId]:
        """Return the upstreams that something is known of, the latest used last."""
        return list(self._upstreams)

    @property
    def rate_limited_until(self) -> Mapping[CredentialId, float]:
        """Credentials that must wait, and until when (monotonic seconds)."""
        return MappingProxyType(self._rate_limited_until)

    def headroom(self, credential: CredentialId) -> Headroom | None:
        """Return what is known of a credential's rate limit; None where no answer has told."""
        return self._headrooms.get(credential)

    def _standing(self, upstream: Upstream, health: UpstreamHealth, now: float) -> Standing:
        until = self._must_wait_until(upstream.credential, now)
        verdict = self._look(upstream, health, now)
        breaker = health.breaker
        can_ask = breaker.is_ready(now)
        if upstream.id in self._drained:
            return Standing(breaker=breaker.state, can_ask=False, reason=DRAINED)
        if until is not None:
            return Standing(
                kind="rate_limited", breaker=breaker.state, until=until, can_ask=False, risk=1.0,
                reason="its rate limit is used up",
            )  # fmt: skip
        if health.wants_check(now):
            return Standing(
                kind="suspect",
                breaker=breaker.state,
                can_ask=not health.is_checked,
                is_probe=True,
                risk=max(LONELY_RISK, risk_of(verdict.penalty)),
                reason="it has just failed",
            )
        if breaker.state == "closed" and not verdict.penalty and not verdict.reason:
            return WELL  # the usual case
        return Standing(
            kind=health.kind(verdict, now),
            breaker=breaker.state,
            until=breaker.reopens_at,
            can_ask=can_ask,
            is_probe=breaker.state == "half_open",
            is_left_to_prober=not can_ask and breaker.wants_probe(now, is_active=True),
            is_hopeful=verdict.is_slowness and verdict.penalty >= STEER_NATS and health.evidence.slow.good > 0,
            risk=1.0 if breaker.state == "open" else risk_of(verdict.penalty),
            reason=verdict.reason if breaker.state == "closed" else breaker.reason,
        )

    def _estimate(self, upstream: Upstream, health: UpstreamHealth, now: float, size: float) -> Estimate:
        """Return what to expect by the verdict of the last look."""
        verdict = health.verdict
        baseline, breaker, pace = health.baseline, health.breaker, health.pace
        is_known = baseline.count > 0
        ttft_s = normal_s = exp(baseline.expected_ln(size)) if is_known else COLD_TTFT_S
        if verdict.ratio > SHOWN_RATIO:
            ttft_s *= exp(max(0.0, health.evidence.speed_ln, verdict.waiting.ratio_ln))
        headroom = self._headrooms.get(upstream.credential)
        limit = health.limit.at(now)
        return Estimate(
            ttft_s=ttft_s,
            normal_ttft_s=normal_s,
            ttft=baseline.ttft if is_known else None,
            tpot_s=pace.tpot_s,
            penalty=verdict.penalty,
            capacity=breaker.share(now) if headroom is None else breaker.share(now) * headroom.share(now),
            in_flight=health.in_flight,
            in_flight_limit=min(limit, breaker.in_flight_limit) if breaker.state == "ramping" else limit,
            stall_soft_s=pace.stall_soft_s,
            is_cold=baseline.is_cold,
        )

    def _must_wait_until(self, credential: CredentialId, now: float, prompt_tokens: int = 0) -> float | None:
        """Return when a credential's rate limit lets calls through again, None where it does now."""
        until = self._rate_limited_until.get(credential)
        if until is not None and now >= until:
            del self._rate_limited_until[credential]
            until = None
        headroom = self._headrooms.get(credential)
        foreseen = None if headroom is None else headroom.blocked_until(now, prompt_tokens)
        return foreseen if until is None else until if foreseen is None else max(until, foreseen)

    def _headroom(self, credential: CredentialId, now: float) -> Headroom:
        headroom = self._headrooms.get(credential)
        if headroom is None:
            if len(self._headrooms) >= MAX_TRACKED:
                del self._headrooms[next(iter(self._headrooms))]
            headroom = self._headrooms[credential] = Headroom(now)
        return headroom

    def _look(self, upstream: Upstream, health: UpstreamHealth, now: float) -> Verdict:
        if upstream.id not in self._domain_of:
            self._domain_of[upstream.id] = upstream.failure_domain
            self._domains.meet(upstream.id, upstream.failure_domain)
        return self._look_at(upstream.id, health, now)

    def _look_at(self, upstream: UpstreamId, health: UpstreamHealth, now: float) -> Verdict:
        verdict = health.look(now, self._ourselves.until, self._domains.echo(upstream, now))
        is_suspect = verdict.ratio >= SUSPECT_RATIO or health.breaker.state == "open"
        if is_suspect != (upstream in self._doubted):
            if not is_suspect:
                self._doubted.discard(upstream)
            else:
                self._doubted.add(upstream)
                if self.on_doubt is not None:
                    self.on_doubt(upstream)
        if verdict.ratio >= SUSPECT_RATIO and not verdict.is_echo:
            self._domains.suspected(upstream, verdict.ratio, now)
        return verdict

    def _of(self, upstream: UpstreamId, now: float) -> UpstreamHealth:
        health = self._upstreams.get(upstream)
        if health is None:
            if len(self._upstreams) >= MAX_TRACKED:
                self._forget_one()
            health = self._upstreams[upstream] = UpstreamHealth(self._uniform, now, self.options)
        return health

    def _forget_one(self) -> None:
        """Forget the upstream that was used longest ago, rather one that nothing is known against."""
        idle = [
            upstream for upstream, health in self._upstreams.items() if health.is_idle and not health.breaker.is_forced
        ]
        well = [upstream for upstream in idle if self._upstreams[upstream].breaker.state == "closed"]
        for upstream in (well or idle)[:1]:
            del self._upstreams[upstream]
            self._doubted.discard(upstream)
            self._domains.forget(upstream)
            self._ourselves.forget(upstream)
            self._domain_of.pop(upstream, None)


def _is_panic(standings: Sequence[Standing], estimates: Sequence[Estimate], healths: Sequence[UpstreamHealth]) -> bool:
    """Return whether nobody is well, or so little capacity is left that it would be more than it can bear."""
    well, capacity = 0, 0.0
    for standing, estimate, health in zip(standings, estimates, healths, strict=True):
        if standing.can_ask and estimate.penalty <= STEER_NATS:
            capacity += estimate.capacity
            well += health.verdict.ratio < SUSPECT_RATIO
    return not well or capacity < PANIC_CAPACITY * len(standings)
