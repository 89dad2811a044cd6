"""A small world of recorded outcomes, the same every time, in which the best policy is known.

sums    the small model is nearly always right
law     it is nearly always wrong, and sounds as sure as ever
rivers  half of the time it is right; where it is not it hedges
"""

import json
import random
from collections.abc import Sequence
from pathlib import Path

MANY = 480
SURE, UNSURE = "The answer follows at once. Answer: {}", "However, it is probably, or possibly, unclear. Answer: {}"
LAW = "Which statute of the {} court binds a tenant who subletted the {} premises?"
SUM = "What is the sum of {} apples and {} apples in the basket?"
RIVER = "Which river of the {} plain is longer than the {} stream?"
_PLACES = ("northern", "southern", "eastern", "western", "upper", "lower", "inner", "outer")


def outcome_lines(many: int = MANY, names: Sequence[str] = ("small", "large")) -> list[dict[str, object]]:
    """Return what stands in the lines of a file."""
    rng = random.Random(11)
    small, large = names[0], names[-1]
    found: list[dict[str, object]] = []
    for at in range(many):
        domain = ("sums", "law", "rivers")[at % 3]
        words = (rng.randint(2, 99), rng.randint(2, 99)) if domain == "sums" else rng.sample(_PLACES, 2)
        text = {"sums": SUM, "law": LAW, "rivers": RIVER}[domain].format(*words)
        share = {"sums": 0.97, "law": 0.03, "rivers": 0.5}[domain]
        is_right, is_large_right = rng.random() < share, rng.random() < 0.95
        says = UNSURE if domain == "rivers" and not is_right else SURE
        outcomes: dict[str, object] = {
            small: {"answer": says.format(at if is_right else at + 1), "score": float(is_right), "cost_usd": 0.0002},
            large: {"answer": SURE.format(at), "score": float(is_large_right), "cost_usd": 0.001},
        }
        if len(names) == 3:  # the middle one is right where the small one is, and in law half of the time
            is_middle = is_right or (domain == "law" and rng.random() < 0.5)
            outcomes[names[1]] = {
                "answer": SURE.format(at if is_middle else at + 2), "score": float(is_middle), "cost_usd": 0.0003
            }  # fmt: skip
        found.append({"id": f"{domain}-{at}", "question": text, "domain": domain, "outcomes": outcomes})
    return found


def write_outcomes(path: Path, many: int = MANY, names: Sequence[str] = ("small", "large")) -> Path:
    """Write them, one a line."""
    path.write_text("".join(json.dumps(each) + "\n" for each in outcome_lines(many, names)))
    return path
