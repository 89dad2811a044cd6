"""How a provider that speaks Gemini's format is addressed and understood."""

from dataclasses import replace

import orjson
import pytest

from streamroute.core.outcome import Failure
from streamroute.core.request import ChatRequest
from streamroute.core.upstream import CredentialId, ProviderName, Upstream, UpstreamId
from streamroute.core.usage import Usage
from streamroute.providers.formats import open_provider
from streamroute.providers.options import ProviderOptions
from streamroute.providers.presets import PRESETS
from streamroute.providers.provider import Provider
from streamroute.wire.openai_chat.continuation import ContinuationDecoder, continuation_request
from streamroute.wire.openai_chat.request import decode_request
from streamroute.wire.openai_chat.transcript import Delivered
from tests.support.gemini_streams import USAGE, candidate, piece, stream, text

UPSTREAM = Upstream(
    id=UpstreamId("u"),
    provider=ProviderName("g"),
    model="gemini-2.5-flash",
    credential=CredentialId("g"),
    failure_domain="g",
)


def provider() -> Provider:
    preset = PRESETS["gemini_native"]
    return open_provider(
        ProviderOptions(
            name=ProviderName("g"),
            kind=preset.kind,
            base_url=preset.base_url or "",
            wire_format=preset.wire_format,
            auth=preset.auth,
            api_key="canary-key",
            chat_path="/models",
        )
    )


def chat(**fields: object) -> ChatRequest:
    asked = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return decode_request(orjson.dumps(asked))


def test_requests() -> None:
    """The key goes in Google's header and nowhere else; the path says the model and whether it streams."""
    whole = provider().request(chat(), UPSTREAM, {"traceparent": "t"})
    assert whole.url == "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent"
    assert whole.headers["x-goog-api-key"] == "canary-key"
    assert whole.headers["traceparent"] == "t"
    assert "Authorization" not in whole.headers
    assert "canary-key" not in whole.url + repr(whole)
    assert orjson.loads(whole.body) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    assert provider().secrets == ("canary-key",)
    streamed = provider().request(chat(stream=True), UPSTREAM, {})
    assert streamed.url.endswith("/models/gemini-2.5-flash:streamGenerateContent?alt=sse")
    assert streamed.body == whole.body


def test_probes_ask_for_the_models() -> None:
    request = provider().models_request()
    assert (request.method, request.url) == ("GET", "https://generativelanguage.googleapis.com/v1beta/models")
    assert request.headers["x-goog-api-key"] == "canary-key"


def test_what_it_cannot_say_is_known_beforehand() -> None:
    assert provider().why_not(chat(temperature=0.5), UPSTREAM) is None
    reason = provider().why_not(chat(logit_bias={"1": 2}), UPSTREAM)
    assert reason == "it has no room for this value of `logit_bias`"


@pytest.mark.parametrize("rung", ["prefill", "prefix", "continue_final_message", "instructed", "anew"])
def test_every_rung_of_a_continuation_can_be_written(rung: str) -> None:
    """The text that the client has is the model's last turn, however the operator has it carried on."""
    carried = continuation_request(chat(stream=True), Delivered(text="Hello, "), rung)  # type: ignore[arg-type]
    body = orjson.loads(provider().request(carried, UPSTREAM, {}, rung).body)  # type: ignore[arg-type]
    said = [part["text"] for turn in body["contents"] if turn["role"] == "model" for part in turn["parts"]]
    assert said == ([] if rung == "anew" else ["Hello, "])


@pytest.mark.parametrize("rung", ["prefill", "anew"])
def test_a_signature_does_not_end_what_it_continues(rung: str) -> None:
    """Gemini signs its thoughts with the first text or with none; half an answer of another model has no use for it."""
    delivered = Delivered(text="Hello, dear ")
    decoder = ContinuationDecoder(
        provider().decoder(chat(stream=True)),
        delivered=delivered,
        rung=rung,  # type: ignore[arg-type]
        upstream=UPSTREAM.id,
        wants_usage=False,
    )
    signed = {"text": "", "thoughtSignature": "c2ln"}
    begun = text("" if rung == "prefill" else "Hello, dear ")
    pieces = [piece(candidate(signed)), begun, piece(candidate({**signed, "text": "wor"})), text("ld", finish="STOP")]
    out = b"".join(decoder.feed(block) for block in [stream([each]) for each in pieces]) + decoder.close()
    events = [event.removeprefix(b"data: ") for event in out.split(b"\n\n") if event.startswith(b"data: {")]
    deltas = [choice["delta"] for event in events for choice in orjson.loads(event)["choices"]]
    assert "".join(delta.get("content", "") for delta in deltas) == "world"
    assert decoder.is_whole
    assert b"thought_signature" not in out


def test_streams_and_answers() -> None:
    asked = chat(stream=True, stream_options={"include_usage": True})
    decoder = provider().decoder(asked, lambda usage: f"0.00{usage.output_tokens}")
    out = decoder.feed(stream([text("Hello", finish="STOP", usage=USAGE)])) + decoder.close()
    assert decoder.is_whole
    assert b'"cost":0.003' in out
    answer = provider().answer(orjson.dumps(text("Hello", finish="STOP", usage=USAGE)))
    assert not isinstance(answer, Failure)
    assert answer.usage == decoder.usage == Usage(input_tokens=7, output_tokens=3)
    assert orjson.loads(answer.body)["choices"][0]["message"]["content"] == "Hello"


def test_failures() -> None:
    body = orjson.dumps({"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}})
    assert provider().failure(503, body).kind == "overloaded"
    answer = provider().answer(orjson.dumps(text("Hello", finish="OTHER")))
    assert isinstance(answer, Failure)
    empty = provider().answer(orjson.dumps(text("", finish="STOP")))
    assert isinstance(empty, Failure)
    assert empty.kind == "empty"


def test_models_may_be_named_as_they_are_listed() -> None:
    listed = replace(UPSTREAM, model="models/gemini-2.5-flash")
    assert provider().request(chat(), listed, {}).url == provider().request(chat(), UPSTREAM, {}).url
