"""Server-sent events: cutting a byte stream into events, and reading one of them.

Source: WHATWG HTML, section 9.2 "Server-sent events" (https://html.spec.whatwg.org/multipage/server-sent-events.html).
Lines may end in LF, CR or CRLF, a leading byte order mark is dropped, an empty line ends an event. Departures:

- an event that the end of the stream cuts off is handed over by `EventSplitter.close`, not discarded: some providers
  omit the last empty line, and the caller tells whether what it got is whole;
- events longer than `MAX_EVENT_BYTES` are not kept, so that memory stays bounded, but counted: to the caller they mean
  that something is missing.
"""

MAX_EVENT_BYTES = 32 << 20
"""32 MiB: several images in base64 in one event, and half of what a whole answer may have."""

_BOM = b"\xef\xbb\xbf"


class EventSplitter:
    """Cuts received blocks into events. Every way of splitting the same bytes gives the same events."""

    __slots__ = ("_after_cr", "_buffer", "_is_skipping", "_is_start", "oversized_events")

    def __init__(self) -> None:
        self._buffer = bytearray()  # appended to in place: a large event comes in a thousand blocks
        self._after_cr = False
        self._is_start = True
        self._is_skipping = False
        self.oversized_events = 0

    @property
    def is_between_events(self) -> bool:
        """Nothing is held: the next block begins an event."""
        return not (self._buffer or self._after_cr or self._is_start)

    def feed(self, block: bytes) -> list[bytes]:
        """Return the events that `block` completes: raw lines joined by LF, without the empty line, never empty."""
        if self.is_between_events and len(block) <= MAX_EVENT_BYTES and _is_plain(block):
            return block[:-2].split(b"\n\n")  # whole events and nothing else: what most blocks are
        if self._after_cr or b"\r" in block:
            block = self._normalised(block)
        if self._is_start:
            block = self._without_bom(block)
        held = self._buffer
        # The end of an event can only touch the new bytes: never search the old ones again.
        searched_to = max(0, len(held) - 1)
        held += block
        end = held.rfind(b"\n\n", searched_to)
        if end < 0:
            if len(held) > MAX_EVENT_BYTES and len(held.strip(b"\n")) > MAX_EVENT_BYTES:
                del held[:-1]
                self._is_skipping = True
            return []
        buffer = bytes(held)
        del held[: end + 2]
        events = buffer[:end].split(b"\n\n")
        if self._is_skipping:
            self._is_skipping = False
            self.oversized_events += 1
            del events[0]
        if b"\n\n\n" in buffer or buffer[:1] == b"\n":
            events = [event for event in (event.strip(b"\n") for event in events) if event]
        return self._within_limit(events) if len(buffer) > MAX_EVENT_BYTES else events

    def close(self) -> list[bytes]:
        """Return the event that the end of the stream left without its empty line, if there is one."""
        event = bytes(self._buffer.strip(b"\n"))
        self._buffer.clear()
        if self._is_skipping or len(event) > MAX_EVENT_BYTES:
            self._is_skipping = False
            self.oversized_events += 1
            return []
        return [event] if event else []

    def _within_limit(self, events: list[bytes]) -> list[bytes]:
        kept = [event for event in events if len(event) <= MAX_EVENT_BYTES]
        self.oversized_events += len(events) - len(kept)
        return kept

    def _normalised(self, block: bytes) -> bytes:
        """Turn CRLF and CR into LF; a CR at the end of a block counts at once, its LF may follow in the next."""
        if self._after_cr and block[:1] == b"\n":
            block = block[1:]
            if not block:
                self._after_cr = False
                return block
        if block:
            self._after_cr = block[-1:] == b"\r"
        return block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _without_bom(self, block: bytes) -> bytes:
        head = bytes(self._buffer) + block
        self._buffer.clear()
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._buffer += head
            return b""
        self._is_start = False
        return head.removeprefix(_BOM)


def _is_plain(block: bytes) -> bool:
    return block.endswith(b"\n\n") and not block.startswith(b"\n") and b"\n\n\n" not in block and b"\r" not in block


def read_event(raw: bytes) -> tuple[bytes, bytes | None]:
    """Return an event's name (`b""` where it has none) and its data; data None: a comment or an event without data."""
    if raw.startswith(b"data:") and b"\n" not in raw:
        return b"", raw[6:] if raw[5:6] == b" " else raw[5:]
    name, data = b"", []
    for line in raw.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return name, b"\n".join(data) if data else None
