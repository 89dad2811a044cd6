"""What only one provider reads of the messages that clients give back: signatures of its own thoughts.

Clients return an answer's message as it came, whoever is asked next; providers that do not know such a field refuse the
request. The messages that were given stay as they are.
"""

from collections.abc import Mapping

GOOGLE = "extra_content"
"""Gemini's, under `google`: https://ai.google.dev/gemini-api/docs/thought-signatures, in Google's spelling."""
DETAILS = "reasoning_details"
"""Claude's, in OpenRouter's spelling: https://openrouter.ai/docs/guides/best-practices/reasoning-tokens."""
CLAUDE = "anthropic-claude-v1"
"""The `format` of details that only Anthropic can read; the text of the thoughts then stands in `reasoning_content`."""

Message = Mapping[str, object]


def without_google(messages: object) -> object:
    """Return the messages without what only Google reads."""
    return [_without_google(message) for message in messages] if isinstance(messages, list) else messages


def without_claude(messages: object) -> object:
    """Return the messages without what only Anthropic reads, and without the thoughts that it belongs to."""
    return [_without_claude(message) for message in messages] if isinstance(messages, list) else messages


def _without_google(message: Message) -> Message:
    calls = message.get("tool_calls")
    if isinstance(calls, list) and any(isinstance(call, dict) and GOOGLE in call for call in calls):
        calls = [_without_google(call) if isinstance(call, dict) else call for call in calls]
        message = {**message, "tool_calls": calls}
    notes = message.get(GOOGLE)
    if not isinstance(notes, Mapping) or "google" not in notes:
        return message
    kept = {key: value for key, value in notes.items() if key != "google"}
    rest = {key: value for key, value in message.items() if key != GOOGLE}
    return {**rest, GOOGLE: kept} if kept else rest


def _without_claude(message: Message) -> Message:
    details = message.get(DETAILS)
    if not isinstance(details, list):
        return message
    kept = [each for each in details if not (isinstance(each, Mapping) and each.get("format") == CLAUDE)]
    if len(kept) == len(details):
        return message
    rest = {key: value for key, value in message.items() if key not in {DETAILS, "reasoning_content"}}
    return {**rest, DETAILS: kept} if kept else rest
