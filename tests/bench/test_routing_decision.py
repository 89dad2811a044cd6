"""The measurement of a learned decision's time."""

import routing_decision
from harness.prompts import PROMPT_CHARS, Prompts
from routing_decision import WHOLE, Figure, broken_limits, measure
from routing_lab.policy_cost import BEGINS, HEARS


def test_prompts_are_of_one_length_and_differ() -> None:
    """Nothing that is kept from one to the next flatters the figures."""
    prompts = Prompts(3)
    drawn = [prompts.draw(at) for at in range(5)]
    assert {len(each) for each in drawn} == {PROMPT_CHARS}
    assert len(set(drawn)) == 5


def test_every_step_is_measured() -> None:
    """The whole takes at least as long as its steps."""
    figures = {each.subject: each for each in measure(1, decisions=40, warm_up=30)}
    steps = ("structure", "reading words", "domain", "qualities", "choice, audit")
    assert set(figures) == {*steps, WHOLE, "learn an outcome", "learn a domain", BEGINS, HEARS}
    assert all(0.0 < each.p50_us <= each.p99_us for each in figures.values())
    assert figures[WHOLE].p50_us > max(figures[step].p50_us for step in steps)


def test_what_is_too_slow_is_said() -> None:
    """Half of all, and the slowest in a hundred."""
    slow = Figure(subject=WHOLE, p50_us=routing_decision.P50_LIMIT_US + 1, p99_us=routing_decision.P99_LIMIT_US)
    late = Figure(subject=BEGINS, p50_us=1.0, p99_us=routing_decision.P99_LIMIT_US + 1)
    assert broken_limits([slow, late]) == [
        "half of decision in all take 251 us, limit 250",
        "99 in 100 of a policy begins take 1001 us, limit 1000",
    ]
