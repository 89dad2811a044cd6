"""Reading the body of `POST /v1/chat/completions`, with the refusals OpenAI gives to a wrong one.

Messages and codes follow what api.openai.com answered (recorded exchanges); fields that nobody here has heard of
are accepted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from streamroute.errors import RequestError
from streamroute.simulation.profile import MAX_TOKENS

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_MAX_CHOICES = 128
_NAMES: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatBody:
    """What a simulated provider looks at in a request."""

    raw: Mapping[str, object] = field(repr=False)
    """The decoded body, whole."""
    asked: Mapping[str, object] = field(repr=False)
    """The same in OpenAI's words, whatever format it came in."""
    model: str
    prompt: str = field(repr=False)
    """Text of the last user message: what the answer depends on."""
    prefill: str = field(default="", repr=False)
    """Text of a trailing assistant message, to be carried on."""
    begun: str = field(default="", repr=False)
    """Text of the assistant message right before the last user message: perhaps an answer to be carried on."""
    earlier_prompt: str = field(default="", repr=False)
    """Text of the user message before that."""
    last_role: str = "user"
    prompt_tokens: int = 1
    """A quarter of the characters of all messages, at least 1."""
    max_tokens: int | None = None
    choices: int = 1
    stream: bool = False
    wants_usage: bool = False
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None
    """None: no log probabilities are wanted."""
    tools: tuple[Mapping[str, object], ...] = ()
    """The `function` objects of `tools`."""


def read_chat_body(data: bytes) -> ChatBody:
    """Decode and validate; raises `RequestError` with the status, code and message that OpenAI would answer with."""
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RequestError(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
            f"library correctly. The API expects a JSON payload, but what was sent was not valid JSON: {error})"
        ) from error
    if not isinstance(raw, dict):
        raise _wrong_type("body", "an object", raw)
    model = raw.get("model")
    if model is None:
        raise RequestError("you must provide a model parameter")
    if not isinstance(model, str):
        raise _wrong_type("model", "a string", model)
    messages = _messages(raw.get("messages"))
    stream = _flag(raw, "stream")
    limit = _integer(raw, "max_completion_tokens", 1, 1 << 31) or _integer(raw, "max_tokens", 1, 1 << 31)
    last = messages[-1]
    begun, earlier_prompt = _begun(messages)
    return ChatBody(
        raw=raw,
        asked=raw,
        model=model,
        prompt=_prompt(messages),
        prefill=_text(last.get("content")) if last["role"] == "assistant" else "",
        begun=begun,
        earlier_prompt=earlier_prompt,
        last_role=str(last["role"]),
        prompt_tokens=max(1, sum(len(_text(message.get("content"))) for message in messages) // 4),
        max_tokens=None if limit is None else min(limit, MAX_TOKENS),
        choices=_integer(raw, "n", 1, _MAX_CHOICES) or 1,
        stream=stream,
        wants_usage=_wants_usage(raw, is_stream=stream),
        stop=_stop(raw.get("stop")),
        top_logprobs=(_integer(raw, "top_logprobs", 0, 20) or 0) if _flag(raw, "logprobs") else None,
        tools=_tools(raw.get("tools")),
    )


def _messages(value: object) -> Sequence[Mapping[str, object]]:
    if value is None:
        raise RequestError(
            "Missing required parameter: 'messages'.", code="missing_required_parameter", param="messages"
        )
    if not isinstance(value, list):
        raise _wrong_type("messages", "an array of objects", value)
    if not value:
        raise RequestError(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            code="empty_array",
            param="messages",
        )
    for i, message in enumerate(value):
        if not isinstance(message, dict):
            raise _wrong_type(f"messages[{i}]", "an object", message)
        role = message.get("role")
        if role not in _ROLES:
            raise RequestError(
                f"Invalid value: {role!r}. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', "
                "and 'developer'.",
                code="invalid_value",
                param=f"messages[{i}].role",
            )
        if role == "user" and not isinstance(message.get("content"), str | list):
            raise _wrong_type(f"messages[{i}].content", "one of a string or array of objects", message.get("content"))
    return value


def _prompt(messages: Sequence[Mapping[str, object]]) -> str:
    asked = [message for message in messages if message["role"] == "user"]
    return _text((asked or messages)[-1].get("content"))


def _begun(messages: Sequence[Mapping[str, object]]) -> tuple[str, str]:
    """Return the text before a trailing user message, and the prompt it answered; empty where there is none."""
    if len(messages) < 3 or messages[-1]["role"] != "user" or messages[-2]["role"] != "assistant":
        return "", ""
    return _text(messages[-2].get("content")), _prompt(messages[:-2])


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict) and part.get("type") == "text")


def _stop(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,) if value else ()
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _wrong_type("stop", "one of a string or array of strings", value)
    return tuple(one for one in value if one)


def _tools(value: object) -> tuple[Mapping[str, object], ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _wrong_type("tools", "an array of objects", value)
    functions = []
    for i, tool in enumerate(value):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise RequestError(
                f"Missing required parameter: 'tools[{i}].function'.",
                code="missing_required_parameter",
                param=f"tools[{i}].function",
            )
        functions.append(function)
    return tuple(functions)


def _wants_usage(raw: Mapping[str, object], *, is_stream: bool) -> bool:
    options = raw.get("stream_options")
    if options is None:
        return False
    if not is_stream:
        raise RequestError(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    if not isinstance(options, dict):
        raise _wrong_type("stream_options", "an object", options)
    return options.get("include_usage") is True


def _flag(raw: Mapping[str, object], name: str) -> bool:
    value = raw.get(name)
    if value is not None and not isinstance(value, bool):
        raise _wrong_type(name, "a boolean", value)
    return bool(value)


def _integer(raw: Mapping[str, object], name: str, least: int, most: int) -> int | None:
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(name, "an integer", value)
    if value < least:
        raise RequestError(
            f"Invalid '{name}': integer below minimum value. Expected a value >= {least}, but got {value} instead.",
            code="integer_below_min_value",
            param=name,
        )
    if value > most:
        raise RequestError(
            f"Invalid '{name}': integer above maximum value. Expected a value <= {most}, but got {value} instead.",
            code="integer_above_max_value",
            param=name,
        )
    return value


def _wrong_type(param: str, expected: str, found: object) -> RequestError:
    name = _NAMES.get(type(found), "something else")
    return RequestError(
        f"Invalid type for '{param}': expected {expected}, but got {name} instead.", code="invalid_type", param=param
    )
