"""The requests that find out what an answer is worth."""

import orjson

from streamroute.core.quality.judge import MAX_TOKENS
from streamroute.wire.openai_chat.cross_check import SECOND_SAMPLE_TEMPERATURE, asked_again, judge_request
from streamroute.wire.openai_chat.request import decode_request

BODY: dict[str, object] = {
    "model": "chat",
    "messages": [{"role": "user", "content": "2 + 2?"}],
    "stream": True,
    "stream_options": {"include_usage": True},
    "logprobs": True,
    "n": 1,
    "seed": 7,
    "temperature": 0.0,
    "tools": [{"type": "function", "function": {"name": "add"}}],
    "unknown": 1,
}
CHAT = decode_request(orjson.dumps(BODY))


def test_the_same_question_for_one_whole_answer() -> None:
    """What decides the answer stays, what was about its delivery goes."""
    again = asked_again(CHAT)
    assert (again.stream, again.wants_usage, again.wants_logprobs, again.choices) == (False, False, False, 1)
    assert again.uses_tools
    gone = {"stream", "stream_options", "logprobs", "n"}
    assert dict(again.payload) == {key: value for key, value in BODY.items() if key not in gone}


def test_a_second_sample_may_differ() -> None:
    """The same model at temperature 0 would say the same again."""
    sample = asked_again(CHAT, is_second_sample=True).payload
    assert sample["temperature"] == SECOND_SAMPLE_TEMPERATURE
    assert "seed" not in sample
    warm = decode_request(orjson.dumps({**BODY, "temperature": 1.0}))
    assert asked_again(warm, is_second_sample=True).payload["temperature"] == 1.0


def test_what_a_judge_is_asked() -> None:
    """Words only: nobody judges an answer about images without seeing them."""
    asked = judge_request(CHAT, "4")
    assert asked is not None
    assert (asked.stream, asked.max_output_tokens, asked.uses_tools) == (False, MAX_TOKENS, False)
    assert "2 + 2?" in str(asked.payload["messages"])
    assert asked.prompt_tokens > 100
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}
    assert judge_request(decode_request(orjson.dumps({"model": "chat", "messages": [image]})), "4") is None
