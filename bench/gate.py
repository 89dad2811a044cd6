"""What the gate of small models first keeps of quality and saves, on recorded answers of real models.

    python bench/gate.py --data DIR [--seeds N]

DIR is as for `bench/routing.py`. Every pair of a small and a larger model goes through the gate as it runs in the
sidecar: free checks, agreement with a second model where there is one, guard, learned gains, audits of 5 %, skipped
tiers; there are no log-probabilities in the recordings. `judge` says with noise (a standard deviation of 0.3) how good
an answer is. The second half of each stream counts; audits and seconds are paid for. `fixed` has the checks alone.
"""

import argparse
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from routing_lab.data import rows

from streamroute.core.gate import AuditOptions
from streamroute.core.quality.checks import assess
from streamroute.core.quality.comparison import agrees, is_comparable
from streamroute.core.quality.verdict import Draft, Finding, Verdict, Wanted, verdict_of
from streamroute.core.routing.learned.ascent import EXPLORE_SHARE, Ascent
from streamroute.core.routing.learned.domain_guard import Trust
from streamroute.core.routing.learned.gate_features import gate_features
from streamroute.core.routing.learned.gatekeeper import Gatekeeper, Look
from streamroute.core.routing.learned.outcome_rows import Outcome, Row

ACCEPT_AT = 0.5
DATASETS = ("mmlu_pro", "ze_gsm", "ze_crux", "ze_math_l5")
PAIRS: tuple[tuple[str, str, str | None], ...] = (
    ("llama-3.1-8b", "llama-3.1-70b", None),
    ("llama-3.1-8b", "llama-3.1-70b", "gemini-1.5-flash"),
    ("gemini-1.5-flash", "llama-3.1-70b", None),
    ("llama-3.1-8b", "gpt-4o-mini", "gemini-1.5-flash"),
    ("claude-3-haiku", "claude-3.5-haiku", "gemini-1.5-flash"),
)
"""Small, larger, second."""
_PLAIN = Wanted()
_NOISE = 0.3


@dataclass(slots=True)
class Sums:
    """Of the requests that count."""

    quality: float = 0.0
    cost_usd: float = 0.0
    large_quality: float = 0.0
    large_cost_usd: float = 0.0
    accepted: int = 0
    requests: int = 0

    def line(self) -> str:
        """Return quality against always asking the larger model, saving, and the share of small answers."""
        ratio, saving = self.quality / self.large_quality, 1.0 - self.cost_usd / self.large_cost_usd
        return f"{ratio:6.3f} {saving:7.1%} {self.accepted / self.requests:7.1%}"


@dataclass(slots=True)
class Stream:
    """One pair of models, request after request."""

    small: str
    large: str
    second: str | None
    rng: random.Random
    is_guarded: bool
    has_judge: bool
    costs: tuple[float, float]
    """What asking each costs on average, the second model included."""
    keeper: Gatekeeper = field(default_factory=lambda: Gatekeeper(AuditOptions()))
    ascents: dict[str, Ascent] = field(default_factory=lambda: defaultdict(Ascent))

    def serve(self, row: Row) -> tuple[bool, float]:
        """Return whether the small answer is delivered, and what the request costs, an audit included."""
        small, large = row.outcomes[self.small], row.outcomes[self.large]
        guard, ascent = self.keeper.guard(row.kind), self.ascents[row.kind]
        if self.is_guarded:
            is_out = guard.trust is Trust.WITHDRAWN and self.rng.random() >= guard.look_share
            is_dear = ascent.best((0, 1), self.costs) == 1 and self.rng.random() >= EXPLORE_SHARE
            if is_out or is_dear:
                return False, large.cost_usd
        draft = _draft(small)
        verdict, cost_usd = self._verdict(row, draft, small.cost_usd)
        if not self.is_guarded:
            is_accepted = verdict.score >= ACCEPT_AT
            return is_accepted, cost_usd + (0.0 if is_accepted else large.cost_usd)
        features = gate_features(draft, verdict)
        expected = self.keeper.expected_gain(0, verdict, features)
        is_accepted = self.keeper.rule(row.kind, verdict, expected, ACCEPT_AT).is_accepted
        if guard.trust is Trust.TRUSTED:
            ascent.was_judged(0, is_accepted=is_accepted)
        share = guard.look_share if is_accepted else 1.0
        is_looked_at = self.rng.random() < share
        margin = 1.0 - expected - ACCEPT_AT
        is_backed = "agreement" in verdict.findings and verdict.findings["agreement"].score >= 1.0
        may_judge = is_accepted or margin >= 0.0
        gain = self._gain(draft, small, large, is_backed=is_backed, may_judge=may_judge) if is_looked_at else None
        if is_accepted or gain is not None:
            look = Look(tier=0, domain=row.kind, features=features, margin=margin, share=share, gain=gain)
            self.keeper.learn(look)
        asks_large = is_looked_at or not is_accepted
        return is_accepted, cost_usd + (large.cost_usd if asks_large else 0.0)

    def _verdict(self, row: Row, draft: Draft, cost_usd: float) -> tuple[Verdict, float]:
        verdict = assess(draft, _PLAIN)
        if self.second is None or verdict.score < ACCEPT_AT or not is_comparable(draft, _PLAIN):
            return verdict, cost_usd
        second = row.outcomes[self.second]
        found = agrees(draft, _draft(second), _PLAIN)
        if found is not None:
            verdict = verdict_of({**verdict.findings, "agreement": Finding(float(found))})
        return verdict, cost_usd + second.cost_usd

    def _gain(self, draft: Draft, small: Outcome, large: Outcome, *, is_backed: bool, may_judge: bool) -> float | None:
        found = agrees(draft, _draft(large), _PLAIN)
        if found or not (self.has_judge and may_judge):
            return None if found is None else self.keeper.gain_of(agrees=found, is_backed=is_backed)
        gain = self._word(large) - self._word(small)
        if found is False and not is_backed:
            self.keeper.differed(gain)
        return gain

    def _word(self, outcome: Outcome) -> float:
        return min(1.0, max(0.0, outcome.score + self.rng.gauss(0.0, _NOISE)))


def _draft(outcome: Outcome) -> Draft:
    return Draft(text=outcome.answer.text, finish_reason="stop")


def measured(of: Sequence[Row], pair: tuple[str, str, str | None], seed: int, *, guarded: bool, judge: bool) -> Sums:
    """Send all rows, shuffled, through one gate."""
    rng = random.Random(seed)
    stream_rows = list(of)
    rng.shuffle(stream_rows)
    asked = [name for name in (pair[0], pair[2]) if name is not None]
    small_usd = sum(row.outcomes[name].cost_usd for row in of for name in asked) / len(of)
    large_usd = sum(row.outcomes[pair[1]].cost_usd for row in of) / len(of)
    stream = Stream(*pair, rng=rng, is_guarded=guarded, has_judge=judge, costs=(small_usd, large_usd))
    sums = Sums()
    for place, row in enumerate(stream_rows):
        is_accepted, cost_usd = stream.serve(row)
        if place < len(stream_rows) // 2:
            continue
        large = row.outcomes[pair[1]]
        sums.quality += row.outcomes[pair[0] if is_accepted else pair[1]].score
        sums.cost_usd += cost_usd
        sums.large_quality += large.score
        sums.large_cost_usd += large.cost_usd
        sums.accepted += is_accepted
        sums.requests += 1
    return sums


def main() -> None:
    """Print a line for each pair and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    every = rows(options.data / "train", DATASETS)
    print("small > large (second)                                  way     quality saving accepted")
    for pair in PAIRS:
        needed = [name for name in pair if name is not None]
        fit = [row for row in every if row.is_complete(needed) and all(row.outcomes[n].answer.text for n in needed)]
        name = f"{pair[0]} > {pair[1]}" + (f" ({pair[2]})" if pair[2] else "")
        for way, guarded, judge in (("fixed", False, False), ("guarded", True, False), ("judge", True, True)):
            for seed in range(options.seeds if guarded else 1):
                sums = measured(fit, pair, seed, guarded=guarded, judge=judge)
                print(f"{name:55} {way:8}{sums.line()}  n {sums.requests}", flush=True)


if __name__ == "__main__":
    main()
