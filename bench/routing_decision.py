"""What learned routing costs: a prompt is read, its domain told, ten upstreams' qualities estimated, one chosen.

    python bench/routing_decision.py [--reps 5] [--json] [--out FILE]

Prompts of about 600 characters are made of 20,000 made-up words, as frequent as words are (Zipf); no two are alike, so
nothing that is kept from one to the next flatters the figures. The models have learned from some thousands of others.
Every decision is timed alone, on the thread's own clock, so that what else the machine does is left out; figures are
the 50th and the 99th percentile of all, in the median repetition. Exit code
1: a limit is broken. The limits are a quarter of a millisecond, where a first token takes some hundred, and one
millisecond for the slowest in a hundred.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from harness.prompts import PROMPT_CHARS, Prompts
from harness.report import parser_of, publish
from harness.run_facts import run_facts
from rich.table import Table
from routing_lab.online import largest_lead, optimistic
from routing_lab.policy_cost import BEGINS, policy_steps, small_policy

from streamroute.core.quality.subject_text import read_subject
from streamroute.core.routing.learned.domain_classifier import DomainClassifier
from streamroute.core.routing.learned.exploration import AuditBudget
from streamroute.core.routing.learned.online_quality import OnlineQuality
from streamroute.core.routing.learned.structure import structure

REPS = 5
DECISIONS = 2_000
WARM_UP = 3_000
UPSTREAMS = tuple(f"upstream-{at}" for at in range(10))
DOMAINS = tuple(f"domain-{at}" for at in range(20))
P50_LIMIT_US = 250.0
P99_LIMIT_US = 1_000.0
WHOLE = "decision in all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One step, in microseconds a call."""

    subject: str
    p50_us: float
    p99_us: float


class World:
    """Models that have learned, and what they are asked."""

    def __init__(self, seed: int = 7, warm_up: int = WARM_UP) -> None:
        self.prompts = Prompts(seed)
        self.classifier, self.quality, self.audits = DomainClassifier(), OnlineQuality(), AuditBudget()
        self._prices = [0.002 * at for at in range(len(UPSTREAMS))]
        rng = np.random.default_rng(seed)
        for at in range(warm_up):
            domain = at % len(DOMAINS)
            read = read_subject(self.prompts.draw(domain))
            self.classifier.learn(read, DOMAINS[domain])
            asked = rng.choice(len(UPSTREAMS), 1 + (at % 30 == 0))
            self.quality.learn(read, DOMAINS[domain], {UPSTREAMS[each]: float(rng.random() < 0.7) for each in asked})

    def decide(self, text: str) -> dict[str, int]:
        """Decide once, and return nanoseconds by step."""
        clock = time.thread_time_ns
        begun = clock()
        structure(text)
        features = clock()
        read = read_subject(text)
        reading = clock()
        guess = self.classifier.classify(read)
        told = clock()
        found = self.quality.estimates(read, guess.domain, UPSTREAMS)
        estimated = clock()
        chosen = int(optimistic(found, self._prices).argmax())
        self.audits.chance(largest_lead(found, self._prices, chosen))
        ended = clock()
        return {
            "structure": features - begun,
            "reading words": reading - features,
            "domain": told - reading,
            "qualities": estimated - told,
            "choice, audit": ended - estimated,
            WHOLE: ended - begun,
        }


def measure(reps: int, decisions: int = DECISIONS, warm_up: int = WARM_UP) -> list[Figure]:
    """Measure every step, and learning."""
    world = World(warm_up=warm_up)
    policy = small_policy(world.prompts, np.random.default_rng(7))
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(reps):
        texts = [world.prompts.draw(at % len(DOMAINS)) for at in range(decisions)]
        taken = [world.decide(text) for text in texts]
        samples = {name: [each[name] for each in taken] for name in taken[0]}
        reads = [read_subject(text) for text in texts[: decisions // 4]]
        samples["learn an outcome"] = [
            _ns(partial(world.quality.learn, read, DOMAINS[0], {UPSTREAMS[0]: 1.0})) for read in reads
        ]
        samples["learn a domain"] = [_ns(partial(world.classifier.learn, read, DOMAINS[0])) for read in reads]
        samples |= policy_steps(policy, world.prompts, decisions)
        for name, all_ns in samples.items():
            low, high = np.quantile(all_ns, [0.5, 0.99]) / 1e3
            found.setdefault(name, []).append((float(low), float(high)))
    return [
        Figure(
            subject=name,
            p50_us=float(np.median([low for low, _ in every])),
            p99_us=float(np.median([high for _, high in every])),
        )
        for name, every in found.items()
    ]


def _ns(call: Callable[[], object]) -> int:
    begun = time.thread_time_ns()
    call()
    return time.thread_time_ns() - begun


def broken_limits(figures: list[Figure]) -> list[str]:
    """Return what is too slow, in words."""
    by_subject = {each.subject: each for each in figures}
    found = [
        (f"{part} of {name}", took, limit)
        for name in (WHOLE, BEGINS)
        for part, took, limit in (
            ("half", by_subject[name].p50_us, P50_LIMIT_US),
            ("99 in 100", by_subject[name].p99_us, P99_LIMIT_US),
        )
    ]
    return [f"{name} take {took:.0f} us, limit {limit:.0f}" for name, took, limit in found if took > limit]


def table(figures: list[Figure]) -> Table:
    """Lay the figures out, one a line."""
    made = Table(title=f"{len(UPSTREAMS)} upstreams, {len(DOMAINS)} domains, {PROMPT_CHARS} characters; microseconds")
    made.add_column("step")
    for column in ("p50", "p99"):
        made.add_column(column, justify="right")
    for each in figures:
        made.add_row(each.subject, f"{each.p50_us:.0f}", f"{each.p99_us:.0f}")
    return made


def main() -> int:
    """Parse the command line, run, print; returns the exit code."""
    arguments = parser_of(__doc__, "step", reps=REPS).parse_args()
    facts = run_facts()
    figures = measure(max(1, arguments.reps))
    return publish(
        "routing_decision",
        arguments,
        facts=facts,
        figures=figures,
        broken=broken_limits(figures),
        table=table(figures),
        digits=1,
    )


if __name__ == "__main__":
    sys.exit(main())
