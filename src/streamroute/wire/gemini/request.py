"""A chat request in Gemini's terms. What cannot be said in them is refused, never left out, unless it changes nothing.

Sources: https://ai.google.dev/api/generate-content#GenerationConfig, https://ai.google.dev/gemini-api/docs/openai
(thinking, `extra_body`), https://ai.google.dev/gemini-api/docs/function-calling (modes),
https://ai.google.dev/gemini-api/docs/structured-output (JSON schemas).
"""

import re
from collections.abc import Mapping, Sequence
from typing import NoReturn, cast
from urllib.parse import quote

from streamroute.core.request import ChatRequest
from streamroute.wire.gemini.contents import encode_messages
from streamroute.wire.json_text import write_json
from streamroute.wire.translation import UntranslatableError

_SAME = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",  # no field of OpenAI's, but one that many clients know
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
"""Fields that mean the same under another name."""
_TRANSLATED = frozenset({
    "model", "messages", "max_tokens", "max_completion_tokens", "stop", "n", "seed", "logprobs", "top_logprobs",
    "response_format", "tools", "tool_choice", "reasoning_effort", "extra_body", *_SAME,
})  # fmt: skip
_WITHOUT_EFFECT = frozenset({
    "stream", "stream_options", "user", "metadata", "store", "safety_identifier", "prompt_cache_key",
    "prompt_cache_retention", "prediction",
})  # fmt: skip
"""Fields that change nothing about the answer; the first two are said by the path."""
_DEFAULTS: dict[str, Sequence[object]] = {
    "parallel_tool_calls": (True,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "service_tier": ("auto", "default", "standard"),
    "functions": ([],),
    "function_call": ("auto", "none"),
    "verbosity": ("medium",),
}
"""Values of other fields that ask for what Gemini does anyway."""
_LIMITS = ("max_completion_tokens", "max_tokens")
_MAX_SEED = 2**31
"""Gemini's seeds have 32 bits with a sign, OpenAI's 64: larger ones are folded, always alike."""
_BUDGETED = re.compile(r"\bgemini-2(?![0-9])", re.IGNORECASE)
"""Models, by name, whose thinking has a budget; later ones have levels, and can answer in JSON beside tools."""
_BUDGETS_TOKENS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576}
_LEVELS = frozenset({"minimal", "low", "medium", "high"})
"""Both as Google's OpenAI-compatible endpoint translates `reasoning_effort`."""
_EXTRA = {"thinking_config": "thinkingConfig", "cached_content": "cachedContent"}
"""What that endpoint takes in `extra_body.google`."""
_MODES = {"none": "NONE", "auto": "AUTO", "required": "ANY"}


def request_path(model: str, *, stream: bool) -> str:
    """Return what is appended to the address of the models; `model` may begin with `models/`, as they are listed."""
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/{quote(model.removeprefix('models/'), safe='-._~@')}:{method}"


def encode_request(chat: ChatRequest, *, model: str) -> bytes:
    """Write the body for a provider; raises UntranslatableError that names what cannot be said."""
    return write_json(translate_request(chat.payload, model))


def translate_request(payload: Mapping[str, object], model: str) -> dict[str, object]:
    """Return the body; raises UntranslatableError that names what cannot be said."""
    for name, value in payload.items():
        is_known = name in _TRANSLATED or name in _WITHOUT_EFFECT
        if not is_known and value is not None and value not in _DEFAULTS.get(name, ()):
            _refuse(name, f"`{name}`" if name not in _DEFAULTS else f"this value of `{name}`")
    messages = payload.get("messages")
    listed = cast(Sequence[Mapping[str, object]], messages if isinstance(messages, list) else [])
    system, turns = encode_messages(listed, model)
    request: dict[str, object] = {"contents": turns}
    if system:
        request["systemInstruction"] = {"parts": system}
    extra = _extra(payload.get("extra_body"))
    config = _generation_config(payload, model)
    if "thinkingConfig" in extra:
        config["thinkingConfig"] = extra.pop("thinkingConfig")
    if config:
        request["generationConfig"] = config
    declarations = _declarations(payload.get("tools"))
    if declarations:
        if "responseMimeType" in config and _BUDGETED.search(model):
            _refuse("response_format", f"JSON answers beside tools where {model} is asked")
        request["tools"] = [{"functionDeclarations": declarations}]
    calling = _calling_config(payload.get("tool_choice"))
    if calling is not None and (declarations or calling != {"mode": "NONE"}):
        request["toolConfig"] = {"functionCallingConfig": calling}
    return request | extra


def _generation_config(payload: Mapping[str, object], model: str) -> dict[str, object]:
    config = {theirs: value for ours, theirs in _SAME.items() if (value := payload.get(ours)) is not None}
    limits = [each for name in _LIMITS if isinstance(each := payload.get(name), int)]
    if any(limits):
        config["maxOutputTokens"] = max(limits)  # the larger one, by which money is reserved
    stop = payload.get("stop")
    if stop:
        config["stopSequences"] = [stop] if isinstance(stop, str) else stop
    choices = payload.get("n")
    if choices is not None and choices != 1:
        config["candidateCount"] = choices
    seed = payload.get("seed")
    if seed is not None:
        config["seed"] = seed % _MAX_SEED if isinstance(seed, int) and not 0 <= seed < _MAX_SEED else seed
    if payload.get("logprobs"):
        config["responseLogprobs"] = True
        if payload.get("top_logprobs"):
            config["logprobs"] = payload["top_logprobs"]
    config |= _response_format(payload.get("response_format"))
    effort = payload.get("reasoning_effort")
    if effort is not None:
        config["thinkingConfig"] = _thinking(effort, model)
    return config


def _response_format(value: object) -> dict[str, object]:
    kind = value.get("type") if isinstance(value, Mapping) else None
    if value is None or kind == "text":
        return {}
    if kind == "json_object":
        return {"responseMimeType": "application/json"}
    if kind == "json_schema" and isinstance(value, Mapping) and isinstance(inner := value.get("json_schema"), Mapping):
        schema = inner.get("schema")
        return {"responseMimeType": "application/json"} | ({} if schema is None else {"responseJsonSchema": schema})
    return _refuse("response_format", f"a response format of the type {kind!r} like this one")


def _thinking(effort: object, model: str) -> dict[str, object]:
    is_pro = "pro" in model.lower()
    if _BUDGETED.search(model):
        if effort in _BUDGETS_TOKENS and not (effort == "none" and is_pro):  # it cannot be told not to think
            return {"thinkingBudget": _BUDGETS_TOKENS[str(effort)]}
    elif effort in _LEVELS:
        # Gemini 3 Pro has no level below the low one.
        return {"thinkingLevel": "low" if effort == "minimal" and is_pro else effort}
    return _refuse("reasoning_effort", f"the reasoning effort {effort!r} of {model}")


def _extra(body: object) -> dict[str, object]:
    """Read `extra_body`, in which Google's OpenAI-compatible endpoint takes what OpenAI has no field for."""
    if not body:
        return {}
    google = body.get("google") if isinstance(body, Mapping) and body.keys() == {"google"} else None
    if not isinstance(google, Mapping) or not google.keys() <= _EXTRA.keys():
        _refuse("extra_body", f"anything but `google` with {' and '.join(_EXTRA)} in `extra_body`")
    return {_EXTRA[name]: value for name, value in google.items()}


def _declarations(tools: object) -> list[dict[str, object]]:
    declared = []
    for at, tool in enumerate(tools if isinstance(tools, list) else ()):
        function = tool.get("function") if isinstance(tool, Mapping) and tool.get("type") == "function" else None
        if not isinstance(function, Mapping):
            _refuse(f"tools[{at}]", "a tool that is no function")
        declaration = {name: function[name] for name in ("name", "description") if function.get(name) is not None}
        if function.get("parameters"):
            declaration["parametersJsonSchema"] = function["parameters"]
        declared.append(declaration)
    return declared


def _calling_config(choice: object) -> dict[str, object] | None:
    if choice is None or choice == "auto":
        return None
    if isinstance(choice, str) and choice in _MODES:
        return {"mode": _MODES[choice]}
    if isinstance(choice, Mapping):
        kind, function = choice.get("type"), choice.get("function")
        if kind == "function" and isinstance(function, Mapping):
            return {"mode": "ANY", "allowedFunctionNames": [function.get("name")]}
        allowed = choice.get("allowed_tools")
        if kind == "allowed_tools" and isinstance(allowed, Mapping) and isinstance(allowed.get("tools"), list):
            # Names go with `ANY` and `VALIDATED` only; the latter leaves it to the model whether it calls any.
            mode = "ANY" if allowed.get("mode") == "required" else "VALIDATED"
            return {"mode": mode, "allowedFunctionNames": [_name(tool) for tool in allowed["tools"]]}
    return _refuse("tool_choice", "this `tool_choice`")


def _name(tool: object) -> object:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    return (
        function.get("name") if isinstance(function, Mapping) else _refuse("tool_choice", "a tool that is no function")
    )


def _refuse(param: str, what: str) -> NoReturn:
    raise UntranslatableError(f"it has no room for {what}", param=param)
