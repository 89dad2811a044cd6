"""Replies that do not stream: JSON, text, and errors in OpenAI's shape."""

import math
from collections.abc import Mapping

import orjson
from aiohttp import web

from streamroute.errors import RequestError
from streamroute.wire.openai_chat.errors import encode_error


def json_reply(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return `value` as JSON."""
    return web.Response(body=orjson.dumps(value), status=status, headers=headers, content_type="application/json")


def text_reply(text: str, *, status: int = 200) -> web.Response:
    """Return plain text that nobody should cache."""
    return web.Response(text=text, status=status, headers={"Cache-Control": "no-store"})


def error_reply(
    status: int,
    message: str,
    *,
    type_: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Return an error object with all of OpenAI's four keys."""
    # A message may quote bytes that are no UTF-8: aiohttp's parser written in Python lets them into paths and headers.
    message = message.encode("utf-8", "backslashreplace").decode()
    body = encode_error(message, type_=type_, code=code, param=param)
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def retry_after_headers(wait_s: float) -> dict[str, str]:
    """Return the standard's header in whole seconds, and the one in milliseconds that OpenAI's SDKs prefer."""
    return {"retry-after": str(math.ceil(wait_s)), "retry-after-ms": str(math.ceil(wait_s * 1000))}


def refusal(error: RequestError) -> web.Response:
    """Return what a `RequestError` says."""
    headers = {"x-should-retry": "false"} if error.is_final else {}
    if error.retry_after_s is not None:
        headers |= retry_after_headers(error.retry_after_s)
    return error_reply(
        error.status, error.message, type_=error.type, code=error.code, param=error.param, headers=headers
    )
