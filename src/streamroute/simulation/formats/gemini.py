"""Gemini's own format: `:generateContent` and `:streamGenerateContent`."""

from collections.abc import Mapping, Sequence

import orjson

from streamroute.core.rate_limit import RateLimitReport
from streamroute.errors import RequestError
from streamroute.simulation.answer import Answer
from streamroute.simulation.chat_body import ChatBody
from streamroute.simulation.content import Choice
from streamroute.simulation.gemini_answer import STATUSES, GeminiAnswer
from streamroute.simulation.gemini_body import read_gemini_body
from streamroute.simulation.profile import Profile

_BY_CODE: dict[str, str] = {
    "context_length_exceeded": "The input token count (9000) exceeds the maximum number of tokens allowed (8192).",
    "model_not_found": "models/sim-1 is not found for API version v1beta, or is not supported for generateContent.",
    "invalid_api_key": "API key not valid. Please pass a valid API key.",
}
"""What Google says where OpenAI has a code."""
_DAILY = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [
    {"quotaMetric": "generate_content_requests", "quotaId": "GenerateRequestsPerDayPerProjectPerModel"}
]}  # fmt: skip


class Gemini:
    """A `Format`."""

    def read(self, data: bytes, path: Mapping[str, str]) -> ChatBody:
        """See `Format`."""
        return read_gemini_body(data, model=path["model"], stream=path["method"] == "streamGenerateContent")

    def answer(
        self, body: ChatBody, choices: Sequence[Choice], profile: Profile, *, token: str, created: int
    ) -> Answer:
        """See `Format`."""
        return GeminiAnswer(
            body,
            choices,
            answer_id=token,
            created=created,
            profile=profile,
        )

    def error(self, error: RequestError) -> bytes:
        """See `Format`."""
        word = STATUSES.get(error.status, "INVALID_ARGUMENT" if error.status < 500 else "UNKNOWN")
        message = _BY_CODE.get(error.code or "", error.message)
        details = {"details": [_DAILY]} if error.code == "insufficient_quota" else {}
        return orjson.dumps({"error": {"code": error.status, "message": message, "status": word, **details}})

    def key(self, headers: Mapping[str, str]) -> str:
        """See `Format`."""
        return headers.get("x-goog-api-key", "") or headers.get("Authorization", "").removeprefix("Bearer ")

    def limit_headers(self, report: RateLimitReport) -> dict[str, str]:
        """See `Format`: Google tells nothing of its limits."""
        return {}

    def models(self, names: Sequence[str]) -> bytes:
        """See `Format`."""
        listed = [{"name": f"models/{name}", "supportedGenerationMethods": ["generateContent"]} for name in names]
        return orjson.dumps({"models": listed})
