"""Stop reasons -> finish reasons.

Source: https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons.
"""

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",  # there is more to come, so `stop` would make half an answer look whole
    "refusal": "content_filter",
}


def finish_reason(stop_reason: str) -> str:
    """Return the hub's word. For one that nobody here knows it is `length`: clients' parsers know no others than
    OpenAI's, and to call such an answer complete is not ours."""
    return _FINISH_REASONS.get(stop_reason, "length")
