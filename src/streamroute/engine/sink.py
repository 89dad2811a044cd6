"""Where an answer goes: what the engine needs of whoever serves the client, as plain calls."""

from dataclasses import dataclass, field
from typing import Protocol

from streamroute.core.execution.commands import Fail
from streamroute.core.upstream import ProviderName, Rung, UpstreamId
from streamroute.core.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerHead:
    """Who answers, known at the moment of commit. Durations are seconds."""

    upstream: UpstreamId
    provider: ProviderName
    model: str
    """The name the provider knows."""
    is_simulated: bool
    """The answer is made up."""
    attempts: int
    route_s: float
    """Deciding whom to ask."""
    connect_s: float | None
    """Getting a connection, for the attempt that answers."""
    ttft_s: float
    """From the request's arrival until the first content token (the whole answer, where it does not stream)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialAnswer:
    """What the client has of an answer that broke off."""

    id: str | None
    model: str | None
    chars: int | None
    """None: more than is kept count of."""
    tokens: int | None


class FlowControl(Protocol):
    """What a sink can ask of the engine."""

    def pause(self) -> None:
        """Stop producing: the client is slow."""

    def resume(self) -> None:
        """Carry on."""


class AnswerSink(Protocol):
    """Takes one answer. `begin` comes at most once, `finish` or `fail` last; none of them may block or raise."""

    def attach(self, flow: FlowControl) -> None:
        """Learn whom to ask for less."""

    def begin(self, head: AnswerHead) -> None:
        """An upstream's answer is about to be delivered."""

    def write(self, data: bytes) -> None:
        """Deliver whole events of a stream, or the whole body of an answer that does not stream."""

    def finish(self) -> None:
        """The answer is whole."""

    def fail(self, fail: Fail, attempts: int, partial: PartialAnswer | None) -> None:
        """There is no whole answer, after so many calls; after `begin` of a stream the client has `partial`."""


@dataclass(slots=True, kw_only=True)
class AnswerSummary:
    """What is known of a request when it is over, for its observation."""

    usage: Usage | None = None
    head: AnswerHead | None = None
    fail: Fail | None = None
    is_finished: bool = False
    continuations: list[Rung] = field(default_factory=list)
    """How the answer was carried on, each time that it broke off."""
