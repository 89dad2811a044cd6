"""Second level of learned routing: what is known after some tiers have answered, as few numbers.

Log-odds of the first level, signals and agreement, but no words: with few outcomes a model over all of them together
learns their noise (pool O at 99 % quality: 40 % saved against 53 %). Utilities are means of scores, so straight lines
in probabilities rather than in log-odds: both are given, for a line over log-odds alone misses where answers are nearly
sure (over seven pools it saves 1.6 points less at equal quality, standard error .4). How much agreement is worth
depends on how good the answers looked, so it is also given times that, and times the chance that both are right. More
was tried, in cross-fitting on pools of 1,451 and 6,872 questions: the question's structure, and agreement times domain
and times the question's log-odds cost the small pools up to 10 % of saving and gave the large ones nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Stage = tuple[int, ...]
"""The judged tiers that have answered, smallest first."""


def stages(judged: int) -> list[Stage]:
    """Return every stage there is, those with most answers first."""
    return [stage for size in range(judged, -1, -1) for stage in combinations(range(judged), size)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Everything that may be known of one request; a stage takes from it what it may know."""

    question: Floats
    """Log-odds of the first level."""
    domain: str
    answers: Mapping[int, Floats]
    """Log-odds of the first level, by judged tier."""
    signals: Mapping[int, Sequence[float]]
    agreement: Mapping[tuple[int, int], bool]
    """By pair of judged tiers, the smaller one first."""
    unknown_share: float = 0.0
    """Of the question's words that the first level never learned from: no feature, but a sign of another domain."""


def features(seen: Seen, stage: Stage, domains: Sequence[str]) -> Floats:
    """Return the numbers for the models of one stage; a domain that is not among `domains` is none."""
    own = [float(seen.domain == each) for each in domains]
    parts: list[Sequence[float] | Floats] = [seen.question, probabilities(seen.question), own]
    right = {tier: probabilities(seen.answers[tier]) for tier in stage}
    for tier in stage:
        parts += [seen.answers[tier], right[tier], seen.signals[tier]]
    for one, two in combinations(stage, 2):
        agrees, both = float(seen.agreement[one, two]), right[one][0] * right[two][0]
        parts.append([agrees, agrees * seen.answers[one][0], agrees * seen.answers[two][0], both, agrees * both])
    return np.concatenate([np.asarray(part, np.float64) for part in parts])


def probabilities(log_odds: Floats) -> Floats:
    """Return what log-odds say as probabilities."""
    return np.asarray(1.0 / (1.0 + np.exp(-log_odds)), np.float64)


def answer_features(seen: Seen, tier: int) -> Floats:
    """Return what a judged tier's answer alone tells: all there is to go by where nothing was learned of a domain. What
    the question's words say does not carry over to other domains, and misleads there."""
    return np.concatenate([np.asarray(seen.answers[tier], np.float64), np.asarray(seen.signals[tier], np.float64)])
