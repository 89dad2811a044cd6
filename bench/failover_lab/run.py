"""One run: a policy, a scenario, a seed."""

from functools import partial
from typing import Protocol

from failover_lab.baselines import PEERS, Oracle
from failover_lab.core import Core
from failover_lab.core_client import CoreClient
from failover_lab.opinions import Watcher
from failover_lab.peer_client import PeerClient
from failover_lab.prober import CoreProber
from failover_lab.records import RequestRecord, RunRecord
from failover_lab.scheduler import Scheduler
from failover_lab.staged import Staged
from failover_lab.world import Request, World
from streamroute.simulation.traffic import Arrival

POLICIES = ("streamroute", *PEERS, "oracle")
_LOOKS_PER_REQUEST = 5.0
_LOOK_EVERY_S = 1.0
"""How often a policy's opinion is read where nothing happens: so often, and not oftener than this."""
_DRAIN_S = 60.0
"""Time for the last requests to end."""


class Client(Protocol):
    """Serves requests by a policy."""

    def serve(self, request: Request, record: RequestRecord) -> None:
        """Begin a request, whose record is filled in as it goes."""


def run(stage: Staged, policy: str, seed: int) -> RunRecord:
    """Play a scenario in virtual time and return what happened."""
    scheduler, world, record = Scheduler(stage.pauses), World(stage.scripts(seed)), RunRecord()
    patience_s = stage.load.patience_s
    client: Client
    if policy == "streamroute":
        core = Core(stage, seed)
        watcher = Watcher(world.names, core, record)
        client = CoreClient(scheduler, world, core, patience_s, watcher.look)
        CoreProber(scheduler, world, core, record, watcher.look).run(stage.end_s)
    else:
        is_all_knowing = policy == "oracle"
        peer = Oracle(world.names, seed, world.outlook) if is_all_knowing else PEERS[policy](world.names, seed)
        watcher = Watcher(world.names, peer, record)
        client = PeerClient(scheduler, world, peer, patience_s, watcher.look)

    def arrive(arrival: Arrival) -> None:
        request = Request(
            number=arrival.ordinal,
            arrived_at=arrival.at_s,
            prompt_tokens=arrival.prompt_tokens,
            output_tokens=arrival.answer_tokens,
        )
        its = RequestRecord(arrival.ordinal, arrival.at_s, arrival.prompt_tokens, arrival.answer_tokens)
        record.requests.append(its)
        client.serve(request, its)

    look_every_s = max(_LOOK_EVERY_S, 1 / stage.load.rps / _LOOKS_PER_REQUEST)

    def look() -> None:
        watcher.look(scheduler.now)
        if scheduler.now < stage.end_s:
            scheduler.at(scheduler.now + look_every_s, look)

    for arrival in stage.load.arrivals(seed, stage.end_s):
        scheduler.at(arrival.at_s, partial(arrive, arrival))
    scheduler.at(0.0, look)
    scheduler.run(stage.end_s + patience_s + _DRAIN_S)
    return record
