"""From HTTP to a `Call`: the body with its limits, and the request headers that control us.

Header names of peers are accepted beside ours; all of them stay here, only `FORWARDED_HEADERS` go to a provider.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import TypeVar, get_args

import anyio
from aiohttp import web

from streamroute.core.attribution import NOBODY, Attribution, name_of
from streamroute.core.caller import ANYONE, Caller
from streamroute.core.request import ChatRequest
from streamroute.core.upstream import Midstream
from streamroute.engine.call import Call
from streamroute.engine.choice import check_region
from streamroute.errors import RequestError
from streamroute.providers.addressing import ATTEMPT_HEADER, FORWARDED_HEADERS
from streamroute.server.decisions import decision_id
from streamroute.server.options import ServerOptions
from streamroute.server.requirements import required_by
from streamroute.wire.number_text import number_of
from streamroute.wire.openai_chat.request import decode_request

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
_TIMEOUT = ("x-streamroute-timeout", "x-litellm-timeout")
_TTFT_TIMEOUT = ("x-streamroute-ttft-timeout", "x-litellm-stream-timeout")
_MAX_ATTEMPTS = "x-streamroute-max-attempts"
_ATTRIBUTION = tuple((field, f"x-streamroute-{field}") for field in ("task", "user", "team"))
_SESSIONS = ("x-session-id", "x-claude-code-session-id")
"""Headers that name a conversation, as they are seen in the wild."""
_Choice = TypeVar("_Choice", bound=str)


def request_id(request: web.BaseRequest) -> str:
    """Return the client's own request id where it is a sane one, else a new one."""
    given = request.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"


async def read_body(request: web.BaseRequest, options: ServerOptions) -> bytes:
    """Read the body; raises RequestError 413, 408 or 400."""
    if (request.content_length or 0) > options.max_body_bytes:
        raise _too_large(options)
    if request.headers.get("expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        if request.content.is_eof():
            return await request.read()
        with anyio.fail_after(options.body_timeout_s):
            return await request.read()
    except TimeoutError:
        raise RequestError(
            f"The request body was not complete within {options.body_timeout_s:g} s.", status=408, code="body_timeout"
        ) from None
    except web.HTTPRequestEntityTooLarge:
        raise _too_large(options) from None
    except (web.RequestPayloadError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise RequestError(f"The request body could not be read: {reason}.", code="invalid_body") from None


def decode_call(request: web.BaseRequest, body: bytes, *, id_: str, arrived_at: float, caller: Caller = ANYONE) -> Call:
    """Make a call of a chat request; raises RequestError 400."""
    headers, chat = request.headers, decode_request(body)
    asked, held_to = required_by(headers).over(chat.requirements), caller.requirements
    check_region(asked, held_to, whose=f"the key {caller.defaults.key!r}", route="")
    requirements = asked.within(held_to)
    return Call(
        request_id=id_,
        ledger_id=decision_id(),
        chat=chat,
        arrived_at=arrived_at,
        forwarded={name: _forwardable(name, headers[name]) for name in FORWARDED_HEADERS if name in headers},
        timeout_s=_seconds(request, _TIMEOUT),
        first_token_timeout_s=_seconds(request, _TTFT_TIMEOUT),
        max_attempts=_small_integer(request, _MAX_ATTEMPTS),
        attempt=_small_integer(request, ATTEMPT_HEADER) or 1,
        latency_class=requirements.latency_class,
        requirements=requirements,
        midstream=_choice(request, "x-streamroute-midstream", get_args(Midstream)),
        attribution=_attribution(headers, _said(chat), caller.defaults),
        caller=caller,
        affinity_key=next((headers[name][:256] for name in _SESSIONS if name in headers), chat.affinity_key),
    )


def _said(chat: ChatRequest) -> Attribution:
    """Return whom the body says that it is for; the task that it requires by is its task."""
    task = chat.requirements.task
    return chat.attribution if task is None else replace(chat.attribution, task=task)


def _attribution(headers: Mapping[str, str], said: Attribution, defaults: Attribution) -> Attribution:
    """Return whom a request is attributed to: a header wins over the body, and the body over the key."""
    given = {field: name for field, header in _ATTRIBUTION if (name := name_of(headers.get(header))) is not None}
    named = replace(said, **given) if given else said
    if defaults is NOBODY:
        return named
    task, team = named.task or defaults.task, named.team or defaults.team
    return Attribution(task=task, user=named.user, team=team, key=defaults.key)


def _choice(request: web.BaseRequest, name: str, known: tuple[_Choice, ...]) -> _Choice | None:
    value = request.headers.get(name)
    if value is None:
        return None
    for each in known:
        if value.strip().lower() == each:
            return each
    raise RequestError(f"The header `{name}` must be one of {', '.join(known)}; found {value[:40]!r}.")


def _seconds(request: web.BaseRequest, names: tuple[str, ...]) -> float | None:
    for name in names:
        value = request.headers.get(name)
        if value is None:
            continue
        number = number_of(value)
        seconds = 0.0 if number is None else float(number)
        if not 0.0 < seconds < inf:
            raise RequestError(f"The header `{name}` must be a number of seconds above 0; found {value!r}.")
        return seconds
    return None


def _forwardable(name: str, value: str) -> str:
    """Return a header value that may be sent on; other bytes would fail in sending, and count against the upstream."""
    if not value.isascii():
        raise RequestError(f"The header `{name}` must be ASCII.", code="invalid_header")
    return value


def _small_integer(request: web.BaseRequest, name: str) -> int | None:
    value = request.headers.get(name)
    if value is None:
        return None
    # Digits of other scripts are decimal too, and int() refuses thousands of digits.
    if not (value.isascii() and value.isdecimal()) or len(value) > 3 or not 1 <= int(value) <= 100:
        raise RequestError(f"The header `{name}` must be an integer from 1 to 100; found {value[:40]!r}.")
    return int(value)


def _too_large(options: ServerOptions) -> RequestError:
    return RequestError(
        f"The request body is larger than {options.max_body_bytes} bytes (`server.max_body_bytes`).",
        status=413,
        code="request_too_large",
    )
