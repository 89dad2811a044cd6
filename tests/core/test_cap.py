"""What one request may cost at most."""

from streamroute.core.cost.bill import Bill
from streamroute.core.cost.cap import Cap
from streamroute.core.money import NOTHING, Money


def test_calls_under_way_and_calls_that_have_ended() -> None:
    """Both count; what a call held and did not cost is there for the next one."""
    bill = Bill()
    cap = Cap(Money(100), bill)
    assert cap.take(Money(60)) is None
    assert cap.take(Money(41)) == (
        "the request may cost $0.0000000001 at most, this call $0.000000000041 beside the $0.00000000006 "
        "of the calls before it"
    )
    cap.settle(Money(60))
    bill.total = Money(30)
    assert cap.take(Money(71)) is not None
    assert cap.take(Money(70)) is None
    assert cap.take(NOTHING) is None


def test_what_is_not_known() -> None:
    """Neither a call without a price nor one after it."""
    bill = Bill()
    cap = Cap(Money(100), bill)
    assert cap.take(None) == "the request may cost $0.0000000001 at most, and a price is not known"
    bill.total = None
    assert cap.take(Money(1)) is not None
