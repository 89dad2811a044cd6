"""What a plan asks for. The runner performs commands in order."""

from dataclasses import dataclass

from streamroute.core.execution.events import AttemptId
from streamroute.core.outcome import AttemptCause, CancelReason, Failure
from streamroute.core.upstream import Deadlines, Rung, Upstream, UpstreamId


@dataclass(frozen=True, slots=True)
class Start:
    """Call an upstream; its events carry `attempt`."""

    attempt: AttemptId
    upstream: Upstream
    is_last_resort: bool = False
    """Nobody else is left: call it though its breaker is open."""
    cause: AttemptCause = "first"
    """Why the call is made: budgets are asked by it."""
    rung: Rung | None = None
    """Of a continuation: how the answer that was cut is carried on. The engine puts the request together from what
    the client already has; where that cannot be continued, the attempt fails as `not_continuable`."""
    deadlines: Deadlines = Deadlines()
    """In force for this call: the route's, tightened by what is known of the upstream."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """End an attempt at once; no event of it follows. `failure` where a deadline of ours was the reason."""

    attempt: AttemptId
    reason: CancelReason
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """Deliver what the attempt has produced, and let the rest of it flow straight to the client. A second one, of a
    continuation, joins the new text to what was delivered before."""

    attempt: AttemptId


@dataclass(frozen=True, slots=True)
class Finish:
    """The committed attempt's answer is whole: end the client's response as such. Terminal."""

    attempt: AttemptId


@dataclass(frozen=True, slots=True)
class Assess:
    """Judge the attempt's whole answer, which is held back; `Assessed` follows."""

    attempt: AttemptId


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One upstream that gave no whole answer, for the error that a client reads."""

    upstream: UpstreamId
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """Tell the client that there is no whole answer, and why. Terminal."""

    failure: Failure
    tried: tuple[Tried, ...] = ()
    skipped: tuple[Tried, ...] = ()
    """Upstreams that could not be asked yet, and why."""
    is_committed: bool = False
    """The client has part of an answer."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """End without a word: nobody is listening. Terminal."""


Command = Start | Cancel | Commit | Assess | Finish | Fail | Abandon
