"""What a simulated provider remembers of one request, for tests and for the summary of a demo."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from streamroute.core.request import WireFormatName

_SECRET_HEADERS = frozenset({"authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie"})

Ending = Literal["answered", "fault", "client_closed", "server_closed"]


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """One request. All times are loop seconds (`streamroute.clock.now`); fields fill in as it proceeds."""

    ordinal: int
    """0-based, since the script began."""
    received_at: float
    """When the headers had arrived."""
    wire_format: WireFormatName = "openai_chat"
    """In which it was asked."""
    model: str | None = None
    stream: bool = False
    body_bytes: int = 0
    prompt_tokens: int = 0
    """As it counts them, what it had cached included."""
    phase: int | None = None
    """Index of the phase that matched; None: none did."""
    fault: str | None = None
    """The kind of the fault that was played."""
    status: int | None = None
    """None: no response was begun."""
    first_byte_at: float | None = None
    """When the response was begun."""
    first_token_at: float | None = None
    """When the first content event was written; of a whole answer, when it was."""
    tokens_sent: int = 0
    """Content events written; of a whole answer, its completion tokens."""
    ended_at: float | None = None
    """When the exchange was over, whoever ended it. None: it is still going on."""
    client_closed_at: float | None = None
    """When the client's disconnect was noticed; None: it did not leave early."""
    ending: Ending | None = None
    has_authorization: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """As received, names in lower case, without the values of those that hold credentials."""
    body: Mapping[str, object] | None = field(default=None, repr=False)
    """The decoded body; None where the server does not keep bodies or it was not a JSON object."""
    _credential: str = field(default="", repr=False)

    def was_authorized_by(self, key: str) -> bool:
        """Return whether `Authorization: Bearer <key>` was sent. Only a digest of the credential is kept."""
        return bool(self._credential) and self._credential == _digest(f"Bearer {key}")

    def note_headers(self, headers: Mapping[str, str], *, is_kept: bool) -> None:
        """Remember the headers, the credentials among them only as their presence and a digest."""
        authorization = headers.get("Authorization", "")
        self.has_authorization = bool(authorization)
        self._credential = _digest(authorization) if authorization else ""
        if is_kept:
            self.headers = {
                name.lower(): "(not kept)" if name.lower() in _SECRET_HEADERS else value
                for name, value in headers.items()
            }


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
