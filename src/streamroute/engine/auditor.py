"""Audits: some answers of small models that clients have already got are looked into, so that drift is noticed.

The large model is asked the same afterwards, in the background, within an amount a day of each route; both answers are
compared by what they come to, or by the judge where that cannot be told or they differ. Nothing of it touches a
client's answer, and at shutdown it is given up.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import TypeVar

import structlog

from streamroute.clock import now
from streamroute.core.gate import AuditOptions
from streamroute.core.health.board import HealthBoard
from streamroute.core.money import NOTHING, Money, money
from streamroute.core.observation import Observation
from streamroute.core.outcome import Failure
from streamroute.core.quality.comparison import QUALITY, agrees
from streamroute.core.quality.quality_outcome import QualityOutcome
from streamroute.core.quality.verdict import Draft
from streamroute.core.routing.learned.gatekeeper import Look
from streamroute.core.upstream import Route, Upstream, UpstreamId
from streamroute.engine.cross_checks import Checked, CrossChecks, judging
from streamroute.engine.gates import JUDGED, RouteGate
from streamroute.engine.spending import now_ms
from streamroute.wire.openai_chat.cross_check import asked_again

MAX_AT_ONCE = 2
"""Audits: they have time."""
MAX_WAITING = 100
"""A burst is looked into in part: what does not fit was not drawn."""
_DAY_MS = 86_400_000
_Said = TypeVar("_Said")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One answer that is to be looked into."""

    route: Route
    gate: RouteGate
    checked: Checked
    checks: CrossChecks
    look: Look
    """What becomes of it, without the gain."""
    decision_id: str | None
    other: Draft | None = None
    """The large model's answer, where it is there already."""
    other_upstream: UpstreamId | None = None


class Auditor:
    """Takes audits, and makes them as long as it runs."""

    def __init__(self, board: HealthBoard, publish: Callable[[Observation], None]) -> None:
        self._board = board
        self._publish = publish
        self._waiting: asyncio.Queue[Audit] = asyncio.Queue(MAX_WAITING)
        self.is_closed = False

    def offer(self, audit: Audit) -> None:
        """Take one, unless there are too many already."""
        if self.is_closed or self._waiting.full():
            self._over(audit, "dropped")
        else:
            self._waiting.put_nowait(audit)

    async def run(self) -> None:
        """Make audits until cancelled."""
        room = asyncio.Semaphore(MAX_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            while True:
                await room.acquire()
                group.create_task(self._made(await self._waiting.get())).add_done_callback(lambda _: room.release())

    async def _made(self, audit: Audit) -> None:
        try:
            await self._make(audit)
        except Exception:  # noqa: BLE001 - a defect here must not end all audits
            _log.exception("audit.broke", route=audit.route.name)
            self._over(audit, "failed")

    async def _make(self, audit: Audit) -> None:
        large = self._large(audit)
        if large is None:
            self._over(audit, "failed")
            return
        other: Draft | Failure | None = audit.other
        if other is None:
            chat, left_s = asked_again(audit.checked.chat), audit.route.deadlines.answer_s
            asking = partial(audit.checks.ask, chat, large.id, "audit", left_s, most_s=left_s)
            other = await _paid(audit, audit.checks.most(chat, large), asking)
        if other is None:
            self._over(audit, "no_money")
        elif isinstance(other, Failure):
            self._over(audit, "failed")
        else:
            await self._compare(audit, other, large.id)

    async def _compare(self, audit: Audit, other: Draft, large: UpstreamId) -> None:
        checked, keeper, judge = audit.checked, audit.gate.keeper, audit.route.judge
        found = agrees(checked.draft, other, checked.wanted)
        if not found and judge is not None:
            small_word, large_word = [await self._word(audit, draft, judge) for draft in (checked.draft, other)]
            if small_word is not None and large_word is not None:
                gain = large_word - small_word
                if found is False and not audit.look.is_backed:
                    keeper.differed(gain)
                self._over(audit, JUDGED, gain, (small_word, large_word), large)
                return
        if found is None:
            self._over(audit, "unclear")
        else:
            gain = keeper.gain_of(agrees=found, is_backed=audit.look.is_backed)
            scores = None if audit.look.is_backed and not found else QUALITY[found]  # nobody knows who is right
            self._over(audit, "agrees" if found else "differs", gain, scores, large)

    async def _word(self, audit: Audit, draft: Draft, judge: UpstreamId) -> float | None:
        chat, known = audit.checked.chat, audit.checks.upstreams.get(judge)
        asked = judging(chat, draft)
        if asked is None or known is None:
            return None
        asking = partial(audit.checks.score, chat, draft, judge, "audit", audit.route.deadlines.answer_s)
        raw = await _paid(audit, audit.checks.most(asked, known), asking)
        return audit.gate.keeper.calibrated(raw) if isinstance(raw, float) else None

    def _large(self, audit: Audit) -> Upstream | None:
        """Return a largest model that may be asked: audits are no load for one that is down or on its way back."""
        for name in audit.route.tiers[-1]:
            upstream = audit.checks.upstreams.get(name)
            standing = None if upstream is None else self._board.standing(upstream, now())
            if standing is not None and standing.can_ask and not standing.is_probe:
                return upstream
        return None

    def _over(
        self,
        audit: Audit,
        result: str,
        gain: float | None = None,
        scores: tuple[float, float] | None = None,
        large: UpstreamId | None = None,
    ) -> None:
        """Learn from it, and tell everybody."""
        audit.gate.audits[result] += 1
        audit.gate.keeper.learn(replace(audit.look, gain=gain))
        if scores is None or large is None or audit.decision_id is None:
            return
        for upstream, score in zip((audit.checked.upstream, audit.other_upstream or large), scores, strict=True):
            self._publish(
                QualityOutcome(
                    decision_id=audit.decision_id,
                    upstream=upstream,
                    score=min(1.0, max(0.0, score)),
                    source="audit",
                    propensity=audit.look.share,
                    label=result,
                )
            )


async def _paid(audit: Audit, most: Money | None, asking: Callable[[], Awaitable[_Said]]) -> _Said | None:
    """Ask within the day's amount, `most` being what that may cost; None where it does not suffice."""
    gate, checks = audit.gate, audit.checks
    reserved = _reserve(gate, audit.route.audit, most)
    if reserved is None:
        return None
    before = checks.spent
    try:
        return await asking()
    finally:
        _settle(gate, reserved, Money(checks.spent - before))


def _reserve(gate: RouteGate, options: AuditOptions | None, most: Money | None) -> Money | None:
    """Set aside what a call may cost; None where the day's amount does not suffice, or nobody knows the price."""
    today = now_ms() // _DAY_MS
    if gate.day != today:
        gate.day, gate.spent_today = today, NOTHING
    limit = money(Decimal(0) if options is None else options.max_usd_per_day)
    if most is None or gate.spent_today + most > limit:
        return None
    gate.spent_today = Money(gate.spent_today + most)
    return most


def _settle(gate: RouteGate, reserved: Money, spent: Money) -> None:
    gate.spent_today = Money(gate.spent_today - reserved + spent)
    gate.spent = Money(gate.spent + spent)
