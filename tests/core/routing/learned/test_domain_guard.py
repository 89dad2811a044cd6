"""How far the models are believed in a domain: literal looks, and literal margins that follow from them."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamroute.core.routing.learned.domain_guard import MARGINS, DomainGuard, GuardOptions, Trust

OPTIONS = GuardOptions(burn_in=10, prior_requests=0.0, keep=1.0, new_doubt=0.0, known_doubt=0.0, most_loss=0.01)


def test_a_new_domain_is_looked_at_before_anything_is_accepted() -> None:
    """Every answer is looked at, none accepted, until there were as many looks as the burn-in says."""
    guard = DomainGuard(OPTIONS, is_known=False)
    for _ in range(9):
        guard.looked(margin=0.3, gain=0.0)
    assert (guard.trust, guard.look_share, guard.caution) == (Trust.NEW, 1.0, inf)
    guard.looked(margin=0.3, gain=0.0)
    assert guard.trust is Trust.TRUSTED


def test_a_known_domain_is_trusted_from_the_start() -> None:
    """Its prices were chosen with care; few of its answers are audited."""
    guard = DomainGuard(OPTIONS, is_known=True)
    assert (guard.trust, guard.look_share, guard.caution) == (Trust.TRUSTED, 0.03, 0.0)


def test_the_margin_is_where_accepting_is_safe() -> None:
    """Answers with a margin of .1 lose half a point each, those of .2 nothing: .1 is the first to leave them out."""
    guard = DomainGuard(OPTIONS, is_known=False)
    for _ in range(10):
        guard.looked(margin=0.1, gain=0.5)
        guard.looked(margin=0.2, gain=0.0)
    assert guard.caution == 0.1
    assert guard.loss(0.08) == pytest.approx(0.25)
    assert guard.loss(0.1) == 0.0


def test_a_lucky_margin_below_an_unsafe_one_counts_for_nothing() -> None:
    """At 0 gains and losses cancel, but on the way there, at .04, it loses: that is chance, not knowledge."""
    guard = DomainGuard(OPTIONS, is_known=True)
    for _ in range(10):
        guard.looked(margin=0.05, gain=0.5)
        guard.looked(margin=0.015, gain=-0.5)
    assert guard.loss(0.0) == 0.0
    assert guard.caution == 0.06


def test_where_no_margin_is_safe_the_domain_is_withdrawn() -> None:
    """The small model is asked for a few requests more, so that the domain may return."""
    guard = DomainGuard(OPTIONS, is_known=True)
    for _ in range(20):
        guard.looked(margin=0.9, gain=0.5)
    assert (guard.trust, guard.caution, guard.look_share) == (Trust.WITHDRAWN, inf, 0.2)
    for _ in range(1_000):
        guard.looked(margin=0.9, gain=0.0)
    assert guard.trust is Trust.TRUSTED
    assert guard.caution == 0.0


def test_a_new_domain_may_turn_out_better_than_anybody_could_know() -> None:
    """Where the small model is as good as the large one, also answers that looked bad are accepted; a domain that the
    models were fitted on is never trusted more than they are."""
    new, known = DomainGuard(OPTIONS, is_known=False), DomainGuard(OPTIONS, is_known=True)
    for guard in (new, known):
        for _ in range(20):
            guard.looked(margin=-0.2, gain=0.0)
    assert (new.caution, known.caution) == (MARGINS[0], 0.0)


def test_what_is_safe_must_be_worth_trying() -> None:
    """One of ten answers of a new domain may be accepted: at a tenth of the large price trying saves nothing."""
    for attempt_cost, trust in ((0.09, Trust.TRUSTED), (0.1, Trust.WITHDRAWN)):
        guard = DomainGuard(OPTIONS, is_known=False, attempt_cost=attempt_cost)
        for _ in range(10):
            guard.looked(margin=0.35, gain=0.0)
            for _ in range(9):
                guard.looked(margin=0.0, gain=0.5)
        assert guard.trust is trust


def test_a_new_domain_begins_with_losses_that_were_not_its_own() -> None:
    """Ten requests that lose .1 each are its past: it takes ninety good ones for a mean of .01."""
    options = GuardOptions(burn_in=1, prior_requests=10.0, prior_loss=0.1, keep=1.0, new_doubt=0.0, most_loss=0.0101)
    guard = DomainGuard(options, is_known=False)
    for _ in range(88):
        guard.looked(margin=0.9, gain=0.0)
    assert guard.trust is Trust.WITHDRAWN
    for _ in range(2):
        guard.looked(margin=0.9, gain=0.0)
    assert guard.trust is Trust.TRUSTED
    assert DomainGuard(options, is_known=True).loss() == 0.0


def test_an_audit_stands_for_those_that_were_not_audited() -> None:
    """One of four was looked at and lost .4: over all four that is .4 each."""
    guard = DomainGuard(OPTIONS, is_known=True)
    guard.looked(margin=0.5, gain=0.4, share=0.25)
    for _ in range(3):
        guard.passed()
    assert guard.loss() == pytest.approx(0.4)


def test_doubt_asks_for_a_larger_margin() -> None:
    """Twenty looks, one lost 1: the mean is .05, its standard error .049; with one error to spare a limit of .06 is not
    kept, without it is."""
    for doubt, trust in ((0.0, Trust.TRUSTED), (1.0, Trust.WITHDRAWN)):
        options = GuardOptions(prior_requests=0.0, keep=1.0, known_doubt=doubt, most_loss=0.06)
        guard = DomainGuard(options, is_known=True)
        for gain in [1.0] + 19 * [0.0]:
            guard.looked(margin=0.9, gain=gain)
        assert guard.trust is trust


def test_suspicion_looks_more_often_before_it_asks_for_more() -> None:
    """One audit of twenty lost 1: over five hundred requests that is .04 with a standard error of .04. That is enough
    to look at one in five, and not to accept less; once two thousand more requests have not repeated it, it was
    chance."""
    guard = DomainGuard(GuardOptions(keep=1.0), is_known=True)
    for _ in range(475):
        guard.passed()
    guard.looked(margin=0.5, gain=1.0, share=0.05)
    assert (guard.caution, guard.look_share) == (0.0, 0.2)
    for _ in range(2_000):
        guard.passed()
    guard.looked(margin=0.5, gain=0.0, share=0.2)
    assert (guard.caution, guard.look_share) == (0.0, 0.03)


def test_what_was_is_forgotten() -> None:
    """With .9 kept at each request, after fifty good ones little is left of the bad ones."""
    guard = DomainGuard(GuardOptions(keep=0.9), is_known=True)
    for _ in range(50):
        guard.looked(margin=0.9, gain=1.0)
    before = guard.loss()
    for _ in range(50):
        guard.looked(margin=0.9, gain=0.0)
    assert guard.loss() < 0.01 * before


def test_a_settled_domain_is_audited_less() -> None:
    """Doubt costs money; it ends after so many looks."""
    guard = DomainGuard(GuardOptions(burn_in=5, settled=10, prior_loss=0.0), is_known=False)
    shares = []
    for _ in range(10):
        guard.looked(margin=0.9, gain=0.0)
        shares.append(guard.look_share)
    assert shares == 4 * [1.0] + 5 * [0.2] + [0.08]


def test_a_restored_domain_goes_on_as_it_was() -> None:
    """Its trust outlives a restart, and so does what is worth trying; of fewer margins nothing is taken over."""
    options = GuardOptions(burn_in=10)
    guard, again = (DomainGuard(options, is_known=False, attempt_cost=0.1) for _ in range(2))
    for _ in range(100):
        guard.looked(margin=0.9, gain=0.0)
        guard.looked(margin=-0.9, gain=0.5)
    again.restore(guard.state())
    assert (again.trust, again.caution, again.looks) == (Trust.TRUSTED, guard.caution, 200)
    for each in (guard, again):
        each.looked(margin=0.3, gain=1.0, share=0.08)
    assert again.state() == guard.state()
    with pytest.raises(ValueError, match="a saved domain has 2 numbers"):
        again.restore([1.0, 2.0])


@given(
    st.booleans(),
    st.lists(st.tuples(st.floats(-2, 2), st.floats(-1, 1), st.sampled_from([1.0, 0.2, 0.03])), max_size=60),
)
def test_whatever_is_looked_at_the_caution_is_one_of_the_margins(
    is_known: bool, looks: list[tuple[float, float, float]]
) -> None:
    """Or infinite; and the chance of a look is a chance."""
    guard = DomainGuard(GuardOptions(burn_in=5), is_known)
    for margin, gain, share in looks:
        guard.looked(margin=margin, gain=gain, share=share)
        guard.passed()
    assert guard.caution in {*MARGINS, inf}
    assert 0.0 < guard.look_share <= 1.0
    assert guard.looks == len(looks)
