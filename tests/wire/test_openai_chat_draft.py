"""Reading an answer that is held back, and taking out what only we asked for."""

import orjson

from streamroute.wire.openai_chat.draft import read_draft, wanted_of, with_logprobs, without_logprobs
from streamroute.wire.openai_chat.request import decode_request

PROBS = {"content": [{"token": "Hi", "logprob": -0.5, "top_logprobs": []}, {"token": "!", "logprob": -1}]}


def chunk(delta: dict[str, object], **more: object) -> bytes:
    return b"data: " + orjson.dumps({"choices": [{"index": 0, "delta": delta, **more}]}) + b"\n\n"


def test_a_stream() -> None:
    """Text, finish reason and log-probabilities; comments and broken events are passed over."""
    body = b": ping\n\n" + chunk({"role": "assistant"}) + chunk({"content": "Hi"}, logprobs=PROBS)
    body += b"data: {oops\n\n" + chunk({"content": "!"}, logprobs=None) + chunk({}, finish_reason="stop")
    body += b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n'
    draft = read_draft(body, stream=True)
    assert (draft.text, draft.finish_reason, list(draft.token_ln_probs)) == ("Hi!", "stop", [-0.5, -1.0])


def test_tool_calls_come_in_pieces() -> None:
    """Put together by their index."""

    def call(index: int, arguments: str) -> dict[str, object]:
        function = {"arguments": arguments, **({"name": f"tool_{index}"} if len(arguments) < 5 else {})}
        return {"tool_calls": [{"index": index, "function": function}]}

    body = chunk(call(0, '{"a"')) + chunk(call(1, "{}")) + chunk(call(0, ":1}")) + chunk({}, finish_reason="tool_calls")
    draft = read_draft(body, stream=True)
    assert list(draft.tool_arguments) == ['{"a":1}', "{}"]
    assert list(draft.tool_names) == ["tool_0", "tool_1"]


def test_a_whole_answer() -> None:
    """The first choice; a refusal has a place of its own."""
    message = {"role": "assistant", "content": None, "refusal": "No."}
    choices = [
        {"index": 0, "message": message, "finish_reason": "stop", "logprobs": PROBS},
        {"index": 1, "message": {}},
    ]
    draft = read_draft(orjson.dumps({"choices": choices}), stream=False)
    assert (draft.text, draft.refusal, len(draft.token_ln_probs)) == ("", "No.", 2)
    calls = [{"function": {"arguments": "{}"}}, {"function": {"arguments": "[]"}}]
    body = orjson.dumps({"choices": [{"message": {"tool_calls": calls}}]})
    assert list(read_draft(body, stream=False).tool_arguments) == ["{}", "[]"]


def test_what_tools_take() -> None:
    """By name; an answer cannot be held against a kind of tool that nobody here knows."""
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    bare = {"type": "function", "function": {"name": "now"}}
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": [tool, bare]}
    wanted = wanted_of(decode_request(orjson.dumps(body)))
    assert (wanted.tools, wanted.tool_schemas) == (True, {"weather": {"type": "object"}, "now": {}})
    body["tools"] = [tool, {"type": "custom", "custom": {"name": "shell"}}]
    assert wanted_of(decode_request(orjson.dumps(body))).tool_schemas == {}


def test_nonsense_is_an_empty_draft() -> None:
    """Which no assessor lets pass."""
    for body in (b"", b"nonsense", b"[]", b'{"choices": 3}', b'{"choices": [7]}', b'{"choices": [{"delta": 3}]}'):
        assert read_draft(body, stream=False).text == ""
        assert read_draft(b"data: " + body + b"\n\n", stream=True).text == ""


def test_what_only_we_asked_for_is_taken_out() -> None:
    """Of streams and whole answers; everything else stays as it came, to the byte where nothing was to be taken."""
    plain = chunk({"role": "assistant"}) + b": ping\n\n"
    body = plain + chunk({"content": "Hi"}, logprobs=PROBS)
    clean = without_logprobs(body, stream=True)
    assert clean.startswith(plain)
    assert b"logprobs" not in clean
    assert read_draft(clean, stream=True).text == "Hi"
    whole = orjson.dumps({"id": "x", "choices": [{"message": {"content": "Hi"}, "logprobs": PROBS}]})
    assert without_logprobs(whole, stream=False) == orjson.dumps(
        {"id": "x", "choices": [{"message": {"content": "Hi"}}]}
    )
    assert without_logprobs(b"nonsense", stream=False) == b"nonsense"
    assert with_logprobs({"model": "m"}) == {"model": "m", "logprobs": True}


def test_what_was_wanted() -> None:
    """JSON with its required keys, tools, and the task that the client named."""
    schema = {"type": "object", "required": ["name", 7]}
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "x"}],
        "response_format": {"type": "json_schema", "json_schema": {"schema": schema}},
        "metadata": {"task": "triage"},
    }
    wanted = wanted_of(decode_request(orjson.dumps(body)))
    assert (wanted.json, wanted.schema, wanted.tools) == (True, schema, False)
    del body["response_format"]
    assert not wanted_of(decode_request(orjson.dumps(body))).json
