"""Decisions about one request, from what is known written down."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from streamroute.core.health.standing import WELL, Estimate, Outlook, Standing
from streamroute.core.request import ChatRequest
from streamroute.core.routing.decision import Decision
from streamroute.core.routing.explorer import Explorer
from streamroute.core.routing.steering import decide
from streamroute.core.upstream import (
    LatencyClass,
    PlanName,
    Route,
    Steering,
    Upstream,
    UpstreamId,
)
from tests.support.observations import upstream

SUSPECT = Standing(kind="suspect", risk=0.5, reason="errors gather")
SLOW = Standing(kind="slow", risk=1.0)
OPEN = Standing(breaker="open", can_ask=False, until=9.0)
HALF_OPEN = Standing(breaker="half_open", is_probe=True)
RESTING = Standing(kind="rate_limited", can_ask=False, until=9.0)
REJECTED_KEY = Standing(kind="auth_failed", can_ask=False)
NORMAL = Estimate(ttft_s=1.0, normal_ttft_s=1.0, is_cold=False)
ILL = replace(NORMAL, penalty=3.0)

Known = tuple[Standing, Estimate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What is known, written down."""

    known: Mapping[UpstreamId, Known] = field(default_factory=dict)
    panic: bool = False

    def outlook(self, upstreams: Sequence[Upstream], now: float, *, prompt_tokens: int) -> Outlook:
        known = [self.known.get(upstream.id, (WELL, NORMAL)) for upstream in upstreams]
        return Outlook(
            standings=[standing for standing, _ in known],
            estimates=[estimate for _, estimate in known],
            is_panic=self.panic,
        )


def board(**known: Standing | Estimate | Known) -> Board:
    """Write down what is known: a standing, an estimate, or both."""
    return Board(
        known={
            UpstreamId(name): what
            if isinstance(what, tuple)
            else (what, NORMAL)
            if isinstance(what, Standing)
            else (WELL, what)
            for name, what in known.items()
        }
    )


def draws(*values: float) -> Callable[[], float]:
    """Draw these, and no more."""
    iterator: Iterator[float] = iter(values)
    return lambda: next(iterator)


def request(**facts: bool | int) -> ChatRequest:
    return ChatRequest(**{"wire_format": "openai_chat", "payload": {}, "model": "chat", "stream": True, **facts})  # type: ignore[arg-type]  # facts are checked at run time


def decided(
    board: Board,
    *draw: float,
    names: str = "abc",
    upstreams: Sequence[Upstream] | None = None,
    now: float = 0.0,
    steering: Steering = "preferred",
    plan: PlanName = "hedge",
    of: LatencyClass = "interactive",
    key: str | None = None,
    explorer: Explorer | None = None,
    chat: ChatRequest | None = None,
) -> Decision:
    """Decide for one request; `draw` are the random numbers that may be drawn."""
    listed = [upstream(name, provider=name) for name in names] if upstreams is None else upstreams
    route = Route(
        name="chat", upstreams=tuple(each.id for each in listed), steering=steering, plan=plan, latency_class="standard"
    )
    return decide(
        chat or request(),
        route,
        listed,
        board,
        now,
        draws(*draw),
        affinity_key=key,
        latency_class=of,
        explorer=explorer,
    )


def order(decision: Decision) -> str:
    return "".join(each.upstream.id for each in decision.candidates)


def probed(decision: Decision) -> str | None:
    """Return who is asked beside the first."""
    return None if decision.probe is None else str(decision.probe.upstream.id)
