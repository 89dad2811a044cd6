"""A tier policy that was fitted for one route, as it is kept in a file and used by requests."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from streamroute.core.quality.ridge import Ridge
from streamroute.core.quality.signals import SIGNALS
from streamroute.core.quality.sparse_linear import SparseLinear
from streamroute.core.routing.learned.domain_drift import UsualWords
from streamroute.core.routing.learned.stage import Seen, Stage, answer_features, features, stages
from streamroute.core.routing.learned.tier_models import TierModels
from streamroute.core.routing.learned.tier_policy import PolicyKind, TierPolicy, moves

Arrays = Mapping[str, NDArray[Any]]

_KIND = "streamroute tier policy 2"
"""What a file says that it is; the number changes with whatever its numbers mean (a test looks after that)."""
_UNKNOWN = "unknown_"
_PRICE = "price"
_MOST = 1e30
"""No sum over outcomes is larger: numbers that are have no place among floats of four bytes."""


@dataclass(frozen=True, kw_only=True)
class FittedPolicy:
    """Everything that decides whom to ask, and whether to deliver."""

    name: str
    """Of its file, for explanations."""
    tiers: tuple[tuple[str, ...], ...]
    """Names of upstreams, smallest models first."""
    policy: TierPolicy
    """With a model for every stage there is: a tier can fail, and another may answer first."""
    unknown: TierPolicy | None = None
    """For domains that it was not fitted on: a cascade of the smallest and the largest tier, by the small answer alone
    (`fitting.cautious_policy`). None: it was fitted on too few domains to tell."""
    models: TierModels
    """Averages, see `averaged`."""
    domains: tuple[str, ...]
    """Those with a number of their own among the features."""
    usual_words: Mapping[str, UsualWords]
    """What its questions look like in every domain that it was fitted on."""
    attempt_cost: float
    """Of asking the smallest tier, as a share of what the largest costs."""

    @property
    def seen_domains(self) -> frozenset[str]:
        """All that it was fitted on."""
        return frozenset(self.usual_words)

    @cached_property
    def digest(self) -> str:
        """Tells it from others: what audits have found belongs to one policy."""
        models = [each.state()["moments"].tobytes() for each in self._ridges.values()]
        return hashlib.sha256(b"".join([json.dumps(self._about).encode(), *models])).hexdigest()[:16]

    @property
    def _about(self) -> dict[str, Any]:
        return {
            "tiers": self.tiers,
            "kind": self.policy.kind,
            "domains": self.domains,
            "usual_words": {domain: [each.mean, each.deviation] for domain, each in sorted(self.usual_words.items())},
            "attempt_cost": self.attempt_cost,
            **self._prices,
        }

    @property
    def _prices(self) -> dict[str, float]:
        """Those that are known: files of before had none."""
        found = {_PRICE: self.policy.price, f"{_UNKNOWN}{_PRICE}": None if self.unknown is None else self.unknown.price}
        return {name: price for name, price in found.items() if price is not None}

    def place_of(self, upstream: str) -> int | None:
        """Return the tier that an upstream is in, 0 for the smallest; None where it is in none."""
        return next((place for place, tier in enumerate(self.tiers) if upstream in tier), None)

    def state(self) -> Arrays:
        """Return what `from_state` takes, as arrays that can be saved."""
        found: dict[str, NDArray[Any]] = {
            "what": np.array(_KIND.encode()),
            "about": np.frombuffer(json.dumps(self._about).encode(), np.uint8),
        }
        for name, model in zip(_linear_names(len(self.tiers)), _linear_models(self.models), strict=True):
            found |= {f"{name}/{part}": array for part, array in model.average().items()}
        for name, ridge in self._ridges.items():
            found |= {f"{name}/{part}": array for part, array in ridge.state().items()}
        return found

    @property
    def _ridges(self) -> dict[str, Ridge]:
        unknown = {} if self.unknown is None else self.unknown.models
        return {
            **{_stage_name(stage): each for stage, each in self.policy.models.items()},
            **{f"{_UNKNOWN}{_stage_name(stage)}": each for stage, each in unknown.items()},
        }


def from_state(state: Arrays, name: str) -> FittedPolicy:
    """Return the policy that was saved; ValueError, which says what is wrong: it is none, or of another version."""
    if "what" not in state or state["what"].tobytes() != _KIND.encode():
        raise ValueError("it is no tier policy, or one of another version; fit it anew with `streamroute routing fit`")
    numbers = [each for name, each in state.items() if name not in {"what", "about"}]
    if any(each.dtype.kind not in "if" for each in numbers):
        raise ValueError("it has parts that are no numbers")
    if any(each.dtype.kind == "f" and not (np.abs(each) <= _MOST).all() for each in numbers):
        raise ValueError(f"it has numbers that are not finite, or above {_MOST:g}")
    try:
        about = json.loads(state["about"].tobytes())
        tiers = tuple(tuple(map(str, tier)) for tier in about["tiers"])
        kind: PolicyKind = about["kind"]
        if kind not in get_args(PolicyKind) or len(tiers) < 2:
            raise ValueError(f"it speaks of {len(tiers)} tiers and of the kind {kind!r}")
        questions, *answers = [SparseLinear.of_average(_part(state, each)) for each in _linear_names(len(tiers))]
        if [questions.outputs, *(each.outputs for each in answers)] != [len(tiers) + 1, *(2 for _ in answers)]:
            raise ValueError("its models of words are for another number of tiers")
        domains = tuple(map(str, about["domains"]))
        policy = TierPolicy(len(tiers), kind, price=_price(about, _PRICE))
        for stage in stages(len(tiers) - 1):
            shape = len(features(_anything(len(tiers)), stage, domains)), len(moves(stage, len(tiers), kind))
            policy.models[stage] = _ridge(state, _stage_name(stage), shape)
        unknown = None
        if any(name.startswith(_UNKNOWN) for name in state):
            unknown = TierPolicy(2, "cascade", price=_price(about, f"{_UNKNOWN}{_PRICE}"))
            for stage in stages(1):
                many = len(answer_features(_anything(len(tiers)), 0)) if stage else 1
                shape = many, len(moves(stage, 2, "cascade"))
                unknown.models[stage] = _ridge(state, f"{_UNKNOWN}{_stage_name(stage)}", shape)
        return FittedPolicy(
            name=name,
            tiers=tiers,
            policy=policy,
            unknown=unknown,
            models=TierModels.of_average(questions, answers),
            domains=domains,
            usual_words=_usual_words(about["usual_words"]),
            attempt_cost=_attempt_cost(about["attempt_cost"]),
        )
    except (KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"a part of it is missing or of another shape ({type(error).__name__}: {error}); fit it anew with "
            "`streamroute routing fit`"
        ) from None


def _attempt_cost(found: object) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= _MOST:
        raise ValueError("its attempt_cost is no share of what the largest tier costs")
    return float(found)


def _price(about: Mapping[str, Any], name: str) -> float | None:
    found = about.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= _MOST:
        raise ValueError(f"its {name} is no price of a US dollar in quality points")
    return float(found)


def _usual_words(saved: Mapping[str, Sequence[float]]) -> dict[str, UsualWords]:
    found = {}
    for domain, (mean, deviation) in saved.items():
        if not (0.0 <= mean <= 1.0 and 0.0 < deviation <= 1.0):
            raise ValueError(f"its words of {domain or 'no domain'} have the mean {mean} and the deviation {deviation}")
        found[domain] = UsualWords(float(mean), float(deviation))
    return found


def averaged(models: TierModels) -> TierModels:
    """Return models that answer the same and learn no more, as they are after a file."""
    questions, *answers = [SparseLinear.of_average(each.average()) for each in _linear_models(models)]
    return TierModels.of_average(questions, answers)


def _linear_names(tiers: int) -> list[str]:
    return ["questions", *(f"answers_{tier}" for tier in range(tiers - 1))]


def _linear_models(models: TierModels) -> list[SparseLinear]:
    return [models.questions, *models.answers]


def _ridge(state: Arrays, name: str, shape: tuple[int, int]) -> Ridge:
    """Return the model of one stage; `shape`: how many features and moves there are."""
    ridge = Ridge(*shape)
    ridge.restore(_part(state, name))
    ridge.predict(np.zeros(shape[0]))  # solved now, not within a request
    return ridge


def _anything(tiers: int) -> Seen:
    """Return what may be known of a request, to count its features."""
    judged = range(tiers - 1)
    return Seen(
        question=np.zeros(tiers + 1),
        domain="",
        answers={tier: np.zeros(2) for tier in judged},
        signals={tier: [0.0] * len(SIGNALS) for tier in judged},
        agreement=dict.fromkeys(combinations(judged, 2), False),
    )


def _stage_name(stage: Stage) -> str:
    return "_".join(["stage", *map(str, stage)])


def _part(state: Arrays, name: str) -> dict[str, NDArray[Any]]:
    return {key.removeprefix(f"{name}/"): each for key, each in state.items() if key.startswith(f"{name}/")}


def with_every_stage(policy: TierPolicy, hybrid: TierPolicy) -> TierPolicy:
    """Return a policy that has an opinion at stages which it does not reach by itself: what a hybrid of its price does
    there."""
    return replace(policy, models={**hybrid.models, **policy.models})


def lead(tiers: Sequence[Sequence[str]]) -> list[str]:
    """Return the first upstream of each tier, by which its outcomes are named."""
    return [tier[0] for tier in tiers]
