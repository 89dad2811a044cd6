"""Hundreds of recorded exchanges with real providers, replayed through everything that reads this wire format."""

import random

from openai._streaming import SSEDecoder

from streamroute.core.outcome import Failure
from streamroute.wire.openai_chat.answer import read_answer
from streamroute.wire.openai_chat.errors import read_error_response
from streamroute.wire.openai_chat.request import decode_request, encode_request
from streamroute.wire.openai_chat.stream import ChatStreamDecoder
from tests.support.chat_streams import Reference, loads, raw_events, run
from tests.support.chunking import random_blocks
from tests.support.corpus import Recorded, recorded_chats

NO_FINISH_REASON = "snowflakecomputing.com"
"""Sends no finish reasons within streams, by design."""
NO_ANSWERS = "demo-endpoints.pydantic.workers.dev"
"""Echoes the request's head instead of answering."""


def streams() -> list[Recorded]:
    return [each for each in recorded_chats() if each.stream and each.status == 200]


def decoder(recorded: Recorded) -> ChatStreamDecoder:
    request = decode_request(recorded.request)
    is_optional = recorded.host.endswith(NO_FINISH_REASON)
    return ChatStreamDecoder(choices=request.choices, finish_reason_optional=is_optional)


def test_requests_are_read_and_written() -> None:
    """What real applications sent is accepted, and reaches the provider with every field it had."""
    for recorded in recorded_chats():
        request = decode_request(recorded.request)
        assert request.stream == recorded.stream, recorded.id
        sent = loads(encode_request(request, model=request.model, ask_usage=True))
        asked = loads(recorded.request)
        assert isinstance(sent, dict)
        assert isinstance(asked, dict)
        assert {**sent, "stream_options": None} == {**asked, "stream_options": None}, recorded.id


def test_streams_are_whole_and_clean() -> None:
    """No event of a real stream is taken for malformed, and every answer is recognised as whole."""
    for recorded in streams():
        _, facts = run(decoder(recorded), [recorded.response])
        expected = {"malformed_events": 0, "is_whole": True, "is_empty": False, "error": None}
        assert {**facts, **expected} == facts, recorded.id


def test_streams_in_random_blocks() -> None:
    """Blocks change nothing, and full decoding finds the same events fit to forward."""
    draw = random.Random(7)
    for recorded in streams():
        data = recorded.response
        whole, facts = run(decoder(recorded), [data])
        assert raw_events(whole) == [raw for raw, _ in Reference().take(raw_events(data)).forwarded], recorded.id
        for cut in random_blocks(data, draw, (2, 20, len(data) // 9)):
            assert run(decoder(recorded), cut) == (whole, facts), recorded.id


def test_clients_read_the_same_text() -> None:
    """OpenAI's own SSE decoder puts the same text together from what we forward as from what the provider sent."""
    for recorded in streams():
        forwarded, _ = run(decoder(recorded), [recorded.response])
        assert text_of(forwarded) == text_of(recorded.response), recorded.id


def text_of(data: bytes) -> list[object]:
    """Pieces of text; Mistral's reasoning models send some as lists of parts."""
    pieces = []
    for event in SSEDecoder().iter_bytes(iter([data])):
        if event.data and event.data != "[DONE]":
            pieces += [choice["delta"].get("content") for choice in event.json()["choices"]]
    return [piece for piece in pieces if piece]


def test_answers_are_whole() -> None:
    """Every recorded answer is one, with its usage."""
    for recorded in recorded_chats():
        if recorded.stream or recorded.status != 200:
            continue
        answer = read_answer(recorded.response)
        if recorded.host == NO_ANSWERS:
            assert isinstance(answer, Failure)
        else:
            assert not isinstance(answer, Failure), recorded.id
            assert answer.usage is not None, recorded.id


def test_errors_are_classified() -> None:
    """Every recorded error gets the kind that its status and its words call for."""
    kinds = {
        (each.host, each.status): read_error_response(each.status, each.response).kind
        for each in recorded_chats()
        if each.status != 200
    }
    assert kinds == {
        ("api.groq.com", 400): "client_error",
        ("api.groq.com", 404): "model_not_found",
        ("api.openai.com", 400): "client_error",
        ("api.openai.com", 404): "model_not_found",
        ("openrouter.ai", 429): "rate_limited",
    }
