"""Carrying on an answer that broke off: the request that asks for the rest, and the rest in the first answer's terms.

Sources, per rung:

- `prefill`: a trailing assistant message is the beginning of the answer (llama.cpp's server; older Claude models);
- `prefix`: the same with `prefix: true` (https://api-docs.deepseek.com/guides/chat_prefix_completion,
  https://docs.mistral.ai/api);
- `continue_final_message`, and no generation prompt, which excludes it (vLLM and SGLang:
  https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html);
- `instructed`: Anthropic's way for models that refuse a prefill: a user's turn says where the answer broke off.
"""

from collections.abc import Mapping
from dataclasses import replace

from streamroute.core.execution.anchored_joint import anchor_of
from streamroute.core.execution.ladder import NATIVE_RUNGS
from streamroute.core.execution.seam import Seam, Verdict
from streamroute.core.outcome import Failure
from streamroute.core.request import ChatRequest
from streamroute.core.upstream import Rung
from streamroute.core.usage import Usage
from streamroute.wire.json_text import read_json, write_json
from streamroute.wire.openai_chat.stream import ChatStreamDecoder
from streamroute.wire.openai_chat.transcript import CONTINUATION_COMMENT, REASONING_KEYS, Delivered, read_content
from streamroute.wire.sse import read_event

_INSTRUCTION = (
    "Your previous answer was interrupted by a technical failure. It ended with:\n"
    "<anchor>{anchor}</anchor>\n"
    "Reply with the continuation only. Begin by repeating exactly the text between the anchor tags, without the tags,"
    " and go on from there as if nothing had happened: no introduction, no apology, no quotes, no code fence around it,"
    " and nothing else that was already said."
)
_LEFT_OUT = frozenset({"role", "content", "extra_content", *REASONING_KEYS})


def continuation_request(chat: ChatRequest, delivered: Delivered, rung: Rung) -> ChatRequest:
    """Return the request that asks for the rest. `chat` and its payload stay as they are.

    Token limits shrink by what was delivered, to 1 at least; `anew` and `restart` ask the same again, unchanged. The
    text goes as it is, white space at its end included: without it the tokens are not those that the model wrote, and
    at temperature 0 it may go on differently. Claude refuses such a prefill; the next rung is then tried.
    """
    if rung in {"anew", "restart"}:
        return chat
    payload = dict(chat.payload)
    messages = payload.get("messages")
    messages = list(messages) if isinstance(messages, list) else []
    text = delivered.text
    partial: dict[str, object] = {"role": "assistant", "content": text}
    last = messages[-1] if messages else None
    if isinstance(last, Mapping) and last.get("role") == "assistant" and isinstance(last.get("content"), str):
        partial = {**messages.pop(), "content": last["content"] + text}  # the client had begun the answer itself
    if rung == "prefix":
        partial["prefix"] = True
    messages.append(partial)
    if rung == "continue_final_message":
        payload.update(continue_final_message=True, add_generation_prompt=False)
    elif rung == "instructed":
        messages.append({"role": "user", "content": _INSTRUCTION.format(anchor=anchor_of(delivered.text))})
    payload["messages"] = messages
    for limit in ("max_tokens", "max_completion_tokens"):
        if isinstance(value := payload.get(limit), int):
            payload[limit] = max(1, value - delivered.tokens)
    most = chat.max_output_tokens
    return replace(
        chat,
        payload=payload,
        prompt_bytes=chat.prompt_bytes + len(text.encode(errors="replace")),
        max_output_tokens=None if most is None else max(1, most - delivered.tokens),
    )


class ContinuationDecoder:
    """Reads a continuation in the place of a `ChatStreamDecoder`: what it returns goes on from what the client has.

    Chunks leave with the first answer's id, time, model and fingerprint; thoughts and roles of the second are left
    out, and nothing leaves before the seam has decided. A restart is an answer of its own: of it all is kept but roles.
    """

    __slots__ = (
        "_decoder", "_delivered", "_has_finished", "_is_marked", "_rung", "_seam", "_upstream", "_wants_usage",
        "content_events", "error",
    )  # fmt: skip

    def __init__(
        self, decoder: ChatStreamDecoder, *, delivered: Delivered, rung: Rung, upstream: str, wants_usage: bool
    ) -> None:
        self._decoder = decoder
        self._delivered = delivered
        self._rung: Rung = rung
        self._upstream = upstream
        self._wants_usage = wants_usage
        self._seam = Seam(delivered.text, rung)
        self._is_marked = False
        self._has_finished = False
        self.content_events = 0
        """Chunks with something new for the client."""
        self.error: Failure | None = None

    @property
    def verdict(self) -> Verdict:
        """Of the seam."""
        return self._seam.verdict

    @property
    def is_done(self) -> bool:
        """`[DONE]` was seen."""
        return self._decoder.is_done

    @property
    def is_whole(self) -> bool:
        """The answer has come to its end, and it is one with what was delivered."""
        return self._decoder.is_whole and self._seam.verdict in {"joined", "restarted"}

    @property
    def is_empty(self) -> bool:
        """Nothing was said; after a native continuation that only means that nothing was missing but the end."""
        return self._rung not in NATIVE_RUNGS and not self.content_events and self._decoder.is_empty

    @property
    def is_rescuable(self) -> bool:
        """No half of a tool call was let go."""
        return self._decoder.is_rescuable

    @property
    def progress_events(self) -> int:
        """Chunks of the second answer that made progress, whatever became of them."""
        return self._decoder.progress_events

    @property
    def usage(self) -> Usage | None:
        """What this call alone has cost."""
        return self._decoder.usage

    @property
    def model(self) -> str | None:
        """Which model continues; the client is told in the comment at the joint."""
        return self._decoder.model

    @property
    def malformed_events(self) -> int:
        """Events that nobody could read."""
        return self._decoder.malformed_events

    def feed(self, block: bytes) -> bytes:
        """Take a received block; return the events to forward, possibly none."""
        return self._rewrite(self._decoder.feed(block))

    def close(self) -> bytes:
        """Take note of the end of the stream."""
        return self._rewrite(self._decoder.close())

    def _rewrite(self, events: bytes) -> bytes:
        out: list[bytes] = []
        for event in events.split(b"\n\n") if events else ():
            data = read_event(event)[1] if event else None
            chunk = read_json(data) if data else None
            if isinstance(chunk, dict):
                self._take(chunk, out)
            if self.error is not None:
                break
        if self.error is None and self._decoder.is_whole and not self._has_finished:
            self._finish(out)  # a provider that sends no finish reasons
        self.error = self.error or self._decoder.error
        return b"".join(out)

    def _take(self, chunk: dict[str, object], out: list[bytes]) -> None:
        choices = chunk.get("choices")
        usage = chunk.get("usage")
        has_usage = isinstance(usage, Mapping) and bool(usage)
        if self._rung == "restart" and isinstance(choices, list) and choices:
            self._mark(out)
            out.append(self._event([self._without_role(choice) for choice in choices]))
            self.content_events = self._decoder.content_events
            choices = []
        for choice in choices if isinstance(choices, list) else ():
            if not choice.get("index"):
                self._take_choice(choice, out)
        if self.error is None and has_usage and self._wants_usage and isinstance(usage, Mapping):
            out.append(self._event([], **self._summed(usage)))

    def _take_choice(self, choice: Mapping[str, object], out: list[bytes]) -> None:
        delta = choice.get("delta")
        delta = delta if isinstance(delta, Mapping) else {}
        text, _ = read_content(delta.get("content"))
        self._say(self._seam.feed(text), out)
        more = {key: value for key, value in delta.items() if key not in _LEFT_OUT and value}
        if "refusal" in more:
            self.error = Failure(kind="seam_mismatch", message="the continuation is a refusal")
        reason = choice.get("finish_reason")
        if (more or reason) and not self._has_finished:
            self._finish(out)
        if self._seam.verdict == "mismatch" and self.error is None:
            self._mismatch()
        if self.error is not None:
            return
        if more:
            self._mark(out)
            self.content_events += 1
            out.append(self._event([_choice(more)]))
        if isinstance(reason, str) and reason:
            self._mark(out)
            out.append(self._event([_choice({}, reason)]))

    def _without_role(self, choice: dict[str, object]) -> dict[str, object]:
        delta = choice.get("delta")
        if not self._delivered.role_sent or not isinstance(delta, Mapping):
            return choice
        return {**choice, "delta": {key: value for key, value in delta.items() if key != "role"}}

    def _finish(self, out: list[bytes]) -> None:
        self._has_finished = True
        self._say(self._seam.finish(), out)
        if self._seam.verdict == "mismatch":
            self._mismatch()

    def _mismatch(self) -> None:
        self.error = Failure(kind="seam_mismatch", message="the continuation does not follow on what was delivered")

    def _say(self, text: str, out: list[bytes]) -> None:
        if text:
            self._mark(out)
            self.content_events += 1
            delta: dict[str, object] = {"content": text}
            is_first = self.content_events == 1 and not self._delivered.role_sent
            out.append(self._event([_choice({"role": "assistant", **delta} if is_first else delta)]))

    def _mark(self, out: list[bytes]) -> None:
        """Say once, in a comment that clients skip, that another call goes on here."""
        if self._is_marked:
            return
        self._is_marked = True
        joint = self._joint()
        if self.model is not None:
            joint["model"] = self.model
        out.append(CONTINUATION_COMMENT + write_json(joint) + b"\n\n")
        if self._rung == "restart":
            out.append(self._event([_choice({"content": ""})], streamroute={"restart": True}))

    def _joint(self) -> dict[str, object]:
        return {"rung": self._rung, "upstream": self._upstream, "at_token": self._delivered.tokens}

    def _event(self, choices: list[dict[str, object]], **more: object) -> bytes:
        first = self._delivered
        chunk: dict[str, object] = {
            "id": first.id or "",
            "object": "chat.completion.chunk",
            "created": first.created or 0,
            "model": first.model or self.model or "",
            "choices": choices,
        }
        if first.system_fingerprint is not None:
            chunk["system_fingerprint"] = first.system_fingerprint
        return b"data: " + write_json({**chunk, **more}) + b"\n\n"

    def _summed(self, usage: Mapping[str, object]) -> dict[str, object]:
        """Return the usage of all calls; those before this one were cut before they could count, so they are
        estimated."""
        delivered = self._delivered
        prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
        first_prompt = max(0, prompt - _sent_along(self._rung, delivered.tokens))
        joints = [*delivered.continuations, self._joint()]
        prompt += first_prompt
        completion += delivered.tokens
        for joint in delivered.continuations:
            at_token = _count(joint.get("at_token"))
            prompt += first_prompt + _sent_along(joint.get("rung"), at_token)
            completion += at_token if joint.get("rung") == "restart" else 0  # thrown away, and paid for
        total = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        return {
            "usage": {**usage, **total},
            "streamroute": {"continuations": joints, "usage_is_estimated": True},
        }


def _choice(delta: Mapping[str, object], finish_reason: str | None = None) -> dict[str, object]:
    return {"index": 0, "delta": dict(delta), "finish_reason": finish_reason}


def _sent_along(rung: object, delivered_tokens: int) -> int:
    """Return how many tokens of what was delivered are part of a continuation's prompt."""
    return 0 if rung in {"anew", "restart"} else delivered_tokens


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
