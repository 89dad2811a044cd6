"""Reading a client's request and writing the provider's: the body travels whole, only what must change is changed.

Only the fields that decide something here are checked; the rest, known or not, is the provider's to judge.
"""

from collections.abc import Mapping, Sequence
from typing import NoReturn

import orjson

from streamroute.core.attribution import NOBODY, Attribution, name_of
from streamroute.core.request import ChatRequest
from streamroute.errors import RequestError
from streamroute.wire.openai_chat.notes import without_claude, without_google
from streamroute.wire.openai_chat.usage import read_tier
from streamroute.wire.requirements import take_requirements

MAX_MODEL_CHARS = 256
"""Names are remembered and repeated in errors; the longest in use have some 80."""
MAX_CHOICES = 128
"""OpenAI's own limit for `n`."""
GRAMMARS = ("guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs", "grammar", "ebnf",
             "json_schema", "regex")  # fmt: skip
"""Fields by which vLLM, SGLang and llama.cpp take a grammar."""
PART_KINDS = {
    "image_url": "images", "input_image": "images", "image": "images",
    "input_audio": "audio", "audio": "audio",
    "file": "files", "input_file": "files",
}  # fmt: skip
"""Types of parts that are no text, and what they are."""
_CHARS_PER_TOKEN = 8
"""At most, of a whole prompt: English has 4 to 5, 6 where all words are long, and other scripts have fewer. Only what
is mostly runs of blanks has more; it is taken for longer than it is."""
_MAX_DEPTH = 250
"""Of nested arrays and objects: orjson reads 1024 levels, but writes no more than 254."""


def decode_request(body: bytes) -> ChatRequest:
    """Read a request body; raises RequestError (400) that names the field and what it should be."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"The request body is not valid JSON: {error}.", code="invalid_json") from None
    if not isinstance(payload, dict):
        _refuse(None, "The request body must be a JSON object", payload)
    if body.count(b"{") + body.count(b"[") > _MAX_DEPTH and not _is_writable(payload):
        raise RequestError("The request body is nested too deeply.", code="invalid_json")
    model = payload.get("model")
    if not isinstance(model, str) or not model:
        _refuse("model", "`model` must be a string that names a route, an upstream or `provider/model`", model)
    if len(model) > MAX_MODEL_CHARS:
        _refuse("model", f"`model` must have at most {MAX_MODEL_CHARS} characters", model)
    messages = payload.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
        _refuse("messages", "`messages` must be a non-empty array of objects", messages)
    requirements, parts = take_requirements(payload), _parts(messages)
    options = payload.get("stream_options")
    if options is not None and not isinstance(options, dict):
        _refuse("stream_options", "`stream_options` must be an object", options)
    return ChatRequest(
        wire_format="openai_chat",
        payload=payload,
        model=model,
        stream=_flag(payload, "stream"),
        wants_usage=bool(options and options.get("include_usage") is True),
        choices=_integer(payload, "n", minimum=1, maximum=MAX_CHOICES) or 1,
        uses_tools=bool(payload.get("tools") or payload.get("functions")),
        images=parts["images"],
        audio=parts["audio"],
        files=parts["files"],
        uses_json_schema=_wants_json_schema(payload.get("response_format")),
        wants_json=_wants_json(payload),
        wants_logprobs=bool(payload.get("logprobs")),
        service_tier=read_tier(payload.get("service_tier")),
        attribution=_attribution(payload),
        requirements=requirements,
        affinity_key=_affinity_key(payload),
        prompt_bytes=len(body),
        least_prompt_tokens=parts["chars"] // _CHARS_PER_TOKEN,
        # Providers differ in which of the two they heed: what may be spent goes by the larger one.
        max_output_tokens=max(
            _integer(payload, "max_completion_tokens", minimum=0) or 0, _integer(payload, "max_tokens", minimum=0) or 0
        )
        or None,
    )


def encode_request(
    request: ChatRequest,
    *,
    model: str,
    ask_usage: bool,
    takes_google_notes: bool = True,
    takes_reasoning_details: bool = True,
) -> bytes:
    """Write the body for a provider: its own model name, and usage asked of every stream.

    `takes_google_notes`, `takes_reasoning_details`: it knows the fields in which clients give back what Gemini's and
    Claude's answers carried of their thoughts, see `notes`.
    """
    payload = dict(request.payload)
    payload["model"] = model
    if not takes_google_notes:
        payload["messages"] = without_google(payload.get("messages"))
    if not takes_reasoning_details:
        payload["messages"] = without_claude(payload.get("messages"))
    if request.stream:
        options = payload.get("stream_options")
        options = dict(options) if isinstance(options, Mapping) else {}
        if ask_usage:
            options["include_usage"] = True
        else:
            options.pop("include_usage", None)
        if options:
            payload["stream_options"] = options
        else:
            payload.pop("stream_options", None)
    return orjson.dumps(payload)


def _is_writable(payload: Mapping[str, object]) -> bool:
    try:
        orjson.dumps({"room": [payload]})
    except orjson.JSONEncodeError:
        return False
    return True


def _flag(payload: Mapping[str, object], name: str) -> bool:
    value = payload.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    return _refuse(name, f"`{name}` must be a boolean", value)


def _integer(payload: Mapping[str, object], name: str, *, minimum: int, maximum: int | None = None) -> int | None:
    value = payload.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum or (maximum and value > maximum):
        limits = f"from {minimum} to {maximum}" if maximum else f"of at least {minimum}"
        _refuse(name, f"`{name}` must be an integer {limits}", value)
    return value


def _parts(messages: Sequence[Mapping[str, object]]) -> dict[str, int]:
    """Count the parts of messages that are no text, by kind, and the characters of those that are."""
    counts = {"images": 0, "audio": 0, "files": 0}
    chars = 0
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            chars += len(content)
            continue
        for part in content if isinstance(content, list) else ():
            if not isinstance(part, dict):
                continue
            kind, text = PART_KINDS.get(str(part.get("type"))), part.get("text")
            if kind is not None:
                counts[kind] += 1
            elif isinstance(text, str):
                chars += len(text)
    return {**counts, "chars": chars}


def _wants_json_schema(response_format: object) -> bool:
    return isinstance(response_format, Mapping) and response_format.get("type") == "json_schema"


def _wants_json(payload: Mapping[str, object]) -> bool:
    response_format = payload.get("response_format")
    is_text = not isinstance(response_format, Mapping) or response_format.get("type") in {None, "text"}
    return not is_text or any(payload.get(key) for key in GRAMMARS)


def _attribution(payload: Mapping[str, object]) -> Attribution:
    """Return whom the body says that it is for: `metadata` first, then OpenAI's own `user`."""
    metadata, user = payload.get("metadata"), payload.get("user")
    if not isinstance(metadata, dict):
        return NOBODY if user is None else Attribution(user=name_of(user))
    return Attribution(
        task=name_of(metadata.get("task")),
        user=name_of(metadata.get("user")) or name_of(user),
        team=name_of(metadata.get("team")),
    )


def _affinity_key(payload: Mapping[str, object]) -> str | None:
    """Return what names the conversation: OpenAI's own field for prompt caches, else the user."""
    for key in ("prompt_cache_key", "user"):
        value = payload.get(key)
        if isinstance(value, str) and value:
            return value[:MAX_MODEL_CHARS]
    return None


def _refuse(param: str | None, rule: str, found: object) -> NoReturn:
    names = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        int: "an integer",
        float: "a number",
    }
    what = "nothing" if found is None else names.get(type(found), type(found).__name__)
    if found in ("", [], {}):
        what = f"{what} that is empty"
    raise RequestError(f"{rule}; found {what}.", param=param)
