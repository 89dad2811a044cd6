"""How good upstreams are, counted: means that borrow from each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamroute.core.routing.learned import outcome_table
from streamroute.core.routing.learned.outcome_table import BETWEEN_SD, FIRST_MEAN, OutcomeTable
from streamroute.core.upstream import UpstreamId

A, B = UpstreamId("a"), UpstreamId("b")


def taught(*outcomes: tuple[UpstreamId, str | None, float]) -> OutcomeTable:
    table = OutcomeTable()
    for upstream, domain, score in outcomes:
        table.learn(upstream, domain, score)
    return table


def test_before_the_first_outcome() -> None:
    """Everybody is held to be alike, and nothing is sure."""
    means, sds = OutcomeTable().estimate("law", [A, B])
    assert means.tolist() == [FIRST_MEAN, FIRST_MEAN]
    assert (sds > 0.15).all()


def test_a_domain_borrows_from_the_others() -> None:
    """Without outcomes of its own it has the upstream's mean; with a hundred nearly its own; the more, the surer."""
    table = taught(*[(A, "law", 1.0)] * 100, *[(B, "law", 0.0)] * 100)
    (of_a, of_b), sds = table.estimate("code", [A, B])
    assert of_a > 0.95
    assert of_b < 0.1
    assert (sds > BETWEEN_SD).all(), "other domains do not make it sure of this one"
    for _ in range(100):
        table.learn(A, "code", 0.2)
    (in_code, in_law), (sd_code, _) = (
        [table.estimate(domain, [A])[i][0] for domain in ("code", "law")] for i in (0, 1)
    )
    assert 0.2 < in_code < 0.4
    assert in_law > 0.85
    assert sd_code < sds[0] / 2
    assert table.count(A) == 200


def test_a_weight_speaks_of_answers_that_nobody_looked_at() -> None:
    """It moves the mean as so many outcomes would, and the whole is worth fewer than there were: 110^2 / 1010."""
    table = OutcomeTable()
    for score in (1.0, 0.0) * 10:
        table.learn(A, None, score, weight=10.0 if score else 1.0)
    [(_, _, cell)] = table.cells()
    assert (cell.count, cell.mean, cell.worth) == (20, pytest.approx(100 / 110), pytest.approx(110**2 / 1010))
    assert table.estimate(None, [A])[0][0] == pytest.approx(100 / 110)


def test_what_is_forgotten() -> None:
    """Of an upstream, in a domain, or all; sums follow."""
    table = taught((A, "law", 1.0), (A, "code", 1.0), (B, "law", 0.0), (B, None, 0.0))
    assert table.forget(A, "law") == 1
    assert [(upstream, domain) for upstream, domain, _ in table.cells()] == [(A, "code"), (B, None), (B, "law")]
    assert (table.forget(domain="law"), table.count(B), table.forget(B), table.count(A)) == (1, 1, 1, 1)
    assert (table.forget(), list(table.cells())) == (1, [])
    assert table.estimate("law", [A])[0][0] == FIRST_MEAN


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
    for domain in ("law", None, "unheard of"):
        for one, two in zip(table.estimate(domain, [A, B]), again.estimate(domain, [A, B]), strict=True):
            np.testing.assert_allclose(one, two)


@pytest.mark.parametrize(
    "more", [{"sums": np.ones((2, 4))}, {"sums": np.array([[-1.0, 0, 0, 0]])}, {"sums": np.full((1, 4), np.nan)}]
)
def test_a_table_that_cannot_be_is_refused(more: dict[str, np.ndarray]) -> None:
    """Columns that do not fit, sums below zero, no numbers."""
    state = {**taught((A, "law", 1.0)).state(), **more}
    with pytest.raises(ValueError, match="table"):
        OutcomeTable().restore(state)
