"""OpenAI Chat Completions."""

from collections.abc import Mapping, Sequence

import orjson

from streamroute.core.rate_limit import RateLimitReport
from streamroute.errors import RequestError
from streamroute.simulation.answer import Answer
from streamroute.simulation.chat_body import ChatBody, read_chat_body
from streamroute.simulation.content import Choice
from streamroute.simulation.limit_headers import openai_headers
from streamroute.simulation.profile import Profile


class OpenAIChat:
    """A `Format`."""

    def read(self, data: bytes, path: Mapping[str, str]) -> ChatBody:
        """See `Format`."""
        return read_chat_body(data)

    def answer(
        self, body: ChatBody, choices: Sequence[Choice], profile: Profile, *, token: str, created: int
    ) -> Answer:
        """See `Format`."""
        return Answer(
            body,
            choices,
            answer_id=f"chatcmpl-{token}",
            created=created,
            profile=profile,
        )

    def error(self, error: RequestError) -> bytes:
        """See `Format`."""
        fields = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
        return orjson.dumps({"error": fields})

    def key(self, headers: Mapping[str, str]) -> str:
        """See `Format`."""
        return headers.get("Authorization", "").removeprefix("Bearer ")

    def limit_headers(self, report: RateLimitReport) -> dict[str, str]:
        """See `Format`."""
        return openai_headers(report)

    def models(self, names: Sequence[str]) -> bytes:
        """See `Format`."""
        data = [{"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "simulation"} for name in names]
        return orjson.dumps({"object": "list", "data": data})
