"""Reading the body of `:generateContent` as strictly as Google does, and telling it in OpenAI's terms.

Refusals have the words of recorded ones: a field that does not exist is an error, and so is a conversation without
turns or a result without its call.
"""

from collections.abc import Mapping, Sequence
from typing import NoReturn

import orjson

from streamroute.errors import RequestError
from streamroute.simulation.chat_body import ChatBody, read_chat_body

_FIELDS = frozenset({
    "contents", "systemInstruction", "generationConfig", "tools", "toolConfig", "safetySettings", "cachedContent",
})  # fmt: skip
_PARTS = frozenset(
    {"text", "inlineData", "fileData", "functionCall", "functionResponse", "thought", "thoughtSignature"}
)
_CONFIG = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "maxOutputTokens": "max_completion_tokens",
    "stopSequences": "stop",
    "candidateCount": "n",
    "seed": "seed",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
}
_OTHER_CONFIG = frozenset({"responseMimeType", "responseJsonSchema", "thinkingConfig", "responseModalities"})
_CHOICES = {"AUTO": "auto", "ANY": "required", "NONE": "none", "VALIDATED": "auto"}


def read_gemini_body(data: bytes, *, model: str, stream: bool) -> ChatBody:
    """Decode and validate; raises `RequestError` with the status and the words that Google would answer with.

    `model` and `stream`: as the path says them.
    """
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"Invalid JSON payload received. {error}") from error
    if not isinstance(raw, dict):
        _refuse("Invalid JSON payload received. Expected an object.")
    _known(raw, _FIELDS, "")
    config = _object(raw.get("generationConfig"), "generation_config")
    _known(config, _CONFIG.keys() | _OTHER_CONFIG, "generation_config")
    chat: dict[str, object] = {"model": model, "stream": stream, "messages": _messages(raw)}
    if stream:
        chat["stream_options"] = {"include_usage": True}  # it counts unasked
    chat |= {ours: config[theirs] for theirs, ours in _CONFIG.items() if theirs in config}
    if config.get("responseMimeType") == "application/json":
        schema = config.get("responseJsonSchema")
        named = {"name": "answer", "schema": schema}
        chat["response_format"] = {"type": "json_schema", "json_schema": named} if schema else {"type": "json_object"}
    chat |= _tools(raw)
    return read_chat_body(orjson.dumps(chat))


def _messages(raw: Mapping[str, object]) -> list[dict[str, object]]:
    contents = raw.get("contents")
    if not isinstance(contents, list) or not contents:
        _refuse("* GenerateContentRequest.contents: contents is not specified")
    messages: list[dict[str, object]] = []
    system = _object(raw.get("systemInstruction"), "system_instruction").get("parts")
    if isinstance(system, list):
        messages.append({"role": "system", "content": "".join(str(part.get("text", "")) for part in system)})
    open_calls: list[str] = []
    for at, content in enumerate(contents):
        where = f"contents[{at}]"
        turn = _object(content, where)
        _known(turn, {"role", "parts"}, where)
        parts = turn.get("parts")
        if not isinstance(parts, list) or not parts:
            _refuse(f"* GenerateContentRequest.{where}.parts: contents.parts must not be empty.")
        for part in parts:
            _known(_object(part, f"{where}.parts"), _PARTS, f"{where}.parts")
        if turn.get("role") == "model":
            messages.append(_answer(parts))
            open_calls = [str(part["functionCall"]["name"]) for part in parts if "functionCall" in part]
        elif turn.get("role") == "user":
            open_calls = _check_results(parts, open_calls)
            messages += _said(parts)
        else:
            _refuse("Please use a valid role: user, model.")
    return messages


def _check_results(parts: Sequence[Mapping[str, object]], open_calls: list[str]) -> list[str]:
    """Hold the results of a turn against the calls of the one before; returns the calls that are still open: none."""
    results = [_object(part["functionResponse"], "function_response") for part in parts if "functionResponse" in part]
    if len(results) != len(open_calls):
        _refuse(
            "Please ensure that the number of function response parts is equal to the number of function call parts "
            "of the function call turn."
        )
    if sorted(str(result.get("name")) for result in results) != sorted(open_calls):
        _refuse("Please ensure that function response turn comes immediately after a function call turn.")
    if not all(isinstance(result.get("response"), dict) for result in results):
        _refuse("Invalid value at 'function_response.response'")
    return []


def _answer(parts: Sequence[Mapping[str, object]]) -> dict[str, object]:
    calls = [_object(part["functionCall"], "function_call") for part in parts if "functionCall" in part]
    message: dict[str, object] = {"role": "assistant", "content": "".join(str(part.get("text", "")) for part in parts)}
    if calls:
        message["tool_calls"] = [
            {
                "id": call.get("id", f"call-{at}"),
                "type": "function",
                "function": {"name": call.get("name"), "arguments": orjson.dumps(call.get("args", {})).decode()},
            }
            for at, call in enumerate(calls)
        ]
    return message


def _said(parts: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    messages: list[dict[str, object]] = []
    for part in parts:
        if "functionResponse" in part:
            result = _object(part["functionResponse"], "function_response")
            content = orjson.dumps(result["response"]).decode()
            messages.append({"role": "tool", "tool_call_id": result.get("id", ""), "content": content})
    said = [{"type": "text", "text": str(part["text"])} for part in parts if "text" in part]
    if said or not messages:
        messages.append({"role": "user", "content": said})
    return messages


def _tools(raw: Mapping[str, object]) -> dict[str, object]:
    found: dict[str, object] = {}
    tools = raw.get("tools")
    declared: list[Mapping[str, object]] = []
    for tool in tools if isinstance(tools, list) else ():
        listed = _object(tool, "tools").get("functionDeclarations")
        declared += listed if isinstance(listed, list) else []
    if declared:
        found["tools"] = [
            {"type": "function", "function": {**each, "parameters": each.get("parametersJsonSchema")}}
            for each in declared
        ]
    calling = _object(_object(raw.get("toolConfig"), "tool_config").get("functionCallingConfig"), "tool_config")
    if calling and not declared:
        _refuse("Function calling config is set without function_declarations.")
    names = calling.get("allowedFunctionNames")
    if calling.get("mode") == "ANY" and isinstance(names, list) and len(names) == 1:
        found["tool_choice"] = {"type": "function", "function": {"name": names[0]}}
    elif calling:
        found["tool_choice"] = _CHOICES[str(calling.get("mode"))]
    return found


def _known(found: Mapping[str, object], fields: frozenset[str] | set[str], where: str) -> None:
    for name in found:
        if name not in fields:
            at = f" at '{where}'" if where else ""
            _refuse(f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.')


def _object(value: object, where: str) -> Mapping[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        _refuse(f"Invalid value at '{where}'")
    return value


def _refuse(message: str) -> NoReturn:
    raise RequestError(message)
