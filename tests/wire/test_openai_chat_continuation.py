"""Asking for the rest of an answer, and delivering it as part of the first."""

import json
from dataclasses import replace
from typing import Any

import pytest

from streamroute.core.execution.anchored_joint import anchor_of
from streamroute.core.upstream import Rung
from streamroute.core.usage import Usage
from streamroute.wire.openai_chat.continuation import ContinuationDecoder, continuation_request
from streamroute.wire.openai_chat.request import decode_request
from streamroute.wire.openai_chat.stream import ChatStreamDecoder
from streamroute.wire.openai_chat.transcript import Delivered
from tests.support.chat_streams import DONE, USAGE, chunk, event, no_choices, raw_events, stream, text

SAID = "The fox jumps over the lazy dog and "
HAS = Delivered(text=SAID, tokens=8, id="first", created=1, model="m-1", system_fingerprint="fp", role_sent=True)
PAYLOAD: dict[str, Any] = {
    "model": "r",
    "stream": True,
    "messages": [{"role": "user", "content": "Hi"}],
    "max_tokens": 10,
    "max_completion_tokens": 5,
}


def asked(rung: Rung, payload: dict[str, Any] = PAYLOAD) -> dict[str, Any]:
    body = json.dumps(payload).encode()
    chat = decode_request(body)
    found = continuation_request(chat, HAS, rung)
    assert chat == decode_request(body)  # the client's own stays as it is
    return dict(found.payload)


def decoder(rung: Rung, *, wants_usage: bool = True, has: Delivered = HAS) -> ContinuationDecoder:
    inner = ChatStreamDecoder(wants_usage=wants_usage)
    return ContinuationDecoder(inner, delivered=has, rung=rung, upstream="b", wants_usage=wants_usage)


def chunks(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(raw.removeprefix(b"data: ")) for raw in raw_events(data) if raw.startswith(b"data: ")]


def said(data: bytes) -> str:
    deltas = [each["delta"] for found in chunks(data) for each in found["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


@pytest.mark.parametrize(
    ("rung", "message", "more"),
    [
        ("prefill", {}, {}),
        ("prefix", {"prefix": True}, {}),
        ("continue_final_message", {}, {"continue_final_message": True, "add_generation_prompt": False}),
    ],
)
def test_native_requests(rung: Rung, message: dict[str, object], more: dict[str, object]) -> None:
    """A trailing assistant message without white space at its end, and limits less what was delivered."""
    partial = {"role": "assistant", "content": SAID, **message}
    limits = {"max_tokens": 2, "max_completion_tokens": 1}
    assert asked(rung) == {**PAYLOAD, **limits, **more, "messages": [*PAYLOAD["messages"], partial]}


def test_instructed_request() -> None:
    """The old text, and a user's turn that names the anchor."""
    _, partial, instruction = asked("instructed")["messages"]
    assert partial == {"role": "assistant", "content": SAID}
    assert f"<anchor>{anchor_of(SAID)}</anchor>" in instruction["content"]


def test_a_prefill_of_the_clients_own() -> None:
    """What the client had begun and what was delivered are one message."""
    messages = [*PAYLOAD["messages"], {"role": "assistant", "content": "So: "}]
    assert asked("prefill", {**PAYLOAD, "messages": messages})["messages"][-1]["content"] == "So: " + SAID


@pytest.mark.parametrize("rung", ["anew", "restart"])
def test_the_same_again(rung: Rung) -> None:
    """Limits included."""
    assert asked(rung) == PAYLOAD


def test_the_rest_in_the_first_answers_terms() -> None:
    """The head of the first, no thoughts, no role; a comment before, and the sum of both after."""
    joint = decoder("prefill")
    out = joint.feed(stream(chunk({"role": "assistant", "content": ""}), chunk({"reasoning_content": "Hm"})))
    assert (out, joint.content_events, joint.progress_events) == (b"", 0, 1)
    out = joint.feed(stream(text("sleeps"), text("."), chunk(finish="stop"), no_choices(usage=USAGE), DONE))
    assert out.startswith(b': streamroute {"rung":"prefill","upstream":"b","at_token":8,"model":"small-1"}\n\n')
    found = chunks(out)
    assert said(out) == "sleeps."
    assert {(each["id"], each["created"], each["model"], each["system_fingerprint"]) for each in found} == {
        ("first", 1, "m-1", "fp")
    }
    assert [each["choices"][0]["finish_reason"] for each in found if each["choices"]] == [None, None, "stop"]
    assert found[-1]["usage"] == {"prompt_tokens": 7, "completion_tokens": 11, "total_tokens": 18}
    assert found[-1]["streamroute"] == {
        "continuations": [{"rung": "prefill", "upstream": "b", "at_token": 8}],
        "usage_is_estimated": True,
    }
    assert (joint.usage, joint.is_whole, joint.is_done, joint.verdict) == (
        Usage(input_tokens=7, output_tokens=3), True, True, "joined",
    )  # fmt: skip


@pytest.mark.parametrize("rung", ["prefill", "instructed", "anew"])
def test_nothing_leaves_before_the_joint(rung: Rung) -> None:
    """Repeated text is progress and no content."""
    joint = decoder(rung)
    assert joint.feed(event(text(SAID))) == b""
    assert joint.content_events == 0
    assert said(joint.feed(stream(text("sleeps.")))) == "sleeps."
    assert joint.content_events == 1


def test_restart_is_announced() -> None:
    """Clients are told by a chunk of its own that the text begins anew."""
    found = chunks(decoder("restart").feed(event(text("The dog"))))
    assert [each.get("streamroute") for each in found] == [{"restart": True}, None]


def test_a_restart_leaves_nothing_out() -> None:
    """It is a whole answer: every choice, log probabilities and thoughts are in it, under the first one's head."""
    inner = ChatStreamDecoder(choices=2, wants_usage=True)
    joint = ContinuationDecoder(inner, delivered=HAS, rung="restart", upstream="b", wants_usage=True)
    odds = {"content": [{"token": "A", "logprob": -0.1, "bytes": None, "top_logprobs": []}]}
    likely = {"index": 0, "delta": {"content": "A"}, "logprobs": odds, "finish_reason": None}
    parts = [
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "Hm"}),
        no_choices(choices=[likely]),
        chunk({"content": "B"}, index=1),
        chunk({"refusal": "No"}, index=1),
        chunk(finish="stop"),
        chunk(finish="stop", index=1),
        no_choices(usage=USAGE),
    ]
    found = chunks(joint.feed(stream(*parts, DONE)))
    choices = [choice for each in found[1:] for choice in each["choices"]]
    assert found[0]["streamroute"] == {"restart": True}
    assert {(each["id"], each["model"]) for each in found} == {("first", "m-1")}
    assert [(each["index"], each["delta"], each["finish_reason"]) for each in choices] == [
        (0, {"content": ""}, None),
        (0, {"reasoning_content": "Hm"}, None),
        (0, {"content": "A"}, None),
        (1, {"content": "B"}, None),
        (1, {"refusal": "No"}, None),
        (0, {}, "stop"),
        (1, {}, "stop"),
    ]
    assert choices[2]["logprobs"] == odds
    assert found[-1]["usage"]["completion_tokens"] == 3 + HAS.tokens
    assert (joint.is_whole, joint.error, joint.content_events) == (True, None, 4)
    assert "role" not in found[1]["choices"][0]["delta"]  # the SDKs add up strings, roles too


def test_a_restart_that_says_nothing_is_not_announced() -> None:
    """Until there is content another one can be tried."""
    joint = decoder("restart")
    joint.feed(event(chunk({"role": "assistant", "content": ""})))
    assert joint.content_events == 0


def test_usage_of_three_parts() -> None:
    """Each call has paid for the prompt, and for what was delivered before it."""
    joints = ({"rung": "prefill", "upstream": "a", "at_token": 5}, {"rung": "restart", "upstream": "a", "at_token": 7})
    joint = decoder("prefill", has=replace(HAS, continuations=joints))
    usage = {"prompt_tokens": 28, "completion_tokens": 3, "total_tokens": 31}
    found = chunks(joint.feed(stream(text("sleeps"), chunk(finish="stop"), no_choices(usage=usage), DONE)))
    asked, said_before = [20, 25, 20, 28], [7, 8]  # the first call's and the second's 7 tokens were thrown away
    assert found[-1]["usage"]["prompt_tokens"] == sum(asked)
    assert found[-1]["usage"]["completion_tokens"] == sum(said_before) + 3


@pytest.mark.parametrize(
    "parts", [(text("Something else entirely"),), (text(SAID[:5]), chunk(finish="stop")), (chunk({"refusal": "No"}),)]
)
def test_a_mismatch_is_an_error(parts: tuple[object, ...]) -> None:
    """Nothing of it leaves."""
    joint = decoder("anew")
    assert joint.feed(stream(*parts)) == b""
    assert joint.error is not None
    assert (joint.error.kind, joint.is_whole) == ("seam_mismatch", False)


def test_only_the_end_was_missing() -> None:
    """A native continuation without text delivers its finish reason, and is not empty."""
    joint = decoder("prefill")
    found = chunks(joint.feed(stream(chunk(finish="stop"), DONE)))
    assert [each["choices"][0]["finish_reason"] for each in found] == ["stop"]
    assert (joint.is_whole, joint.is_empty, joint.content_events) == (True, False, 0)


def test_held_text_comes_before_the_end() -> None:
    """A short remainder that looks like the beginning is let go by the finish reason."""
    joint = decoder("prefill")
    assert joint.feed(event(text("The fox"))) == b""
    assert said(joint.feed(event(chunk(finish="stop")))) == "The fox"


def test_tool_calls_follow_whole() -> None:
    """Calls of the second answer leave together, in the first one's envelope."""
    joint = decoder("prefill")
    call = {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{}"}}]}
    assert joint.feed(event(chunk(call))) == b""
    found = chunks(joint.feed(event(chunk(finish="tool_calls"))))
    assert found[0]["choices"][0]["delta"] == call
    assert (found[0]["id"], joint.content_events) == ("first", 1)


def test_a_client_that_has_no_role_yet() -> None:
    """The first chunk brings it."""
    out = decoder("anew", has=Delivered(), wants_usage=False).feed(event(text("Hi")))
    assert chunks(out)[0]["choices"][0]["delta"] == {"role": "assistant", "content": "Hi"}


def test_errors_of_the_provider() -> None:
    """Text before the error leaves; the error is known."""
    joint = decoder("prefill")
    assert said(joint.feed(stream(text("x"), {"error": {"message": "boom", "code": 502}}))) == "x"
    assert joint.error is not None
    assert joint.error.kind == "server_error"
