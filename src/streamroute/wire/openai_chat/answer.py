"""An answer that does not stream: is it whole, and what did it cost?"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamroute.core.outcome import Failure
from streamroute.core.usage import Usage
from streamroute.wire.json_text import read_json
from streamroute.wire.openai_chat.errors import read_error_event
from streamroute.wire.openai_chat.finish import EXPLAINS_SILENCE
from streamroute.wire.openai_chat.usage import read_usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the engine must know of a whole answer."""

    body: bytes = field(repr=False)
    """What is forwarded: as it came, where it came in this wire format."""
    model: str | None
    usage: Usage | None


def read_answer(body: bytes) -> Answer | Failure:
    """Check the body of a 200 response; a Failure where it is an error in disguise, broken or empty."""
    if not body.strip():
        return Failure(kind="empty", message="HTTP 200 with an empty body", http_status=200)
    try:
        payload = read_json(body)
    except ValueError as error:
        return Failure(kind="malformed", message=f"the answer is not valid JSON: {error}", http_status=200)
    if not isinstance(payload, dict):
        return Failure(kind="malformed", message="the answer is not a JSON object", http_status=200)
    if payload.get("error"):
        return read_error_event(payload)
    choices = payload.get("choices")
    if not isinstance(choices, list) or not all(
        isinstance(choice, dict) and isinstance(choice.get("message"), dict) for choice in choices
    ):
        return Failure(kind="malformed", message="the answer has no `choices` with messages", http_status=200)
    for choice in choices:
        if choice.get("error") or choice.get("finish_reason") == "error":  # OpenRouter: it broke on the way
            return read_error_event(choice if choice.get("error") else payload)
    if not choices or all(_is_empty(choice) for choice in choices):
        return Failure(kind="empty", message="the answer has no content", http_status=200)
    model = payload.get("model")
    return Answer(
        body=body,
        model=model if isinstance(model, str) else None,
        usage=read_usage(payload.get("usage"), payload.get("service_tier")),
    )


def _is_empty(choice: Mapping[str, object]) -> bool:
    if str(choice.get("finish_reason")) in EXPLAINS_SILENCE:
        return False
    message = choice["message"]
    return isinstance(message, dict) and not any(value for key, value in message.items() if key != "role")
