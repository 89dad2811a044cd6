"""What belongs to one request while it is served: what was decided, whom it can ask, and what has come of it so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamroute.core.cost.bill import Bill
from streamroute.core.cost.cap import Cap
from streamroute.core.cost.pricing import Terms
from streamroute.core.observation import AttemptObservation
from streamroute.core.routing.decision import Decision
from streamroute.core.upstream import ProviderName
from streamroute.engine.continuations import Continuations
from streamroute.engine.holding import Holding
from streamroute.providers.provider import Provider


@dataclass(slots=True, kw_only=True)
class Course:
    """The course of one request."""

    decision: Decision
    providers: Mapping[ProviderName, Provider]
    """As they were when it was decided: a reload does not change a request that is under way."""
    terms: Terms
    """Under which it began."""
    continuations: Continuations | None
    """None: the answer does not stream."""
    holding: Holding
    failures: list[AttemptObservation] = field(default_factory=list)
    """Attempts that failed."""
    cap: Cap | None = None
    """What it may cost at most; None: nobody has said."""
    bill: Bill
