"""What a fitted tier policy costs: where a request begins, and what is done about an answer that is held."""

import time

import numpy as np
from harness.prompts import Prompts

from streamroute.core.quality.checks import assess
from streamroute.core.quality.signals import Answer
from streamroute.core.quality.verdict import Draft, Wanted
from streamroute.core.routing.learned.fitted_policy import FittedPolicy
from streamroute.core.routing.learned.outcome_rows import Outcome, Row
from streamroute.core.routing.learned.policy_fit import fit_policy
from streamroute.core.routing.learned.policy_walk import PolicyWalk

BEGINS, HEARS = "a policy begins", "a policy reads an answer"
TIERS = ("small", "middle", "large")
DOMAINS = 12
ANSWER_CHARS = 400
_ROWS = 360


def small_policy(prompts: Prompts, rng: np.random.Generator) -> FittedPolicy:
    """Return one that was fitted on made-up outcomes: half of the answers of the small models are right."""
    rows = [
        Row(
            dataset="",
            query_id=str(at),
            domain=f"domain-{at % DOMAINS}",
            text=prompts.draw(at % DOMAINS),
            outcomes={
                name: Outcome(
                    score=float(rng.random() < share),
                    cost_usd=cost,
                    answer=Answer(text=prompts.draw(at % DOMAINS, ANSWER_CHARS)),
                )
                for name, share, cost in zip(TIERS, (0.5, 0.6, 0.9), (0.0001, 0.0003, 0.003), strict=True)
            },
        )
        for at in range(_ROWS)
    ]
    return fit_policy(rows, [[name] for name in TIERS], 0.9, "made-up", epochs=1).fitted


def policy_steps(policy: FittedPolicy, prompts: Prompts, many: int) -> dict[str, list[int]]:
    """Return nanoseconds of the thread's own clock by step, of `many` requests each."""
    clock, open_ = time.thread_time_ns, range(len(TIERS))
    found: dict[str, list[int]] = {BEGINS: [], HEARS: []}
    for at in range(many):
        domain = at % DOMAINS
        text, draft = prompts.draw(domain), Draft(text=prompts.draw(domain, ANSWER_CHARS), finish_reason="stop")
        verdict = assess(draft, Wanted())
        begun = clock()
        walk = PolicyWalk(policy, text, f"domain-{domain}")
        walk.choose(open_)
        chosen = clock()
        walk.heard(0, draft, Wanted(), verdict)
        walk.choose(open_[1:])
        ended = clock()
        found[BEGINS].append(chosen - begun)
        found[HEARS].append(ended - chosen)
    return found
