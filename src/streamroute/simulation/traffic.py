"""Who asks, when, and how much: seeded arrivals, the same for every policy that is compared."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from streamroute.core.upstream import LatencyClass, PlanName, Steering
from streamroute.simulation.seeded import fraction

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """A lognormal number of tokens."""

    median: int
    """At least 1."""
    sigma: float = 0.0
    """Of the logarithm, at least 0; 0: always the median."""
    most: int = 100_000

    def draw(self, uniform: float, factor: float = 1.0) -> int:
        """Return the number for a `uniform` in [0, 1), multiplied by `factor`; between 1 and `most`."""
        spread = math.exp(self.sigma * _NORMAL.inv_cdf(max(1e-9, uniform))) if self.sigma else 1.0
        return max(1, min(self.most, round(self.median * spread * factor)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One request of a client."""

    ordinal: int
    """0-based number in the whole traffic: the key of chance, see `Script.timeline`."""
    at_s: float
    """Seconds since the scripts began."""
    prompt_tokens: int
    answer_tokens: int
    is_slow_client: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The traffic of a scenario."""

    rps: float = 5.0
    """Requests a second on average, above 0. Five make a p99 of 1500 requests in five minutes."""
    arrivals_cv: float = 1.0
    """Coefficient of variation of the time between two requests, at least 1. 1: a Poisson process. Recorded traffic of
    code completion has 13 (Azure's public LLM inference trace, 2023)."""
    prompt: Tokens = Tokens(median=550, sigma=0.4, most=32_000)
    answer: Tokens = Tokens(median=150, sigma=0.4, most=600)
    """What llmperf asks by default, spread."""
    prompt_factor: float = 1.0
    """Prompts are so many times as long between `shift_from_s` and `shift_until_s`."""
    shift_from_s: float = math.inf
    shift_until_s: float = math.inf
    plan: PlanName = "hedge"
    latency_class: LatencyClass = "interactive"
    steering: Steering = "preferred"
    patience_s: float = 30.0
    """When a client without a first token gives up: LiteLLM's example of a timeout, and that of the simulations that
    the targets come from."""
    slow_client_share: float = 0.0
    """Of the clients, 0 to 1: they read no more than `slow_client_bps`."""
    slow_client_bps: float = 2_000.0
    """Bytes a second: a third of what a stream of 25 tokens a second needs."""

    def __post_init__(self) -> None:
        if self.rps <= 0 or self.arrivals_cv < 1:
            raise ValueError("rps must be above 0 and arrivals_cv at least 1")

    @property
    def process(self) -> Literal["poisson", "bursty"]:
        """What the arrivals are."""
        return "poisson" if self.arrivals_cv == 1 else "bursty"

    def arrivals(self, seed: int, until_s: float) -> Iterator[Arrival]:
        """Yield the requests before `until_s`, in order; the same seed gives the same."""
        at_s, ordinal = 0.0, 0
        while True:
            at_s += self._gap_s(seed, ordinal)
            if at_s >= until_s:
                return
            factor = self.prompt_factor if self.shift_from_s <= at_s < self.shift_until_s else 1.0
            yield Arrival(
                ordinal=ordinal,
                at_s=at_s,
                prompt_tokens=self.prompt.draw(fraction(seed, "prompt", ordinal), factor),
                answer_tokens=self.answer.draw(fraction(seed, "answer", ordinal)),
                is_slow_client=self.slow_client_share > 0
                and fraction(seed, "client", ordinal) < self.slow_client_share,
            )
            ordinal += 1

    def _gap_s(self, seed: int, ordinal: int) -> float:
        """Return a gap: exponential, or of two exponentials with balanced means where the cv is above 1.

        Whitt, "Approximating a point process by a renewal process I", Operations Research 30(1), 1982, section 3.
        """
        rate = self.rps
        if self.arrivals_cv > 1:
            squared = self.arrivals_cv**2
            often = (1 + math.sqrt((squared - 1) / (squared + 1))) / 2
            rate *= 2 * (often if fraction(seed, "branch", ordinal) < often else 1 - often)
        return -math.log(1 - fraction(seed, "gap", ordinal)) / rate
