"""The `usage` object of answers and of the last chunk of a stream."""

from collections.abc import Mapping

from streamroute.core.usage import Usage


def read_usage(value: object) -> Usage | None:
    """Return the token counts, or None where `value` is not a usage object."""
    if not isinstance(value, Mapping) or not value:
        return None
    prompt = value.get("prompt_tokens_details")
    completion = value.get("completion_tokens_details")
    prompt = prompt if isinstance(prompt, Mapping) else {}
    completion = completion if isinstance(completion, Mapping) else {}
    return Usage(
        input_tokens=_count(value.get("prompt_tokens")),
        output_tokens=_count(value.get("completion_tokens")),
        cached_input_tokens=_count(prompt.get("cached_tokens", value.get("prompt_cache_hit_tokens"))),
        cache_write_tokens=_count(prompt.get("cache_write_tokens")),
        reasoning_tokens=_count(completion.get("reasoning_tokens")),
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
