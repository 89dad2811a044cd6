"""Who answered, and how tool calls are named."""

from collections.abc import Mapping
from dataclasses import dataclass

from streamroute.wire.gemini.candidate import Said

_MAX_ID_CHARS = 28
"""Of a response id within the id of a tool call, which may have 40 in OpenAI's API; Gemini's own have 23."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is the same in all pieces of an answer."""

    id: str
    model: str

    def named_calls(self, said: Said, start: int) -> list[dict[str, object]]:
        """Return the tool calls, each with an id; `start`: how many the same choice has had before.

        Older models give none. A made up id is unlike any other of the conversation, for it contains the response's.
        """
        choice = f"_{said.index}" if said.index else ""
        prefix = f"call_{self.id[:_MAX_ID_CHARS]}{choice}"
        return [{"id": f"{prefix}_{position}", **call} for position, call in enumerate(said.calls, start)]


def read_head(payload: Mapping[str, object], created_s: int, model: str) -> Head:
    """Read a response's id and model; where it has none, `created_s` names it, and it is of the `model` asked for."""
    identity, version = payload.get("responseId"), payload.get("modelVersion")
    return Head(
        id=identity if isinstance(identity, str) and identity else f"chatcmpl-{created_s}",
        model=version if isinstance(version, str) and version else model,
    )


def finish_reason(reason: str, calls: int) -> str:
    """Return OpenAI's word: Gemini says `STOP` after tool calls too."""
    return "tool_calls" if reason == "stop" and calls else reason
