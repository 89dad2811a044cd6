"""One run: a policy, a scenario, a seed."""

from functools import partial
from typing import Protocol

from failover_lab.baselines import PEERS
from failover_lab.core import Core
from failover_lab.core_client import CoreClient
from failover_lab.opinions import Watcher
from failover_lab.peer_client import PATIENCE_S, PeerClient
from failover_lab.prober import CoreProber
from failover_lab.records import RequestRecord, RunRecord
from failover_lab.scenarios import Scenario
from failover_lab.scheduler import Scheduler
from failover_lab.world import Request, World

POLICIES = ("streamroute", *PEERS)
_LOOK_EVERY_S = 1.0
"""How often a policy's opinion is read where nothing happens."""
_DRAIN_S = 60.0
"""Time for the last requests to end."""


class Client(Protocol):
    """Serves requests by a policy."""

    def serve(self, request: Request, record: RequestRecord) -> None:
        """Begin a request, whose record is filled in as it goes."""


def run(scenario: Scenario, policy: str, seed: int, rps: float | None = None) -> RunRecord:
    """Play a scenario in virtual time and return what happened."""
    scheduler, world, record = Scheduler(), World(scenario.providers, seed), RunRecord()
    names = [each.name for each in scenario.providers]
    client: Client
    if policy == "streamroute":
        core = Core(scenario, seed)
        watcher = Watcher(names, core, record)
        client = CoreClient(scheduler, world, core, watcher.look)
        CoreProber(scheduler, world, core, record, watcher.look).run(scenario.ends_s)
    else:
        peer = PEERS[policy](scenario.providers, seed)
        watcher = Watcher(names, peer, record)
        client = PeerClient(scheduler, world, peer, watcher.look)

    def arrive(request: Request) -> None:
        its = RequestRecord(request.number, request.arrived_at, request.prompt_tokens, request.output_tokens)
        record.requests.append(its)
        client.serve(request, its)

    def look() -> None:
        watcher.look(scheduler.now)
        if scheduler.now < scenario.ends_s:
            scheduler.at(scheduler.now + _LOOK_EVERY_S, look)

    for request in scenario.requests(seed, rps):
        scheduler.at(request.arrived_at, partial(arrive, request))
    scheduler.at(0.0, look)
    scheduler.run(scenario.ends_s + PATIENCE_S + _DRAIN_S)
    return record
