"""What a simulated provider says to a request: text, JSON or tool calls, a pure function of the request.

- Plain: `text.answer_tokens` of the prompt. The number of tokens is exactly `max_completion_tokens` or `max_tokens`
  where one is given, so clients choose it; the finish reason is `stop` all the same, because nothing is missing.
- Tools: called when `tool_choice` forces it or the prompt says "call the tool" (the first one) or "call the tools"
  (all, in parallel), unless the last message is already a tool's result.
- `response_format`: a small JSON value for the schema.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from streamroute.simulation.chat_body import ChatBody
from streamroute.simulation.continuing import continued_tokens
from streamroute.simulation.json_sample import sample
from streamroute.simulation.profile import Profile
from streamroute.simulation.seeded import fraction, token_hex
from streamroute.simulation.text import answer_tokens, expected_text

_FRAGMENT_CHARS = 5
"""JSON text and tool arguments are cut into pieces of this size: about a token each in recorded streams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call of a function."""

    id: str
    name: str
    fragments: tuple[str, ...]
    """The arguments, a JSON object in text, in the pieces that a stream carries."""


DOUBT = ("I am", " not sure", " about that.")
"""What a model says of a question that is beyond it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of the `n` answers: pieces of text, or tool calls."""

    pieces: tuple[str, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"


def compose(body: ChatBody, profile: Profile) -> tuple[Choice, ...]:
    """Return the `n` answers to `body`."""
    functions = _functions_to_call(body)
    if functions:
        return tuple(_calls(body, functions, choice) for choice in range(body.choices))
    wanted = body.asked.get("response_format")
    if isinstance(wanted, Mapping) and wanted.get("type") in ("json_object", "json_schema"):
        return tuple(Choice(pieces=_fragments(_json_text(body, wanted, i))) for i in range(body.choices))
    if profile.doubt_share > 0.0 and fraction("doubt", body.prompt) < profile.doubt_share:
        return tuple(Choice(pieces=DOUBT) for _ in range(body.choices))
    says = next((answer for words, answer in profile.says_to if words in body.prompt), profile.says)
    if says:
        return tuple(Choice(pieces=_words(says)) for _ in range(body.choices))
    return tuple(Choice(pieces=_stopped(_tokens(body, profile, i), body.stop)) for i in range(body.choices))


def _words(text: str) -> tuple[str, ...]:
    """Return a text in pieces, each a word with the blank before it."""
    first, *more = text.split(" ")
    return (first, *(f" {word}" for word in more))


def _tokens(body: ChatBody, profile: Profile, choice: int) -> list[str]:
    continued = continued_tokens(body, profile, choice)
    if continued is not None:
        return continued
    return answer_tokens(body.prompt, profile.tokens if body.max_tokens is None else body.max_tokens, choice)


def _stopped(tokens: list[str], stop: tuple[str, ...]) -> tuple[str, ...]:
    """Cut before the first stop sequence, which is not part of the answer."""
    text = "".join(tokens)
    end = min((at for at in (text.find(one) for one in stop) if at >= 0), default=None)
    if end is None:
        return tuple(tokens)
    kept: list[str] = []
    for token in tokens:
        if end <= 0:
            break
        kept.append(token[:end])
        end -= len(token)
    return tuple(kept)


def _functions_to_call(body: ChatBody) -> tuple[Mapping[str, object], ...]:
    choice = body.asked.get("tool_choice")
    if not body.tools or choice == "none":
        return ()
    if isinstance(choice, Mapping):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, Mapping) else None
        return tuple(tool for tool in body.tools if tool["name"] == name)
    prompt = body.prompt.lower()
    if choice != "required" and (body.last_role == "tool" or "call the tool" not in prompt):
        return ()
    is_parallel = "call the tools" in prompt and body.asked.get("parallel_tool_calls") is not False
    return body.tools if is_parallel else body.tools[:1]


def _calls(body: ChatBody, functions: tuple[Mapping[str, object], ...], choice: int) -> Choice:
    word = answer_tokens(body.prompt, 1, choice)[0].strip()
    return Choice(
        calls=tuple(
            ToolCall(
                id=f"call_{token_hex(body.prompt, choice, i)}",
                name=str(function["name"]),
                fragments=_fragments(orjson.dumps(sample(function.get("parameters"), word) or {}).decode()),
            )
            for i, function in enumerate(functions)
        ),
        finish_reason="tool_calls",
    )


def _json_text(body: ChatBody, wanted: Mapping[str, object], choice: int) -> str:
    word = answer_tokens(body.prompt, 1, choice)[0].strip()
    named = wanted.get("json_schema")
    schema = named.get("schema") if isinstance(named, Mapping) else None
    if schema is None:
        return orjson.dumps({"answer": expected_text(body.prompt, 4, choice)}).decode()
    return orjson.dumps(sample(schema, word)).decode()


def _fragments(text: str) -> tuple[str, ...]:
    return tuple(text[i : i + _FRAGMENT_CHARS] for i in range(0, len(text), _FRAGMENT_CHARS))
