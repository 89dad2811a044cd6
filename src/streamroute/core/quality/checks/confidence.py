"""How sure was the model of its own words?

The mean of token log-probabilities tells right answers from wrong ones with an AUROC of .65 to .71 within a domain and
.72 to .83 outside of it (arXiv 2605.02241), where the question alone tells next to nothing. The weakest stretch is
where an answer goes wrong.
"""

from math import exp

from streamroute.core.quality.verdict import Draft, Finding, Wanted

_WINDOW = 8
"""Tokens of a stretch: about a clause."""
_LEAST_TOKENS = 3


def confidence(draft: Draft, wanted: Wanted) -> Finding | None:
    """Return the mean probability of a token (geometric), halfway to that of its weakest stretch. Not calibrated: a
    threshold for it belongs to one model."""
    probs = draft.token_ln_probs
    if len(probs) < _LEAST_TOKENS:
        return None
    mean = sum(probs) / len(probs)
    window = min(_WINDOW, len(probs))
    total = least = sum(probs[:window])
    for at in range(window, len(probs)):
        total += probs[at] - probs[at - window]
        least = min(least, total)
    score = exp((mean + least / window) / 2.0)
    return Finding(
        min(1.0, score), f"its words had a probability of {exp(mean):.2f}, the weakest {exp(least / window):.2f}"
    )
