"""Which upstream is probed next, and how: the policy of active probes. Pure.

Rules of the file:

1. Users' requests are the first source of evidence. Probed is who matters, has been silent, and is not known to be
   well: suspect, out, on its way back, or never asked.
2. The cheapest step comes first: a connection, `GET /models`, one token of a completion. An upstream that passes a
   step is asked for the next one.
3. Completions stay within a budget of money a day. An upstream without a price is charged `UNKNOWN_PRICE`.
4. Two probes of an upstream are never less than `MIN_WAIT_S` apart, and the wait doubles for as long as no user's
   request comes in between. All waits are jittered, so that sidecars do not probe in step.

That an idle upstream must be asked or it never recovers is what Prequal (NSDI 2024) and gRPC A50 build on; waiting
longer for what nobody uses follows Envoy's `no_traffic_interval`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from streamroute.core.health.options import HealthOptions
from streamroute.core.health.standing import Standing
from streamroute.core.observation import AttemptObservation, ProbeObservation, ProbeStep
from streamroute.core.upstream import Route, TokenPrice, Upstream, UpstreamId
from streamroute.core.usage import Usage

MIN_WAIT_S = 2.0
"""Between two probes of one upstream, at least. Envoy's health checks come every 5 s at the least usual setting."""
MAX_WAIT_S = 600.0
"""And at most, once nobody uses it: ten times Envoy's `no_traffic_interval` of 60 s, for these probes can cost."""
MAX_HALF_OPEN_WAIT_S = 60.0
"""The longest time in which an upstream that may be back is not tried: twice the breaker's longest pause."""
ACTIVE_S = 300.0
"""A route that had a request within five minutes is in use."""
PREFERRED = 2
"""The first two upstreams of a route matter although nobody uses it: the next request goes there."""
JITTER = 0.25
"""Of every wait, added at most."""
DAY_S = 86_400.0
COMPLETION_TOKENS = Usage(input_tokens=24, output_tokens=1)
"""What a completion is expected to use: a short question with the chat template around it, and one token."""
UNKNOWN_PRICE = TokenPrice(input_per_mtok=Decimal(10), output_per_mtok=Decimal(50))
"""Above what most models cost in 2026: 0.0003 US dollars a probe."""

_LADDER: tuple[ProbeStep, ...] = ("connect", "models", "completion")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An upstream as it stands, for the policy to judge."""

    upstream: Upstream
    standing: Standing
    is_unknown: bool = False
    """It was never asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One probe to make."""

    upstream: Upstream
    step: ProbeStep
    cost_usd: float = 0.0
    """Set aside from the budget."""


@dataclass(slots=True)
class _State:
    """What is remembered of one upstream. Times are monotonic seconds."""

    seen_at: float
    """When something was last heard of it: a user's attempt, or the start of this watch."""
    patience: float = 1.0
    """Of the silence that is waited for: 1 and its jitter."""
    due_at: float = 0.0
    probes: int = 0
    """In a row, without a user's request in between."""
    step: int = 0
    is_probing: bool = False
    half_open_at: float | None = None
    cost_usd: float = 0.0


@dataclass(slots=True)
class ProbePolicy:
    """Decides on probes. It is told of every attempt and every probe that ended."""

    options: HealthOptions
    uniform: Callable[[], float]
    """Draws from [0, 1)."""
    _states: dict[UpstreamId, _State] = field(default_factory=dict)
    _used_at: dict[str, float] = field(default_factory=dict)
    _day_began_at: float | None = None
    _spent_usd: float = 0.0

    def attempted(self, observation: AttemptObservation) -> None:
        """Learn that a user has asked an upstream; attempts of the prober itself, without a route, do not count."""
        if not observation.route:
            return
        state = self._states.get(observation.upstream)
        if state is not None:
            state.seen_at = max(state.seen_at, observation.ended_at)
            state.probes = state.step = 0
        self._used_at[observation.route] = observation.ended_at
        if len(self._used_at) > len(self._states) + 1000:  # clients can name routes as `provider/model`
            since = observation.ended_at - ACTIVE_S
            self._used_at = {route: at for route, at in self._used_at.items() if at > since}

    def due(self, subjects: Iterable[Subject], routes: Mapping[str, Route], now: float) -> list[Probe]:
        """Return the probes to make now. Each must be reported by `ended`, or by `given_up` if it was not made."""
        if not self.options.is_probing:
            return []
        matter = self._who_matters(routes, now)
        probes, known = [], set()
        for subject in subjects:
            id_ = subject.upstream.id
            known.add(id_)
            state = self._states.get(id_)
            if state is None:
                state = self._states[id_] = _State(seen_at=now, patience=self._jittered(1.0))
            probe = self._probe(subject, state, now) if id_ in matter and not state.is_probing else None
            if probe is not None:
                state.is_probing = True
                self._spent_usd += probe.cost_usd
                probes.append(probe)
        for gone in [id_ for id_, state in self._states.items() if id_ not in known and not state.is_probing]:
            del self._states[gone]
        return probes

    def ended(self, probe: Probe, observation: ProbeObservation) -> None:
        """Learn from a probe, and set the time of the next one."""
        state = self._states[probe.upstream.id]
        state.is_probing = False
        state.probes += 1
        self._spent_usd += observation.cost_usd - probe.cost_usd
        state.cost_usd += observation.cost_usd
        if observation.ok:
            state.step = min(state.step + 1, len(_LADDER) - 1)
        first_s = max(MIN_WAIT_S, self.options.probe_silence_s / 4)
        wait_s = min(MAX_WAIT_S, first_s * 2.0 ** min(state.probes - 1, 20))
        if observation.ok and state.half_open_at is not None:
            wait_s = MIN_WAIT_S  # the breaker wants more than one proof
        state.due_at = observation.ended_at + self._jittered(wait_s)

    def given_up(self, probe: Probe, now: float) -> None:
        """Forget a probe that was not made, for example because its permit was refused."""
        state = self._states[probe.upstream.id]
        state.is_probing = False
        state.due_at = now + self._jittered(MIN_WAIT_S)
        self._spent_usd -= probe.cost_usd

    def next_at(self, upstream: UpstreamId) -> float | None:
        """Return when an upstream can be probed next at the earliest (monotonic seconds); None: not watched yet."""
        state = self._states.get(upstream)
        return None if state is None else max(state.due_at, self._asleep_at(state))

    def cost_usd(self, upstream: UpstreamId) -> float:
        """Return what an upstream's probes have cost since the start."""
        state = self._states.get(upstream)
        return 0.0 if state is None else state.cost_usd

    @property
    def spent_today_usd(self) -> float:
        """What completions have cost within the budget's present day, those under way included."""
        return self._spent_usd

    def _who_matters(self, routes: Mapping[str, Route], now: float) -> set[UpstreamId]:
        matter: set[UpstreamId] = set()
        for route in routes.values():
            is_used = now - self._used_at.get(route.name, -ACTIVE_S) < ACTIVE_S
            matter.update(route.upstreams if is_used else route.upstreams[:PREFERRED])
        return matter

    def _probe(self, subject: Subject, state: _State, now: float) -> Probe | None:
        standing = subject.standing
        if standing.breaker != "half_open":
            state.half_open_at = None
        elif state.half_open_at is None:
            state.half_open_at = now
            wait_s = min(MAX_HALF_OPEN_WAIT_S, max(MIN_WAIT_S, state.due_at - now))  # a user's request may come first
            state.due_at = now + self._jittered(wait_s)
        if now < state.due_at or standing.kind in ("rate_limited", "auth_failed"):
            return None
        if standing.breaker == "half_open":
            may_ask = standing.can_ask or standing.is_left_to_prober
            return self._completion(subject, now) or self._free(subject, state) if may_ask else None
        if standing.breaker == "open" and standing.until is None:
            return None  # an operator has opened it
        is_in_doubt = standing.breaker == "open" or standing.kind in ("suspect", "slow") or subject.is_unknown
        is_asleep = now >= self._asleep_at(state)
        if not is_in_doubt or not is_asleep or not (standing.can_ask or standing.breaker == "open"):
            return None
        if _LADDER[state.step] == "completion" and standing.breaker != "open":
            return self._completion(subject, now)
        return self._free(subject, state)

    def _free(self, subject: Subject, state: _State) -> Probe:
        return Probe(upstream=subject.upstream, step=_LADDER[min(state.step, 1)])

    def _completion(self, subject: Subject, now: float) -> Probe | None:
        cost_usd = 0.0 if subject.upstream.is_simulated else price_usd(subject.upstream, COMPLETION_TOKENS)
        if self._day_began_at is None or now - self._day_began_at >= DAY_S:
            self._day_began_at, self._spent_usd = now, 0.0
        if cost_usd and self._spent_usd + cost_usd > self.options.probe_budget_usd_per_day:
            return None
        return Probe(upstream=subject.upstream, step="completion", cost_usd=cost_usd)

    def _asleep_at(self, state: _State) -> float:
        """Return when an upstream will have been silent for long enough."""
        return state.seen_at + self.options.probe_silence_s * state.patience

    def _jittered(self, wait_s: float) -> float:
        return wait_s * (1 + JITTER * self.uniform())


def price_usd(upstream: Upstream, usage: Usage) -> float:
    """Return what `usage` costs at an upstream's price, or at `UNKNOWN_PRICE`; good enough to keep a budget."""
    price = upstream.price or UNKNOWN_PRICE
    return price.rough_usd(usage.input_tokens, usage.output_tokens)
