"""What to audit while learning."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamroute.core.routing.learned.exploration import AuditBudget, expected_lead


@pytest.mark.parametrize(
    ("lead", "sd", "expected"),
    [(0.0, 1.0, 0.39894), (1.0, 0.0, 1.0), (-1.0, 0.0, 0.0), (-3.0, 1.0, 0.00038), (5.0, 1.0, 5.0)],
)
def test_the_mean_of_what_is_above_nought(lead: float, sd: float, expected: float) -> None:
    """Of a normal distribution."""
    assert expected_lead(lead, sd) == pytest.approx(expected, abs=1e-4)


def test_audits_go_where_another_might_be_better() -> None:
    """Of two kinds of requests the doubtful one is audited three times as often, and the share is kept over both."""
    budget = AuditBudget(0.05)
    doubtful, sure = expected_lead(0.0, 0.14), expected_lead(-0.7, 0.07)
    chances = [budget.chance(each) for _ in range(2_000) for each in (doubtful, sure)]
    assert chances[-2:] == pytest.approx([0.075, 0.025], rel=0.02)
    assert sum(chances) / len(chances) == pytest.approx(0.05, rel=0.05)


def test_no_share_is_no_audit() -> None:
    """All is all, and a share is one."""
    assert AuditBudget(0.0).chance(0.05) == 0.0
    assert AuditBudget(1.0).chance(0.0) == 1.0
    with pytest.raises(ValueError, match=r"0\.\.1"):
        AuditBudget(1.5)


@settings(max_examples=50)
@given(st.floats(0.01, 1.0), st.lists(st.floats(0, 1), min_size=1, max_size=200))
def test_audits_never_exceed_their_budget(share: float, leads: list[float]) -> None:
    """Over any requests: the share of them, and of twenty more."""
    budget, spent = AuditBudget(share), 0.0
    for lead in leads:
        chance = budget.chance(lead)
        assert 0.0 < chance <= 1.0
        spent += chance
    assert spent <= share * (len(leads) + 20) + 1e-9
