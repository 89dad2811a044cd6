"""OpenAI's messages as Gemini's `systemInstruction` and `contents`.

Sources: https://ai.google.dev/api/caching#Content (roles, parts), https://ai.google.dev/gemini-api/docs/function-calling
(results of calls come together in the turn after them), https://ai.google.dev/gemini-api/docs/thought-signatures.
"""

import mimetypes
import re
from collections.abc import Mapping, Sequence
from typing import NoReturn
from urllib.parse import urlsplit

from streamroute.wire.json_text import read_json
from streamroute.wire.translation import UntranslatableError

UNCHECKED_SIGNATURE = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
"""`skip_thought_signature_validator` in base64, as bytes are written: Google's word for a call that another model made.
Without any signature Gemini 3 refuses the turn."""
_DATA_URL = re.compile(r"data:([^;,]+)(?:;[^;,]+)*;base64,", re.IGNORECASE)
_UNSIGNED = re.compile(r"\bgemini-[12](?![0-9])", re.IGNORECASE)
"""Models before Gemini 3, by name: they check no signatures."""

Part = dict[str, object]


def encode_messages(messages: Sequence[Mapping[str, object]], model: str) -> tuple[list[Part], list[dict[str, object]]]:
    """Return the parts of the system instruction, and the turns; raises UntranslatableError where it cannot be told.

    System messages are one instruction, wherever they stand. Where there is nothing else they are the user's turn, for
    Gemini answers turns only.
    """
    system: list[Part] = []
    turns: list[dict[str, object]] = []
    names: dict[str, str] = {}
    results: list[Part] | None = None
    for at, message in enumerate(messages):
        role, where = message.get("role"), f"messages[{at}]"
        if role in {"tool", "function"}:
            if results is None:
                results = []
                turns.append({"role": "user", "parts": results})
            results.append(_result(message, names, where))
            continue
        results = None
        if role in {"system", "developer"}:
            system += _texts(message.get("content"), f"{where}.content")
        elif role == "user":
            turns.append({"role": "user", "parts": _said(message.get("content"), f"{where}.content") or [{"text": ""}]})
        elif role == "assistant":
            parts = _answer(message, names, model, where)
            if parts:
                turns.append({"role": "model", "parts": parts})
        else:
            _refuse(f"{where}.role", f"the role {role!r}")
    if not turns and system:
        return [], [{"role": "user", "parts": system}]
    return system, turns


def _answer(message: Mapping[str, object], names: dict[str, str], model: str, where: str) -> list[Part]:
    """Return what the model said before. Its thoughts are left out, as everywhere: it cannot be told them."""
    if message.get("audio") or message.get("function_call"):
        _refuse(where, "an answer with `audio` or `function_call`")
    parts = _texts(message.get("content"), f"{where}.content")
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        parts.append({"text": refusal})
    if parts and (signature := _signature(message)) is not None:
        parts[-1]["thoughtSignature"] = signature
    calls = message.get("tool_calls")
    for at, call in enumerate(calls if isinstance(calls, list) else ()):
        part = _call(call, names, f"{where}.tool_calls[{at}]")
        if at == 0 and "thoughtSignature" not in part and not _UNSIGNED.search(model):
            part["thoughtSignature"] = UNCHECKED_SIGNATURE
        parts.append(part)
    return parts


def _call(call: object, names: dict[str, str], where: str) -> Part:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping):
        _refuse(where, "a tool call that is no function")
    name, identity, written = function.get("name"), call.get("id"), function.get("arguments")
    try:
        arguments = read_json(written.encode()) if isinstance(written, str) and written.strip() else {}
    except ValueError:
        arguments = None
    if not isinstance(name, str) or not isinstance(arguments, dict):
        _refuse(f"{where}.function", "a call without a name, or whose arguments are no JSON object")
    made: dict[str, object] = {"name": name, "args": arguments}
    if isinstance(identity, str) and identity:
        made["id"] = identity
        names[identity] = name
    signature = _signature(call)
    return {"functionCall": made} | ({} if signature is None else {"thoughtSignature": signature})


def _result(message: Mapping[str, object], names: Mapping[str, str], where: str) -> Part:
    """Return what a tool answered; Gemini wants to be told the tool's name, which OpenAI says at the call only."""
    identity = message.get("tool_call_id")
    name = names.get(identity) if isinstance(identity, str) else message.get("name")
    if not isinstance(name, str):
        _refuse(f"{where}.tool_call_id", "the result of a call that no message before it has made")
    text = "".join(str(part["text"]) for part in _texts(message.get("content"), f"{where}.content"))
    try:
        value = read_json(text.encode(errors="surrogatepass"))
    except ValueError:
        value = None
    result: dict[str, object] = {"name": name, "response": value if isinstance(value, dict) else {"output": text}}
    if isinstance(identity, str) and identity:
        result["id"] = identity
    return {"functionResponse": result}


def _texts(content: object, where: str) -> list[Part]:
    """Return the parts of content that is text alone; none for nothing."""
    parts = _said(content, where)
    if any(part.keys() != {"text"} for part in parts):
        _refuse(where, "anything but text in a message of this role")
    return parts


def _said(content: object, where: str) -> list[Part]:
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"text": content}]
    if not isinstance(content, list):
        _refuse(where, "content that is neither text nor an array of parts")
    return [_part(part, f"{where}[{at}]") for at, part in enumerate(content)]


def _part(part: object, where: str) -> Part:
    kind = part.get("type") if isinstance(part, Mapping) else None
    value = part.get(str(kind)) if isinstance(part, Mapping) else None
    if kind in {"text", "refusal"} and isinstance(value, str):
        return {"text": value}
    if kind == "image_url":
        url = value.get("url") if isinstance(value, Mapping) else value
        if isinstance(url, str):
            return _media(url, f"{where}.image_url")
    elif kind == "input_audio" and isinstance(value, Mapping) and isinstance(value.get("format"), str):
        return {"inlineData": {"mimeType": f"audio/{value['format']}", "data": value.get("data")}}
    elif kind == "file" and isinstance(value, Mapping) and isinstance(data := value.get("file_data"), str):
        return _media(data, f"{where}.file.file_data")
    return _refuse(where, f"a part of the type {kind!r} like this one")


def _media(url: str, where: str) -> Part:
    """Return a part for a `data:` URL, or for one that Gemini fetches (https, since January 2026; Vertex: gs too)."""
    found = _DATA_URL.match(url)
    if found:
        return {"inlineData": {"mimeType": found[1].lower(), "data": url[found.end() :]}}
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https", "gs"}:
        _refuse(where, "a URL that is neither https nor `data:` with a type and base64")
    kind = mimetypes.guess_type(parts.path)[0]
    return {"fileData": {"fileUri": url} | ({} if kind is None else {"mimeType": kind})}


def _signature(holder: Mapping[str, object]) -> str | None:
    """Return the thought signature that came with a message or a call, where the client kept it."""
    extra = holder.get("extra_content")
    google = extra.get("google") if isinstance(extra, Mapping) else None
    signature = google.get("thought_signature") if isinstance(google, Mapping) else None
    return signature if isinstance(signature, str) and signature else None


def _refuse(param: str, what: str) -> NoReturn:
    raise UntranslatableError(f"it has no room for {what} ({param})", param=param)
