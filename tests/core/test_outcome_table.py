"""How good upstreams were, counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamroute.core.routing.learned import outcome_table
from streamroute.core.routing.learned.outcome_table import OutcomeTable
from streamroute.core.upstream import UpstreamId

A, B = UpstreamId("a"), UpstreamId("b")


def taught(*outcomes: tuple[UpstreamId, str | None, float]) -> OutcomeTable:
    table = OutcomeTable()
    for upstream, domain, score in outcomes:
        table.learn(upstream, domain, score)
    return table


def test_outcomes_are_counted_and_weighed() -> None:
    """A weight moves the mean as so many outcomes would, and counts as one."""
    table = OutcomeTable()
    for score in (1.0, 0.0) * 10:
        table.learn(A, None, score, weight=10.0 if score else 1.0)
    [(upstream, domain, cell)] = table.cells()
    assert (upstream, domain, cell.count, cell.mean) == (A, None, 20, pytest.approx(100 / 110))
    assert (table.count(A), table.count(B)) == (20, 0)
    assert (table.count_in(A, None), table.count_in(A, "law"), table.count_in(B, None)) == (20, 0, 0)


def test_what_is_forgotten() -> None:
    """Of an upstream, in a domain, or all; sums follow."""
    table = taught((A, "law", 1.0), (A, "code", 1.0), (B, "law", 0.0), (B, None, 0.0))
    assert table.forget(A, "law") == 1
    assert [(upstream, domain) for upstream, domain, _ in table.cells()] == [(A, "code"), (B, None), (B, "law")]
    assert (table.forget(domain="law"), table.count(B), table.forget(B), table.count(A)) == (1, 1, 1, 1)
    assert (table.forget(), list(table.cells())) == (1, [])


def test_names_that_clients_make_up_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was learned longest ago goes."""
    monkeypatch.setattr(outcome_table, "MAX_CELLS", 10)
    table = taught(*[(A, f"d{i}", 1.0) for i in range(25)])
    assert len(list(table.cells())) == 10
    assert table.count(A) == 10


@given(
    st.lists(
        st.tuples(
            st.sampled_from([A, B]),
            st.sampled_from(["law", "", None, "é"]),
            st.floats(0.0, 1.0),
            st.floats(1.0, 50.0),
        )
    )
)
def test_a_saved_table_is_the_same(outcomes: list[tuple[UpstreamId, str | None, float, float]]) -> None:
    """A domain without a name is another than none."""
    table, again = OutcomeTable(), OutcomeTable()
    for upstream, domain, score, weight in outcomes:
        table.learn(upstream, domain, score, weight)
    again.restore(table.state())
    assert [(*place, cell) for *place, cell in again.cells()] == [(*place, cell) for *place, cell in table.cells()]
    assert [again.count(each) for each in (A, B)] == [table.count(each) for each in (A, B)]


@pytest.mark.parametrize(
    "more", [{"sums": np.ones((2, 3))}, {"sums": np.array([[-1.0, 0, 0]])}, {"sums": np.full((1, 3), np.nan)}]
)
def test_a_table_that_cannot_be_is_refused(more: dict[str, np.ndarray]) -> None:
    """Columns that do not fit, sums below zero, no numbers."""
    state = {**taught((A, "law", 1.0)).state(), **more}
    with pytest.raises(ValueError, match="table"):
        OutcomeTable().restore(state)
