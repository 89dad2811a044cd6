"""A whole answer: a message with its blocks, read as a chat completion."""

from collections.abc import Mapping

from streamroute.core.outcome import Failure
from streamroute.wire.anthropic_messages.errors import read_error_event
from streamroute.wire.anthropic_messages.reasoning import encrypted_detail, signed_detail
from streamroute.wire.anthropic_messages.stop import finish_reason
from streamroute.wire.anthropic_messages.usage import hub_usage
from streamroute.wire.json_text import read_json, write_json
from streamroute.wire.openai_chat.answer import Answer
from streamroute.wire.openai_chat.answer import read_answer as read_hub_answer


def read_answer(body: bytes, *, created: int) -> Answer | Failure:
    """Read the body of a 200 response; a Failure where it is an error in disguise, broken, cut or empty.

    `created`: now, in seconds since the epoch; Anthropic does not say when it answered.
    """
    try:
        message = read_json(body) if body.strip() else {}
    except ValueError as error:
        return Failure(kind="malformed", message=f"the answer is not valid JSON: {error}", http_status=200)
    if not isinstance(message, dict):
        return Failure(kind="malformed", message="the answer is not a JSON object", http_status=200)
    if message.get("type") == "error" or message.get("error"):
        return read_error_event(message)
    content, stop_reason = message.get("content"), message.get("stop_reason")
    if not message:
        return Failure(kind="empty", message="HTTP 200 with an empty body", http_status=200)
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        return Failure(kind="malformed", message="the answer has no `content` with blocks", http_status=200)
    if not isinstance(stop_reason, str) or not stop_reason:
        return Failure(kind="truncated", message="the answer has no stop reason", http_status=200)
    return read_hub_answer(write_json(_completion(message, content, finish_reason(stop_reason), created)))


def _completion(
    message: Mapping[str, object], content: list[dict[str, object]], reason: str, created: int
) -> dict[str, object]:
    usage = message.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    completion: dict[str, object] = {
        "id": message.get("id"),
        "object": "chat.completion",
        "created": created,
        "model": message.get("model"),
        "choices": [{"index": 0, "message": _message(content), "logprobs": None, "finish_reason": reason}],
    }
    if usage:
        completion["usage"] = hub_usage(usage)
    return completion


def _message(content: list[dict[str, object]]) -> dict[str, object]:
    """Put the blocks together; those of tools that run at Anthropic have no place, and nobody can ask for them here."""
    texts: list[str] = []
    thoughts: list[str] = []
    details: list[dict[str, object]] = []
    calls: list[dict[str, object]] = []
    for block in content:
        match block.get("type"):
            case "text":
                texts.append(_text(block, "text"))
            case "thinking":
                thoughts.append(_text(block, "thinking"))
                if signature := _text(block, "signature"):
                    details.append(signed_detail(thoughts[-1], signature, len(details)))
            case "redacted_thinking":
                details.append(encrypted_detail(_text(block, "data"), len(details)))
            case "tool_use":
                function = {"name": block.get("name"), "arguments": write_json(block.get("input") or {}).decode()}
                calls.append({"id": block.get("id"), "type": "function", "function": function})
    text = "".join(texts)
    message: dict[str, object] = {"role": "assistant", "content": text if text or not calls else None}
    if thoughts:
        message["reasoning_content"] = "".join(thoughts)
    if details:
        message["reasoning_details"] = details
    if calls:
        message["tool_calls"] = calls
    return message


def _text(block: Mapping[str, object], name: str) -> str:
    value = block.get(name)
    return value if isinstance(value, str) else ""
