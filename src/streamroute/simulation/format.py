"""What every wire format of a simulated provider promises. The formats themselves are in `simulation.formats`.

Which one a request is served in, its path decides: one provider speaks them all, with one script, one log and one
count of its traffic.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from streamroute.core.rate_limit import RateLimitReport
from streamroute.errors import RequestError
from streamroute.simulation.answer import Answer
from streamroute.simulation.chat_body import ChatBody
from streamroute.simulation.content import Choice
from streamroute.simulation.profile import Profile


class Format(Protocol):
    """One wire format, as its provider writes it."""

    def read(self, data: bytes, path: Mapping[str, str]) -> ChatBody:
        """Decode and validate a request; raises `RequestError` with what the provider would answer. `path`: what the
        names in its path stand for."""

    def answer(
        self, body: ChatBody, choices: Sequence[Choice], profile: Profile, *, token: str, created: int
    ) -> Answer:
        """Return the good answer; `token` makes its id."""

    def error(self, error: RequestError) -> bytes:
        """Return the body of an error response; `type` and `code` are OpenAI's words, as faults have them."""

    def key(self, headers: Mapping[str, str]) -> str:
        """Return the key that a request was sent with; empty where there is none."""

    def limit_headers(self, report: RateLimitReport) -> dict[str, str]:
        """Return what tells how much of a limit is left."""

    def models(self, names: Sequence[str]) -> bytes:
        """Return the list of models."""
