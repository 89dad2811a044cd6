"""From the upstreams that can serve a request to those that meet what it requires, in the order of their bids."""

from collections.abc import Callable

from streamroute.core.cost.pricing import assumed_answer_tokens
from streamroute.core.health.standing import Outlook
from streamroute.core.request import ChatRequest
from streamroute.core.routing.auction import value_bids, winners_first
from streamroute.core.routing.decision import Rejected
from streamroute.core.routing.matching import Bid, Matched, Wanted, answer_tokens, best_first, bids_of, expect
from streamroute.core.upstream import LatencyClass, Upstream, UpstreamId

MOST_KEPT = 50
"""Candidates of an auction, and bids that are kept with a decision: beyond these nobody is asked or looked at, and a
thousand decisions about five hundred upstreams would take half a gigabyte."""

_MOST_NAMED = 5
"""In a sentence for people."""


class Narrowing:
    """Narrows the candidates of one request down to those that meet what it requires, and puts them in order."""

    def __init__(self, request: ChatRequest, wanted: Wanted, latency_class: LatencyClass, *, is_auction: bool) -> None:
        self._request = request
        self._is_auction = is_auction
        self._wanted = wanted
        self._class = latency_class
        self._bids: list[Bid] = []
        self._has_candidates = False
        self._untimed: list[UpstreamId] = []

    def narrowed(
        self, upstreams: list[Upstream], outlook_of: Callable[[list[Upstream]], Outlook], affinity_key: str | None
    ) -> tuple[list[Upstream], Outlook]:
        """Return who meets the requirements, in the order in which steering should prefer them, and how they stand."""
        request, wanted = self._request, self._wanted
        self._bids = bids_of(wanted, request, upstreams)
        bids = [each for each in self._bids if not each.shortfalls]
        fit = [each.upstream for each in bids]
        outlook = outlook_of(fit)
        expect(wanted, bids, outlook.estimates, answer_tokens(request))
        order = [i for i, each in enumerate(bids) if not each.shortfalls]
        if self._is_auction:
            value_bids(wanted, request, bids, outlook.estimates, self._class)
            kept = [bids[i] for i in order]
            order = [order[i] for i in winners_first(kept, affinity_key)][:MOST_KEPT]
        else:
            order.sort(key=lambda i: (bids[i].is_late, bids[i].upstream.id not in wanted.preferred))
        if wanted.requirements.are_timed:
            self._untimed = [bids[i].upstream.id for i in order if bids[i].ttft_s is None]
        self._has_candidates = bool(order)
        if order == list(range(len(bids))):
            return fit, outlook
        fit = [bids[i].upstream for i in order]
        if len(order) < len(bids):  # who is in a panic is judged among those that are left
            return fit, outlook_of(fit)
        return fit, Outlook(
            standings=[outlook.standings[i] for i in order],
            estimates=[outlook.estimates[i] for i in order],
            is_panic=outlook.is_panic,
        )

    def rejected(self) -> list[Rejected]:
        """Return who does not, and all that is in the way."""
        return [
            Rejected(upstream=each.upstream.id, reason="; ".join(shortfall.reason for shortfall in each.shortfalls))
            for each in self._kept()
            if each.shortfalls
        ]

    def notes(self) -> tuple[str, ...]:
        """Return what people should know of it: whom a limit of time does not hold."""
        if not self._untimed:
            return ()
        names, more = ", ".join(self._untimed[:_MOST_NAMED]), len(self._untimed) - _MOST_NAMED
        names += f" and {more} more" if more > 0 else ""
        return (f"limit of time not held: nothing is known yet of the first token of {names}",)

    def matched(self) -> Matched:
        """Return what is kept of it."""
        wanted = self._wanted
        return Matched(
            requirements=wanted.requirements,
            analysis=wanted.analysis,
            policy=wanted.policy,
            latency_class=self._class,
            answer_value_usd=wanted.answer_value_usd,
            rules=tuple([rule.name for rule in wanted.rules]),
            bids=tuple(self._kept()),
            others=len(self._bids) - len(self._kept()),
            assumed_tokens=assumed_answer_tokens(self._request),
        )

    def _kept(self) -> list[Bid]:
        """Return the bids that are kept with the decision: where somebody meets all, the best of many."""
        if len(self._bids) <= MOST_KEPT or not self._has_candidates:
            return self._bids
        return sorted(self._bids, key=best_first)[:MOST_KEPT]
