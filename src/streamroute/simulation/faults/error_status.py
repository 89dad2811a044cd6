"""Fault `error_status`: an HTTP error instead of an answer."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar, Literal

import anyio

from streamroute.errors import RequestError
from streamroute.simulation.exchange import Exchange
from streamroute.simulation.fault import require, require_error_status
from streamroute.simulation.moment import Moment
from streamroute.simulation.severity import ALL_FAIL, Severity
from streamroute.simulation.timeline import Timeline

_BY_CODE: dict[str, tuple[str, str]] = {
    "context_length_exceeded": (
        "invalid_request_error",
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    ),
    "content_filter": (
        "invalid_request_error",
        "The response was filtered due to the prompt triggering content management policy.",
    ),
    "model_not_found": (
        "invalid_request_error",
        "The model `sim-1` does not exist or you do not have access to it.",
    ),
    "invalid_api_key": ("invalid_request_error", "Incorrect API key provided."),
    "insufficient_quota": (
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
}
"""Type and message that OpenAI sends with a code, where the script gives none."""

_BY_STATUS: dict[int, tuple[str, str]] = {
    401: ("invalid_request_error", "Incorrect API key provided."),
    403: ("permission_error", "Country, region, or territory not supported."),
    404: ("invalid_request_error", "The requested resource does not exist."),
    429: ("rate_limit_error", "Rate limit reached for requests."),
    500: ("server_error", "The server had an error while processing your request. Sorry about that!"),
    503: ("server_error", "The engine is currently overloaded, please try again later."),
    529: ("overloaded_error", "Overloaded"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorStatus:
    """Answers with `status` and an error body, after `delay_s`. The same for a stream: nothing has begun yet."""

    kind: ClassVar[str] = "error_status"
    status: int = 500
    """400 to 599. The default is the most usual one in incidents."""
    code: str | None = None
    """`error.code`; known ones bring their own type and message: `context_length_exceeded`, `content_filter`, ..."""
    message: str | None = None
    type: str | None = None
    param: str | None = None
    body: Literal["openai", "html", "text", "empty"] = "openai"
    """`openai` is the error object of the request's wire format, `html` what gateways in front of providers send."""
    retry_after_s: float | None = None
    """Sent as whole seconds in `Retry-After`, as overloaded servers do; None: no such header."""
    delay_s: float = 0.0
    """Seconds before the error is sent, at least 0."""

    def __post_init__(self) -> None:
        require_error_status(self.status)
        require(is_met=self.delay_s >= 0, message=f"delay_s must be at least 0, not {self.delay_s}")

    async def play(self, exchange: Exchange) -> None:
        """Send the error."""
        if self.delay_s:
            await anyio.sleep(self.delay_s)
        headers = {} if self.retry_after_s is None else {"Retry-After": str(round(self.retry_after_s))}
        body, content_type = self._body(exchange)
        await exchange.send(self.status, body, headers=headers, content_type=content_type)

    def severity(self, elapsed_s: float) -> Severity:
        """Return what becomes of those it hits."""
        return ALL_FAIL

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what `play` lets the client see."""
        retry_after_s = None if self.retry_after_s is None else float(round(self.retry_after_s))
        return normal.refused(self.status, after_s=self.delay_s, retry_after_s=retry_after_s)

    def _body(self, exchange: Exchange) -> tuple[bytes, str]:
        type_, message = self._words()
        match self.body:
            case "openai":
                error = RequestError(message, status=self.status, code=self.code, param=self.param, type_=type_)
                return exchange.format.error(error), "application/json"
            case "html":
                page = f"<html><head><title>{self.status}</title></head><body><h1>{message}</h1></body></html>\n"
                return page.encode(), "text/html"
            case "text":
                return message.encode(), "text/plain"
            case "empty":
                return b"", "text/plain"

    def _words(self) -> tuple[str, str]:
        known = _BY_CODE.get(self.code or "") or _BY_STATUS.get(self.status)
        if known is None:
            phrases = {one.value: one.phrase for one in HTTPStatus}
            is_ours = self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            known = ("server_error" if is_ours else "invalid_request_error", phrases.get(self.status, "Error"))
        return self.type or known[0], self.message or known[1]
