"""Finish reasons, of OpenAI and of those who are compatible with it."""

EXPLAINS_SILENCE = frozenset(
    {"length", "content_filter", "tool_calls", "function_call", "model_length", "max_tokens", "refusal", "safety"}
)
"""With one of these an answer without content is an answer: the limit went into hidden reasoning, or a filter spoke.
With any other (`stop`, or DeepSeek's `insufficient_system_resource`) it is a failure."""
