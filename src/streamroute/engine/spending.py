"""Money on the way: what calls may cost is reserved before they are made, what they did cost is worked out once.

A call is reserved for itself, when it starts: the first of a request, and each retry, hedge, rival, continuation and
larger model when its turn comes. So a request needs no more money than it uses, and what money does not suffice for is
the call beside the first one, not the request.
"""

from collections import Counter
from collections.abc import Iterable

import structlog

from streamroute.clock import wall
from streamroute.core.attribution import Attribution
from streamroute.core.cost.bill import Bill
from streamroute.core.cost.budget import Budgets, Elsewhere, Exhausted, Identity, Key, Reservation, SpendFigures
from streamroute.core.cost.budget_line import Scope, Window
from streamroute.core.cost.cap import Cap
from streamroute.core.cost.pricing import Pricing, Terms, assumed_answer_tokens
from streamroute.core.money import NOTHING, Money, usd_text
from streamroute.core.observation import AttemptObservation
from streamroute.core.outcome import Failure
from streamroute.core.request import ChatRequest
from streamroute.core.upstream import Upstream
from streamroute.core.usage import Usage

NEAR_S = 60.0
"""So long at most before a budget begins anew is a client told when: OpenAI's SDKs wait no longer either."""

_DAY_MS = 86_400_000

_log = structlog.get_logger(__name__)


class Spending:
    """Keeps budgets and puts prices on calls."""

    def __init__(self, pricing: Pricing, budgets: Budgets) -> None:
        self.pricing = pricing
        self.budgets = budgets
        self.refused = 0
        """Calls that were not made for want of money."""
        self.soft_limits: Counter[tuple[Scope, Window]] = Counter()
        """How often one was reached."""
        self.trouble: str | None = None
        """Why it is not known what other sidecars spend; None: it is, or there is no ledger to share."""

    def reserve(
        self,
        who: Attribution,
        upstream: Upstream,
        chat: ChatRequest,
        *,
        cap: Cap | None = None,
        is_beside: bool = False,
        may_use_unpriced: bool = False,
    ) -> Reservation | Failure:
        """Set aside what one call may cost, or say why it must not be made. One that is made beside another must leave
        as much again: the last money is for requests that have nobody yet. `cap` is what its request may cost."""
        if cap is None:
            return self._reserve(who, upstream, chat, is_beside=is_beside, may_use_unpriced=may_use_unpriced)
        most = self.most(chat, upstream)
        reason = cap.take(most)
        if reason is not None:
            self.refused += 1
            return Failure(kind="over_budget", message=f"{reason}{_assumption(chat)}")
        found = self._reserve(who, upstream, chat, is_beside=is_beside, may_use_unpriced=may_use_unpriced)
        if isinstance(found, Failure):
            cap.settle(most or NOTHING)
        else:
            found.cap, found.capped = cap, most or NOTHING
        return found

    def _reserve(
        self, who: Attribution, upstream: Upstream, chat: ChatRequest, *, is_beside: bool, may_use_unpriced: bool
    ) -> Reservation | Failure:
        subjects = self.budgets.subjects(who)
        if not subjects:
            return Reservation(who, NOTHING)
        at_ms = now_ms()
        most = self.pricing.most(upstream, chat, at_ms)
        if most is None:
            strict = [each for each in subjects if not each.line.may_use_unpriced]
            if strict and not may_use_unpriced:
                self.refused += 1
                return Failure(
                    kind="over_budget",
                    message="nobody knows its price, and without one nobody is asked under "
                    f"{', '.join(map(str, strict))}: give upstream {upstream.id} a `price`, "
                    f"{'that budget' if len(strict) == 1 else 'those budgets'} `may_use_unpriced = true`, or the "
                    "client a key made with `--allow-unpriced`",
                )
            most = NOTHING
        found = self.budgets.reserve(who, most, at_ms, spare=most if is_beside else NOTHING)
        if isinstance(found, Exhausted):
            self.refused += 1
            message = f"{found}{_assumption(chat)}"
            return Failure(kind="over_budget", message=message, retry_after_s=_soon(found, at_ms))
        return found

    def affords(
        self, who: Attribution, chat: ChatRequest, upstream: Upstream, *, may_use_unpriced: bool = False
    ) -> bool:
        """Return whether the budgets would have one call made now; nothing stays set aside."""
        refused = self.refused
        found = self._reserve(who, upstream, chat, is_beside=False, may_use_unpriced=may_use_unpriced)
        self.refused = refused  # nobody has asked for a call
        if isinstance(found, Failure):
            return False
        self.give_back(found)
        return True

    def most(self, chat: ChatRequest, upstream: Upstream) -> Money | None:
        """Return what one call may cost at most; None where nobody knows its price."""
        return self.pricing.most(upstream, chat, now_ms())

    def settle(self, observation: AttemptObservation, reservation: Reservation, begun: Terms) -> AttemptObservation:
        """Work out what a call has cost that began under these terms, take it off its budgets, and return the
        observation that says so."""
        at_ms = now_ms()
        _uncap(reservation)
        charged = self.pricing.charged(observation, begun, at_ms)
        self._warn(self.budgets.settle(reservation, charged.cost or NOTHING, at_ms))
        return observation.with_charge(charged)

    def spent(self, observation: AttemptObservation, begun: Terms) -> AttemptObservation:
        """The same for a call that nothing was reserved for: a probe."""
        at_ms = now_ms()
        charged = self.pricing.charged(observation, begun, at_ms)
        self._warn(self.budgets.spend(observation.attribution, charged.cost or NOTHING, at_ms))
        return observation.with_charge(charged)

    def cost_usd(self, bill: Bill, upstream: Upstream, chat: ChatRequest, begun: Terms, usage: Usage) -> str | None:
        """Return what a request has cost once a call that began under these terms has ended with `usage`, beside what
        is on its bill already: US dollars with all their digits."""
        total = bill.plus(self.pricing.cost(upstream, chat, usage, begun, now_ms()))
        return None if total is None else usd_text(total)

    def give_back(self, reservation: Reservation) -> None:
        """Take back a reservation for a call that was never made."""
        _uncap(reservation)
        self.budgets.settle(reservation, NOTHING, now_ms())

    def recall(self, identity: Identity, spent: Iterable[tuple[str | None, Money]], *, is_all: bool) -> None:
        """See `Budgets.recall`."""
        self._warn(self.budgets.recall(identity, spent, now_ms(), is_all=is_all))

    def hear(self, key: Key, heard: Elsewhere) -> None:
        """See `Budgets.hear`."""
        self._warn(self.budgets.hear(key, heard, now_ms()))

    def near(self, who: Attribution) -> list[SpendFigures]:
        """Return the budgets of `who` whose soft limit is reached."""
        return self.budgets.near(who, now_ms()) if self.budgets.lines else []

    def _warn(self, reached: Iterable[SpendFigures]) -> None:
        for each in reached:
            line = each.subject.line
            self.soft_limits[line.scope, line.window] += 1
            _log.warning(
                "budget.soft_limit",
                scope=line.scope,
                name=each.subject.name,
                window=line.window,
                spent_usd=usd_text(each.spent),
                limit_usd=usd_text(line.limit),
            )


def _uncap(reservation: Reservation) -> None:
    """Give back what was held of what the request may cost."""
    if reservation.cap is not None:
        reservation.cap.settle(reservation.capped)
        reservation.cap = None


def now_ms() -> int:
    """Return wall-clock milliseconds."""
    return int(wall() * 1000)


def today() -> int:
    """Return the day by UTC, counted from the Unix epoch."""
    return now_ms() // _DAY_MS


def _assumption(chat: ChatRequest) -> str:
    tokens = assumed_answer_tokens(chat)
    return "" if tokens is None else f"; without `max_tokens` {tokens} tokens of answer are assumed"


def _soon(found: Exhausted, at_ms: int) -> float | None:
    """Return when the budget begins anew, where waiting for that is sensible."""
    wait_s = None if found.resets_at_ms is None else (found.resets_at_ms - at_ms) / 1000
    return wait_s if wait_s is not None and wait_s <= NEAR_S else None
