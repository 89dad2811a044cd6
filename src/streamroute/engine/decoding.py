"""What an attempt needs of whatever reads its stream: the first leg's decoder, or a continuation's."""

from typing import Protocol

from streamroute.core.outcome import Failure
from streamroute.core.usage import Usage


class StreamDecoder(Protocol):
    """Follows one stream from its first byte to its last; what it knows only ever grows."""

    @property
    def error(self) -> Failure | None:
        """The provider said, within the stream, that it failed; or the stream is unfit to be delivered."""

    @property
    def usage(self) -> Usage | None:
        """What the provider has counted for this call."""

    @property
    def malformed_events(self) -> int:
        """Events that nobody could read."""

    @property
    def content_events(self) -> int:
        """Chunks with content that the client may have."""

    @property
    def progress_events(self) -> int:
        """Chunks with content, those included that are still held back."""

    @property
    def is_done(self) -> bool:
        """The stream has said that it is over."""

    @property
    def is_whole(self) -> bool:
        """Every choice that was asked for has come to its end."""

    @property
    def is_empty(self) -> bool:
        """Nothing was said, and nothing explains why."""

    def feed(self, block: bytes) -> bytes:
        """Take a received block of any size; return the events to forward, whole ones, possibly none."""

    def close(self) -> bytes:
        """Take note of the end of the stream; return what is left to forward."""
