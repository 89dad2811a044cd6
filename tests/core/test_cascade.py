"""Small models first, as scripts: an answer is held until it was judged."""

import pytest

from streamroute.core.execution.cascade import Cascade, TierOptions
from streamroute.core.execution.commands import Fail
from streamroute.core.execution.events import (
    Assessed,
    AttemptId,
    ClientGone,
    ClientPaused,
    Doubted,
    Produced,
    Progressed,
    ShutDown,
    Succeeded,
)
from streamroute.core.execution.failover import HEDGE_RETRIES, HEDGE_RETRY_S, FailoverOptions
from streamroute.core.execution.rescue import RescueOptions
from streamroute.core.gate import Thresholds
from streamroute.core.quality.verdict import Finding, Ruling, Verdict
from streamroute.core.upstream import UpstreamId
from tests.support.playbook import (
    ABANDON,
    Playbook,
    assess,
    beside,
    cancel,
    candidate,
    carry_on,
    cascade,
    commit,
    fail,
    failed,
    finish,
    start,
)

ONE, TWO, THREE = AttemptId(1), AttemptId(2), AttemptId(3)


def judged(attempt: AttemptId, score: float) -> Assessed:
    return Assessed(attempt, Verdict(score=score, findings={"completeness": Finding(score, "x")}))


def ruled(attempt: AttemptId, ruling: Ruling) -> Assessed:
    return Assessed(attempt, Verdict(score=ruling.score, findings={}, ruling=ruling))


def tier(name: str, *, max_attempts: int) -> TierOptions:
    plan = FailoverOptions(candidates=(candidate(name),), stream=False, arrived_at=0.0, max_attempts=max_attempts)
    return TierOptions(plan=plan, accept_at=0.5)


def two_tiers(**more: object) -> Playbook:
    book = cascade([candidate("small")], [candidate("large")], **more)  # type: ignore[arg-type]
    book.start() << start(1, "small")
    return book


def held(**more: object) -> Playbook:
    """Let the small model give its answer."""
    book = two_tiers(**more)
    book.tell(Produced(ONE), at=0.2)
    book.tell(Succeeded(ONE), at=1.0) << assess(1)
    return book


def test_a_good_answer_of_a_small_model_is_delivered_whole() -> None:
    """Nothing of it flows before it was judged, and nobody else is asked."""
    book = held()
    book.tell(judged(ONE, 0.9), at=1.0) << commit(1) << finish(1)
    book.over()


def test_one_that_is_not_good_enough_brings_the_larger_model() -> None:
    """Its answer flows as it comes, and is carried on like any other."""
    book = held(rescue=RescueOptions())
    book.tell(judged(ONE, 0.4), at=1.0) << beside(2, "large", "escalation")
    book.tell(Produced(TWO), at=1.5) << commit(2)
    book.tell(failed(2, "reset"), at=1.8) << carry_on(3, "large", "instructed")
    book.tell(Produced(THREE), at=2.0) << commit(3)
    book.tell(Succeeded(THREE), at=2.2) << finish(3)
    book.over()


@pytest.mark.parametrize("produced", [False, True])
def test_a_small_model_that_fails_brings_the_larger_one(produced: bool) -> None:
    """Also in mid-answer: nobody has any of it, so there is nothing to carry on."""
    book = two_tiers(rescue=RescueOptions())
    if produced:
        book.tell(Produced(ONE), at=0.2)
    book.tell(failed(1, "overloaded"), at=0.4).skip()
    while "large" not in str(book.commands):  # a lone upstream is asked again, with back-off
        due = book.plan.next_deadline()
        assert due is not None
        book.wake(at=due).skip()
        if book.commands and "large" not in str(book.commands):
            book.tell(failed(book.commands[0].attempt, "overloaded"), at=due).skip()  # type: ignore[union-attr]
    attempt = book.commands[-1].attempt  # type: ignore[union-attr]
    book.tell(Produced(attempt), at=9.0) << commit(attempt)


def test_within_a_tier_another_upstream_is_asked_first() -> None:
    """A failure is no reason to pay for a larger model while another small one is there."""
    book = cascade([candidate("a"), candidate("b")], [candidate("large")])
    book.start() << start(1, "a")
    book.tell(failed(1, "reset"), at=0.2) << start(2, "b")
    book.tell(Succeeded(TWO), at=1.0) << assess(2)
    book.tell(judged(TWO, 1.0), at=1.0) << commit(2) << finish(2)


def test_an_earlier_answer_may_be_delivered_after_all() -> None:
    """Where a ruling says so: the middle one's answer shows that the small one's was right."""
    book = cascade([candidate("small")], [candidate("middle")], [candidate("large")])
    book.start() << start(1, "small")
    book.tell(Succeeded(ONE), at=1.0) << assess(1)
    book.tell(ruled(ONE, Ruling(score=0.4, is_accepted=False, next_tier=1)), at=1.0) << beside(
        2, "middle", "escalation"
    )
    book.tell(Succeeded(TWO), at=2.0) << assess(2)
    book.tell(ruled(TWO, Ruling(score=0.9, is_accepted=False, delivers=0)), at=2.0) << commit(1) << finish(1)
    book.over()


def test_an_answer_that_is_not_there_cannot_be_delivered_after_all() -> None:
    """Then it goes on as if nothing had been said of it."""
    book = held()
    book.tell(ruled(ONE, Ruling(score=0.4, is_accepted=False, next_tier=1, delivers=1)), at=1.0) << beside(
        2, "large", "escalation"
    )


def test_three_tiers() -> None:
    """Each is judged but the last."""
    book = cascade([candidate("a")], [candidate("b")], [candidate("c")], stream=False)
    book.start() << start(1, "a")
    book.tell(Succeeded(ONE), at=1.0) << assess(1)
    book.tell(judged(ONE, 0.1), at=1.0) << beside(2, "b", "escalation")
    book.tell(Succeeded(TWO), at=2.0) << assess(2)
    book.tell(judged(TWO, 0.2), at=2.0) << beside(3, "c", "escalation")
    book.tell(Succeeded(THREE), at=3.0) << commit(3) << finish(3)
    book.over()


def test_a_rejected_answer_beats_none() -> None:
    """Where every larger model fails the best of what is there is delivered."""
    book = cascade([candidate("a")], [candidate("b")], [candidate("c")])
    book.start() << start(1, "a")
    book.tell(Succeeded(ONE), at=1.0) << assess(1)
    book.tell(judged(ONE, 0.3), at=1.0) << beside(2, "b", "escalation")
    book.tell(Succeeded(TWO), at=2.0) << assess(2)
    book.tell(judged(TWO, 0.2), at=2.0) << beside(3, "c", "escalation")
    book.tell(failed(3, "auth_failed"), at=2.2) << commit(1) << finish(1)
    book.over()


def test_where_everybody_fails_all_are_named() -> None:
    """One error for the whole request."""
    book = two_tiers()
    book.tell(failed(1, "auth_failed"), at=0.1) << beside(2, "large", "escalation")
    book.tell(failed(2, "auth_failed"), at=0.2) << fail("auth_failed", "small", "large")
    book.over()


def test_a_slow_tier_is_not_waited_for_in_vain() -> None:
    """The next one is started beside it; the first that is good enough is delivered, the other ended."""
    book = two_tiers(speculate_after_s=2.0)
    book.tell(Produced(ONE), at=0.2)
    book.sleep(until=2.0)
    book.wake(at=2.0) << beside(2, "large", "speculation")
    book.tell(Produced(TWO), at=2.4) << cancel(1, "lost") << commit(2)
    book.tell(Succeeded(TWO), at=4.0) << finish(2)
    book.over()


def test_the_slow_tier_may_still_be_first() -> None:
    """Judged in time, its answer saves what is left of the larger one's."""
    book = two_tiers(speculate_after_s=2.0)
    book.tell(Produced(ONE), at=0.2)
    book.wake(at=2.0) << beside(2, "large", "speculation")
    book.tell(Succeeded(ONE), at=2.1) << assess(1)
    book.tell(judged(ONE, 0.8), at=2.1) << cancel(2, "lost") << commit(1) << finish(1)
    book.over()


def test_rejected_while_the_larger_one_is_under_way() -> None:
    """Nothing more is started."""
    book = two_tiers(speculate_after_s=2.0)
    book.tell(Produced(ONE), at=0.2)
    book.wake(at=2.0) << beside(2, "large", "speculation")
    book.tell(Succeeded(ONE), at=2.1) << assess(1)
    book.tell(judged(ONE, 0.1), at=2.1)
    book.tell(failed(2, "auth_failed"), at=2.2) << commit(1) << finish(1)
    book.over()


def test_the_larger_one_fails_first() -> None:
    """Then the small one's answer is still waited for."""
    book = two_tiers(speculate_after_s=2.0)
    book.tell(Produced(ONE), at=0.2)
    book.wake(at=2.0) << beside(2, "large", "speculation")
    book.tell(failed(2, "auth_failed"), at=2.2)
    book.tell(Succeeded(ONE), at=3.0) << assess(1)
    book.tell(judged(ONE, 0.9), at=3.0) << commit(1) << finish(1)
    book.over()


def test_the_client_leaves() -> None:
    """Every call of every tier ends, and there is one last word."""
    book = two_tiers(speculate_after_s=2.0)
    book.tell(Produced(ONE), at=0.2)
    book.wake(at=2.0) << beside(2, "large", "speculation")
    book.tell(ClientGone(), at=2.1) << cancel(1, "client_gone") << cancel(2, "client_gone") << ABANDON
    book.over()


def test_the_process_stops() -> None:
    """The client is told so, once."""
    book = two_tiers()
    book.tell(ShutDown(), at=0.1).skip()
    assert [type(each).__name__ for each in book.commands] == ["Cancel", "Fail"]
    book.over()


def test_what_concerns_all_tiers_is_told_to_all() -> None:
    """Doubt and a slow client reach whoever is at work, and unknown attempts nobody."""
    book = held()
    book.tell(judged(ONE, 0.4), at=1.0) << beside(2, "large", "escalation")
    book.tell(Doubted(UpstreamId("large")), at=1.1)
    book.tell(ClientPaused(), at=1.2)
    book.tell(Produced(AttemptId(9)), at=1.2)
    book.tell(judged(ONE, 1.0), at=1.3)
    book.tell(Produced(TWO), at=1.5) << commit(2)


def test_out_of_time_is_out_of_time() -> None:
    """When the whole request has had its time in a small tier, no larger model is called, and none is paid for."""
    book = two_tiers()
    book.tell(failed(1, "total_timeout"), at=300.0) << fail("total_timeout", "small")
    book.over()


def test_no_more_calls_than_are_allowed() -> None:
    """Over all tiers: what is left of the limit is what the next one has, and a poor answer beats none."""
    book = Playbook(Cascade([tier("small", max_attempts=1), tier("large", max_attempts=1)]))
    book.start() << start(1, "small")
    book.tell(Succeeded(ONE), at=1.0) << assess(1)
    book.tell(judged(ONE, 0.1), at=1.0) << commit(1) << finish(1)
    book.over()


def test_an_error_does_not_speak_of_an_answer_that_nobody_had() -> None:
    """What a held answer had begun to say is nobody's."""
    book = two_tiers()
    book.tell(Produced(ONE), at=0.2)
    book.tell(failed(1, "auth_failed"), at=0.4) << beside(2, "large", "escalation")
    book.tell(failed(2, "auth_failed"), at=0.5) << fail("auth_failed", "small", "large")
    assert isinstance(last := book.commands[-1], Fail)
    assert not last.is_committed


def test_thresholds_go_by_tier_and_by_task() -> None:
    """The last one of a list counts for all that follow; a task that nobody has named has those of all."""
    thresholds = Thresholds(by_tier=(0.9, 0.95), by_task={"code": (0.97,)})
    assert [thresholds.of(tier, None) for tier in range(3)] == [0.9, 0.95, 0.95]
    assert [thresholds.of(tier, "code") for tier in range(2)] == [0.97, 0.97]
    assert thresholds.of(0, "letters") == 0.9
    assert str(thresholds) == "0.9, 0.95; code 0.97"


def test_speculation_asks_for_leave() -> None:
    """Where the budget of calls beside others is spent it is asked again a little later, and the turn is not lost."""
    book = two_tiers(speculate_after_s=2.0)
    book.tell(Produced(ONE), at=0.2)
    book.wake(at=2.0) << beside(2, "large", "speculation")
    book.tell(failed(2, "blocked"), at=2.0)
    book.wake(at=2.25) << beside(3, "large", "speculation")
    book.tell(failed(3, "over_budget"), at=2.25)
    book.tell(Succeeded(ONE), at=2.4) << assess(1)
    book.tell(judged(ONE, 0.1), at=2.4) << beside(4, "large", "escalation")
    book.tell(Produced(AttemptId(4)), at=2.9) << commit(4)


def test_speculation_that_is_never_allowed() -> None:
    """It is not asked for for ever."""
    book = two_tiers(speculate_after_s=1.0)
    book.tell(Produced(ONE), at=0.2)
    due, attempt = 1.0, 2
    for _ in range(HEDGE_RETRIES + 1):
        book.wake(at=due) << beside(attempt, "large", "speculation")
        book.tell(failed(attempt, "blocked"), at=due)
        due, attempt = due + HEDGE_RETRY_S, attempt + 1
    book.tell(Progressed(ONE, 4.0), at=4.0)
    book.sleep(until=4.0)
    book.tell(Succeeded(ONE), at=4.2) << assess(1)
    book.tell(judged(ONE, 0.9), at=4.2) << commit(1) << finish(1)


def test_a_hedge_at_every_tier() -> None:
    """Also where a larger model is asked because a smaller one was not good enough."""
    tiers = [
        TierOptions(
            plan=FailoverOptions(candidates=pair, stream=True, arrived_at=0.0, hedge_after_s=0.5), accept_at=0.5
        )
        for pair in ((candidate("a"), candidate("b")), (candidate("c"), candidate("d")))
    ]
    book = Playbook(Cascade(tiers))
    book.start() << start(1, "a")
    book.wake(at=0.5) << beside(2, "b", "hedge")
    book.tell(Produced(TWO), at=0.6) << cancel(1, "lost")
    book.tell(Succeeded(TWO), at=1.0) << assess(2)
    book.tell(judged(TWO, 0.1), at=1.0) << beside(3, "c", "escalation")
    book.wake(at=1.5) << beside(4, "d", "hedge")
    book.tell(Produced(AttemptId(4)), at=1.7) << commit(4) << cancel(3, "lost")
