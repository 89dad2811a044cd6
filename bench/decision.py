"""What a decision costs: CPU of `decide` over ten upstreams, and of what the health board learns from one event.

    python bench/decision.py [--reps 7] [--json] [--out FILE]

A real health board is warmed up with some thousands of attempts, well and ill, on a clock that the script turns.
Prompts differ in size, and "amid traffic" an attempt passes between two decisions, so that nothing that is kept from
one to the next flatters the figures. Every figure is the median over the repetitions: of the mean decision, and of the
median step of an attempt. Exit code 1: a limit is broken. The limits are a tenth of a millisecond for a decision, where
a first token takes some hundred milliseconds, and five microseconds for an event, of which there are four a request.
"Match" is all that `model = "auto"` costs, for a question of 600 characters with a floor of quality, a limit of cost
and five rules: the question is read and analysed, rules and requirements are applied, bids are valued, and it is
decided within a quarter of a millisecond; "learned": its domain is classified and ten qualities are estimated by what
was learned too, all ten being good enough: four tenths, and one for all but one of a hundred. What of that is learned
routing alone is measured by bench/routing_decision.py.
"""

import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from itertools import cycle

import orjson
from harness.prompts import Prompts
from harness.report import parser_of, publish
from harness.run_facts import run_facts
from rich.table import Table

from streamroute.core.health.board import HealthBoard
from streamroute.core.money import Money
from streamroute.core.observation import AttemptObservation
from streamroute.core.outcome import Failure
from streamroute.core.quality.subject_text import read_subject
from streamroute.core.rate_limit import RateLimitReport
from streamroute.core.request import ChatRequest
from streamroute.core.requirements import Requirements
from streamroute.core.routing.decision_log import DecisionLog
from streamroute.core.routing.explain import explain
from streamroute.core.routing.explorer import Explorer
from streamroute.core.routing.options import RoutingOptions
from streamroute.core.routing.route import Catalog
from streamroute.core.routing.rules import Between, OneOf, Rule, Then
from streamroute.core.routing.steering import decide
from streamroute.core.upstream import (
    CredentialId,
    ProviderName,
    QualityTable,
    Route,
    Steering,
    TokenPrice,
    Upstream,
    UpstreamId,
)
from streamroute.engine.call import Call
from streamroute.engine.choice import choose
from streamroute.engine.learning import Learning
from streamroute.engine.needs import Needs, matched_tiers
from streamroute.wire.openai_chat.request import decode_request

REPS = 7
UPSTREAMS = 10
WARM_UP = 5000
"""Attempts before anything is measured: past the point where estimators still take in their first samples."""
CALLS = 2000
"""Of each subject in a repetition."""
DECISION_LIMIT_US = 100.0
MATCH_LIMIT_US = 250.0
LEARNED_LIMIT_US = 400.0
SLOWEST_LIMIT_US = 1000.0
EVENT_LIMIT_US = 5.0
EVENTS = ("board.admit", "board.connected", "board.first_token", "board.observe")
DOMAINS = 10
PROMPTS = Prompts(7)
QUESTION = (
    "Compare the two contracts step by step and explain why the second clause must not apply unless the tenant pays "
    "the invoice in time. " * 5
)[:600]
PROMPT_TOKENS = (20, 200, 500, 2000, 8000)
RATE_LIMIT = RateLimitReport(
    limit_requests=10_000, remaining_requests=9_000, reset_requests_s=6.0,
    limit_tokens=2_000_000, remaining_tokens=1_900_000, reset_tokens_s=3.0,
)  # fmt: skip
"""As hosted providers say with every answer."""
START = 1000.0
"""Of the clock, in seconds: not 0, for which some code might have a special case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One subject, in microseconds of CPU a call."""

    subject: str
    median_us: float
    min_us: float
    max_us: float
    limit_us: float | None


class World:
    """Ten upstreams, a board that has seen them work, and a clock."""

    def __init__(self, rate_limit: RateLimitReport | None = None) -> None:
        """`rate_limit` is what every answer says."""
        self.rate_limit = rate_limit
        self.rng = random.Random(7)
        self.board = HealthBoard(self.rng.random)
        self.now = START
        self.upstreams = tuple(_upstream(i) for i in range(UPSTREAMS))
        for i in range(WARM_UP):
            self.attempt(self.upstreams[i % UPSTREAMS])

    def attempt(self, upstream: Upstream) -> None:
        """Let one attempt pass, from its permit to its end."""
        self.now += 0.02
        permit = self.board.admit(upstream, self.now, prompt_tokens=self.prompt_tokens())
        if permit is None:
            return
        ttft_s = self.ttft_s()
        self.board.connected(permit, upstream, self.now + 0.01)
        if self.rate_limit is not None:
            self.board.reported(upstream, self.rate_limit, self.now + 0.1)
        self.board.first_token(permit, upstream, self.now + ttft_s)
        self.board.observe(permit, observation(upstream, self.now + 2.0, ttft_s, is_failed=self.rng.random() < 0.005))

    def prompt_tokens(self) -> int:
        """Draw the size of a prompt."""
        return self.rng.choice(PROMPT_TOKENS)

    def ttft_s(self) -> float:
        """Draw a usual time to first token."""
        return 0.4 * self.rng.lognormvariate(0.0, 0.35)


def observation(upstream: Upstream, ended_at: float, ttft_s: float, *, is_failed: bool = False) -> AttemptObservation:
    """Make the observation of a streamed attempt."""
    return AttemptObservation(
        request_id="bench",
        attempt=1,
        route="chat",
        upstream=upstream.id,
        provider=upstream.provider,
        credential=upstream.credential,
        model=upstream.model,
        stream=True,
        outcome="failed" if is_failed else "succeeded",
        failure=Failure(kind="server_error", message="bench") if is_failed else None,
        http_status=500 if is_failed else 200,
        ended_at=ended_at,
        connect_s=0.01,
        headers_s=0.1,
        ttft_s=None if is_failed else ttft_s,
        duration_s=2.0,
        prompt_tokens=500,
        content_events=0 if is_failed else 100,
        max_gap_s=None if is_failed else 0.05,
    )


def _upstream(i: int) -> Upstream:
    name = f"provider-{i}"
    return Upstream(
        id=UpstreamId(f"upstream-{i}"),
        provider=ProviderName(name),
        model="model",
        credential=CredentialId(name),
        failure_domain=name,
        price=TokenPrice(input_per_mtok=Decimal("0.25") * (i + 1), output_per_mtok=Decimal(i + 1)),
    )


def _mean_us(call: Callable[[], object]) -> float:
    begun = time.process_time_ns()
    for _ in range(CALLS):
        call()
    return (time.process_time_ns() - begun) / 1e3 / CALLS


def _decisions(world: World, steering: Steering, *, key: str | None = None) -> Callable[[], object]:
    """Return a call that makes one decision and keeps it, as the engine does."""
    route = Route(name="chat", upstreams=tuple(each.id for each in world.upstreams), steering=steering)
    chats = [
        ChatRequest(wire_format="openai_chat", payload={}, model="chat", stream=True, prompt_bytes=4 * tokens)
        for tokens in PROMPT_TOKENS
    ]
    explorer, log, turn = Explorer(), DecisionLog(), cycle(chats)

    def call() -> None:
        world.now += 0.001
        decision = decide(
            next(turn), route, world.upstreams, world.board, world.now, world.rng.random,
            affinity_key=key, explorer=explorer,
        )  # fmt: skip
        log.add("bench", decision, world.now)

    return call


def _matches(world: World, *, is_learned: bool) -> Callable[[], object]:
    """Return a call that matches and decides one request; `is_learned`: by domains and qualities that were learned."""
    upstreams = {
        each.id: replace(each, quality=QualityTable(default=0.7 + 0.02 * i, domains=(("law", 0.8),)))
        for i, each in enumerate(world.upstreams)
    }
    catalog = Catalog(auto=Route(name="auto", upstreams=tuple(upstreams), steering="auction"), upstreams=upstreams)
    when = OneOf("domain", frozenset({"law"}))
    rules = [
        Rule(name=f"rule {i}", when=(Between("tokens", 100.0 * i, 1e9), when), then=Then(min_quality=0.7))
        for i in range(5)
    ]
    needs = Needs(options=RoutingOptions(rules=tuple(rules)), learned=_learned(upstreams) if is_learned else None)
    calls = cycle([_call(PROMPTS.draw(i % DOMAINS)) for i in range(200)] if is_learned else [_call(QUESTION)])
    explorer, log = Explorer(), DecisionLog()

    def one() -> None:
        world.now += 0.001
        call = next(calls)
        settled = needs.settle(
            call, catalog, lambda model, caller: choose(model, catalog, caller), lambda upstream: Money(10**9)
        )
        decide_one = partial(
            decide,
            call.chat,
            board=world.board,
            now=world.now,
            uniform=world.rng.random,
            latency_class=settled.latency_class,
            explorer=explorer,
        )
        log.add("bench", matched_tiers(call.chat, settled.choice, settled.wanted, decide_one), world.now)

    return one


def _call(question: str) -> Call:
    chat = decode_request(orjson.dumps({"model": "auto", "messages": [{"role": "user", "content": question}]}))
    return Call(
        request_id="bench",
        chat=replace(chat, stream=True),
        arrived_at=0.0,
        requirements=Requirements(min_quality=0.5, max_cost=Money(10**12)),
    )


def _learned(upstreams: Iterable[UpstreamId]) -> Learning:
    """Return what is known after some thousand outcomes, and examples of ten domains."""
    learning, rng = Learning(), random.Random(7)
    for i in range(600):
        domain, read = f"domain {i % DOMAINS}", read_subject(PROMPTS.draw(i % DOMAINS))
        learning.domains.learn(read, domain)
        scores: dict[str, float] = {upstream: float(rng.random() < 0.6) for upstream in upstreams}
        learning.quality.learn(read, domain, scores)
        for upstream, score in scores.items():
            learning.table.learn(UpstreamId(upstream), domain, score, 1.0)
    return learning


def _quantiles_us(call: Callable[[], object]) -> tuple[float, float]:
    """Return what half of the calls stay below, and all but one of a hundred."""
    taken, clock = [], time.thread_time_ns  # of our own time only: what else the machine does is no part of it
    for _ in range(CALLS):
        begun = clock()
        call()
        taken.append((clock() - begun) / 1e3)
    cuts = statistics.quantiles(taken, n=100)
    return cuts[49], cuts[98]


def _amid_traffic_us(world: World, steering: Steering) -> float:
    """Return what a decision costs where an attempt has passed since the last one; that is not timed."""
    call, clock = _decisions(world, steering), time.perf_counter_ns
    overhead_ns, spent_ns = _overhead_ns(), 0
    for i in range(CALLS):
        world.attempt(world.upstreams[i % UPSTREAMS])
        begun = clock()
        call()
        spent_ns += clock() - begun - overhead_ns
    return spent_ns / 1e3 / CALLS


def _overhead_ns() -> int:
    clock = time.perf_counter_ns  # the process clock is too coarse for single calls
    return min(-(clock() - clock()) for _ in range(100))


def _explanations_us(world: World) -> float:
    route = Route(name="chat", upstreams=tuple(each.id for each in world.upstreams))
    chat = ChatRequest(wire_format="openai_chat", payload={}, model="chat", stream=True)
    decision = decide(chat, route, world.upstreams, world.board, world.now, world.rng.random)
    return _mean_us(lambda: explain(decision, world.now))


def _events_us(world: World) -> dict[str, float]:
    """Return what each step in the life of an attempt costs: the median of single calls."""
    samples: dict[str, list[int]] = {name: [] for name in EVENTS}
    clock, board, overhead_ns = time.perf_counter_ns, world.board, _overhead_ns()
    for i in range(CALLS):
        upstream = world.upstreams[i % UPSTREAMS]
        world.now += 0.02
        ttft_s, tokens = world.ttft_s(), world.prompt_tokens()
        ended = observation(upstream, world.now + 2.0, ttft_s)
        t0 = clock()
        permit = board.admit(upstream, world.now, prompt_tokens=tokens)
        t1 = clock()
        if permit is None:
            continue
        board.connected(permit, upstream, world.now + 0.01)
        t2 = clock()
        board.first_token(permit, upstream, world.now + ttft_s)
        t3 = clock()
        board.observe(permit, ended)
        t4 = clock()
        for name, took_ns in zip(EVENTS, (t1 - t0, t2 - t1, t3 - t2, t4 - t3), strict=True):
            samples[name].append(took_ns - overhead_ns)
    return {name: statistics.median(taken) / 1e3 for name, taken in samples.items()}


def measure(reps: int) -> list[Figure]:
    """Measure every subject `reps` times."""
    found: dict[str, list[float]] = {}
    for _ in range(reps):
        world = World()
        half_us, slowest_us = _quantiles_us(_matches(world, is_learned=True))
        sample = {
            "decide, preferred": _mean_us(_decisions(world, "preferred")),
            "decide, balanced": _mean_us(_decisions(world, "balanced")),
            "decide, balanced with affinity": _mean_us(_decisions(world, "balanced", key="session")),
            "decide, preferred, amid traffic": _amid_traffic_us(world, "preferred"),
            "decide, balanced, amid traffic, limits known": _amid_traffic_us(World(RATE_LIMIT), "balanced"),
            "match, auction": _mean_us(_matches(world, is_learned=False)),
            "match, auction, learned, 50 of 100": half_us,
            "match, auction, learned, 99 of 100": slowest_us,
            **_events_us(world),
            "explain (only when read)": _explanations_us(world),
        }
        for subject, took_us in sample.items():
            found.setdefault(subject, []).append(took_us)
    return [
        Figure(
            subject=subject,
            median_us=statistics.median(all_us),
            min_us=min(all_us),
            max_us=max(all_us),
            limit_us=_limit_us(subject),
        )
        for subject, all_us in found.items()
    ]


def _limit_us(subject: str) -> float | None:
    if subject.startswith("decide"):
        return DECISION_LIMIT_US
    if subject.startswith("match"):
        if subject.endswith("99 of 100"):
            return SLOWEST_LIMIT_US
        return LEARNED_LIMIT_US if "learned" in subject else MATCH_LIMIT_US
    return EVENT_LIMIT_US if subject in EVENTS else None


def table(figures: list[Figure]) -> Table:
    """Lay the figures out, one a line."""
    made = Table(title=f"{UPSTREAMS} upstreams, microseconds a call")
    made.add_column("subject")
    for column in ("median", "min", "max", "limit"):
        made.add_column(column, justify="right")
    for each in figures:
        limit = "-" if each.limit_us is None else f"{each.limit_us:g}"
        made.add_row(each.subject, f"{each.median_us:.1f}", f"{each.min_us:.1f}", f"{each.max_us:.1f}", limit)
    return made


def main() -> int:
    """Parse the command line, run, print; returns the exit code."""
    arguments = parser_of(__doc__, "subject", reps=REPS).parse_args()
    facts = run_facts()
    figures = measure(max(1, arguments.reps))
    broken = [each.subject for each in figures if each.limit_us is not None and each.median_us > each.limit_us]
    return publish("decision", arguments, facts=facts, figures=figures, broken=broken, table=table(figures))


if __name__ == "__main__":
    sys.exit(main())
