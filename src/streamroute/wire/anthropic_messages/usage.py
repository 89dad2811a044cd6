"""Token counts. Anthropic's `input_tokens` leaves out what was read from the cache or written to it; the hub's
`prompt_tokens` includes both, as OpenAI counts.

Source: https://platform.claude.com/docs/en/build-with-claude/prompt-caching ("Tracking cache performance").
"""

from collections.abc import Mapping


def hub_usage(usage: Mapping[str, object]) -> dict[str, object]:
    """Return the counts in the hub's form; what is not counted is 0."""
    read, written = _count(usage, "cache_read_input_tokens"), _count(usage, "cache_creation_input_tokens")
    prompt = _count(usage, "input_tokens") + read + written
    completion = _count(usage, "output_tokens")
    output_details = usage.get("output_tokens_details")
    kept = usage.get("cache_creation")
    hub: dict[str, object] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
        "completion_tokens_details": {
            "reasoning_tokens": _count(output_details, "thinking_tokens") if isinstance(output_details, Mapping) else 0
        },
    }
    if isinstance(tier := usage.get("service_tier"), str):
        hub["service_tier"] = tier  # here, because beside `choices` clients know OpenAI's words only
    if isinstance(kept, Mapping):
        hub["cache_creation"] = {
            name: _count(kept, name) for name in ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
        }
    return hub


def _count(usage: Mapping[str, object], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and value > 0 else 0
