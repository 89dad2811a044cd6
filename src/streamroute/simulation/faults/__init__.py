"""Every fault by its kind. A new one is a file and a line here."""

from streamroute.simulation.fault import Fault
from streamroute.simulation.faults.cut import Cut
from streamroute.simulation.faults.drift import Drift
from streamroute.simulation.faults.empty_answer import EmptyAnswer
from streamroute.simulation.faults.error_status import ErrorStatus
from streamroute.simulation.faults.flapping import Flapping
from streamroute.simulation.faults.heavy_tail import HeavyTail
from streamroute.simulation.faults.malformed_event import MalformedEvent
from streamroute.simulation.faults.missing_done import MissingDone
from streamroute.simulation.faults.no_response import NoResponse
from streamroute.simulation.faults.rate_limit import RateLimit
from streamroute.simulation.faults.refuse import Refuse
from streamroute.simulation.faults.reset import Reset
from streamroute.simulation.faults.slow import Slow
from streamroute.simulation.faults.slow_drip import SlowDrip
from streamroute.simulation.faults.slow_first_token import SlowFirstToken
from streamroute.simulation.faults.stall import Stall
from streamroute.simulation.faults.stream_error import StreamError

FAULTS: dict[str, type[Fault]] = {
    fault.kind: fault
    for fault in (
        ErrorStatus,
        RateLimit,
        Refuse,
        Reset,
        NoResponse,
        Slow,
        SlowFirstToken,
        HeavyTail,
        Drift,
        Stall,
        Cut,
        MalformedEvent,
        MissingDone,
        StreamError,
        EmptyAnswer,
        SlowDrip,
        Flapping,
    )
}

__all__ = [
    "FAULTS",
    "Cut",
    "Drift",
    "EmptyAnswer",
    "ErrorStatus",
    "Fault",
    "Flapping",
    "HeavyTail",
    "MalformedEvent",
    "MissingDone",
    "NoResponse",
    "RateLimit",
    "Refuse",
    "Reset",
    "Slow",
    "SlowDrip",
    "SlowFirstToken",
    "Stall",
    "StreamError",
]
