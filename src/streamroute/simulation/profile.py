"""How a simulated provider behaves when nothing is wrong with it."""

from dataclasses import dataclass, replace
from typing import Literal

ContinuationHabit = Literal["prefill", "ignores", "rejects", "exact", "anchor", "preamble", "overlap", "restart"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Speed, size and habits. The defaults are instant, so that tests take no time; scenarios set real figures."""

    ttft_s: float = 0.0
    """Seconds to the first content token, at least 0: the median. Headers and the role delta are sent at once."""
    ttft_sigma: float = 0.0
    """Standard deviation of the logarithm of the time to the first token (lognormal); 0: always the median. Recorded
    traffic of hosted models has 0.2 to 0.6 (llmperf's public results, 2023)."""
    ttft_tail_share: float = 0.0
    """Share of the requests whose first token is much later still, 0 to 1."""
    ttft_tail_factor: tuple[float, float] = (3.0, 15.0)
    """By how much: drawn log-uniformly from this range, both at least 1."""
    ttft_draws_s: tuple[float, ...] = ()
    """Recorded times to the first token, of which each request draws one: instead of `ttft_s`, its spread and tail."""
    ttft_per_ktok_s: float = 0.0
    """Seconds more for each 1000 tokens of the prompt, at least 0."""
    tpot_s: float = 0.0
    """Seconds for each further token, at least 0. With 0 the events are coalesced into few writes."""
    tpot_sigma: float = 0.0
    """Standard deviation of the logarithm of `tpot_s` from answer to answer; within an answer see `jitter`."""
    jitter: float = 0.0
    """Each wait is multiplied by a seeded factor in [1 - jitter, 1 + jitter]; 0 to 1."""
    error_share: float = 0.0
    """Share of the requests that get a 500 though nothing is wrong, 0 to 1."""
    doubt_share: float = 0.0
    """Share of the questions, 0 to 1, that are beyond it: it answers that it is not sure, as small models do."""
    says: str = ""
    """What it answers to everything, instead of made-up text; empty: text that the prompt decides."""
    says_to: tuple[tuple[str, str], ...] = ()
    """What it answers to prompts with certain words, before anything else: pairs of both, the first that fits. A judge
    is made this way: it knows a good answer when it sees one."""
    tokens: int = 16
    """Tokens of an answer to a request without `max_tokens` and `max_completion_tokens`; 0 to 9999."""
    cached_share: float = 0.0
    """Share of the prompt's tokens that it says it had cached, 0 to 1."""
    cache_write_share: float = 0.0
    """Share of the prompt's tokens that it says it has cached for later, 0 to 1 less `cached_share`; in Anthropic's
    format half of them for an hour."""
    reasoning_tokens: int = 0
    """Tokens of reasoning that it bills beside those of the answer, at least 0; nobody sees them."""
    models: tuple[str, ...] = ()
    """The models it knows; others get 404. Empty: it knows any name, and lists `sim-1`."""
    api_key: str | None = None
    """The only key that it accepts; others get 401. None: no key is asked for."""
    sends_rate_limit_headers: bool = False
    """Adds OpenAI's `x-ratelimit-*` headers to every answer."""
    limit_requests: int | None = None
    """Requests that it answers in each `limit_window_s`; the rest get 429 until the next window. The headers then count
    down truly. None: no limit."""
    limit_window_s: float = 60.0
    """Above 0. Providers limit by the minute."""
    capacity_rps: float | None = None
    """Requests a second that it can serve; None: any."""
    max_in_flight: int | None = None
    """Requests at once that it can serve; None: any."""
    over_capacity: Literal["slow", "429", "503"] = "slow"
    """What happens above capacity: the first token takes so many times as long as the square of load / capacity says (a
    queue that grows), each further one as load / capacity says (shared among more), both up to 20; or what is too much
    is refused."""
    continuation: ContinuationHabit = "prefill"
    """What becomes of a request to carry on an answer; see `simulation.continuing`."""
    continues_prefill: bool = True
    """False is an older name for `continuation = "ignores"`."""

    def __post_init__(self) -> None:
        if self.ttft_s < 0 or self.tpot_s < 0 or self.ttft_per_ktok_s < 0:
            raise ValueError("ttft_s and tpot_s must be at least 0")
        if self.ttft_sigma < 0 or self.tpot_sigma < 0 or min(self.ttft_draws_s, default=0.0) < 0:
            raise ValueError("ttft_sigma, tpot_sigma and ttft_draws_s must be at least 0")
        for name, share in (
            ("jitter", self.jitter),
            ("ttft_tail_share", self.ttft_tail_share),
            ("error_share", self.error_share),
            ("cached_share", self.cached_share),
            ("cache_write_share", self.cache_write_share),
            ("cached_share + cache_write_share", self.cached_share + self.cache_write_share),
            ("doubt_share", self.doubt_share),
        ):
            if not 0 <= share <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {share}")
        if not 1 <= self.ttft_tail_factor[0] <= self.ttft_tail_factor[1]:
            raise ValueError(f"ttft_tail_factor must be two ascending numbers from 1, not {self.ttft_tail_factor}")
        if self.reasoning_tokens < 0:
            raise ValueError(f"reasoning_tokens must be at least 0, not {self.reasoning_tokens}")
        if not 0 <= self.tokens <= MAX_TOKENS:
            raise ValueError(f"tokens must be between 0 and {MAX_TOKENS}, not {self.tokens}")
        for limit in (self.limit_requests, self.capacity_rps, self.max_in_flight, self.limit_window_s):
            if limit is not None and limit <= 0:
                raise ValueError("limits, capacities and windows must be above 0")

    @property
    def has_limits(self) -> bool:
        """Whether how well it does depends on how much it is asked."""
        return any(limit is not None for limit in (self.limit_requests, self.capacity_rps, self.max_in_flight))

    @property
    def rate_window_s(self) -> float:
        """Over how many seconds its load is counted: short enough to follow a burst, long enough for two requests at
        its capacity."""
        return 1.0 if self.capacity_rps is None else max(1.0, 2 / self.capacity_rps)

    def slowed(self, ttft_factor: float, tpot_factor: float) -> "Profile":
        """Return the same with its times multiplied."""
        return replace(
            self,
            ttft_s=self.ttft_s * ttft_factor,
            ttft_per_ktok_s=self.ttft_per_ktok_s * ttft_factor,
            ttft_draws_s=tuple(each * ttft_factor for each in self.ttft_draws_s),
            tpot_s=self.tpot_s * tpot_factor,
        )


MAX_TOKENS = 9999
"""The index in a token has four digits; asking for more is answered with this many."""
