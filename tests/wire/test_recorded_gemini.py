"""Hundreds of recorded exchanges with Gemini, replayed through everything that reads this wire format."""

import random
from typing import Any

import orjson

from streamroute.core.outcome import Failure
from streamroute.wire.gemini.answer import translate_answer
from streamroute.wire.gemini.errors import read_error_response
from streamroute.wire.gemini.stream import GeminiStream
from streamroute.wire.openai_chat.answer import read_answer
from streamroute.wire.translation import TranslatingDecoder
from tests.support.chat_streams import raw_events, run
from tests.support.chunking import random_blocks
from tests.support.corpus import Recorded, recorded


def exchanges(*, stream: bool) -> list[Recorded]:
    return [each for each in recorded("gemini") if each.stream is stream and each.status == 200]


def decoder() -> TranslatingDecoder:
    return TranslatingDecoder(GeminiStream(created_s=1_700_000_000, model="gemini"))


def pieces(each: Recorded) -> list[dict[str, Any]]:
    """What was sent, one object an event or a whole answer."""
    if not each.stream:
        return [orjson.loads(each.response)]
    return [orjson.loads(event.removeprefix(b"data: ")) for event in raw_events(each.response)]


def parts(each: Recorded) -> list[dict[str, Any]]:
    candidates = [candidate for sent in pieces(each) for candidate in sent["candidates"]]
    return [part for candidate in candidates for part in candidate.get("content", {}).get("parts", [])]


def text(each: Recorded) -> str:
    return "".join(part["text"] for part in parts(each) if "text" in part and not part.get("thought"))


def test_streams_are_whole_and_clean() -> None:
    """No event of a real stream is taken for malformed, every end is recognised, all text arrives."""
    for each in exchanges(stream=True):
        out, facts = run(decoder(), [each.response])
        unread = sum("executableCode" in part or "codeExecutionResult" in part for part in parts(each))
        expected: dict[str, object] = {"is_whole": True, "is_done": True, "is_empty": False, "error": None}
        expected["malformed_events"] = unread  # code that Google ran itself: OpenAI's format has no room for it
        assert {**facts, **expected, "has_usage": True} == facts, each.id
        chunks = [orjson.loads(event.removeprefix(b"data: ")) for event in raw_events(out)]
        said = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
        assert "".join(delta.get("content", "") for delta in said) == text(each), each.id
        thoughts = "".join(part["text"] for part in parts(each) if part.get("thought"))
        assert "".join(delta.get("reasoning_content", "") for delta in said) == thoughts, each.id
        calls = [call for delta in said for call in delta.get("tool_calls", [])]
        assert len(calls) == sum("functionCall" in part for part in parts(each)), each.id
        assert chunks[-1]["usage"]["total_tokens"] == pieces(each)[-1]["usageMetadata"]["totalTokenCount"], each.id


def test_streams_in_random_blocks() -> None:
    draw = random.Random(7)
    for each in exchanges(stream=True):
        whole = run(decoder(), [each.response])
        assert all(run(decoder(), cut) == whole for cut in random_blocks(each.response, draw)), each.id


def test_streams_that_are_cut_are_not_whole() -> None:
    """Before the event with the finish reason is complete, no cut looks like an end."""
    for each in exchanges(stream=True):
        finish = each.response.index(b'"finishReason"')
        for at in range(0, finish, max(1, finish // 50)):
            _, facts = run(decoder(), [each.response[:at]])
            assert not facts["is_whole"], each.id
            assert not facts["is_done"], each.id


def test_answers_are_whole() -> None:
    """Every recorded answer is one, with all its text, calls and tokens; three called tools they had not."""
    failed = []
    for each in exchanges(stream=False):
        body = translate_answer(each.response, created_s=1_700_000_000, model="gemini")
        if isinstance(body, Failure):
            failed.append(body.provider_code)
            continue
        answer = read_answer(body)
        assert not isinstance(answer, Failure), each.id
        assert answer.usage is not None, each.id
        sent = pieces(each)[0]
        counted = sent["usageMetadata"]
        assert answer.usage.input_tokens + answer.usage.output_tokens == counted["totalTokenCount"], each.id
        assert answer.usage.cached_input_tokens == counted.get("cachedContentTokenCount", 0), each.id
        message = orjson.loads(body)["choices"][0]["message"]
        assert (message["content"] or "") == text(each), each.id
        calls = [part for part in parts(each) if "functionCall" in part]
        assert [call["function"]["name"] for call in message.get("tool_calls", [])] == [
            call["functionCall"]["name"] for call in calls
        ], each.id
    assert failed == ["UNEXPECTED_TOOL_CALL"] * 3


def test_errors_are_classified() -> None:
    kinds = {read_error_response(each.status, each.response).kind for each in recorded("gemini") if each.status != 200}
    assert kinds == {"client_error"}
