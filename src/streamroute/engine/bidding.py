"""Bidders of outside: asked at once while an auction waits, believed as far as they have kept their promises.

Where none is configured nothing of this exists. A listener for the bus: what became of an answer is held against what
was promised of it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import aiohttp
import anyio

from streamroute.clock import now
from streamroute.core.observation import Observation, QualityObservation
from streamroute.core.routing.bidder_trust import BidderTrust
from streamroute.core.routing.decision_log import DecisionLog
from streamroute.core.routing.matching import Offer
from streamroute.core.upstream import UpstreamId
from streamroute.engine.needs import Settled
from streamroute.feeds.bidder import Bidder
from streamroute.feeds.options import BidderOptions
from streamroute.wire.bids import SaidBid, encode_ask

MAX_WEIGHT = 50.0
"""Of one outcome, where few answers are judged: more would let single ones decide."""


class Bidding:
    """Asks all bidders."""

    def __init__(self, options: Sequence[BidderOptions], decisions: DecisionLog) -> None:
        """`decisions` knows what was promised."""
        self._decisions = decisions
        self.trust: dict[str, BidderTrust] = {}
        self.bidders: list[Bidder] = []
        self._session: aiohttp.ClientSession | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self.apply(options)

    async def run(self) -> None:
        """Own what is asked, until cancelled: a question may outlive the request that it was asked for."""
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
            self._session, self._tasks = session, tasks
            try:
                await anyio.sleep_forever()
            finally:
                self._tasks = self._session = None

    def apply(self, options: Sequence[BidderOptions]) -> None:
        """Go by another configuration; what is known of bidders that stay is kept."""
        before = {each.options: each for each in self.bidders}
        self.bidders = [before.get(each) or Bidder(each) for each in options]
        self.trust = {each.name: self.trust.get(each.name) or BidderTrust() for each in options}

    async def joined(self, settled: Settled) -> Settled:
        """Return what a call is decided by, with what bidders offer; takes no longer than the most patient of them."""
        wanted, at = settled.wanted, now()
        if wanted is None or settled.choice.route.steering != "auction":
            return settled
        names = {each.id for each in settled.choice.upstreams}
        asked = [(each, names.intersection(map(UpstreamId, each.options.upstreams))) for each in self.bidders]
        asked = [(bidder, about) for bidder, about in asked if about and bidder.is_due(at)]
        session, tasks = self._session, self._tasks
        if not asked or session is None or tasks is None:
            return settled
        class_ = settled.latency_class or settled.choice.route.latency_class
        answers = await asyncio.gather(
            *[bidder.ask(encode_ask(wanted, class_, about), about, session, tasks, at) for bidder, about in asked]
        )
        offers: dict[UpstreamId, Offer] = {}
        for (bidder, _), said in zip(asked, answers, strict=True):
            self._take(bidder.options.name, said or {}, offers)
        return replace(settled, wanted=replace(wanted, offers=offers)) if offers else settled

    def _take(self, name: str, said: Mapping[UpstreamId, SaidBid], offers: dict[UpstreamId, Offer]) -> None:
        """Add one bidder's bids; for an upstream the bid of the one that is believed most counts."""
        trust = self.trust.get(name)
        weight = 0.0 if trust is None else trust.weight
        for upstream, bid in said.items():
            other = offers.get(upstream)
            if other is None or weight > other.weight:
                offers[upstream] = Offer(
                    bidder=name, weight=weight, quality=bid.quality, cost_usd=bid.cost_usd, ttft_s=bid.ttft_s
                )

    def __call__(self, observation: Observation) -> None:
        """Hear an observation."""
        if not isinstance(observation, QualityObservation):
            return
        outcome = observation.outcome
        record = self._decisions.get(outcome.decision_id)
        matched = None if record is None else record.decision.matched
        for bid in () if matched is None else matched.bids:
            trust = self.trust.get(bid.bidder or "")
            if bid.upstream.id == outcome.upstream and trust is not None and bid.promised is not None:
                trust.learn(bid.promised, outcome.score, min(MAX_WEIGHT, 1.0 / outcome.propensity))

    def figures(self) -> list[dict[str, object]]:
        """Return how bidders fare, for `/status`."""
        return [
            {
                "name": each.options.name,
                "upstreams": list(each.options.upstreams),
                "asked": each.asked,
                "answered": each.answered,
                "late": each.late,
                "broken": each.broken,
                "trouble": each.trouble,
                "weight": round(self.trust[each.options.name].weight, 4),
                "outcomes": self.trust[each.options.name].outcomes,
            }
            for each in self.bidders
        ]
