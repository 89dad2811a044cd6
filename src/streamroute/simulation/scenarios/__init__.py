"""Every scenario by its name. A new one is a file and a line here.

A scenario gives a script for each of three providers, `a` (preferred), `b` and `c`, as a function of a seed and a
`Timing`, and the load that meets them.
"""

from collections.abc import Mapping

from streamroute.simulation.scenario import Scenario, Timing, by_name
from streamroute.simulation.scenarios.afternoon import AFTERNOON
from streamroute.simulation.scenarios.auth import AUTH
from streamroute.simulation.scenarios.burst import BURST
from streamroute.simulation.scenarios.capacity_coupled import CAPACITY_COUPLED
from streamroute.simulation.scenarios.cold_capacity import COLD_CAPACITY
from streamroute.simulation.scenarios.cut import CUT
from streamroute.simulation.scenarios.decode_slow import DECODE_SLOW
from streamroute.simulation.scenarios.domain import DOMAIN
from streamroute.simulation.scenarios.egress_loss import EGRESS_LOSS
from streamroute.simulation.scenarios.errors import ERRORS
from streamroute.simulation.scenarios.everywhere import EVERYWHERE
from streamroute.simulation.scenarios.flapping import FLAPPING
from streamroute.simulation.scenarios.hang import HANGS
from streamroute.simulation.scenarios.hang_after_head import HANG_AFTER_HEAD
from streamroute.simulation.scenarios.heavy_tail import HEAVY_TAIL
from streamroute.simulation.scenarios.incident_replay import INCIDENT_REPLAY
from streamroute.simulation.scenarios.loop_lag import LOOP_LAG
from streamroute.simulation.scenarios.none import NONE
from streamroute.simulation.scenarios.outage import OUTAGE_503
from streamroute.simulation.scenarios.outage_60s import OUTAGE_60S
from streamroute.simulation.scenarios.prompt_shift import PROMPT_SHIFT
from streamroute.simulation.scenarios.quota import QUOTA
from streamroute.simulation.scenarios.ramp import RAMP
from streamroute.simulation.scenarios.rate_limit_storm import RATE_LIMIT_STORMS
from streamroute.simulation.scenarios.refused import NO_CONNECTIONS
from streamroute.simulation.scenarios.slow import SLOW
from streamroute.simulation.scenarios.slow_clients import SLOW_CLIENTS
from streamroute.simulation.scenarios.stall import STALL
from streamroute.simulation.scenarios.stream_error import STREAM_ERROR
from streamroute.simulation.scenarios.tail_growth import TAIL_GROWTH
from streamroute.simulation.scenarios.truncated import TRUNCATED

SCENARIOS: Mapping[str, Scenario] = by_name(
    *NONE,
    OUTAGE_503,
    OUTAGE_60S,
    *NO_CONNECTIONS,
    *HANGS,
    HANG_AFTER_HEAD,
    *ERRORS,
    *SLOW,
    RAMP,
    TAIL_GROWTH,
    HEAVY_TAIL,
    DECODE_SLOW,
    CUT,
    STALL,
    TRUNCATED,
    STREAM_ERROR,
    *RATE_LIMIT_STORMS,
    QUOTA,
    FLAPPING,
    DOMAIN,
    *EVERYWHERE,
    COLD_CAPACITY,
    CAPACITY_COUPLED,
    BURST,
    PROMPT_SHIFT,
    AUTH,
    INCIDENT_REPLAY,
    SLOW_CLIENTS,
    LOOP_LAG,
    EGRESS_LOSS,
    AFTERNOON,
)

__all__ = ["SCENARIOS", "Scenario", "Timing"]
