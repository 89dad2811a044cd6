"""What a client has received of a streamed answer, so that it can be carried on where it broke off.

Keeping is cheap, because every stream pays for it: blocks are appended to a list. Decoding is dear and happens only
when a stream has broken off.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from streamroute.wire.json_text import read_json
from streamroute.wire.sse import read_event

MAX_TRANSCRIPT_BYTES = 1 << 20
"""1 MiB of events, some 5,000 tokens in their envelopes: an answer longer than that is not carried on."""
CONTINUATION_COMMENT = b": streamroute "
"""How the comment begins that marks a joint; JSON follows."""

REASONING_KEYS = frozenset({"reasoning", "reasoning_content", "reasoning_details", "reasoning_text"})
"""Deltas of thoughts: DeepSeek, vLLM and SGLang write `reasoning_content`, OpenRouter and Groq `reasoning`."""
_SAYS_NOTHING = frozenset({"role", "content", "name", "channel", "token_id", "extra_content", *REASONING_KEYS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What the client has."""

    text: str = ""
    """Content of choice 0."""
    tokens: int = 0
    """Chunks with text: most providers send one token in each, so this estimates tokens from below."""
    id: str | None = None
    created: int | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    role_sent: bool = False
    reasoning_chars: int = 0
    continuations: tuple[Mapping[str, object], ...] = ()
    """Joints that are already in it."""
    why_not: str | None = None
    """Why it cannot be carried on; None: it can."""


class Transcript:
    """Follows what one client is sent."""

    __slots__ = (
        "_blocks", "_bytes", "_continuations", "_delivered", "_head", "_is_undecoded", "_reasoning_chars", "_role_sent",
        "_text", "_tokens", "_why_not",
    )  # fmt: skip

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._bytes = 0
        self._is_undecoded = False
        self._text: list[str] = []
        self._tokens = 0
        self._head: dict[str, object] = {}
        self._role_sent = False
        self._reasoning_chars = 0
        self._continuations: list[Mapping[str, object]] = []
        self._why_not: str | None = None
        self._delivered = Delivered()

    @property
    def is_kept(self) -> bool:
        """All of it is there; else it was longer than is remembered, and only its head is known."""
        return self._bytes <= MAX_TRANSCRIPT_BYTES

    @property
    def events(self) -> bytes | None:
        """All of it as it was sent; None where it was longer than is remembered, or has been decoded."""
        found = b"".join(self._blocks)
        return found if len(found) == self._bytes else None

    def append(self, block: bytes) -> None:
        """Take note of whole events that went to the client."""
        if self._bytes <= MAX_TRANSCRIPT_BYTES:
            self._blocks.append(block)
            self._bytes += len(block)
            self._is_undecoded = True
            if self._bytes > MAX_TRANSCRIPT_BYTES:
                del self._blocks[1:]
                self._refuse("the answer is too long to be carried on")

    def read(self) -> Delivered:
        """Return what the client has; decodes what came since the last time."""
        if self._is_undecoded:
            self._is_undecoded = False
            blocks, self._blocks = b"".join(self._blocks), []
            for event in blocks.split(b"\n\n"):
                if event:
                    self._take(event)
            self._delivered = self._summary()
        return self._delivered

    def _take(self, event: bytes) -> None:
        for line in event.split(b"\n"):
            if line.startswith(CONTINUATION_COMMENT):
                joint = _object(line[len(CONTINUATION_COMMENT) :])
                if joint is not None:
                    self._continuations.append(joint)
        data = read_event(event)[1]
        if not data or data == b"[DONE]":
            return
        chunk = _object(data)
        if chunk is None:
            self._refuse("the answer cannot be decoded")
            return
        for key in ("id", "created", "model", "system_fingerprint"):
            if self._head.get(key) in {None, ""} and isinstance(chunk.get(key), str | int):
                self._head[key] = chunk[key]  # Azure's first chunk has an empty id and model
        marker = chunk.get("streamroute")
        if isinstance(marker, Mapping) and marker.get("restart"):
            self._text.clear()
            self._tokens = 0
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            self._take_choice(choice)

    def _take_choice(self, choice: object) -> None:
        if not isinstance(choice, dict):
            self._refuse("the answer cannot be decoded")
            return
        if choice.get("index"):
            self._refuse("several choices")
        if choice.get("finish_reason"):
            self._refuse("the answer had its finish reason")
        if choice.get("logprobs"):
            self._refuse("log probabilities")
        delta = choice.get("delta") or {}
        if not isinstance(delta, dict):
            self._refuse("the answer cannot be decoded")
            return
        for key, value in delta.items():
            if value and key not in _SAYS_NOTHING:
                self._refuse({"tool_calls": "tool calls", "function_call": "tool calls"}.get(key, f"`{key}`"))
        self._role_sent = self._role_sent or bool(delta.get("role"))
        self._reasoning_chars += sum(len(value) for key in REASONING_KEYS if isinstance(value := delta.get(key), str))
        text, thought_chars = read_content(delta.get("content"))
        self._reasoning_chars += thought_chars
        if text:
            self._text.append(text)
            self._tokens += 1

    def _refuse(self, why_not: str) -> None:
        self._why_not = self._why_not or why_not

    def _summary(self) -> Delivered:
        text = "".join(self._text)
        if not text.isascii():
            text, is_whole = _with_whole_characters(text)
            if not is_whole:
                self._refuse("the text ends within a character")
        identity, created, head = self._head.get("id"), self._head.get("created"), self._head
        model, fingerprint = head.get("model"), head.get("system_fingerprint")
        return Delivered(
            text=text,
            tokens=self._tokens,
            id=identity if isinstance(identity, str) else None,
            created=created if isinstance(created, int) else None,
            model=model if isinstance(model, str) else None,
            system_fingerprint=fingerprint if isinstance(fingerprint, str) else None,
            role_sent=self._role_sent,
            reasoning_chars=self._reasoning_chars,
            continuations=tuple(self._continuations),
            why_not=self._why_not,
        )


def read_content(content: object) -> tuple[str, int]:
    """Return a delta's text, and how many characters of thoughts stand beside it: Mistral's reasoning models write
    lists of parts (https://docs.mistral.ai/capabilities/reasoning)."""
    if isinstance(content, str):
        return content, 0
    if not isinstance(content, list):
        return "", 0
    texts, thought_chars = [], 0
    for part in content:
        if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        else:
            thought_chars += len(str(part))
    return "".join(texts), thought_chars


def _with_whole_characters(text: str) -> tuple[str, bool]:
    """Put surrogate pairs together that were split between chunks; False where a half is left over."""
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return text, not any("\ud800" <= character <= "\udfff" for character in text)


def _object(data: bytes) -> dict[str, object] | None:
    try:
        value = read_json(data)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
