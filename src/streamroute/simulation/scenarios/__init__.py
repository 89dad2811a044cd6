"""Every scenario by its name. A new one is a file and a line here.

A scenario gives a script for each of three providers, `a` (preferred), `b` and `c`, as a function of a seed and a
`Timing`, and the load that meets them.
"""

from collections.abc import Mapping

from streamroute.simulation.scenario import Scenario, Timing, by_name
from streamroute.simulation.scenarios.afternoon import AFTERNOON
from streamroute.simulation.scenarios.all_degraded import ALL_DEGRADED
from streamroute.simulation.scenarios.auth_revoked import AUTH_REVOKED
from streamroute.simulation.scenarios.bursts import BURSTS
from streamroute.simulation.scenarios.cold_recovery import COLD_RECOVERY
from streamroute.simulation.scenarios.connection_refused import CONNECTION_REFUSED
from streamroute.simulation.scenarios.coupled_backup import COUPLED_BACKUP
from streamroute.simulation.scenarios.decode_slowdown import DECODE_SLOWDOWN
from streamroute.simulation.scenarios.domain_failure import DOMAIN_FAILURE
from streamroute.simulation.scenarios.egress_loss import EGRESS_LOSS
from streamroute.simulation.scenarios.errors import ERRORS
from streamroute.simulation.scenarios.flapping import FLAPPING
from streamroute.simulation.scenarios.hang import HANG
from streamroute.simulation.scenarios.healthy import HEALTHY
from streamroute.simulation.scenarios.heavy_tail_grows import HEAVY_TAIL_GROWS
from streamroute.simulation.scenarios.heavy_tailed import HEAVY_TAILED
from streamroute.simulation.scenarios.incident_replay import INCIDENT_REPLAY
from streamroute.simulation.scenarios.mid_stream_cut import MID_STREAM_CUT
from streamroute.simulation.scenarios.mid_stream_end import MID_STREAM_END
from streamroute.simulation.scenarios.mid_stream_stall import MID_STREAM_STALL
from streamroute.simulation.scenarios.outage import OUTAGE_503
from streamroute.simulation.scenarios.outage_60s import OUTAGE_60S
from streamroute.simulation.scenarios.prompt_shift import PROMPT_SHIFT
from streamroute.simulation.scenarios.quota_approaching import QUOTA_APPROACHING
from streamroute.simulation.scenarios.ramp_then_failure import RAMP_THEN_FAILURE
from streamroute.simulation.scenarios.rate_limit_storm import RATE_LIMIT_STORMS
from streamroute.simulation.scenarios.role_then_hang import ROLE_THEN_HANG
from streamroute.simulation.scenarios.slow import SLOW
from streamroute.simulation.scenarios.slow_clients import SLOW_CLIENTS

SCENARIOS: Mapping[str, Scenario] = by_name(
    *HEALTHY,
    OUTAGE_503,
    OUTAGE_60S,
    CONNECTION_REFUSED,
    HANG,
    ROLE_THEN_HANG,
    *ERRORS,
    *SLOW,
    RAMP_THEN_FAILURE,
    HEAVY_TAIL_GROWS,
    HEAVY_TAILED,
    DECODE_SLOWDOWN,
    MID_STREAM_CUT,
    MID_STREAM_STALL,
    MID_STREAM_END,
    *RATE_LIMIT_STORMS,
    QUOTA_APPROACHING,
    FLAPPING,
    DOMAIN_FAILURE,
    ALL_DEGRADED,
    COLD_RECOVERY,
    COUPLED_BACKUP,
    BURSTS,
    PROMPT_SHIFT,
    AUTH_REVOKED,
    INCIDENT_REPLAY,
    SLOW_CLIENTS,
    EGRESS_LOSS,
    AFTERNOON,
)

__all__ = ["SCENARIOS", "Scenario", "Timing"]
