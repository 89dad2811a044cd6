"""Audits of auctions: requests are drawn before they are answered, their answers looked into afterwards.

An auction learns only of who was asked, so it would never find out that another upstream has become better, or always
was. So now and then another bidder is asked the same once the client has its answer, by `engine.auditor`, and what is
found out about both answers is learned from. Who is drawn for and asked is whoever may be furthest ahead
(`core.routing.rivals`). Nothing is kept of an answer that is not drawn for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog

from streamroute.core.quality.comparison import is_comparable
from streamroute.core.quality.verdict import Draft
from streamroute.core.routing.decision import Decision
from streamroute.core.routing.matching import Matched
from streamroute.core.routing.rivals import Rival, picked, rivals
from streamroute.core.upstream import UpstreamId
from streamroute.engine.auditor import Audit, Auditor
from streamroute.engine.call import Call
from streamroute.engine.cross_checks import Checked, CrossChecks, judging
from streamroute.engine.gates import Gates, RouteGate
from streamroute.wire.openai_chat.draft import read_draft, wanted_of

MOST_CHARS = 1 << 16
"""Of an answer that is looked into, 64 Ki: as many answers wait as `auditor.MAX_WAITING`."""
MOST_BYTES = 1 << 20
"""Of the same as it was delivered: as much of a stream as is kept to carry it on."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A request that is to be audited, once it is answered."""

    call: Call
    decision: Decision
    matched: Matched
    gates: Gates
    gate: RouteGate
    chance: float
    """With which it was drawn."""
    uniform: Callable[[], float]
    """Draws from [0, 1)."""

    def offer(self, body: bytes | None, upstream: UpstreamId, auditor: Auditor, checks: CrossChecks) -> None:
        """Have an answer looked into. `body`: as the client has it, whole; None: it is not there to be looked at."""
        chat, route = self.call.chat, self.decision.route
        others = [each for each in rivals(self.matched, upstream) if self._can_ask(each, auditor, checks)]
        draft = None if body is None or len(body) > MOST_BYTES else read_draft(body, stream=chat.stream)
        if draft is None or _chars(draft) > MOST_CHARS or not others:
            self.gate.audits["failed" if draft is not None and not others else "dropped"] += 1
            return
        wanted = wanted_of(chat)
        if not is_comparable(draft, wanted) and not self._is_judged(draft, auditor, checks):
            self.gate.audits["unclear"] += 1
            return
        rival, chance = picked(others, self.uniform())
        auditor.offer(
            Audit(
                route=route,
                gate=self.gate,
                checked=Checked(chat, draft, wanted, upstream),
                checks=checks,
                share=self.chance,
                others_share=self.chance * chance,
                against=[rival.upstream],
                better=[rival.upstream] if rival.is_better else [],
                decision_id=self.call.decision_id,
                judged=partial(self.gates.judged_by_model, self.call, route),
            )
        )

    def _is_judged(self, draft: Draft, auditor: Auditor, checks: CrossChecks) -> bool:
        """Return whether there is a judge who can be asked about an answer, for this client."""
        judge = None if self.decision.route.judge is None else checks.upstreams.get(self.decision.route.judge)
        asked = judging(self.call.chat, draft)
        return (
            judge is not None and asked is not None and checks.why_not(asked, judge) is None and auditor.can_ask(judge)
        )

    def _can_ask(self, rival: Rival, auditor: Auditor, checks: CrossChecks) -> bool:
        upstream = checks.upstreams.get(rival.upstream)
        return upstream is not None and auditor.can_ask(upstream)


def drawn(decision: Decision, call: Call, gates: Gates, uniform: Callable[[], float]) -> Drawn | None:
    """Draw for one request of a route that audits its auctions; None: it is not to be looked into."""
    route, matched = decision.route, decision.matched
    is_auction = route.steering == "auction" and not route.tiers
    if route.audit is None or not is_auction or matched is None or call.decision_id is None:
        return None
    try:
        others = rivals(matched, decision.candidates[0].upstream.id)
        if not others:
            return None
        gate = gates.of(route)
        chance = gate.draws.chance(others[0].lead)
    except Exception:  # noqa: BLE001 - it is answered without being looked into
        _log.exception("audit.broke", route=route.name)
        return None
    return Drawn(call, decision, matched, gates, gate, chance, uniform) if uniform() < chance else None


def _chars(draft: Draft) -> int:
    return len(draft.text) + sum(map(len, draft.tool_arguments))
