"""What a key is, and who it is that shows a secret."""

from dataclasses import replace

import pytest

from streamroute.core.attribution import Attribution
from streamroute.core.caller import Caller
from streamroute.core.cost.budget_line import BudgetLine
from streamroute.core.cost.client_key import ClientKey, amount_text, digest_of, key_budgets
from streamroute.core.cost.key_ring import Barred, KeyRing
from streamroute.core.money import Money
from streamroute.core.upstream import UpstreamId

USD = 10**12
OLD, NEW = "sr-old-secret", "sr-new-secret"
KEY = ClientKey(
    id="key_1",
    name="app",
    shown="sr-new-sec",
    digest=digest_of(NEW),
    created_at_ms=1_000,
    expires_at_ms=9_000,
    rotated_at_ms=2_000,
    previous_digest=digest_of(OLD),
    previous_until_ms=5_000,
    team="x",
    task="t",
    routes=frozenset({"chat"}),
    upstreams=frozenset({UpstreamId("a")}),
    requests_per_min=3,
    tokens_per_min=4,
    may_use_unpriced=True,
    is_admin=True,
    budgets=key_budgets("app", ["5USD/day"], []),
)


def test_a_caller_has_what_the_key_allows() -> None:
    """Spend goes to the key's name, and to its team and task where the request names none."""
    assert KeyRing([KEY]).find(digest_of(NEW), 8_999) == Caller(
        key_id="key_1",
        defaults=Attribution(key="app", team="x", task="t"),
        routes=frozenset({"chat"}),
        upstreams=frozenset({UpstreamId("a")}),
        requests_per_min=3,
        tokens_per_min=4,
        may_use_unpriced=True,
        is_admin=True,
    )


def test_the_secret_before_works_for_its_grace() -> None:
    """To the millisecond; then it is told that it was replaced. A name or a digest is no secret."""
    ring = KeyRing([KEY])
    assert isinstance(ring.find(digest_of(OLD), 4_999), Caller)
    assert ring.find(digest_of(OLD), 5_000) == Barred(KEY, "replaced", 5_000)
    for wrong in ("app", "sr-", "", KEY.digest.hex(), "é\udc80"):
        assert ring.find(digest_of(wrong), 4_000) is None


def test_an_expired_and_a_revoked_key_say_since_when() -> None:
    """Whichever of its secrets is shown."""
    assert KeyRing([KEY]).find(digest_of(NEW), 9_000) == Barred(KEY, "expired", 9_000)
    revoked = replace(KEY, revoked_at_ms=3_000)
    for secret in (OLD, NEW):
        assert KeyRing([revoked]).find(digest_of(secret), 3_000) == Barred(revoked, "revoked", 3_000)
    assert [KEY.state(8_999), KEY.state(9_000), revoked.state(0)] == ["live", "expired", "revoked"]


def test_budgets_of_live_keys() -> None:
    """Those that have ended have none."""
    other = replace(KEY, id="key_2", name="b", digest=b"", budgets=key_budgets("b", ["1/hour"], []), revoked_at_ms=1)
    ring = KeyRing([KEY, other])
    assert ring.budget_lines(8_999) == KEY.budgets
    assert ring.budget_lines(9_000) == ()
    assert ring.states(0) == {"live": 1, "revoked": 1}
    assert ring.states(9_000) == {"expired": 1, "revoked": 1}


def test_no_digest_is_shown() -> None:
    """Neither in `repr` nor in what is made of it."""
    for digest in (KEY.digest, digest_of(OLD)):
        assert repr(digest) not in repr(KEY)
        assert digest.hex() not in repr(KEY)
    assert "digest" not in repr(KEY)


@pytest.mark.parametrize(
    ("limits", "warnings", "lines"),
    [
        ([], [], []),
        (["5USD/day"], [], [("day", 5 * USD, None)]),
        (["5USD/day", "$100/month"], ["80%"], [("day", 5 * USD, 4 * USD), ("month", 100 * USD, 80 * USD)]),
        (["5USD/day", "100USD/month"], ["4.5/day"], [("day", 5 * USD, 45 * USD // 10), ("month", 100 * USD, None)]),
        (["0.01/hour"], ["50 %", "0.002/hour"], [("hour", USD // 100, USD // 500)]),
    ],
)
def test_budgets(limits: list[str], warnings: list[str], lines: list[tuple[str, int, int | None]]) -> None:
    """A hard limit for each window, and a soft one by amount or by share; they can be written and read again."""
    found = key_budgets("app", limits, warnings)
    assert [(each.window, each.limit, each.warn_at) for each in found] == lines
    assert all(isinstance(each, BudgetLine) and (each.scope, each.name) == ("key", "app") for each in found)
    texts = [amount_text(each.limit, each.window) for each in found]
    soft = [amount_text(Money(each.warn_at), each.window) for each in found if each.warn_at is not None]
    assert key_budgets("app", texts, soft) == found


@pytest.mark.parametrize(
    ("limits", "warnings", "said"),
    [
        (["5"], [], "is not a budget"),
        (["5USD/day", "6USD/day"], [], "for each day already"),
        (["5USD/day"], ["1USD/hour"], "add one with /hour"),
        (["5USD/day"], ["6USD/day"], "after the limit"),
        (["5USD/day"], ["120%"], "after the limit"),
        ([], ["soon"], "there is none"),
        (["5USD/day"], ["soon"], "is not a budget"),
    ],
)
def test_budgets_that_cannot_be(limits: list[str], warnings: list[str], said: str) -> None:
    """The message says what would be right."""
    with pytest.raises(ValueError, match=said):
        key_budgets("app", limits, warnings)
