"""Audits: some answers that clients have already got are looked into, so that drift is noticed, and who is better.

Another model is asked the same afterwards, in the background, within an amount a day of each route: on routes with
tiers the large one, in auctions another bidder. Both answers are compared by what they come to, or by the judge where
that cannot be told or they differ. Nothing of it touches a client's answer, and at shutdown it is given up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Protocol, TypeVar

import structlog

from streamroute.clock import now
from streamroute.core.health.board import HealthBoard
from streamroute.core.money import Money, money
from streamroute.core.observation import Observation
from streamroute.core.outcome import Failure
from streamroute.core.quality.comparison import QUALITY, agrees
from streamroute.core.quality.quality_outcome import QualityOutcome
from streamroute.core.quality.verdict import Draft
from streamroute.core.routing.learned.gatekeeper import Look
from streamroute.core.upstream import Route, Upstream, UpstreamId
from streamroute.engine.cross_checks import NO_JUDGEMENT, Checked, CrossChecks, judging
from streamroute.engine.gates import JUDGED, RouteGate
from streamroute.engine.spending import today
from streamroute.wire.openai_chat.cross_check import asked_again

MAX_AT_ONCE = 2
"""Audits: they have time."""
MAX_WAITING = 100
"""A burst is looked into in part: what does not fit was not drawn."""
MAX_WAIT_S = 300.0
"""As long as a request may take by default: where models hang that are asked in audits, for two minutes each, a hundred
prompts and answers would be kept for more than an hour."""
_Said_co = TypeVar("_Said_co", covariant=True)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One answer that is to be looked into."""

    route: Route
    gate: RouteGate
    checked: Checked
    checks: CrossChecks
    share: float
    """The chance, above 0, with which it was drawn."""
    others_share: float | None = None
    """The same for the other answer; None: it is no other."""
    against: Sequence[UpstreamId]
    """Who may be asked the same; the first that can be asked is."""
    better: Collection[UpstreamId]
    """Who is held to be better than who has answered."""
    decision_id: str | None
    look: Look | None = None
    """What becomes of it for the gate of a route with tiers, without the gain."""
    other: Draft | None = None
    """The other answer, where it is there already."""
    other_upstream: UpstreamId | None = None
    judged: Callable[[UpstreamId, float], None] | None = None
    """Is told what the judge thinks of both answers, 0..1 and not calibrated."""

    @property
    def is_backed(self) -> bool:
        """A second model agreed with the answer."""
        return self.look is not None and self.look.is_backed


class Auditor:
    """Takes audits, and makes them as long as it runs."""

    def __init__(self, board: HealthBoard, publish: Callable[[Observation], None]) -> None:
        self._board = board
        self._publish = publish
        self._waiting: asyncio.Queue[tuple[float, Audit]] = asyncio.Queue(MAX_WAITING)
        self.most_wait_s = MAX_WAIT_S
        """Seconds; who has waited longer is not looked into."""
        self.is_closed = False

    def offer(self, audit: Audit) -> None:
        """Take one, unless there are too many already."""
        if self.is_closed or self._waiting.full():
            self._over(audit, "dropped")
        else:
            self._waiting.put_nowait((now(), audit))

    async def run(self) -> None:
        """Make audits until cancelled."""
        room = asyncio.Semaphore(MAX_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            while True:
                await room.acquire()
                group.create_task(self._made(await self._next())).add_done_callback(lambda _: room.release())

    async def _next(self) -> Audit:
        """Return the next that has not waited too long."""
        while True:
            offered_at, audit = await self._waiting.get()
            if now() - offered_at <= self.most_wait_s:
                return audit
            self._over(audit, "dropped")

    async def _made(self, audit: Audit) -> None:
        try:
            await self._make(audit)
        except Exception:  # noqa: BLE001 - a defect here must not end all audits
            _log.exception("audit.broke", route=audit.route.name)
            self._over(audit, "failed")

    async def _make(self, audit: Audit) -> None:
        second = self._second(audit)
        if second is None:
            self._over(audit, "failed")
            return
        other: Draft | Failure | None = audit.other
        if other is None:
            chat, left_s = asked_again(audit.checked.chat), audit.route.deadlines.answer_s
            asking = partial(audit.checks.ask, chat, second.id, "audit", left_s, most_s=left_s)
            other = await _paid(audit, audit.checks.most(chat, second), asking)
        if other is None:
            self._over(audit, "no_money")
        elif isinstance(other, Failure):
            self._over(audit, "failed")
        else:
            await self._compare(audit, other, audit.other_upstream or second.id)

    async def _compare(self, audit: Audit, other: Draft, second: UpstreamId) -> None:
        checked, keeper, judge = audit.checked, audit.gate.keeper, audit.route.judge
        unclear = "unclear"
        found = agrees(checked.draft, other, checked.wanted)
        if not found and judge is not None:
            one, two = [await self._word(audit, draft, judge) for draft in (checked.draft, other)]
            if isinstance(one, float) and isinstance(two, float):
                if audit.judged is not None:
                    audit.judged(checked.upstream, one)
                    audit.judged(second, two)
                own, others = keeper.calibrated(one), keeper.calibrated(two)
                if found is False and audit.look is not None and not audit.is_backed:
                    keeper.differed(others - own)
                self._over(audit, JUDGED, others - own, (own, others), second)
                return
            if NO_JUDGEMENT in (one, two):
                unclear = "no_judgement"
        if found is None:
            self._over(audit, unclear)
        else:
            gain = keeper.gain_of(agrees=found, is_backed=audit.is_backed)
            scores = QUALITY[found] if second in audit.better else QUALITY[found][::-1]
            is_known = found or not audit.is_backed  # else nobody knows who is right
            self._over(audit, "agrees" if found else "differs", gain, scores if is_known else None, second)

    async def _word(self, audit: Audit, draft: Draft, judge: UpstreamId) -> float | Failure | None:
        """Return what the judge thinks of an answer, not calibrated; no number where it could not be asked, or said
        something else."""
        chat, known = audit.checked.chat, audit.checks.upstreams.get(judge)
        asked = judging(chat, draft)
        if asked is None or known is None:
            return None
        asking = partial(audit.checks.score, chat, draft, judge, "audit", audit.route.deadlines.answer_s)
        raw = await _paid(audit, audit.checks.most(asked, known), asking)
        if raw is NO_JUDGEMENT:
            audit.gate.no_judgement(audit.route, now())
        return raw

    def can_ask(self, upstream: Upstream) -> bool:
        """Return whether one may be asked: audits are no load for one that is down or on its way back."""
        standing = self._board.standing(upstream, now())
        return standing.can_ask and not standing.is_probe

    def _second(self, audit: Audit) -> Upstream | None:
        known = [audit.checks.upstreams[name] for name in audit.against if name in audit.checks.upstreams]
        return next((each for each in known if self.can_ask(each)), None)

    def _over(
        self,
        audit: Audit,
        result: str,
        gain: float | None = None,
        scores: tuple[float, float] | None = None,
        second: UpstreamId | None = None,
    ) -> None:
        """Learn from it, and tell everybody."""
        audit.gate.audits[result] += 1
        if audit.look is not None:
            audit.gate.keeper.learn(replace(audit.look, gain=gain))
        if scores is None or second is None or audit.decision_id is None:
            return
        shares = audit.share, audit.others_share or audit.share
        for upstream, score, share in zip((audit.checked.upstream, second), scores, shares, strict=True):
            self._publish(
                QualityOutcome(
                    decision_id=audit.decision_id,
                    upstream=upstream,
                    score=min(1.0, max(0.0, score)),
                    source="audit",
                    propensity=share,
                    label=result,
                )
            )


class _Paid(Protocol[_Said_co]):
    """Makes a call, and tells what it has cost."""

    def __call__(self, *, paid: Callable[[Money], None]) -> Awaitable[_Said_co]: ...


async def _paid(audit: Audit, most: Money | None, asking: _Paid[_Said_co]) -> _Said_co | None:
    """Ask within the day's amount, `most` being what that may cost; None where it does not suffice."""
    options, purse = audit.route.audit, audit.gate.money
    limit = money(Decimal(0) if options is None else options.max_usd_per_day)
    aside = None if most is None else purse.set_aside(most, limit, today())
    if aside is None:
        return None
    costs: list[Money] = []
    try:
        return await asking(paid=costs.append)
    finally:
        purse.settle(aside, Money(sum(costs)))
