"""`usageMetadata` as OpenAI's `usage`.

`promptTokenCount` includes what was cached, as OpenAI's `prompt_tokens` does. Thoughts stand beside
`candidatesTokenCount` and results of Google's own tools beside `promptTokenCount`; both are billed and belong to the
sum (https://ai.google.dev/api/generate-content#UsageMetadata), as recorded exchanges confirm without exception.
"""

from collections.abc import Mapping


def hub_usage(metadata: Mapping[str, object]) -> dict[str, object]:
    """Return OpenAI's usage object."""
    prompt = _count(metadata, "promptTokenCount") + _count(metadata, "toolUsePromptTokenCount")
    thoughts = _count(metadata, "thoughtsTokenCount")
    completion = _count(metadata, "candidatesTokenCount") + thoughts
    usage: dict[str, object] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": _count(metadata, "cachedContentTokenCount")},
        "completion_tokens_details": {"reasoning_tokens": thoughts},
    }
    tier = metadata.get("serviceTier")
    if isinstance(tier, str) and tier:
        usage["service_tier"] = tier.lower()  # here, because beside `choices` clients know OpenAI's words only
    return usage


def _count(metadata: Mapping[str, object], name: str) -> int:
    value = metadata.get(name)
    return value if isinstance(value, int) and value > 0 else 0
