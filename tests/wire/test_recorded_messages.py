"""Recorded exchanges with Anthropic, through all that reads its format; two official clients are the judges."""

import random
from typing import Any

import orjson
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from streamroute.core.outcome import Failure
from streamroute.core.usage import Usage
from streamroute.wire.anthropic_messages.answer import read_answer
from streamroute.wire.anthropic_messages.errors import read_error_response
from streamroute.wire.anthropic_messages.stream import MessagesTranslator
from streamroute.wire.openai_chat.answer import Answer
from streamroute.wire.openai_chat.usage import read_usage
from streamroute.wire.translation import TranslatingDecoder
from tests.support.chat_streams import raw_events, run
from tests.support.chunking import random_blocks
from tests.support.corpus import Recorded, recorded

STOPS = {"end_turn": "stop", "tool_use": "tool_calls", "pause_turn": "length"}


def exchanges(*, stream: bool) -> list[Recorded]:
    return [each for each in recorded("anthropic_messages") if each.stream is stream and each.status == 200]


def decoder() -> TranslatingDecoder:
    return TranslatingDecoder(MessagesTranslator(created=1_700_000_000))


def as_openai_reads(data: bytes) -> ChatCompletion:
    """Put chunks together as OpenAI's client does."""
    state = ChatCompletionStreamState()
    for event in raw_events(data):
        state.handle_chunk(ChatCompletionChunk.model_validate_json(event.removeprefix(b"data: ")))
    return state.current_completion_snapshot


def as_anthropic_reads(recorded: Recorded) -> dict[str, Any]:
    """Put events together as Anthropic's client does."""
    if not recorded.stream:
        message: dict[str, Any] = orjson.loads(recorded.response)
        return message
    beta = pytest.importorskip("anthropic.lib.streaming._beta_messages")
    types = pytest.importorskip("anthropic.types.beta")
    models = pytest.importorskip("anthropic._models")
    snapshot, buffers = None, dict[int, bytes]()
    for event in raw_events(recorded.response):
        payload = orjson.loads(event.partition(b"data: ")[2])
        if payload["type"] != "ping":
            read = models.construct_type_unchecked(type_=types.BetaRawMessageStreamEvent, value=payload)
            snapshot = beta.accumulate_event(
                event=read, current_snapshot=snapshot, json_bufs=buffers, request_headers={}
            )
    assert snapshot is not None
    accumulated: dict[str, Any] = snapshot.to_dict()
    return accumulated


def assert_same(message: dict[str, Any], completion: ChatCompletion, usage: Usage | None, id_: str) -> None:
    """Hold what OpenAI's client has against what Anthropic's has."""
    content = message["content"]
    [choice] = completion.choices
    said: Any = choice.message
    texts = [block["text"] for block in content if block["type"] == "text"]
    thoughts = [block["thinking"] for block in content if block["type"] == "thinking"]
    called = [(block["id"], block["name"], block["input"]) for block in content if block["type"] == "tool_use"]
    assert (said.content or "") == "".join(texts), id_
    assert (getattr(said, "reasoning_content", None) or "") == "".join(thoughts), id_
    calls = said.tool_calls or []
    assert [(each.id, each.function.name, orjson.loads(each.function.arguments)) for each in calls] == called, id_
    assert choice.finish_reason == STOPS[message["stop_reason"]], id_
    assert (completion.id, completion.model) == (message["id"], message["model"])
    counts = message["usage"]
    cached, written = counts["cache_read_input_tokens"], counts["cache_creation_input_tokens"]
    assert usage == Usage(
        input_tokens=counts["input_tokens"] + cached + written,
        output_tokens=counts["output_tokens"],
        cached_input_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=(counts.get("cache_creation") or {}).get("ephemeral_1h_input_tokens", 0),
        reasoning_tokens=(counts.get("output_tokens_details") or {}).get("thinking_tokens", 0),
        tier=counts["service_tier"],
    ), id_


def test_streams_say_what_they_said() -> None:
    """No event of a real stream is malformed, every answer is whole, and both official clients read the same."""
    for each in exchanges(stream=True):
        reader = decoder()
        out, facts = run(reader, [each.response])
        expected = {"malformed_events": 0, "is_whole": True, "is_done": True, "is_empty": False, "error": None}
        assert {**facts, **expected} == facts, each.id
        completion = as_openai_reads(out)
        assert_same(as_anthropic_reads(each), completion, reader.usage, each.id)
        assert completion.usage is not None
        assert read_usage(completion.usage.model_dump(), completion.service_tier) == reader.usage, each.id


def test_streams_in_random_blocks() -> None:
    draw = random.Random(7)
    for each in exchanges(stream=True):
        whole = run(decoder(), [each.response])
        assert all(run(decoder(), cut) == whole for cut in random_blocks(each.response, draw)), each.id


def test_a_stream_cut_anywhere_is_not_whole() -> None:
    """Until the event with the stop reason is there; a tool call is there as a whole, or not at all."""
    for each in exchanges(stream=True):
        data = each.response
        end = data.index(b"\n\n", data.index(b"event: message_delta"))
        for at in range(1, end, max(1, end // 60)):
            out, facts = run(decoder(), [data[:at]])
            is_complete = data[:at].rstrip().endswith(b"}") and at > data.index(b"event: message_delta")
            assert not facts["is_whole"] or is_complete, (each.id, at)
            assert b"tool_calls" not in out or is_complete, (each.id, at)


def test_answers_say_what_they_said() -> None:
    for each in exchanges(stream=False):
        answer = read_answer(each.response, created=1_700_000_000)
        assert isinstance(answer, Answer), each.id
        message = as_anthropic_reads(each)
        assert_same(message, ChatCompletion.model_validate_json(answer.body), answer.usage, each.id)


def test_errors_are_classified() -> None:
    kinds = {}
    for each in recorded("anthropic_messages"):
        if each.status != 200:
            failure = read_error_response(each.status, each.response)
            assert isinstance(failure, Failure)
            assert failure.error_body is not None
            kinds[each.status] = failure.kind
    assert kinds == {400: "client_error", 404: "model_not_found"}
