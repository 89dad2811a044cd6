"""Cutting bytes into server-sent events."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamroute.wire import sse
from streamroute.wire.sse import MAX_EVENT_BYTES, EventSplitter, read_event
from tests.support.chunking import blocks, cuts, single_bytes

pieces = st.lists(
    st.sampled_from(
        [
            b"data: a",
            b"data:{}",
            b"event: x",
            b": ping",
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            b"\r\n\r\n",
            b"\r\r",
            "data: grüße 🦊".encode(),
            b"\xef\xbb\xbf",
            b"\xff",
            b"",
            b"data",
        ]
    ),
    max_size=24,
).map(b"".join)


def split(received: list[bytes]) -> tuple[list[bytes], int]:
    splitter = EventSplitter()
    events = [event for block in received for event in splitter.feed(block)]
    events += splitter.close()
    return events, splitter.oversized_events


def specified(data: bytes) -> list[bytes]:
    """Say what the specification says, simply: drop the mark, unify line ends, cut at empty lines."""
    text = re.sub(rb"\r\n|\r", b"\n", data.removeprefix(b"\xef\xbb\xbf"))
    return [event for event in (part.strip(b"\n") for part in re.split(rb"\n{2,}", text)) if event]


@settings(deadline=None, max_examples=150)
@given(data=pieces, at=cuts)
def test_blocks_do_not_matter(data: bytes, at: list[int]) -> None:
    """Every way of splitting the same bytes gives the events that the specification names."""
    expected = (specified(data), 0)
    assert split([data]) == expected
    assert split(blocks(data, at)) == expected
    assert split(single_bytes(data)) == expected


@settings(deadline=None, max_examples=100)
@given(data=st.binary(max_size=60), at=cuts)
def test_any_bytes_are_taken(data: bytes, at: list[int]) -> None:
    """Bytes that are no event stream at all are cut by the same rules and never raise."""
    assert split(blocks(data, at)) == (specified(data), 0)


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"data: 1\n\ndata: 2\n\n", [b"data: 1", b"data: 2"]),
        (b"data: 1\r\n\r\ndata: 2\r\n\r\n", [b"data: 1", b"data: 2"]),
        (b"data: 1\r\rdata: 2\r\r", [b"data: 1", b"data: 2"]),
        (b"\xef\xbb\xbfdata: 1\n\n", [b"data: 1"]),
        (b"data: 1\n\n\n\n\ndata: 2\n\n", [b"data: 1", b"data: 2"]),
        (b"\n\n\ndata: 1\n\n", [b"data: 1"]),
        (b"data: 1\ndata: 2\n\n", [b"data: 1\ndata: 2"]),
        (b"data: 1\n\ndata: 2", [b"data: 1", b"data: 2"]),
        (b"data: 1\n\ndata: 2\n", [b"data: 1", b"data: 2"]),
        (b": ping\n\n", [b": ping"]),
        (b"", []),
        (b"\n\n\n", []),
        (b"\xef\xbb", [b"\xef\xbb"]),
    ],
)
def test_events(data: bytes, events: list[bytes]) -> None:
    """LF, CR and CRLF end lines, an empty line or the end of the stream ends an event, a mark in front is dropped."""
    assert split([data]) == (events, 0)
    assert split(single_bytes(data)) == (events, 0)


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(min_value=1, max_value=40), max_size=6),
    gap=st.sampled_from([b"\n\n", b"\r\n\r\n", b"\n\n\n"]),
    at=cuts,
    is_ended=st.booleans(),
)
def test_oversized_events_do_not_depend_on_blocks(sizes: list[int], gap: bytes, at: list[int], is_ended: bool) -> None:
    """An event above the limit is dropped as a whole and counted, wherever the blocks end; its neighbours stay."""
    events = [b"x" * size for size in sizes]
    data = gap.join(events) + (gap if is_ended else b"")
    limit = 16
    kept = [event for event in events if len(event) <= limit]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sse, "MAX_EVENT_BYTES", limit)
        expected = (kept, len(events) - len(kept))
        assert split([data]) == expected
        assert split(blocks(data, at)) == expected
        assert split(single_bytes(data)) == expected


def test_memory_stays_bounded() -> None:
    """An event that never ends is not kept: at most the limit and one block are held."""
    splitter = EventSplitter()
    block = b"x" * 65_536
    for _ in range(3 * MAX_EVENT_BYTES // len(block)):
        assert splitter.feed(block) == []
        assert len(splitter._buffer) <= MAX_EVENT_BYTES
    assert splitter.feed(b"\n\ndata: next\n\n") == [b"data: next"]
    assert splitter.oversized_events == 1


@pytest.mark.parametrize(
    ("raw", "name", "data"),
    [
        (b"data: {}", b"", b"{}"),
        (b"data:{}", b"", b"{}"),
        (b"data:  {}", b"", b" {}"),
        (b"data:", b"", b""),
        (b"data", b"", b""),
        (b": comment", b"", None),
        (b"id: 1\nretry: 5", b"", None),
        (b"event: error\ndata: {}", b"error", b"{}"),
        (b"data: {}\nevent: error", b"error", b"{}"),
        (b'data: {"a":\ndata: 1}', b"", b'{"a":\n1}'),
        (b": note\ndata: {}", b"", b"{}"),
        (b"datas: {}", b"", None),
        (b"data: a:b", b"", b"a:b"),
    ],
)
def test_read_event(raw: bytes, name: bytes, data: bytes | None) -> None:
    """One space after the colon goes, data lines are joined, comments and unknown fields are ignored."""
    assert read_event(raw) == (name, data)
