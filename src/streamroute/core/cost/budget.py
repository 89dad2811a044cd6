"""Budgets that hold: what a call may cost at most is reserved before it is made, what it did cost is settled after it.

Rules of the file:

1. A call is reserved with every budget that it falls under, or with none. Nothing is begun that might exceed one: spent
   + reserved + what the call may cost must stay within the limit. So any number of requests at once exceed a budget by
   no more than what they cost above their reservations.
2. A reservation is settled exactly once, with the real cost; what was reserved too much is free again at once.
3. Spend belongs to the window in which it is settled; windows are UTC. A reservation outlives its window.
4. Spend of a live window is never forgotten. Who has spent nothing, and whose window is over, is.
5. What is spent elsewhere, by other sidecars on the same ledger, comes in two parts: what is certain is added to what
   was spent, what may still grow replaces what was heard of it before.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import nlargest

from streamroute.core.attribution import Attribution
from streamroute.core.cost.budget_line import WINDOWS, BudgetLine, Scope, Window
from streamroute.core.cost.cap import Cap
from streamroute.core.money import NOTHING, Money, usd_text

SWEEP_AT = 1024
"""Accounts at which the first look for ones to forget is taken; then whenever their number has doubled."""


@dataclass(slots=True, unsafe_hash=True)
class Subject:
    """Whose account it is: `name` of the line's scope, None for the global one.

    Nobody changes one; it is not frozen because that costs a third of a microsecond, three times a request.
    """

    line: BudgetLine
    name: str | None

    @property
    def key(self) -> "Key":
        """What the account is known by, whatever its limit becomes."""
        return (*self.line.identity, self.name)

    def __str__(self) -> str:
        """Say whose budget it is: `the budget of team 'ops'`."""
        return "the budget of all" if self.line.scope == "global" else f"the budget of {self.line.scope} {self.name!r}"


Identity = tuple[Scope, str | None, Window]
Key = tuple[Scope, str | None, Window, str | None]
_SCOPES: tuple[Scope, ...] = ("global", "key", "user", "team", "task")
"""In the order in which they are asked, and named in errors."""


@dataclass(slots=True)
class _Account:
    window_ms: int
    """When the window began in which `spent` was spent."""
    spent: Money = NOTHING
    elsewhere: Money = NOTHING
    """Of the present window too, as it was last heard."""
    reserved: Money = NOTHING
    has_warned: bool = False

    @property
    def total(self) -> int:
        """All that was spent."""
        return self.spent + self.elsewhere


@dataclass(slots=True, eq=False)
class Reservation:
    """What is set aside for one call."""

    who: Attribution
    amount: Money
    held: Sequence[tuple[Key, _Account]] = ()
    """With whom; an account may be replaced by another of the same key in the meantime."""
    is_settled: bool = False
    cap: Cap | None = None
    """Of the request itself, where it has one, and what it holds of that."""
    capped: Money = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhausted:
    """Why a call must not be made."""

    subject: Subject
    spent: Money
    reserved: Money
    wanted: Money
    resets_at_ms: int | None
    """Wall-clock milliseconds; None: never."""

    def __str__(self) -> str:
        """Say it to whoever has to pay."""
        line = self.subject.line
        per = "in total" if line.window == "total" else f"a {line.window}"
        left = max(0, line.limit - self.spent - self.reserved)
        when = "never" if self.resets_at_ms is None else f"at {_iso(self.resets_at_ms)}"
        return (
            f"{self.subject}, {usd_text(line.limit)} USD {per}, has {_short(left)} USD left "
            f"({_short(self.spent)} spent, {_short(self.reserved)} reserved for calls under way); this call "
            f"may cost {_short(self.wanted)} USD. It resets {when}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendFigures:
    """How one account stands."""

    subject: Subject
    spent: Money
    reserved: Money
    resets_at_ms: int | None

    @property
    def is_soft_limit_reached(self) -> bool:
        """The soft limit is reached."""
        warn_at = self.subject.line.warn_at
        return warn_at is not None and self.spent >= warn_at


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What one account has spent in other sidecars."""

    window_ms: int
    """When the window began in which it was spent."""
    certain: Money = NOTHING
    """More than was heard before, and told once."""
    passing: Money = NOTHING
    """Beside all that is certain by now."""


@dataclass(slots=True)
class Budgets:
    """All budgets. Times are wall-clock milliseconds."""

    lines: Sequence[BudgetLine] = ()
    unknown: dict[Identity, int] = field(default_factory=dict)
    """Budgets of which it is not known what was spent before they came here, and when that was."""
    _accounts: dict[Key, _Account] = field(default_factory=dict)
    _sweep_at: int = SWEEP_AT
    _known: dict[Identity, BudgetLine] = field(default_factory=dict)
    _named: dict[Scope, dict[str | None, list[BudgetLine]]] = field(default_factory=dict)
    """By whose they are, scopes without any left out; there may be one for each of many keys."""

    def __post_init__(self) -> None:
        self.apply(self.lines, 0)
        self.unknown.clear()

    def apply(self, lines: Iterable[BudgetLine], now_ms: int) -> None:
        """Keep these budgets from now on. What was spent stays where scope, name and window stay; limits may change."""
        before, self._known = self._known, {}
        for line in lines:
            other = self._known.get(line.identity)
            if other is None or line.limit < other.limit:  # of two for the same spend, the stricter one holds
                self._known[line.identity] = line
        self.lines = tuple(self._known.values())
        self.unknown = {each: at for each, at in self.unknown.items() if each in self._known}
        self.unknown.update((each, now_ms) for each in self._known if each not in before)
        named: dict[Scope, dict[str | None, list[BudgetLine]]] = {scope: {} for scope in _SCOPES}
        for line in self.lines:
            named[line.scope].setdefault(line.name, []).append(line)
        self._named = {scope: lines for scope, lines in named.items() if lines}
        self._accounts = {key: account for key, account in self._accounts.items() if key[:3] in self._known}

    def recall(
        self, identity: Identity, spent: Iterable[tuple[str | None, Money]], now_ms: int, *, is_all: bool = True
    ) -> list[SpendFigures]:
        """Learn what each name had spent in the window that was live when the budget came here; in parts, until all of
        it is told."""
        came_ms = self.unknown.pop(identity, None) if is_all else self.unknown.get(identity)
        if came_ms is None or window_start_ms(identity[2], came_ms) != window_start_ms(identity[2], now_ms):
            return []
        warned = []
        for name, cost in spent:
            warned += self._spend((*identity, name), cost, now_ms)
        return warned

    def hear(self, key: Key, heard: "Elsewhere", now_ms: int) -> list[SpendFigures]:
        """Learn what one account has spent elsewhere."""
        if key[:3] not in self._known or window_start_ms(key[2], now_ms) != heard.window_ms:
            return []
        self._of(key, now_ms).elsewhere = heard.passing
        return self._spend(key, heard.certain, now_ms)

    def subjects(self, who: Attribution) -> list[Subject]:
        """Return the budgets that a call for `who` falls under."""
        found: list[Subject] = []
        for scope, lines in self._named.items():
            if scope == "global":
                found += [Subject(line, None) for line in lines[None]]
            elif (name := getattr(who, scope)) is not None:
                found += [Subject(line, name) for line in lines.get(None, ())]
                found += [Subject(line, name) for line in lines.get(name, ())]
        return found

    def reserve(
        self, who: Attribution, amount: Money, now_ms: int, *, spare: Money = NOTHING
    ) -> Reservation | Exhausted:
        """Set `amount` aside in every budget, or in none; `spare` is what must still be free after that."""
        subjects = self.subjects(who)
        for subject in subjects:
            account = self._of(subject.key, now_ms)
            if account.total + account.reserved + amount + spare > subject.line.limit:
                return Exhausted(
                    subject=subject,
                    spent=Money(account.total),
                    reserved=account.reserved,
                    wanted=amount,
                    resets_at_ms=window_end_ms(subject.line.window, now_ms),
                )
        held = []
        for subject in subjects:
            account = self._of(subject.key, now_ms)
            account.reserved = Money(account.reserved + amount)  # at once: the next one may sweep
            held.append((subject.key, account))
        return Reservation(who, amount, held)

    def settle(self, reservation: Reservation, cost: Money, now_ms: int) -> list[SpendFigures]:
        """Replace what was reserved by what it cost; idempotent. Return whose soft limit was reached by it."""
        if reservation.is_settled:
            return []
        reservation.is_settled = True
        warned = []
        for key, holder in reservation.held:
            holder.reserved = Money(holder.reserved - reservation.amount)
            if key[:3] in self._known:  # else its budget was taken away; one that came back has another account
                warned += self._spend(key, cost, now_ms)
        held = {key for key, _ in reservation.held}
        for subject in self.subjects(reservation.who):
            if subject.key not in held:  # the budget came while the call was under way
                warned += self._spend(subject.key, cost, now_ms)
        return warned

    def spend(self, who: Attribution, cost: Money, now_ms: int) -> list[SpendFigures]:
        """Take what was spent without a reservation: before a restart, or by probes."""
        warned = []
        for subject in self.subjects(who):
            warned += self._spend(subject.key, cost, now_ms)
        return warned

    def near(self, who: Attribution, now_ms: int) -> list[SpendFigures]:
        """Return the budgets of `who` whose soft limit is reached."""
        found = []
        for subject in self.subjects(who):
            warn_at, account = subject.line.warn_at, self._accounts.get(subject.key)
            if warn_at is not None and account is not None and account.total >= warn_at:
                found.append(self._figures(subject.key, account, now_ms))
        return [each for each in found if each.is_soft_limit_reached]

    def named(self, now_ms: int) -> list[SpendFigures]:
        """Return how every budget stands that is somebody's in particular, or everybody's."""
        keys = [Subject(line, line.name).key for line in self.lines if line.name is not None or line.scope == "global"]
        return [self._figures(key, self._accounts.get(key), now_ms) for key in keys]

    def figures(
        self, now_ms: int, *, most: int | None = None, scope: Scope | None = None, name: str | None = None
    ) -> list[SpendFigures]:
        """Return how accounts stand of which anything was asked, the most used ones first. May be called from another
        thread; with a hundred thousand names it takes tenths of a second."""
        starts = {window: window_start_ms(window, now_ms) for window in WINDOWS}

        def use(item: tuple[Key, _Account]) -> float:
            key, account = item
            line = self._known.get(key[:3])
            spent = account.total if account.window_ms >= starts[key[2]] else 0
            return 0.0 if line is None else (spent + account.reserved) / max(1, line.limit)

        found = [
            item
            for item in list(self._accounts.items())
            if (scope is None or item[0][0] == scope) and (name is None or item[0][3] == name)
        ]
        ranked = sorted(found, key=use, reverse=True) if most is None else nlargest(most, found, key=use)
        return [self._figures(key, account, now_ms) for key, account in ranked if key[:3] in self._known]

    def _figures(self, key: Key, account: _Account | None, now_ms: int) -> SpendFigures:
        line = self._known[key[:3]]
        is_live = account is not None and account.window_ms >= window_start_ms(line.window, now_ms)
        return SpendFigures(
            subject=Subject(line, key[3]),
            spent=Money(account.total) if account is not None and is_live else NOTHING,
            reserved=NOTHING if account is None else account.reserved,
            resets_at_ms=window_end_ms(line.window, now_ms),
        )

    def _spend(self, key: Key, cost: Money, now_ms: int) -> list[SpendFigures]:
        account = self._of(key, now_ms)
        account.spent = Money(account.spent + cost)
        warn_at = self._known[key[:3]].warn_at
        if account.has_warned or warn_at is None or account.total < warn_at:
            return []
        account.has_warned = True
        return [self._figures(key, account, now_ms)]

    def _of(self, key: Key, now_ms: int) -> _Account:
        """Return an account as it stands in the present window."""
        began_ms = window_start_ms(key[2], now_ms)
        account = self._accounts.get(key)
        if account is None:
            if len(self._accounts) >= self._sweep_at:
                self._sweep(now_ms)
            account = self._accounts[key] = _Account(began_ms)
        elif account.window_ms < began_ms:
            account.window_ms, account.spent, account.elsewhere, account.has_warned = began_ms, NOTHING, NOTHING, False
        return account

    def _sweep(self, now_ms: int) -> None:
        """Forget who has nothing reserved, and nothing spent in a window that is not over."""
        self._accounts = {
            key: account
            for key, account in self._accounts.items()
            if account.reserved or (account.total and account.window_ms >= window_start_ms(key[2], now_ms))
        }
        self._sweep_at = max(SWEEP_AT, 2 * len(self._accounts))


_WINDOW_MS = {"hour": 3_600_000, "day": 86_400_000}


def window_start_ms(window: Window, now_ms: int) -> int:
    """Return when the window began in which `now_ms` lies."""
    if window == "total":
        return 0
    if window == "month":
        return _ms(datetime.fromtimestamp(now_ms / 1000, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0))
    return now_ms - now_ms % _WINDOW_MS[window]


def window_end_ms(window: Window, now_ms: int) -> int | None:
    """Return when the next window begins; None: never."""
    if window == "total":
        return None
    if window == "month":
        first = datetime.fromtimestamp(now_ms / 1000, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        is_december = first.month == 12
        return _ms(first.replace(year=first.year + is_december, month=1 if is_december else first.month + 1))
    return window_start_ms(window, now_ms) + _WINDOW_MS[window]


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _short(amount: int) -> str:
    """Write an amount for people, to the millionth of a dollar."""
    return usd_text(amount // 1_000_000 * 1_000_000)
