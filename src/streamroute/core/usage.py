"""Tokens that a provider says it has counted. The provider's own figure is the truth; we never invent one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Token counts of one answer. `input_tokens` includes the cached ones, as OpenAI and Gemini count."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    """Part of `cache_write_tokens`: those that are kept for an hour."""
    reasoning_tokens: int = 0
    """Part of `output_tokens`."""
    tier: str | None = None
    """The service tier that the call was served in, in the provider's word; None where it did not say."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_input_tokens=self.cached_input_tokens + other.cached_input_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            cache_write_1h_tokens=self.cache_write_1h_tokens + other.cache_write_1h_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            tier=other.tier or self.tier,
        )
