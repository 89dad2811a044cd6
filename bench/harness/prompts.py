"""Prompts that are made up, no two alike: what is kept from one to the next flatters no figure."""

import numpy as np

PROMPT_CHARS = 600
_WORDS = 20_000


class Prompts:
    """Draws prompts, each about a domain: a third of its words are the domain's own."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
        share = 1.0 / np.arange(1, 27)
        lengths = self._rng.integers(2, 11, _WORDS)
        self._words = ["".join(self._rng.choice(letters, length, p=share / share.sum())) for length in lengths]

    def draw(self, domain: int, chars: int = PROMPT_CHARS) -> str:
        """Return a prompt."""
        ranks = self._rng.zipf(1.3, chars) % _WORDS
        is_own = self._rng.random(chars) < 1 / 3
        ranks[is_own] = (ranks[is_own] + 7 * (domain + 1) * 97) % _WORDS
        return " ".join(self._words[rank] for rank in ranks)[:chars]
