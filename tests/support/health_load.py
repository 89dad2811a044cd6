"""Seeded traffic over a health board: calls come, first tokens come, faults come. The board's API only."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp, inf

from streamroute.core.health.board import HealthBoard
from streamroute.core.request import ChatRequest
from streamroute.core.routing.explorer import Explorer
from streamroute.core.routing.steering import decide
from streamroute.core.upstream import Route, Steering, Upstream
from tests.support.observations import attempt, failed_attempt, upstream

TIMEOUT_S = 10.0


def usual_ttft_s(draw: random.Random, median_s: float = 0.5) -> float:
    """Draw a healthy time to first token: lognormal, one in a hundred 3 to 15 times as slow."""
    ttft_s = median_s * exp(draw.gauss(0.0, 0.35))
    return ttft_s * draw.uniform(3.0, 15.0) if draw.random() < 0.01 else ttft_s


@dataclass
class Seen:
    """What the board said over time."""

    samples: int = 0
    steers: list[tuple[float, str]] = field(default_factory=list)
    opens: list[tuple[float, str, str]] = field(default_factory=list)
    picks: list[tuple[float, str]] = field(default_factory=list)

    def first_steer_s(self, name: str, after: float) -> float:
        """Return the seconds from `after` to the first steer away from an upstream."""
        return min((at - after for at, who in self.steers if who == name and at >= after), default=inf)

    def share(self, name: str, from_s: float, until: float) -> float:
        """Return the share of the requests in a time that went to an upstream first."""
        picks = [who for at, who in self.picks if from_s <= at < until]
        return picks.count(name) / len(picks)


class Load:
    """Poisson arrivals, spread evenly over those that can be asked; it does not steer, so that all keep their rate."""

    def __init__(self, seed: int, *, rate: float, upstreams: int = 3, error_rate: float = 0.002) -> None:
        """`rate` is all requests a second."""
        self.draw = random.Random(seed)
        self.board = HealthBoard(self.draw.random)
        self.upstreams = [upstream(f"u{n}", credential=f"c{n}", provider=f"p{n}") for n in range(upstreams)]
        self.rate, self.error_rate = rate, error_rate
        self.now = 0.0
        self.seen = Seen()
        self._steered: set[str] = set()
        self._open: set[str] = set()
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._number = 0

    def run(
        self,
        until: float,
        slower: Callable[[Upstream, float], float] = lambda _who, _at: 1.0,
        failing: Callable[[Upstream], float] | None = None,
    ) -> None:
        """Go on until a time; `slower` multiplies a call's time to first token, infinite where it hangs; `failing` is
        the share of calls that are answered with an error within 50 ms."""
        self._slower, self._failing = slower, failing or (lambda _who: self.error_rate)
        at = self.now + self.draw.expovariate(self.rate)
        while at < until:
            self._settle(at)
            self.look(at)
            who = self.pick(at)
            self.seen.picks.append((at, who.id))
            self.call(who, at)
            at += self.draw.expovariate(self.rate)
        self._settle(until)
        self.now = until

    def pick(self, now: float) -> Upstream:
        """Return whom the next request asks."""
        del now
        return self.draw.choice(self.upstreams)

    def look(self, now: float) -> None:
        """Ask for estimates, as a decision does, and write down what changed."""
        for who in self.upstreams:
            is_steered = self.board.estimate(who, now, prompt_tokens=0).penalty > 2.303
            breaker = self.board.health(who.id, now).breaker
            if is_steered and who.id not in self._steered:
                self.seen.steers.append((now, who.id))
            (self._steered.add if is_steered else self._steered.discard)(who.id)
            if breaker.state == "open" and who.id not in self._open:
                self.seen.opens.append((now, who.id, breaker.reason))
            (self._open.add if breaker.state == "open" else self._open.discard)(who.id)

    def call(self, who: Upstream, at: float) -> None:
        """Ask an upstream, where its breaker lets us."""
        permit = self.board.admit(who, at)
        if permit is None:
            return
        self.seen.samples += 1
        if self.draw.random() < self._failing(who):
            ended_at = at + 0.05
            failed = failed_attempt("server_error", who, ended_at=ended_at, duration_s=0.05)
            self._at(ended_at, lambda _now: self.board.observe(permit, failed))
            return
        ttft_s = usual_ttft_s(self.draw) * self._slower(who, at)
        if ttft_s > TIMEOUT_S:
            late = failed_attempt("first_token_timeout", who, ended_at=at + TIMEOUT_S, duration_s=TIMEOUT_S)
            self._at(at + TIMEOUT_S, lambda _now: self.board.observe(permit, late))
            return
        whole = attempt(who, ended_at=at + ttft_s + 1.0, duration_s=ttft_s + 1.0, ttft_s=ttft_s, content_events=50)
        self._at(at + ttft_s, lambda now: self.board.first_token(permit, who, now))
        self._at(at + ttft_s + 1.0, lambda _now: self.board.observe(permit, whole))

    def _at(self, at: float, do: Callable[[float], None]) -> None:
        self._number += 1
        heapq.heappush(self._due, (at, self._number, do))

    def _settle(self, until: float) -> None:
        while self._due and self._due[0][0] <= until:
            at, _, do = heapq.heappop(self._due)
            do(at)


class SteeredLoad(Load):
    """The same, steered: each request goes where the product would send it first."""

    def __init__(self, seed: int, *, rate: float, steering: Steering = "balanced") -> None:
        """`rate` is all requests a second."""
        super().__init__(seed, rate=rate)
        self._route = Route(name="chat", upstreams=tuple(each.id for each in self.upstreams), steering=steering)
        self._explorer = Explorer()

    def pick(self, now: float) -> Upstream:
        """Return whom the next request asks."""
        chat = ChatRequest(wire_format="openai_chat", payload={}, model="chat", stream=True)
        decision = decide(chat, self._route, self.upstreams, self.board, now, self.draw.random, explorer=self._explorer)
        if decision.probe is not None:
            self.call(decision.probe.upstream, now)  # beside the request
        return decision.candidates[0].upstream
