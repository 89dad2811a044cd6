"""Requests that find out what an answer is worth: the same asked of another model, or another model asked about it."""

from collections.abc import Mapping
from dataclasses import replace

from streamroute.core.quality.judge import MAX_TOKENS, judge_messages
from streamroute.core.request import ChatRequest
from streamroute.wire.json_text import write_json
from streamroute.wire.openai_chat.transcript import read_content

_NOT_REPEATED = frozenset({"stream", "stream_options", "logprobs", "top_logprobs", "n", "store", "service_tier"})
"""What the client asked for and a call for ourselves has no use for."""
SECOND_SAMPLE_TEMPERATURE = 0.7
"""At 0 a model gives the same answer again, which would always agree."""


def asked_again(chat: ChatRequest, *, is_second_sample: bool = False) -> ChatRequest:
    """Return the same question, for one whole answer. `is_second_sample`: to the very model that has answered it."""
    payload = {key: value for key, value in chat.payload.items() if key not in _NOT_REPEATED}
    if is_second_sample:
        payload.pop("seed", None)
        temperature = payload.get("temperature")
        if isinstance(temperature, int | float) and temperature < SECOND_SAMPLE_TEMPERATURE:
            payload["temperature"] = SECOND_SAMPLE_TEMPERATURE
    return replace(
        chat, payload=payload, stream=False, wants_usage=False, wants_logprobs=False, choices=1, service_tier=None
    )


def judge_request(chat: ChatRequest, answer: str) -> ChatRequest | None:
    """Return the question what an answer to `chat` is worth; None where it cannot be put in words."""
    if chat.images:
        return None
    messages = chat.payload.get("messages")
    conversation = [
        (str(each.get("role")), read_content(each.get("content"))[0])
        for each in (messages if isinstance(messages, list) else ())
        if isinstance(each, Mapping)
    ]
    payload = {"messages": judge_messages(conversation, answer), "max_tokens": MAX_TOKENS, "temperature": 0}
    return ChatRequest(
        wire_format=chat.wire_format,
        payload={"model": chat.model, **payload},
        model=chat.model,
        prompt_bytes=len(write_json(payload)),
        max_output_tokens=MAX_TOKENS,
    )
