"""Anthropic Messages."""

from collections.abc import Mapping, Sequence

import orjson

from streamroute.core.rate_limit import RateLimitReport
from streamroute.errors import RequestError
from streamroute.simulation.answer import Answer
from streamroute.simulation.chat_body import ChatBody
from streamroute.simulation.content import Choice
from streamroute.simulation.limit_headers import anthropic_headers
from streamroute.simulation.messages_answer import ERROR_TYPES, MessagesAnswer
from streamroute.simulation.messages_body import read_messages_body
from streamroute.simulation.profile import Profile

_BY_CODE: dict[str, tuple[str, str]] = {
    "context_length_exceeded": ("invalid_request_error", "prompt is too long: 9000 tokens > 8192 maximum"),
    "content_filter": ("invalid_request_error", "Output blocked by content filtering policy"),
    "model_not_found": ("not_found_error", "model: sim-1"),
    "invalid_api_key": ("authentication_error", "invalid x-api-key"),
    "insufficient_quota": ("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
}
"""What Anthropic says where OpenAI has a code."""
_BY_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class AnthropicMessages:
    """A `Format`."""

    def read(self, data: bytes, path: Mapping[str, str]) -> ChatBody:
        """See `Format`."""
        return read_messages_body(data)

    def answer(
        self, body: ChatBody, choices: Sequence[Choice], profile: Profile, *, token: str, created: int
    ) -> Answer:
        """See `Format`."""
        return MessagesAnswer(
            body,
            choices,
            answer_id=f"msg_{token}",
            created=created,
            profile=profile,
        )

    def error(self, error: RequestError) -> bytes:
        """See `Format`."""
        type_ = _BY_STATUS.get(error.status, ERROR_TYPES.get(error.type, error.type))
        type_, message = _BY_CODE.get(error.code or "", (type_, error.message))
        return orjson.dumps({"type": "error", "error": {"type": type_, "message": message}, "request_id": "req_sim"})

    def key(self, headers: Mapping[str, str]) -> str:
        """See `Format`."""
        return headers.get("x-api-key", "") or headers.get("Authorization", "").removeprefix("Bearer ")

    def limit_headers(self, report: RateLimitReport) -> dict[str, str]:
        """See `Format`."""
        return anthropic_headers(report)

    def models(self, names: Sequence[str]) -> bytes:
        """See `Format`."""
        data = [
            {"type": "model", "id": name, "display_name": name, "created_at": "2023-11-14T22:13:20Z"} for name in names
        ]
        return orjson.dumps({"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]})
