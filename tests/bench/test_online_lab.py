"""The measurement of learning from nothing, on a stream that is made here."""

import numpy as np
import pytest
from routing_lab.auctioned import AuctionMode, analyses, serve_auctions
from routing_lab.online import MODES, Mode, Stream, optimistic, serve

from streamroute.core.quality.subject_text import read_subject
from streamroute.core.routing.learned.online_quality import QualityEstimates


def stream(many: int) -> Stream:
    """Two domains; in each another upstream is right nine times in ten, the other one five times in ten."""
    rng = np.random.default_rng(1)
    domains = [("prose", "sums")[at % 2] for at in range(many)]
    right = np.array([[0.9, 0.5] if domain == "prose" else [0.5, 0.9] for domain in domains])
    texts = [f"{domain} question" for domain in domains]
    return Stream(
        ("writer", "reckoner"),
        [read_subject(text) for text in texts],
        domains,
        (rng.random(right.shape) < right).astype(float),
        np.full(right.shape, 1e-4),
        texts,
    )


def later(mode: Mode, of: Stream) -> float:
    run = serve(of, mode, seed=2)
    assert len(run.utility) == len(of.questions)
    return float(run.utility[len(run.utility) // 2 :].mean())


def test_modes_are_what_their_names_say() -> None:
    """Names are what a result is read by."""
    assert len({mode.name for mode in MODES}) == len(MODES)
    assert [mode.name for mode in MODES if mode.knows_all] == ["full information"]


def test_the_right_upstream_is_found_by_few_audits() -> None:
    """Nearly as well as with every outcome known; one upstream for all would get .7."""
    requests = stream(1_200)
    full = later(Mode(name="full", knows_all=True, optimism=0.0), requests)
    audited = later(Mode(name="audited", audits=0.03), requests)
    assert full > 0.84
    assert audited > 0.82


def test_audits_are_as_many_as_wanted_and_are_paid() -> None:
    """Within what may be spent ahead."""
    run = serve(stream(1_000), Mode(name="audited", audits=0.1, is_uniform=True), seed=3)
    assert 0.07 < run.is_audited.mean() < 0.13
    assert np.allclose(run.audit_usd[run.is_audited], 1e-4)
    assert (run.audit_usd[~run.is_audited] == 0.0).all()


def test_doubt_counts_for_an_upstream_and_price_against_it() -> None:
    """Quality .6 with .1 of doubt, at a price of .05."""
    found = QualityEstimates(
        upstreams=("a", "b"),
        means=np.array([0.6, 0.62]),
        sds=np.array([0.1, 0.0]),
        covariance=np.diag([0.01, 0.0]),
        looks=np.zeros(2),
    )
    assert optimistic(found, [0.05, 0.0], optimism=0.5).tolist() == pytest.approx([0.6, 0.62])


def test_auctions_find_the_right_upstream_by_audits_alone() -> None:
    """With the product's own parts, and without a word from clients; one upstream for all would get .7."""
    requests = stream(1_200)
    run = serve_auctions(requests, analyses(requests), AuctionMode(name="", audits=0.05, labelled=0.0), seed=2)
    assert run.utility[600:].mean() > 0.8
    assert 0.03 < run.is_audited.mean() < 0.07
    assert np.allclose(run.audit_usd[run.is_audited], 1e-4)
