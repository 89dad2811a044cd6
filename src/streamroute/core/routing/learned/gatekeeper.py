"""What one route has learned of its small models' answers: whether to deliver one, whether to look into it afterwards.

Until enough was learned the findings decide. Then the *gain* does that is to be expected of a larger model: a ridge
model for each tier, over few numbers, fitted on looks, which are pairs of answers to the same request (an escalation
gives one for nothing, an audit for a price), weighted by one over the chance with which they were taken. The score is
one less that gain, as a share of what a disagreement gains: about the probability that the large model would agree, and
so of one scale with the findings. A domain may ask for more than its route does (`domain_guard`); one that is new, or
has lost too much, is the large model's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamroute.core.gate import AuditOptions
from streamroute.core.quality.calibration import Calibration
from streamroute.core.quality.comparison import BACKED_GAIN, GAIN
from streamroute.core.quality.ridge import Ridge
from streamroute.core.quality.verdict import Ruling, Verdict
from streamroute.core.routing.learned.domain_drift import DomainDrift, UsualWords
from streamroute.core.routing.learned.domain_guard import DomainGuard, GuardOptions, Trust
from streamroute.core.routing.learned.gate_features import GATE_FEATURES

Floats = NDArray[np.float64]

LEAST_LOOKS = 100
"""Looks at a tier before its model is believed; its penalty is that of 300 examples, so it begins near the mean."""
MAX_DOMAINS = 50
"""Of a route; clients make names up. What is more shares `OTHERS`."""
OTHERS = "(others)"
MAX_JUDGED = 2_000
"""Pairs of a judge's word and what it was worth that are remembered; the oldest go."""
_CALIBRATE_EVERY = 25
_USUAL_DIFFERENCES = 20.0
"""Disagreements that what is usual counts as: how much one gains differs a lot, -.05 to .48 from pair to pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Two answers to one request, compared; or the news that nobody compared them."""

    tier: int
    domain: str
    features: Floats
    margin: float
    """By how much it scored more than was asked of it, before the guard had its say."""
    share: float
    """The chance, above 0, with which the two were compared."""
    is_backed: bool = False
    """A second model agreed with the small one."""
    gain: float | None
    """Quality that the larger model's answer has over the small one's; None: they were not compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainFigures:
    """How one domain stands, for `/status` and metrics."""

    domain: str
    trust: Trust
    looks: int
    look_share: float
    caution: float
    """By how much more answers must score there than is asked elsewhere; infinite where none is delivered."""
    loss: float
    has_changed: bool = False
    """A policy was fitted on it, and its words have become others (`STRANGE_WORDS`)."""


class Gatekeeper:
    """Decides for one route, and learns."""

    def __init__(
        self, options: AuditOptions, known: Mapping[str, UsualWords] | None = None, attempt_cost: float = 0.0
    ) -> None:
        """`known`: domains that a policy was fitted on, `attempt_cost` as in `DomainGuard`; none without one."""
        self.options = options
        self._drifts = {domain: DomainDrift(usual) for domain, usual in (known or {}).items()}
        self._attempt_cost = attempt_cost
        self._guards: dict[str, DomainGuard] = {}
        self._gains: dict[int, Ridge] = {}
        self._judged: list[tuple[float, float]] = []
        self._calibration = Calibration()
        self._differing, self._differing_gain = 0.0, 0.0
        self.version = 0
        """Grows with whatever is learned."""

    def apply(self, options: AuditOptions) -> None:
        """Look into answers as it says from now on; what was learned stays."""
        if options == self.options:
            return
        self.options = options
        for guard in self._guards.values():
            guard.options = _guarding(options)

    def guard(self, domain: str) -> DomainGuard:
        """Return what is known of a domain."""
        if domain not in self._guards:
            if len(self._guards) >= MAX_DOMAINS:
                domain = OTHERS
            self._guards.setdefault(domain, self._new(domain))
        return self._guards[domain]

    def _new(self, domain: str) -> DomainGuard:
        is_known = domain in self._drifts and not self._drifts[domain].has_changed
        return DomainGuard(_guarding(self.options), is_known, self._attempt_cost)

    def asked(self, domain: str, unknown_share: float) -> bool:
        """Take note of a question's words (see `DomainDrift`); return whether its domain, which a policy was fitted on,
        has become another one. From the question on that shows it, it is a new one."""
        drift = self._drifts.get(domain)
        if drift is None:
            return False
        if drift.asked(unknown_share):
            self.version += 1
            self._guards.pop(domain, None)
        return drift.has_changed

    def has_changed(self, domain: str) -> bool:
        """Return whether a domain that a policy was fitted on has become another one, and take note of nothing."""
        drift = self._drifts.get(domain)
        return drift is not None and drift.has_changed

    def expected_gain(self, tier: int, verdict: Verdict, features: Floats) -> float:
        """Return the gain to be expected of a larger model, 0..1, as a share of what it is where the two disagree."""
        model = self._gains.get(tier)
        if verdict.is_unusable:
            return 1.0
        if model is None or model.examples < LEAST_LOOKS:
            return 1.0 - verdict.score
        return float(np.clip(model.predict(features)[0] / GAIN[False], 0.0, 1.0))

    def rule(self, domain: str, verdict: Verdict, expected: float, accept_at: float) -> Ruling:
        """Return what is done about an answer."""
        guard, score = self.guard(domain), 1.0 - expected
        is_good_enough = score >= accept_at
        caution = max(0.0, guard.caution)  # what the operator asks for is the least
        is_accepted = is_good_enough and (not caution or score - accept_at > caution)
        reason = ""
        if is_accepted != is_good_enough:
            why = {
                Trust.NEW: "is new here",
                Trust.WITHDRAWN: "has lost quality to small models",
                Trust.TRUSTED: f"asks for {caution:.2f} more",
            }[guard.trust]
            reason = f"it would do, but its domain ({domain or 'none'}) {why}"
        elif is_accepted != (verdict.score >= accept_at):
            reason = f"with what was learned it scores {score:.2f}"
        return Ruling(score=score, is_accepted=is_accepted, reason=reason)

    def learn(self, look: Look) -> None:
        """Take a look into account."""
        self.version += 1
        guard = self.guard(look.domain)
        if look.gain is None:
            guard.passed()
        else:
            guard.looked(margin=look.margin, gain=look.gain, share=look.share)
            model = self._gains.setdefault(look.tier, Ridge(GATE_FEATURES, 1))
            model.forget(_guarding(self.options).keep)
            model.learn(look.features[None, :], np.array([[look.gain]]), np.array([1.0 / look.share]))

    def passed(self, domain: str) -> None:
        """Count a request of a domain that the large model was asked at once."""
        self.version += 1
        self.guard(domain).passed()

    def gain_of(self, *, agrees: bool, is_backed: bool) -> float:
        """Return what a larger model gains where it agrees with the small one, or does not: what is usual, until the
        judge has said of enough disagreements here whose answer was better. `is_backed`: a second model agreed with the
        small one."""
        if agrees or is_backed:
            return GAIN[True] if agrees else BACKED_GAIN
        return (GAIN[False] * _USUAL_DIFFERENCES + self._differing_gain) / (_USUAL_DIFFERENCES + self._differing)

    def differed(self, gain: float) -> None:
        """Learn what the judge says that the larger model gained where the two did not agree."""
        keep = _guarding(self.options).keep
        self._differing, self._differing_gain = self._differing * keep + 1.0, self._differing_gain * keep + gain

    def calibrated(self, raw: float) -> float:
        """Return what a judge's word (0..1) is worth."""
        return float(self._calibration.probability(np.array([raw]))[0])

    def judged(self, raw: float, was_worth: float) -> None:
        """Learn what a judge's word was worth (0..1)."""
        self.version += 1
        self._judged.append((raw, was_worth))
        del self._judged[:-MAX_JUDGED]
        if len(self._judged) % _CALIBRATE_EVERY == 0:
            self._calibrate()

    def _calibrate(self) -> None:
        pairs = np.array(self._judged, np.float64).reshape(-1, 2)
        self._calibration.fit(pairs[:, 0], pairs[:, 1])

    @property
    def looks(self) -> Mapping[int, float]:
        """The weight of all looks, by tier."""
        return {tier: round(model.examples, 1) for tier, model in sorted(self._gains.items())}

    def figures(self) -> list[DomainFigures]:
        """Return how the domains stand."""
        return [
            DomainFigures(
                domain=domain,
                trust=guard.trust,
                looks=guard.looks,
                look_share=guard.look_share,
                caution=max(0.0, guard.caution),
                loss=guard.loss(),
                has_changed=self.has_changed(domain),
            )
            for domain, guard in self._guards.items()
        ]

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return what `restore` takes, as arrays that can be saved."""
        found: dict[str, NDArray[Any]] = {
            "domains": np.array([name.encode() for name in self._guards], np.bytes_),
            "guards": np.array([each.state() for each in self._guards.values()], np.float64),
            "judged": np.array(self._judged, np.float64).reshape(-1, 2),
            "differing": np.array([self._differing, self._differing_gain]),
            "watched": np.array([name.encode() for name in self._drifts], np.bytes_),
            "excesses": np.array([each.excess for each in self._drifts.values()]),
        }
        for tier, model in self._gains.items():
            found |= {f"gain_{tier}_{name}": array for name, array in model.state().items()}
        return found

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take a saved state over. ValueError or KeyError: it is of another shape."""
        watched = [bytes(name).decode() for name in state["watched"]]
        for domain, excess in zip(watched, state["excesses"], strict=True):
            if domain in self._drifts:
                self._drifts[domain].excess = float(excess)
        guards = {}
        for name, row in zip(state["domains"], state["guards"], strict=True):
            guards[bytes(name).decode()] = guard = self._new(bytes(name).decode())
            guard.restore([float(each) for each in row])
        gains: dict[int, Ridge] = {}
        for tier in {int(name.split("_")[1]) for name in state if name.startswith("gain_")}:
            gains[tier] = Ridge(GATE_FEATURES, 1)
            prefix = f"gain_{tier}_"
            gains[tier].restore(
                {name.removeprefix(prefix): each for name, each in state.items() if name.startswith(prefix)}
            )
        judged = [(float(raw), float(worth)) for raw, worth in state["judged"]]
        self._differing, self._differing_gain = (float(each) for each in state["differing"])
        self._guards, self._gains, self._judged = guards, gains, judged[-MAX_JUDGED:]
        self._calibrate()


def _guarding(options: AuditOptions) -> GuardOptions:
    """Return how domains are guarded: one share for those that were fitted on and those that are settled."""
    known = GuardOptions()
    return replace(
        known,
        audit_share=options.share,
        settled_audit_share=options.share,
        doubt_audit_share=max(options.share, known.doubt_audit_share),
        most_loss=options.max_loss,
    )
