"""The exceptions of the edges. Inside the core an expected failure is a value (`core.outcome.Failure`).

StreamrouteError            kind: stable, low-cardinality; metric label, log field and API error code
├── RequestError            the client's fault; carries the HTTP status (4xx) to answer with
│   ├── ForbiddenError      its key may not do that (403)
│   └── UnmetError          nobody meets what it requires (400)
├── ConfigError             the operator's fault; carries one `Problem` for each mistake, exit code 78
├── FeedError               the price feed's fault; what was believed before goes on counting
├── StoreError              the database's or the disk's fault; never stops an answer
└── TransportError          the network's or the provider's fault; raised by providers.transport only
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal


class StreamrouteError(Exception):
    """Base of all: `kind` says what went wrong in one stable word."""

    kind: ClassVar[str] = "internal"


class RequestError(StreamrouteError):
    """A request that cannot be served as sent. `message` is shown to the client."""

    kind = "invalid_request"

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        type_: str = "invalid_request_error",
        is_final: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.param = param
        self.type = type_
        self.is_final = is_final
        """Trying again cannot help, though the status says that it might."""
        self.retry_after_s = retry_after_s
        """When trying again may help, where that is known."""


class ForbiddenError(RequestError):
    """A request that its key does not allow. `message` says what it does allow."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message, status=403, code="permission_denied", param=param, type_="permission_error")


class UnmetError(RequestError):
    """A request that requires what nobody offers. `message` says what would do."""

    def __init__(self, message: str, *, route: str, requirements: Sequence[str]) -> None:
        super().__init__(message, code="requirements_not_met")
        self.route = route
        """The route as far as it is known to exist, else empty."""
        self.requirements = tuple(requirements)
        """What nobody meets, by the names that clients use; see `core.routing.refusal.unmet`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in a configuration."""

    path: str
    """Dotted TOML path, such as `routes.chat.upstreams[1]`; empty for the file as a whole."""
    message: str
    """What was found and what would be right, with the nearest valid name where one is near."""
    file: str | None = None
    line: int | None = None
    """1-based; None where the value did not come from a file."""

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        return ": ".join(part for part in (where, self.path, self.message) if part)


class ConfigError(StreamrouteError):
    """A configuration that cannot be used; every problem found, not just the first."""

    kind = "config"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class StoreError(StreamrouteError):
    """The ledger cannot be written or read."""

    kind = "store"

    def __init__(self, message: str, *, is_refused: bool = False) -> None:
        super().__init__(message)
        self.is_refused = is_refused
        """The database took exception to what it was given: trying again cannot help."""


class FeedError(StreamrouteError):
    """A price feed that cannot be read or believed."""

    kind = "feed"

    def __init__(self, message: str, *, is_refused: bool = False) -> None:
        super().__init__(message)
        self.is_refused = is_refused
        """It was read, and cannot be believed."""


TransportKind = Literal["connect_error", "local_limit", "reset", "stale_connection", "malformed"]


class TransportError(StreamrouteError):
    """An exchange with a provider that broke below HTTP's meaning. Never raised past `engine.attempt`."""

    kind = "transport"

    def __init__(self, failure: TransportKind, message: str) -> None:
        super().__init__(message)
        self.failure: TransportKind = failure
        self.message = message
