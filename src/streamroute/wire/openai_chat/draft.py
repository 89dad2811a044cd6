"""An answer that is held back to be judged: what assessors look at, and the log-probabilities that only they wanted."""

from collections.abc import Iterator, Mapping

from streamroute.core.quality.verdict import Draft, Wanted
from streamroute.core.request import ChatRequest
from streamroute.wire.json_text import read_json, write_json
from streamroute.wire.openai_chat.cost import with_cost_event
from streamroute.wire.openai_chat.transcript import read_content
from streamroute.wire.sse import read_event


def read_draft(body: bytes, *, stream: bool) -> Draft:
    """Read a whole answer: a JSON body, or the events of a stream, checked ones. Only the first choice counts."""
    parts = _choices(body, stream=stream)
    texts: list[str] = []
    probs: list[float] = []
    tools: dict[int, list[str]] = {}
    names: dict[int, str] = {}
    reason = refusal = None
    for choice in parts:
        said = choice.get("delta") or choice.get("message")
        said = said if isinstance(said, Mapping) else {}
        texts.append(read_content(said.get("content"))[0])
        refusal = refusal or _text(said.get("refusal"))
        reason = _text(choice.get("finish_reason")) or reason
        probs += _ln_probs(choice.get("logprobs"))
        for call in _list(said.get("tool_calls")):
            function, index = call.get("function"), call.get("index")
            arguments = function.get("arguments") if isinstance(function, Mapping) else None
            at = index if isinstance(index, int) else len(tools)
            tools.setdefault(at, []).append(arguments if isinstance(arguments, str) else "")
            name = function.get("name") if isinstance(function, Mapping) else None
            names[at] = names.get(at) or _text(name) or ""
    return Draft(
        text="".join(texts),
        finish_reason=reason,
        token_ln_probs=probs,
        tool_arguments=["".join(each) for _, each in sorted(tools.items())],
        tool_names=[names[at] for at in sorted(tools)],
        refusal=refusal,
    )


def wanted_of(chat: ChatRequest) -> Wanted:
    """Return what an answer can be held against."""
    format_ = chat.payload.get("response_format")
    schema = format_.get("json_schema") if isinstance(format_, Mapping) else None
    schema = schema.get("schema") if isinstance(schema, Mapping) else None
    kind = format_.get("type") if isinstance(format_, Mapping) else None
    return Wanted(
        json=kind in {"json_schema", "json_object"},
        schema=schema if isinstance(schema, Mapping) else None,
        tools=chat.uses_tools,
        tool_schemas=_tool_schemas(chat),
    )


def _tool_schemas(chat: ChatRequest) -> dict[str, Mapping[str, object]]:
    """Return what each tool takes; nothing where there is a tool of a kind that is not known here."""
    found: dict[str, Mapping[str, object]] = {}
    for tool in _list(chat.payload.get("tools")):
        function = tool.get("function")
        name = _text(function.get("name")) if isinstance(function, Mapping) else None
        if name is None or not isinstance(function, Mapping):
            return {}
        schema = function.get("parameters")
        found[name] = schema if isinstance(schema, Mapping) else {}
    return found


def with_logprobs(payload: Mapping[str, object]) -> dict[str, object]:
    """Ask for the log-probability of each token."""
    return {**payload, "logprobs": True}


def without_logprobs(body: bytes, *, stream: bool) -> bytes:
    """Take out of a whole answer what its client did not ask for."""
    if not stream:
        return _stripped(body)
    events = []
    for event in body.split(b"\n\n"):
        data = read_event(event)[1]
        events.append(event if not data or b'"logprobs"' not in data else b"data: " + _stripped(data))
    return b"\n\n".join(events)


def with_cost_told(body: bytes, cost_usd: str) -> bytes:
    """Put what a request has cost beside the usage of a whole stream; as it is where it tells none."""
    if b'"usage"' not in body:
        return body
    events = body.split(b"\n\n")
    return b"\n\n".join([with_cost_event(each, cost_usd) if b'"usage"' in each else each for each in events])


def _stripped(data: bytes) -> bytes:
    try:
        value = read_json(data)
    except ValueError:
        return data
    choices = value.get("choices") if isinstance(value, dict) else None
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            choice.pop("logprobs", None)
    return write_json(value)


def _choices(body: bytes, *, stream: bool) -> Iterator[Mapping[str, object]]:
    pieces = [body] if not stream else [read_event(event)[1] or b"" for event in body.split(b"\n\n") if event]
    for piece in pieces:
        if not piece or piece == b"[DONE]":
            continue
        try:
            value = read_json(piece)
        except ValueError:
            continue
        for choice in _list(value.get("choices") if isinstance(value, dict) else None):
            if not choice.get("index"):
                yield choice


def _ln_probs(logprobs: object) -> list[float]:
    """Return the log-probabilities of the tokens that were chosen."""
    tokens = _list(logprobs.get("content")) if isinstance(logprobs, Mapping) else []
    return [float(value) for each in tokens if isinstance(value := each.get("logprob"), int | float)]


def _list(value: object) -> list[Mapping[str, object]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
