"""What a plan is told. Events of one attempt come in this order, and nothing follows a terminal one:

Connected?  HeadReceived?  Produced?  Progressed*  (Succeeded | Failed)
"""

from dataclasses import dataclass
from typing import NewType

from streamroute.core.outcome import Failure
from streamroute.core.quality.verdict import Verdict
from streamroute.core.upstream import UpstreamId

AttemptId = NewType("AttemptId", int)
"""1, 2, 3, ... within one request, in the order of `Start`."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection is at hand; the request is on its way."""

    attempt: AttemptId


@dataclass(frozen=True, slots=True)
class HeadReceived:
    """The status line is here, whatever it says; what it means comes as `Produced`, `Succeeded` or `Failed`."""

    attempt: AttemptId


@dataclass(frozen=True, slots=True)
class Produced:
    """The first content token is here, held back until the plan commits."""

    attempt: AttemptId


@dataclass(frozen=True, slots=True)
class Progressed:
    """There was progress at `at`, the latest moment known; fed before a deadline is judged, not once per chunk."""

    attempt: AttemptId
    at: float


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The answer is whole."""

    attempt: AttemptId


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt is over, without a whole answer."""

    attempt: AttemptId
    failure: Failure


@dataclass(frozen=True, slots=True)
class Assessed:
    """An answer was judged, as `Assess` asked."""

    attempt: AttemptId
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Doubted:
    """An upstream has come under suspicion: who waits for its first token may have reason to ask another one beside."""

    upstream: UpstreamId


@dataclass(frozen=True, slots=True)
class ClientPaused:
    """The client reads too slowly: we have stopped reading, so silence proves nothing."""


@dataclass(frozen=True, slots=True)
class ClientResumed:
    """The client has caught up."""


@dataclass(frozen=True, slots=True)
class ClientGone:
    """Nobody is listening any more."""


@dataclass(frozen=True, slots=True)
class ShutDown:
    """The process must stop now."""


AttemptEvent = (
    Connected | HeadReceived | Produced | Progressed | Succeeded | Failed | Assessed | Doubted
    | ClientPaused | ClientResumed | ClientGone | ShutDown
)  # fmt: skip
