"""How a simulated provider behaves when nothing is wrong with it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Speed, size and habits. The defaults are instant, so that tests take no time; scenarios set real figures."""

    ttft_s: float = 0.0
    """Seconds to the first content token, at least 0. Headers and the role delta are sent at once."""
    tpot_s: float = 0.0
    """Seconds for each further token, at least 0. With 0 the events are coalesced into few writes."""
    jitter: float = 0.0
    """Each wait is multiplied by a seeded factor in [1 - jitter, 1 + jitter]; 0 to 1."""
    tokens: int = 16
    """Tokens of an answer to a request without `max_tokens` and `max_completion_tokens`; 0 to 9999."""
    models: tuple[str, ...] = ()
    """The models it knows; others get 404. Empty: it knows any name, and lists `sim-1`."""
    api_key: str | None = None
    """The only key that it accepts; others get 401. None: no key is asked for."""
    sends_rate_limit_headers: bool = False
    """Adds OpenAI's `x-ratelimit-*` headers to every answer."""
    continues_prefill: bool = True
    """A trailing assistant message that is the beginning of the answer is carried on instead of answered anew."""

    def __post_init__(self) -> None:
        if self.ttft_s < 0 or self.tpot_s < 0:
            raise ValueError("ttft_s and tpot_s must be at least 0")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter must be between 0 and 1, not {self.jitter}")
        if not 0 <= self.tokens <= MAX_TOKENS:
            raise ValueError(f"tokens must be between 0 and {MAX_TOKENS}, not {self.tokens}")


MAX_TOKENS = 9999
"""The index in a token has four digits; asking for more is answered with this many."""
