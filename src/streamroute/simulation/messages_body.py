"""Reading the body of `POST /v1/messages`, with the refusals Anthropic gives to a wrong one.

What a request wants is put into the words that `chat_body` reads, so that both formats get the same answers. Messages
follow what api.anthropic.com answered (recorded exchanges) and the wording of its documentation.

Every request has a limit here. One above the longest answer that there is limits nothing, and says nothing of the
length that is wanted; a lower one does, as in the other format.
"""

from collections.abc import Mapping
from dataclasses import replace

import orjson

from streamroute.errors import RequestError
from streamroute.simulation.chat_body import ChatBody, read_chat_body
from streamroute.simulation.profile import MAX_TOKENS

_KNOWN = frozenset(
    {"model", "max_tokens", "messages", "system", "stream", "stop_sequences", "temperature", "top_p", "top_k", "tools",
     "tool_choice", "metadata", "thinking", "output_config", "cache_control", "service_tier", "container",
     "context_management", "mcp_servers", "inference_geo"}
)  # fmt: skip
_CHOICES: dict[object, str] = {"auto": "auto", "any": "required", "none": "none"}
_Fields = Mapping[str, object]


def read_messages_body(data: bytes) -> ChatBody:
    """Decode and validate; raises `RequestError` with the status and message that Anthropic would answer with."""
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"The request body is not valid JSON: {error}") from error
    if not isinstance(raw, dict):
        raise RequestError("The request body is not an object")
    for name in ("model", "max_tokens", "messages"):
        if raw.get(name) is None:
            raise RequestError(f"{name}: Field required")
    for name in raw:
        if name not in _KNOWN:
            raise RequestError(f"{name}: Extra inputs are not permitted")
    if not isinstance(raw["max_tokens"], int) or raw["max_tokens"] < 1:
        raise RequestError("max_tokens: Input should be greater than or equal to 1")
    temperature = raw.get("temperature")
    if isinstance(temperature, int | float) and not 0 <= temperature <= 1:
        raise RequestError("temperature: range: 0..1")
    wanted = {
        "model": raw["model"],
        "messages": _messages(raw),
        "stream": raw.get("stream", False),
        "max_tokens": raw["max_tokens"] if raw["max_tokens"] <= MAX_TOKENS else None,
        "stop": raw.get("stop_sequences"),
        "tools": _tools(raw.get("tools")),
        **_choice(raw.get("tool_choice")),
        **_format(raw.get("output_config")),
    }
    body = read_chat_body(orjson.dumps({name: value for name, value in wanted.items() if value is not None}))
    if body.prefill and body.prefill != body.prefill.rstrip():
        raise RequestError("messages: final assistant content cannot end with trailing whitespace")
    return replace(body, raw=raw, asked=body.raw, wants_usage=True)


def _messages(raw: _Fields) -> list[object]:
    given = raw["messages"]
    if not isinstance(given, list) or not given:
        raise RequestError("messages: at least one message is required")
    messages: list[object] = []
    system = raw.get("system")
    if system:
        messages.append({"role": "system", "content": system})
    called: set[object] = set()
    for at, message in enumerate(given):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in {"user", "assistant"}:
            raise RequestError(f"messages.{at}.role: Input should be 'user' or 'assistant'")
        blocks = _blocks(message, at)
        results = [block for block in blocks if block.get("type") == "tool_result"]
        for block in results:
            if block.get("tool_use_id") not in called:
                raise RequestError(
                    f"messages.{at}.content: unexpected `tool_use_id` found in `tool_result` blocks: "
                    f"{block.get('tool_use_id')}"
                )
        called = {block.get("id") for block in blocks if block.get("type") == "tool_use"}
        messages += [{"role": "tool", "content": block.get("content", "")} for block in results]
        rest = [block for block in blocks if block.get("type") not in {"tool_result", "tool_use"}]
        if rest or not results:
            messages.append({"role": role, "content": rest})
    return messages


def _blocks(message: _Fields, at: int) -> list[dict[str, object]]:
    content = message.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list) or not content or not all(isinstance(block, dict) for block in content):
        raise RequestError(f"messages.{at}: all messages must have non-empty content")
    if any(block.get("type") == "text" and not block.get("text") for block in content):
        raise RequestError("messages: text content blocks must be non-empty")
    return content


def _tools(tools: object) -> list[dict[str, object]] | None:
    if not isinstance(tools, list):
        return None
    return [
        {
            "type": "function",
            "function": {"name": tool.get("name"), "parameters": tool.get("input_schema")},
        }
        for tool in tools
        if isinstance(tool, dict)
    ]


def _choice(choice: object) -> dict[str, object]:
    if not isinstance(choice, dict):
        return {}
    parallel = {"parallel_tool_calls": False} if choice.get("disable_parallel_tool_use") else {}
    if choice.get("type") == "tool":
        return {**parallel, "tool_choice": {"type": "function", "function": {"name": choice.get("name")}}}
    return {**parallel, "tool_choice": _CHOICES.get(choice.get("type"), "auto")}


def _format(config: object) -> dict[str, object]:
    wanted = config.get("format") if isinstance(config, dict) else None
    if not isinstance(wanted, dict):
        return {}
    return {"response_format": {"type": "json_schema", "json_schema": {"schema": wanted.get("schema")}}}
