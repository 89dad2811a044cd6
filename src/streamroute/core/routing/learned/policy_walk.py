"""The way of one request up the tiers, by a fitted policy: what is known of it grows with every answer that is held."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streamroute.core.quality.comparison import agrees
from streamroute.core.quality.signals import answer_of, signals
from streamroute.core.quality.verdict import Draft, Verdict, Wanted
from streamroute.core.routing.learned.fitted_policy import FittedPolicy
from streamroute.core.routing.learned.stage import Seen, Stage, answer_features, features
from streamroute.core.routing.learned.tier_models import answer_vector, question_vector
from streamroute.core.routing.learned.tier_policy import Move, moves

Floats = NDArray[np.float64]

_NOTHING = np.zeros(2)
"""Log-odds of an answer without words, as in the fit."""
_NO_FEATURES = np.zeros(1)
"""Before anybody has answered, where words of questions mislead; as in the fit."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a policy would do."""

    move: Move | None
    """None: nothing that it may do is left."""
    utilities: Mapping[Move, float]
    """Of all moves, quality points; without caution."""
    margin: float
    """Utility of the best answer that may be delivered less that of asking the largest tier; -inf where none may."""


class PolicyWalk:
    """Lives as long as its request, and no longer: it has read its words."""

    def __init__(self, fitted: FittedPolicy, text: str, domain: str) -> None:
        """`text`: what is asked, the last message of the user; `domain` "": none is known."""
        self.fitted = fitted
        self._policy, self._tiers = fitted.policy, tuple(range(fitted.policy.tiers))
        self._question = question_vector(text, domain)
        self._log_odds: dict[int, Floats] = {}
        self._signals: dict[int, tuple[float, ...]] = {}
        self._agreement: dict[tuple[int, int], bool] = {}
        self._drafts: dict[int, Draft] = {}
        self.unusable: set[int] = set()
        """Tiers whose answers a machine cannot use."""
        self.has_strange_words = False
        """Its domain has changed since the policy was fitted, as its words say."""
        self._seen = Seen(
            question=fitted.models.of_question(self._question),
            domain=domain,
            answers=self._log_odds,
            signals=self._signals,
            agreement=self._agreement,
        )
        if domain and domain not in fitted.usual_words:
            self._go_elsewhere()

    @property
    def is_elsewhere(self) -> bool:
        """It goes by the part of the policy for domains that it was not fitted on."""
        return self._policy is not self.fitted.policy

    @property
    def price(self) -> float | None:
        """That utilities are at, quality points per US dollar; None: the policy's file does not say."""
        return self._policy.price

    @property
    def stage(self) -> Stage:
        """The tiers that have answered."""
        return tuple(sorted(self._log_odds))

    @property
    def unknown_share(self) -> float:
        """Of the question's words, that which the policy never learned from, 0..1."""
        return self.fitted.models.unknown_share(self._question)

    def is_of_another_kind(self) -> None:
        """Go on as in a domain that the policy was not fitted on: its words say that it has changed."""
        self.has_strange_words = True
        self._go_elsewhere()

    def _go_elsewhere(self) -> None:
        if self.fitted.unknown is not None:
            self._policy, self._tiers = self.fitted.unknown, (0, self.fitted.policy.tiers - 1)

    def heard(self, tier: int, draft: Draft, wanted: Wanted, verdict: Verdict) -> bool:
        """Read the answer of a tier but the largest; return whether it agrees with an earlier one."""
        answer = answer_of(draft, verdict)
        for other, earlier in self._drafts.items():
            pair = (min(tier, other), max(tier, other))
            self._agreement[pair] = agrees(earlier, draft, wanted) is True
        self._drafts[tier] = draft
        self._signals[tier] = signals(answer)
        self._log_odds[tier] = (
            self.fitted.models.of_answer(tier, answer_vector(self._question, answer.text)) if answer.text else _NOTHING
        )
        if verdict.is_unusable:
            self.unusable.add(tier)
        return any(is_same for pair, is_same in self._agreement.items() if tier in pair)

    def probability(self, tier: int) -> float:
        """Return how probable it is that an answer that was heard is right, 0..1."""
        return float(1.0 / (1.0 + np.exp(-self._log_odds[tier][0])))

    def choose(self, open_: Collection[int], caution: float = 0.0) -> Choice:
        """Return what to do now. `open_`: the tiers that can be asked; `caution`, quality points, is added to the
        utility of the largest, and where it is infinite nothing is delivered but what the largest says."""
        policy, stage = self._policy, self._own_stage
        usable = [at for at in stage if self._tiers[at] not in self.unusable]
        is_settled = policy.kind == "router" and bool(usable)  # it delivers whom it asked

        def may(move: Move) -> bool:
            return move.tier in usable if move.kind == "deliver" else self._tiers[move.tier] in open_ and not is_settled

        options, found = moves(stage, policy.tiers, policy.kind), policy.utilities(stage, self._features(stage))
        own = policy.best(options, found, 0.0 if caution == inf else caution, may)
        move = None if own is None else self._of_route(own)
        is_lost = move is None and policy is self.fitted.unknown  # it would not deliver what a tier between says
        if open_ and (is_lost or (move is not None and move.kind == "deliver" and caution == inf)):
            move = Move("ask", max(open_))
        utilities = dict(zip(options, found.tolist(), strict=True))
        told = {self._of_route(each): utility for each, utility in utilities.items()}
        return Choice(move, told, self._margin(usable, utilities))

    def _margin(self, usable: Sequence[int], utilities: Mapping[Move, float]) -> float:
        """Return by how much delivering is predicted to be better than asking the largest tier; a router had its say
        before anybody was asked."""
        if not usable:
            return -inf
        policy = self._policy
        way: Literal["ask", "deliver"] = "deliver"
        if policy.kind == "router":
            way, first = "ask", policy.utilities((), self._features(()))
            utilities = dict(zip(moves((), policy.tiers, policy.kind), first, strict=True))
        best = max(utilities[Move(way, at)] for at in usable)
        return float(best - utilities[Move("ask", policy.tiers - 1)])

    @property
    def _own_stage(self) -> Stage:
        """The stage as the policy counts tiers."""
        return tuple(at for at, tier in enumerate(self._tiers) if tier in self._log_odds)

    def _of_route(self, move: Move) -> Move:
        return Move(move.kind, self._tiers[move.tier])

    def _features(self, stage: Stage) -> Floats:
        if self.is_elsewhere:
            return answer_features(self._seen, 0) if stage else _NO_FEATURES
        return features(self._seen, stage, self.fitted.domains)
