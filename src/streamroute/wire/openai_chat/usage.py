"""The `usage` object of answers and of the last chunk of a stream."""

from collections.abc import Mapping

from streamroute.core.usage import Usage

MAX_TOKENS = 10**9
"""Of one call; a larger count is a mistake."""
_MAX_TIER_CHARS = 64


def read_usage(value: object, tier: object = None) -> Usage | None:
    """Return the token counts, or None where `value` is not a usage object. `tier`: `service_tier` beside it."""
    if not isinstance(value, Mapping) or not value:
        return None
    prompt = value.get("prompt_tokens_details")
    completion = value.get("completion_tokens_details")
    prompt = prompt if isinstance(prompt, Mapping) else {}
    completion = completion if isinstance(completion, Mapping) else {}
    written = value.get("cache_creation")
    written = written if isinstance(written, Mapping) else {}
    return Usage(
        input_tokens=_count(value.get("prompt_tokens")),
        output_tokens=_count(value.get("completion_tokens")),
        cached_input_tokens=_count(prompt.get("cached_tokens", value.get("prompt_cache_hit_tokens"))),
        cache_write_tokens=_count(prompt.get("cache_write_tokens", value.get("cache_creation_input_tokens"))),
        cache_write_1h_tokens=_count(written.get("ephemeral_1h_input_tokens")),
        reasoning_tokens=_count(completion.get("reasoning_tokens")),
        tier=read_tier(tier) or read_tier(value.get("service_tier")),
    )


def read_tier(value: object) -> str | None:
    """Return the name of a service tier."""
    return value[:_MAX_TIER_CHARS] if isinstance(value, str) and value else None


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 < value <= MAX_TOKENS else 0
