"""The product's own decisions as one object: board, routing, plans and budgets, put together as the engine does.

Everything that follows the core's interfaces as they change is here.
"""

from collections.abc import Sequence
from decimal import Decimal
from random import Random

from failover_lab.opinions import View
from failover_lab.staged import Staged
from failover_lab.world import INPUT_PRICE_USD_PER_MTOK, OUTPUT_PRICE_USD_PER_MTOK, Request
from streamroute.core.execution.admission import Admission, Leave
from streamroute.core.execution.hedge_delay import HedgeDelays
from streamroute.core.execution.plan import Plan
from streamroute.core.execution.plans import PlanRequest, build_plan
from streamroute.core.execution.rescue import RescueOptions
from streamroute.core.health.attempt_budget import AttemptBudget
from streamroute.core.health.board import HealthBoard
from streamroute.core.health.breaker import Permit
from streamroute.core.health.options import HealthOptions
from streamroute.core.health.probing import Probe, ProbePolicy, Subject
from streamroute.core.observation import AttemptObservation
from streamroute.core.request import ChatRequest
from streamroute.core.routing.decision import Decision
from streamroute.core.routing.explorer import Explorer
from streamroute.core.routing.steering import decide
from streamroute.core.upstream import (
    Capabilities,
    CredentialId,
    ProviderName,
    Route,
    TokenPrice,
    Upstream,
    UpstreamId,
)

BYTES_PER_TOKEN = 4
"""As the core reckons."""
AVOIDED_RISK = 0.9
"""From here on it gets less than a tenth of its share: a risk is the share of the weight that is gone."""


class Core:
    """One sidecar's mind, for one run."""

    def __init__(self, stage: Staged, seed: int) -> None:
        self._random = Random(seed * 104_729 + 5)
        self.board = HealthBoard(self._random.random)
        self.upstreams = upstreams(stage)
        self._all: Sequence[Upstream] = tuple(self.upstreams.values())
        self.route = route(stage, [each.id for each in self._all])
        self.admission = Admission(self.board, AttemptBudget())
        self._explorer = Explorer()
        self._delays = HedgeDelays()
        self.probing = ProbePolicy(HealthOptions(), self._random.random)
        self._asked: set[UpstreamId] = set()

    def decide(self, request: Request, now: float) -> Decision:
        """Rank the providers for one request."""
        chat = ChatRequest(
            wire_format="openai_chat",
            payload={},
            model=self.route.name,
            stream=True,
            prompt_bytes=request.prompt_tokens * BYTES_PER_TOKEN,
        )
        return decide(chat, self.route, self._all, self.board, now, self._random.random, explorer=self._explorer)

    def plan(self, decision: Decision, request: Request) -> Plan:
        """Return the plan of one request."""
        return build_plan(
            decision,
            PlanRequest(
                stream=True,
                arrived_at=request.arrived_at,
                rescue=RescueOptions(midstream=self.route.midstream),
                jitter=tuple(self._random.random() for _ in range(4)),
            ),
            self._delays,
        )

    def observe(self, leave: Leave, observation: AttemptObservation) -> None:
        """Tell everyone who learns of a client's call that is over."""
        self.admission.settle(leave, observation)
        self._asked.add(observation.upstream)
        self.probing.attempted(observation)

    def probe_ended(self, permit: Permit, observation: AttemptObservation) -> None:
        """Tell everyone who learns of a probe that is over and says something."""
        self.board.observe(permit, observation)
        self._asked.add(observation.upstream)

    def probes_due(self, now: float) -> list[Probe]:
        """Return the probes to make now."""
        subjects = [
            Subject(upstream=each, standing=self.board.standing(each, now), is_unknown=each.id not in self._asked)
            for each in self._all
        ]
        return self.probing.due(subjects, {self.route.name: self.route}, now)

    # -- the opinion that is watched

    def view(self, provider: str, now: float) -> View:
        """See `Opinion`."""
        standing = self.board.standing(self.upstreams[provider], now)
        if standing.breaker in {"open", "half_open"}:
            return "shut_out"
        return "avoided" if standing.risk > AVOIDED_RISK else "used"


def upstreams(stage: Staged) -> dict[str, Upstream]:
    """Return the providers as the product knows them."""
    return {
        name: Upstream(
            id=UpstreamId(name),
            provider=ProviderName(name),
            model="sim",
            credential=CredentialId(name),
            failure_domain=stage.scenario.domains.get(name, name),
            capabilities=Capabilities(continuation="prefill"),
            price=TokenPrice(
                input_per_mtok=Decimal(str(INPUT_PRICE_USD_PER_MTOK)),
                output_per_mtok=Decimal(str(OUTPUT_PRICE_USD_PER_MTOK)),
            ),
        )
        for name in stage.truth
    }


def route(stage: Staged, of: Sequence[UpstreamId]) -> Route:
    """Return the one route there is."""
    load = stage.load
    return Route(
        name="chat", upstreams=tuple(of), plan=load.plan, steering=load.steering, latency_class=load.latency_class
    )
