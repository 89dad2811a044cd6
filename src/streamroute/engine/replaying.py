"""Decides a recorded workload anew, by another configuration: with the same code that decides live requests.

What was known when a request was decided is taken from its record: how upstreams stood, how fast they were, how good
their answers were expected to be (before the qualities of the configuration, except in mode `rules`). An upstream that
was not a candidate then is held to be well, with the quality of the configuration.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from streamroute.core.attribution import Attribution
from streamroute.core.health.standing import WELL, Outlook
from streamroute.core.money import Money
from streamroute.core.request import ChatRequest
from streamroute.core.routing.analysis import Analysis, DomainClassifier
from streamroute.core.routing.decision import UNKNOWN, Decision
from streamroute.core.routing.decision_log import bid_of
from streamroute.core.routing.figures import tier_number
from streamroute.core.routing.matching import ConfiguredQualities, QualityEstimate
from streamroute.core.routing.off_policy import Replayed
from streamroute.core.routing.recorded import RecordedCandidate, RecordedDecision, RecordedOutcome
from streamroute.core.routing.recorded_analysis import recorded_analysis
from streamroute.core.routing.route import Catalog
from streamroute.core.routing.steering import decide
from streamroute.core.upstream import Upstream, UpstreamId
from streamroute.engine.call import Call
from streamroute.engine.choice import choose, nobody
from streamroute.engine.needs import Needs, matched_tiers

_PER_USD = 1e12
Most = Callable[[ChatRequest, Upstream], Money | None]

TRUSTED = ("feedback", "audit")
"""Whose word counts, the first that there is: what held answers show by themselves is form."""
NO_TIERS = "-"
"""The tier of an upstream on a route without tiers."""


class Replaying:
    """Decides anew, one request after the other."""

    def __init__(self, catalog: Catalog, needs: Needs, most: Most, *, seed: int) -> None:
        """`needs` are those of the other configuration; `most` is what one call may cost at most."""
        self._catalog = catalog
        self._needs = needs
        self._most = most
        self._rng = random.Random(seed)  # noqa: S311 - a draw of a replay is no secret

    def redecided(self, recorded: RecordedDecision) -> Decision:
        """Return the decision that would be made; raises RequestError where the request would be refused."""
        chat = recorded.request
        call = Call(
            request_id=recorded.id,
            chat=chat,
            arrived_at=0.0,
            latency_class=recorded.latency_class,
            requirements=recorded.requirements,
            attribution=Attribution(task=recorded.task),
        )
        self._needs.read = partial(_read, recorded)
        settled = self._needs.settle(
            call, self._catalog, lambda name, caller: choose(name, self._catalog, caller), partial(self._most, chat)
        )
        wanted = settled.wanted
        if wanted is not None and self._needs.options.mode != "rules":
            wanted = replace(wanted, qualities=_Recorded(recorded))
        decide_one = partial(
            decide,
            chat,
            board=_Recorded(recorded),
            now=0.0,
            uniform=self._rng.random,
            latency_class=settled.latency_class,
        )
        decision = matched_tiers(chat, settled.choice, wanted, decide_one)
        if not decision.candidates:
            raise nobody(chat.model, decision.rejected, decision.matched)
        return decision

    def compared(self, recorded: RecordedDecision, decision: Decision, outcomes: Sequence[RecordedOutcome]) -> Replayed:
        """Return a request as it was and as it would be; `outcomes` are what was said of answers to it."""
        first = decision.candidates[0].upstream
        is_same = first.id == recorded.chosen
        was, now = (
            recorded.candidates[0],
            next((each for each in recorded.candidates if each.upstream == first.id), None),
        )
        given = _word(outcomes, recorded.answered_by)
        # Of an audit the chance is known only where nothing was drawn: else it might have been seen in two ways.
        seen = given if is_same else _word(outcomes, first.id) if recorded.propensity == 1.0 else None
        paid = None if recorded.cost is None else recorded.cost / _PER_USD
        return Replayed(
            is_same=is_same,
            tier=_tier(decision, first.id),
            recorded_tier=NO_TIERS if was.tier is None else str(tier_number(was.tier)),
            cost_usd=paid if is_same else _cost_usd(recorded, first),
            recorded_cost_usd=paid,
            estimate=_predicted(decision, now, first.id),
            recorded_estimate=_predicted(decision, was, recorded.chosen),
            score=None if given is None else given.score,
            weight=1.0 if given is None else given.weight,
            seen=None if seen is None else seen.score,
            seen_weight=1.0 if seen is None else seen.weight / (recorded.propensity if is_same else 1.0),
        )


def _predicted(decision: Decision, known: RecordedCandidate | None, upstream: UpstreamId) -> float | None:
    """Return how good the answer of an upstream was expected to be, else what the configuration says of it."""
    if known is not None and known.predicted is not None:
        return known.predicted
    bid = bid_of(decision, upstream)
    return None if bid is None or bid.quality is None else bid.quality.mean


def _word(outcomes: Sequence[RecordedOutcome], upstream: UpstreamId | None) -> RecordedOutcome | None:
    """Return what was said of the answer of an upstream, by whose word counts first."""
    about = [each for each in outcomes if each.upstream == upstream]
    return next((each for source in TRUSTED for each in about if each.source == source), None)


class _Recorded:
    """What was known then: a health board, and a source of qualities."""

    def __init__(self, recorded: RecordedDecision) -> None:
        self._known: dict[UpstreamId, RecordedCandidate] = {each.upstream: each for each in recorded.candidates}
        self._is_panic = recorded.is_panic

    def outlook(self, upstreams: Sequence[Upstream], now: float, *, prompt_tokens: int) -> Outlook:
        """Return how they stood."""
        known = [self._known.get(each.id) for each in upstreams]
        return Outlook(
            standings=[WELL if each is None else each.standing for each in known],
            estimates=[UNKNOWN if each is None else each.estimate for each in known],
            is_panic=self._is_panic,
        )

    def of(self, analysis: Analysis, upstreams: Sequence[Upstream]) -> Sequence[QualityEstimate | None]:
        """Return what was expected of them."""
        configured = ConfiguredQualities().of(analysis, upstreams)
        found: list[QualityEstimate | None] = []
        for upstream, otherwise in zip(upstreams, configured, strict=True):
            known = self._known.get(upstream.id)
            is_known = known is not None and known.predicted is not None
            found.append(
                QualityEstimate(known.predicted, known.predicted_sd or 0.0, "recorded")  # type: ignore[union-attr,arg-type]  # it is known
                if is_known
                else otherwise
            )
        return found


def _read(
    recorded: RecordedDecision, request: ChatRequest, domain: str | None, classifier: DomainClassifier
) -> Analysis:
    return recorded_analysis(request, recorded.features, domain)


def _cost_usd(recorded: RecordedDecision, upstream: Upstream) -> float | None:
    """Return what one call would cost that is as long as those that were made."""
    calls = max(1, recorded.calls)
    if upstream.price is None:
        return 0.0 if upstream.is_simulated else None
    return upstream.price.rough_usd(recorded.input_tokens // calls, recorded.output_tokens // calls)


def _tier(decision: Decision, upstream: UpstreamId) -> str:
    return str(tier_number(decision.route.tier_of(upstream))) if decision.route.tiers else NO_TIERS
