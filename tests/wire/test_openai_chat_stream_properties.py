"""What holds for every stream, however it is cut and however it is damaged."""

from hypothesis import given, settings
from hypothesis import strategies as st
from openai._streaming import SSEDecoder

from streamroute.wire.openai_chat.stream import ChatStreamDecoder
from tests.support.chat_streams import DONE, USAGE, Reference, chunk, event, loads, no_choices, raw_events, run, text
from tests.support.chunking import blocks, cuts, single_bytes

words = st.sampled_from(
    [
        "Hello",
        " ",
        ", world",
        "",
        "\n",
        '"quoted"',
        "back\\slash",
        "grüße",
        "🦊",
        "{}",
        '":"',
        "content",
        "a" * 40,
        "\x7f",
        '"content":"x',
        "data: ",
        "\u2028",
    ]
)
texts = words | st.text(max_size=12)
payloads = st.one_of(
    texts.map(text),
    texts.map(text),
    texts.map(lambda word: chunk({"role": "assistant", "content": word})),
    texts.map(lambda word: chunk({"reasoning_content": word, "content": None})),
    texts.map(lambda word: chunk({"content": word}, logprobs=None, usage=None)),
    texts.map(lambda word: chunk({"tool_calls": [{"index": 0, "function": {"arguments": word}}]})),
    texts.map(lambda word: text(word, usage=USAGE)),
    texts.map(lambda word: {"content": word, **text(word)}),
    st.just(text("b", index=1)),
    st.just(chunk(finish="stop")),
    st.just(chunk(finish="length", index=1)),
    st.just(no_choices()),
    st.just(no_choices(usage=USAGE)),
    st.just({"usage": USAGE}),
)
streams = st.builds(
    lambda parts, is_compact, is_done: (
        [event(part, is_compact=is_compact) for part in parts] + ([event(DONE)] if is_done else [])
    ),
    st.lists(payloads, max_size=14),
    st.booleans(),
    st.booleans(),
)
scars = st.binary(max_size=3) | st.sampled_from(
    [
        b'"',
        b"\\",
        b"\n",
        b"\r",
        b"\x00",
        b"\x1f",
        b"\x7f",
        b"\xff",
        b"\xc3",
        b"}",
        b"{",
        b",",
        b" ",
        b"\\u12",
        b"\\ud800",
    ]
)
damages = st.lists(
    st.tuples(st.integers(0, 1 << 16), st.integers(0, 1 << 16), st.integers(0, 3), scars),
    max_size=4,
)
"""Which event, where in it, how many bytes go, and what comes instead."""


TEXT_AT = event(text("?")).index(b"?")
"""Where the text of a plain chunk begins: damage is most telling near it."""


def damaged(events: list[bytes], wounds: list[tuple[int, int, int, bytes]]) -> bytes:
    hurt = list(events)
    for which, where, width, scar in wounds:
        if hurt:
            at = which % len(hurt)
            place = where % len(hurt[at])
            hurt[at] = hurt[at][:place] + scar + hurt[at][place + width :]
    return b"".join(hurt)


@settings(deadline=None, max_examples=120)
@given(events=streams, wounds=damages, at=cuts, choices=st.integers(1, 2), wants_usage=st.booleans())
def test_blocks_do_not_matter(
    events: list[bytes], wounds: list[tuple[int, int, int, bytes]], at: list[int], choices: int, wants_usage: bool
) -> None:
    """However the bytes are cut, the same bytes are forwarded and the same facts are known."""
    data = damaged(events, wounds)
    whole = run(ChatStreamDecoder(choices=choices, wants_usage=wants_usage), [data])
    assert run(ChatStreamDecoder(choices=choices, wants_usage=wants_usage), blocks(data, at)) == whole
    assert run(ChatStreamDecoder(choices=choices, wants_usage=wants_usage), single_bytes(data)) == whole


def assert_forwarded(out: bytes, reference: Reference) -> None:
    """Hold what left to the same bytes, or to the same payload where there was more around it than data."""
    found = raw_events(out)
    assert len(found) == len(reference.forwarded)
    for raw, (original, payload) in zip(found, reference.forwarded, strict=True):
        if original:
            assert raw == original
        else:
            assert loads(raw.removeprefix(b"data: ")) == payload


@settings(deadline=None, max_examples=400)
@given(events=streams, wounds=damages, choices=st.integers(1, 2), wants_usage=st.booleans())
def test_as_good_as_decoding_every_event(
    events: list[bytes], wounds: list[tuple[int, int, int, bytes]], choices: int, wants_usage: bool
) -> None:
    """The envelope is a shortcut only: no malformed event is forwarded, no good one is dropped, no fact differs."""
    data = damaged(events, wounds)
    out, facts = run(ChatStreamDecoder(choices=choices, wants_usage=wants_usage, hold_tool_calls=False), [data])
    reference = Reference(choices=choices, wants_usage=wants_usage).take(raw_events(data))
    assert_forwarded(out, reference)
    assert facts["malformed_events"] == reference.malformed_events
    assert facts["content_events"] == reference.content_events
    assert facts["is_done"] == reference.is_done
    assert (facts["error"] is not None) == reference.has_error
    assert facts["has_usage"] == reference.has_usage
    assert facts["is_whole"] == (len(reference.finished) >= choices)


@settings(deadline=None, max_examples=120)
@given(
    contents=st.lists(st.text("abc xyz", min_size=1, max_size=5), min_size=6, max_size=6),
    scar=scars,
    which=st.integers(2, 5),
    where=st.integers(0, 400) | st.integers(TEXT_AT - 3, TEXT_AT + 4) | st.integers(TEXT_AT, TEXT_AT + 1),
    width=st.integers(0, 2),
)
def test_damage_after_the_envelope_is_known(
    contents: list[str], scar: bytes, which: int, where: int, width: int
) -> None:
    """Plain text, damaged once at any byte after two good chunks: decided as full decoding decides."""
    events = [event(text(content)) for content in contents]
    data = damaged(events, [(which, where, width, scar)])
    out, facts = run(ChatStreamDecoder(), [data])
    reference = Reference().take(raw_events(data))
    assert_forwarded(out, reference)
    assert facts["malformed_events"] == reference.malformed_events
    assert facts["content_events"] == reference.content_events


@settings(deadline=None, max_examples=80)
@given(events=streams, wounds=damages, at=cuts)
def test_clients_can_read_what_is_forwarded(
    events: list[bytes], wounds: list[tuple[int, int, int, bytes]], at: list[int]
) -> None:
    """OpenAI's own SSE decoder finds chunks with choices in every event that leaves, and nothing else."""
    out, _ = run(ChatStreamDecoder(), blocks(damaged(events, wounds), at))
    for found in SSEDecoder().iter_bytes(iter([out])):
        payload = found.json()
        assert isinstance(payload["choices"], list)
        assert not payload.get("error")
        assert loads(found.data.encode()) == payload


@settings(deadline=None, max_examples=80)
@given(contents=st.lists(texts, max_size=10), at=cuts)
def test_clients_read_the_text_that_was_sent(contents: list[str], at: list[int]) -> None:
    """The text that OpenAI's own decoder puts together from what leaves is the text that the provider sent."""
    data = b"".join(event(text(content)) for content in contents) + event(chunk(finish="stop")) + event(DONE)
    out, facts = run(ChatStreamDecoder(), blocks(data, at))
    found = SSEDecoder().iter_bytes(iter([out]))
    assert "".join(each.json()["choices"][0]["delta"].get("content", "") for each in found) == "".join(contents)
    assert facts["is_whole"] is True
