"""The wire formats that a simulated provider understands, all at once: the path says which one is meant.

To add one: a function that reads its requests in OpenAI's terms, a subclass of `Answer`, and a row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streamroute.simulation.answer import Answer
from streamroute.simulation.chat_body import ChatBody, read_chat_body
from streamroute.simulation.gemini_answer import GeminiAnswer
from streamroute.simulation.gemini_body import read_gemini_body

_KEY_HEADERS = ("x-api-key", "x-goog-api-key", "api-key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One wire format."""

    path: str
    """Below the base URL, a pattern of aiohttp's."""
    read: Callable[[bytes, Mapping[str, str]], ChatBody]
    """Reads a body, and what of the path the pattern's names stand for; raises RequestError."""
    answer: type[Answer]


def key_of(headers: Mapping[str, str]) -> str:
    """Return the key that a request came with, in whatever header; empty: none."""
    given = headers.get("Authorization", "").removeprefix("Bearer ")
    return given or next((headers[name] for name in _KEY_HEADERS if name in headers), "")


def _read_chat(data: bytes, path: Mapping[str, str]) -> ChatBody:
    return read_chat_body(data)


def _read_gemini(data: bytes, path: Mapping[str, str]) -> ChatBody:
    return read_gemini_body(data, model=path["model"], stream=path["method"] == "streamGenerateContent")


CHAT = Dialect(path="/chat/completions", read=_read_chat, answer=Answer)
DIALECTS = (
    CHAT,
    Dialect(
        path="/models/{model}:{method:generateContent|streamGenerateContent}", read=_read_gemini, answer=GeminiAnswer
    ),
)
