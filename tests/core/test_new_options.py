"""What a reload changes in what is thought of upstreams, and what an operator can forgive."""

from dataclasses import replace

from streamroute.core.health.board import HealthBoard
from streamroute.core.health.options import HealthOptions
from streamroute.core.upstream import Upstream
from tests.support.observations import failed_attempt, upstream

A, B, C = (upstream(name, provider=name, credential=name) for name in "abc")


def fails(board: HealthBoard, of: Upstream, now: float) -> None:
    permit = board.admit(of, now, is_last_resort=True)
    assert permit is not None
    board.observe(permit, failed_attempt("server_error", of, ended_at=now + 0.1, duration_s=0.1))


def test_the_failure_domain_is_the_new_one() -> None:
    """Upstreams that are known lend each other evidence as the new configuration says."""
    board = HealthBoard(lambda: 0.0)
    for each in (A, B, C):
        board.standing(each, 0.0)
    shared = [replace(each, failure_domain="shared") for each in (A, B, C)]
    for now in (1.0, 1.2):
        for each in (A, B):
            fails(board, each, now)
    assert board.standing(C, 2.0).risk == 0.0
    board.apply(HealthOptions(), 2.0)
    for each in shared:
        board.standing(each, 2.0)
    assert board.standing(shared[2], 2.1).reason == "its failure domain is in trouble"


def test_what_an_operator_opened_stays_open() -> None:
    """New options try rejected credentials again, and nobody else."""
    board = HealthBoard(lambda: 0.0)
    board.operate(A, "open", 0.0)
    for each in (B, C):
        permit = board.admit(each, 0.0)
        assert permit is not None
        board.observe(permit, failed_attempt("auth_failed" if each is B else "client_error", each, ended_at=0.1))
    board.operate(B, "open", 0.2)
    board.apply(HealthOptions(), 1.0)
    assert [board.standing(each, 1.0).breaker for each in (A, B, C)] == ["open", "open", "closed"]


def test_who_is_closed_by_an_operator_is_forgiven() -> None:
    """`close` forgets why it had opened: it gets its traffic back at once, its figures stay."""
    board = HealthBoard(lambda: 0.0)
    for now in (1.0, 1.2, 1.4):
        fails(board, A, now)
    assert board.standing(A, 2.0).breaker == "open"
    board.operate(A, "close", 2.0)
    standing = board.standing(A, 2.1)
    assert (standing.kind, standing.breaker, standing.risk, standing.is_probe) == ("healthy", "closed", 0.0, False)
    assert board.health(A.id, 2.1).figures().failed == 3


def test_a_rejected_key_that_an_operator_closes() -> None:
    """The next failure is judged for what it is."""
    board = HealthBoard(lambda: 0.0)
    permit = board.admit(A, 0.0)
    assert permit is not None
    board.observe(permit, failed_attempt("auth_failed", A, ended_at=0.1))
    board.operate(A, "close", 1.0)
    for now in (2.0, 2.2, 2.4):
        fails(board, A, now)
    standing = board.standing(A, 3.0)
    assert (standing.breaker, standing.kind) == ("open", "suspect")
