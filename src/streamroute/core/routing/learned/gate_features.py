"""A held answer as few numbers: what the models of expected gain are asked about."""

from math import log1p

import numpy as np
from numpy.typing import NDArray

from streamroute.core.quality.signals import SIGNALS, answer_of, signals
from streamroute.core.quality.verdict import Draft, Verdict

_EVIDENCE = ("confidence", "agreement", "judge")
_CHECKS = ("completeness", "form", "arguments", "code", "arithmetic", "refusal", "repetition")
GATE_FEATURES = 2 * len(_EVIDENCE) + 2 + len(SIGNALS)
"""How many there are."""


def gate_features(draft: Draft, verdict: Verdict) -> NDArray[np.float64]:
    """Return the numbers: each kind of evidence with whether there is any, the lowest check, signals, length."""
    found = verdict.findings
    numbers: list[float] = []
    for name in _EVIDENCE:
        numbers += [found[name].score, 1.0] if name in found else [0.5, 0.0]
    numbers.append(min((found[name].score for name in _CHECKS if name in found), default=1.0))
    numbers.append(log1p(len(draft.text)) / 10.0)
    numbers += signals(answer_of(draft, verdict))
    return np.asarray(numbers, np.float64)
