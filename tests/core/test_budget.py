"""Budgets hold: reserved before, settled after, whatever happens in between."""

from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from streamroute.core.attribution import NOBODY, Attribution
from streamroute.core.cost.budget import (
    SWEEP_AT,
    Budgets,
    Elsewhere,
    Exhausted,
    Key,
    Reservation,
    window_end_ms,
    window_start_ms,
)
from streamroute.core.cost.budget_line import BudgetLine, Window
from streamroute.core.money import Money

HOUR, DAY = 3_600_000, 86_400_000
NOON = round(datetime(2026, 2, 28, 12, tzinfo=UTC).timestamp() * 1000)
ANN, BOB = Attribution(user="ann", task="triage"), Attribution(user="bob")


def line(
    limit: int, scope: str = "global", name: str | None = None, window: Window = "day", **more: object
) -> BudgetLine:
    return BudgetLine(scope=scope, name=name, limit=Money(limit), window=window, **more)  # type: ignore[arg-type]


def reserved(budgets: Budgets, amount: int, who: Attribution = ANN, at: int = NOON) -> Reservation:
    found = budgets.reserve(who, Money(amount), at)
    assert isinstance(found, Reservation)
    return found


def refused(budgets: Budgets, amount: int, who: Attribution = ANN, at: int = NOON) -> Exhausted:
    found = budgets.reserve(who, Money(amount), at)
    assert isinstance(found, Exhausted)
    return found


def spent(budgets: Budgets, at: int = NOON) -> dict[str, tuple[int, int]]:
    return {each.subject.name or "all": (each.spent, each.reserved) for each in budgets.figures(at)}


def test_what_is_reserved_cannot_be_reserved_again() -> None:
    """However many ask at once; and what was reserved too much is free when it is settled."""
    budgets = Budgets((line(100),))
    held = [reserved(budgets, 40), reserved(budgets, 40)]
    assert refused(budgets, 40).reserved == 80
    assert budgets.settle(held[0], Money(5), NOON) == []
    assert spent(budgets) == {"all": (5, 40)}
    reserved(budgets, 55)
    refused(budgets, 1)


def test_the_limit_itself_can_be_spent() -> None:
    """To the last unit."""
    budgets = Budgets((line(100),))
    budgets.settle(reserved(budgets, 100), Money(100), NOON)
    refused(budgets, 1)
    reserved(budgets, 0)


def test_settling_twice_counts_once() -> None:
    """An attempt settles once, whoever says so again."""
    budgets = Budgets((line(100),))
    one = reserved(budgets, 40)
    budgets.settle(one, Money(30), NOON)
    budgets.settle(one, Money(30), NOON)
    assert spent(budgets) == {"all": (30, 0)}


def test_all_budgets_or_none() -> None:
    """Who is over one of them takes nothing from the others."""
    budgets = Budgets((line(100), line(10, "user"), line(50, "task", "triage")))
    assert refused(budgets, 20).subject.name == "ann"
    assert all(each == (0, 0) for each in spent(budgets).values())
    reserved(budgets, 10)
    assert spent(budgets) == {"all": (0, 10), "ann": (0, 10), "triage": (0, 10)}
    reserved(budgets, 10, BOB)
    assert refused(budgets, 1, BOB).subject.name == "bob"


def test_a_named_budget_is_for_that_name() -> None:
    """Others, and who has no name, do not fall under it."""
    budgets = Budgets((line(10, "user", "ann"), line(5, "team")))
    reserved(budgets, 1000, BOB)
    reserved(budgets, 1000, NOBODY)
    refused(budgets, 11)


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [
        ("hour", NOON, NOON + HOUR),
        ("day", NOON - 12 * HOUR, NOON + 12 * HOUR),
        ("month", NOON - 12 * HOUR - 27 * DAY, NOON + 12 * HOUR),
        ("total", 0, None),
    ],
)
def test_windows(window: Window, start: int, end: int | None) -> None:
    """UTC hours, days and months."""
    assert (window_start_ms(window, NOON + 5), window_end_ms(window, NOON + 5)) == (start, end)


def test_december_ends_with_the_year() -> None:
    """And January begins the next."""
    at = round(datetime(2026, 12, 31, 23, tzinfo=UTC).timestamp() * 1000)
    assert window_end_ms("month", at) == at + HOUR


def test_a_new_window_begins_with_nothing_spent() -> None:
    """A call that is under way keeps its reservation, and counts where it ends."""
    budgets = Budgets((line(100, window="hour"),))
    budgets.settle(reserved(budgets, 70), Money(70), NOON)
    late = reserved(budgets, 30)
    refused(budgets, 1)
    assert spent(budgets, NOON + HOUR) == {"all": (0, 30)}
    budgets.settle(late, Money(20), NOON + HOUR)
    assert spent(budgets, NOON + HOUR) == {"all": (20, 0)}


def test_soft_limits_warn_once_a_window() -> None:
    """And stop nothing."""
    budgets = Budgets((line(100, window="hour", warn_at=Money(50)),))
    assert not budgets.settle(reserved(budgets, 40), Money(40), NOON)
    assert len(budgets.settle(reserved(budgets, 20), Money(20), NOON)) == 1
    assert not budgets.settle(reserved(budgets, 20), Money(20), NOON)
    assert len(budgets.spend(ANN, Money(60), NOON + HOUR)) == 1


def test_a_reload_keeps_what_was_spent() -> None:
    """Where the budget is still the same one; the limit may be another."""
    budgets = Budgets((line(100), line(10, "user")))
    one = reserved(budgets, 10)
    budgets.apply((line(50), line(10, "team")), NOON)
    assert spent(budgets) == {"all": (0, 10)}
    budgets.settle(one, Money(9), NOON)
    assert spent(budgets) == {"all": (9, 0)}
    assert refused(budgets, 45).subject.line.limit == 50


def test_a_budget_that_comes_back_owes_nothing() -> None:
    """What was reserved with it before it went is not taken off what is reserved now."""
    budgets = Budgets((line(100),))
    before = reserved(budgets, 80)
    budgets.apply((), NOON)
    budgets.apply((line(100),), NOON + 1)
    now = reserved(budgets, 60)
    budgets.settle(before, Money(30), NOON + 2)
    assert spent(budgets) == {"all": (30, 60)}
    budgets.settle(now, Money(60), NOON + 3)
    assert spent(budgets) == {"all": (90, 0)}


def test_what_was_held_to_cost_nothing_is_not_forgotten() -> None:
    """A sweep in between forgets the account, not what the call turns out to cost."""
    budgets = Budgets((line(100, "user"),))
    one = reserved(budgets, 0)
    for i in range(2 * SWEEP_AT):
        reserved(budgets, 0, Attribution(user=f"u{i}"))
    assert "ann" not in spent(budgets)
    budgets.settle(one, Money(7), NOON)
    assert spent(budgets)["ann"] == (7, 0)


def test_a_call_beside_another_leaves_room_for_one_more() -> None:
    """So that the last money is for requests, not for hedges."""
    budgets = Budgets((line(100),))
    reserved(budgets, 40)
    found = budgets.reserve(ANN, Money(40), NOON, spare=Money(40))
    assert isinstance(found, Exhausted)
    assert found.wanted == 40
    reserved(budgets, 40)


def test_the_refusal_says_what_is_left() -> None:
    """Whose budget, how much of it is left, and when it begins anew."""
    budgets = Budgets((line(2 * 10**12, "task", "triage"),))
    budgets.settle(reserved(budgets, 10**12), Money(10**12), NOON)
    text = str(refused(budgets, 15 * 10**11))
    assert text == (
        "the budget of task 'triage', 2 USD a day, has 1 USD left (1 spent, 0 reserved for calls under way); "
        "this call may cost 1.5 USD. It resets at 2026-03-01T00:00:00Z"
    )


def test_names_that_clients_choose_take_bounded_memory() -> None:
    """Who spent nothing, or spent it in a window that is over, is forgotten; nobody else."""
    budgets = Budgets((line(100, "user", window="hour"),))
    for i in range(SWEEP_AT - 1):
        budgets.settle(reserved(budgets, 1, Attribution(user=f"u{i}")), Money(i % 2), NOON)
    reserved(budgets, 1)
    for i in range(SWEEP_AT):
        reserved(budgets, 0, Attribution(user=f"v{i}"), NOON + 1)
    assert sum(each.spent for each in budgets.figures(NOON + 2)) == (SWEEP_AT - 1) // 2
    for i in range(4 * SWEEP_AT):
        reserved(budgets, 0, Attribution(user=f"w{i}"), NOON + HOUR)
    assert len(budgets.figures(NOON + HOUR)) <= 3 * SWEEP_AT
    assert spent(budgets, NOON + HOUR)["ann"] == (0, 1)


def test_who_is_shown() -> None:
    """Everybody's budget and those of a name also before they are used; names without number only where asked for."""
    budgets = Budgets((line(100), line(50, "task", "triage"), line(10, "user", warn_at=Money(6))))
    assert [(each.subject.name, each.spent) for each in budgets.named(NOON)] == [(None, 0), ("triage", 0)]
    assert budgets.figures(NOON) == budgets.near(ANN, NOON) == []
    budgets.spend(ANN, Money(6), NOON)
    budgets.spend(BOB, Money(3), NOON)
    assert [each.subject.name for each in budgets.figures(NOON)] == ["ann", "bob", "triage", None]
    assert [each.subject.name for each in budgets.figures(NOON, most=1)] == ["ann"]
    assert [each.subject.name for each in budgets.figures(NOON, scope="user", name="bob")] == ["bob"]
    assert [each.subject.name for each in budgets.near(ANN, NOON)] == ["ann"]
    assert budgets.near(BOB, NOON) == budgets.near(ANN, NOON + DAY) == []


def test_what_others_spend_is_heard() -> None:
    """What may still grow replaces what was heard of it before, what is certain is added; both only in their window."""
    budgets = Budgets((line(100, window="hour", warn_at=Money(40)),))
    key: Key = ("global", None, "hour", None)
    budgets.settle(reserved(budgets, 10), Money(10), NOON)
    budgets.hear(key, Elsewhere(NOON, passing=Money(20)), NOON)
    budgets.hear(key, Elsewhere(NOON, passing=Money(15)), NOON)
    assert spent(budgets) == {"all": (25, 0)}
    assert len(budgets.hear(key, Elsewhere(NOON, certain=Money(25), passing=Money(5)), NOON)) == 1
    assert spent(budgets) == {"all": (40, 0)}
    assert refused(budgets, 61).spent == 40
    budgets.hear(key, Elsewhere(NOON - HOUR, certain=Money(5), passing=Money(5)), NOON)
    assert spent(budgets) == {"all": (40, 0)}, "that hour is over"
    assert spent(budgets, NOON + HOUR) == {"all": (0, 0)}
    reserved(budgets, 100, at=NOON + HOUR)


def test_what_others_spend_is_nothing_to_a_budget_that_is_gone() -> None:
    """It may have been taken away while the ledger was read."""
    budgets = Budgets((line(100),))
    budgets.apply((), NOON)
    budgets.hear(("global", None, "day", None), Elsewhere(window_start_ms("day", NOON), certain=Money(9)), NOON)
    assert spent(budgets) == {}


def test_what_was_spent_before_is_recalled() -> None:
    """Once, for the window that was live when the budget came here; what was spent since is not forgotten."""
    budgets = Budgets()
    budgets.apply((line(100, window="hour"), line(50, "user")), NOON)
    assert budgets.unknown == {("global", None, "hour"): NOON, ("user", None, "day"): NOON}
    budgets.settle(reserved(budgets, 10), Money(10), NOON)
    budgets.recall(("user", None, "day"), [("ann", Money(30))], NOON + 1, is_all=False)
    budgets.recall(("user", None, "day"), [("bob", Money(5))], NOON + 1)
    budgets.recall(("user", None, "day"), [("ann", Money(30))], NOON + 1)
    assert spent(budgets) == {"all": (10, 0), "ann": (40, 0), "bob": (5, 0)}
    budgets.recall(("global", None, "hour"), [(None, Money(70))], NOON + HOUR)
    assert spent(budgets, NOON + HOUR)["all"] == (0, 0), "that hour is over"
    assert budgets.unknown == {}
    budgets.apply((line(100, window="hour"), line(7, "team")), NOON + HOUR)
    assert list(budgets.unknown) == [("team", None, "day")]


class Machine(RuleBasedStateMachine):
    """Calls of several people under budgets that come and go, in any order, over several hours, and beside others."""

    calls = Bundle("calls")
    global_line, user_line = line(1000, window="total"), line(300, "user", window="hour")

    def __init__(self) -> None:
        super().__init__()
        self.budgets = Budgets((self.global_line, self.user_line))
        self.at = NOON
        self.live: list[tuple[Reservation, str]] = []
        self.under_user_line: set[int] = set()
        """Calls that were reserved with the line as it stands now."""
        self.spent = self.certain = self.passing = 0
        self.by_user = dict.fromkeys("abc", 0)

    @rule(target=calls, user=st.sampled_from("abc"), most=st.integers(0, 200), is_beside=st.booleans())
    def begin(self, user: str, most: int, is_beside: bool) -> Reservation | None:
        spare = Money(most if is_beside else 0)
        found = self.budgets.reserve(Attribution(user=user), Money(most), self.at, spare=spare)
        if isinstance(found, Exhausted):
            assert found.spent + found.reserved + most + spare > found.subject.line.limit
            return None
        self.live.append((found, user))
        if self.user_line in self.budgets.lines:
            self.under_user_line.add(id(found))
        return found

    @rule(call=consumes(calls), share=st.floats(0, 1))
    def end(self, call: Reservation | None, share: float) -> None:
        if call is None:
            return
        cost = Money(int(call.amount * share))
        self.budgets.settle(call, cost, self.at)
        self.budgets.settle(call, cost, self.at)
        [user] = [user for each, user in self.live if each is call]
        self.live = [each for each in self.live if each[0] is not call]
        self.spent += cost
        if self.user_line in self.budgets.lines:
            self.by_user[user] += cost
        self.under_user_line.discard(id(call))

    @rule(certain=st.integers(0, 20), passing=st.integers(0, 20))
    def others_spend(self, certain: int, passing: int) -> None:
        room = 1000 - self.spent - self.certain - sum(call.amount for call, _ in self.live)
        if certain + passing <= room:
            self.certain += certain
            self.passing = passing
            self.budgets.hear(
                ("global", None, "total", None), Elsewhere(0, certain=Money(certain), passing=Money(passing)), self.at
            )

    @rule()
    def an_hour_later(self) -> None:
        self.at += HOUR
        self.by_user = dict.fromkeys("abc", 0)

    @rule()
    def reload(self) -> None:
        has_line = self.user_line in self.budgets.lines
        self.budgets.apply([self.global_line] if has_line else [self.global_line, self.user_line], self.at)
        self.under_user_line = set()
        self.by_user = dict.fromkeys("abc", 0)

    @invariant()
    def nothing_is_exceeded_and_nothing_is_lost(self) -> None:
        for each in self.budgets.figures(self.at):
            assert each.spent >= 0
            assert each.reserved >= 0
            name = each.subject.name
            if name is None:
                assert each.spent + each.reserved <= 1000
                assert each.spent == self.spent + self.certain + self.passing
                assert each.reserved == sum(call.amount for call, _ in self.live)
            else:
                under = [call.amount for call, user in self.live if user == name and id(call) in self.under_user_line]
                assert each.reserved == sum(under)
                assert each.spent == self.by_user[name]


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_calls_that_were_under_way_when_a_budget_came() -> None:
    """They were reserved with nobody, and what they cost is spent in the end all the same."""
    budgets = Budgets()
    early = reserved(budgets, 70)
    budgets.apply((line(100), line(50, "user", "bob")), NOON)
    budgets.settle(early, Money(60), NOON)
    assert spent(budgets) == {"all": (60, 0)}
    refused(budgets, 41)
