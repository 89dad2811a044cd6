"""The plan that tries small models first: an answer is held back until it was judged, and a larger model is asked where
it is not good enough.

    tier 1 ──Finish──▶ Assess ──good enough──▶ Commit, Finish
       │ Fail             │ not good enough
       └──────────┬───────┘
                  ▼
    tier 2 ... ──▶ the last tier: its answer flows to the client as it comes

Within a tier everything is as without tiers: its own `Failover`, with hedges, probes and deadlines. Rules of the file:

1. The client gets one clean answer: nothing of a held answer is delivered before it is accepted.
2. An answer that is held and breaks off is not carried on: nobody has any of it, so the next tier is asked.
3. A tier that takes long is not waited for in vain: after `speculate_after_s` the next one is started beside it, and
   the first that is good enough is delivered. It is a call beside another one, and asks the budget of these.
4. Which tier follows is decided anew after each answer (`Ruling.next_tier`), and whether an earlier one's answer is
   delivered after all (`Ruling.delivers`).
5. A rejected answer beats none: where all larger models fail, or none may be asked any more, the best of what is there
   is delivered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from streamroute.core.execution.calls import AttemptCount
from streamroute.core.execution.commands import Abandon, Assess, Cancel, Command, Commit, Fail, Finish, Start, Tried
from streamroute.core.execution.events import (
    Assessed,
    AttemptEvent,
    AttemptId,
    ClientGone,
    ClientPaused,
    ClientResumed,
    Doubted,
    Failed,
    ShutDown,
)
from streamroute.core.execution.failover import HEDGE_RETRIES, HEDGE_RETRY_S, Failover, FailoverOptions
from streamroute.core.health.classify import disposition
from streamroute.core.outcome import NOT_ASKED, AttemptCause, Failure
from streamroute.core.quality.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class TierOptions:
    """One tier."""

    plan: FailoverOptions
    accept_at: float = 0.0
    """The least score, 0..1, with which an answer is delivered. Of no matter in the last tier."""
    speculate_after_s: float | None = None
    """Seconds after which the next tier is started beside this one; None: not before this one is over."""


class Cascade:
    """A `Plan`: see `core.execution.plan`."""

    def __init__(self, tiers: Sequence[TierOptions]) -> None:
        """`tiers`: smallest first, at least one."""
        self._tiers = tiers
        self._last = len(tiers) - 1
        self._attempts = AttemptCount()
        self._plans: dict[int, Failover] = {}
        """Tiers that were begun and are not over."""
        self._begun = 0
        self._tier_of: dict[AttemptId, int] = {}
        self._speculations: set[AttemptId] = set()
        self._judging: set[AttemptId] = set()
        self._drafts: list[tuple[float, AttemptId]] = []
        self._tried: list[Tried] = []
        self._failure: Fail | None = None
        self._speculate_at: float | None = None
        self._speculations_denied = 0
        self._is_over = False

    @property
    def hedge_after_s(self) -> float | None:
        """Silence of the first tier's first upstream, after which another one is asked beside it; None: never."""
        return self._tiers[0].plan.hedge_after_s

    def start(self, now: float) -> Sequence[Command]:
        """Begin with the smallest."""
        return self._begin_next(now)

    def handle(self, event: AttemptEvent, now: float) -> Sequence[Command]:
        """React to what happened; see `Plan.handle`."""
        if self._is_over:
            return ()
        match event:
            case ClientGone() | ShutDown():
                return self._stop(event, now)
            case Assessed(attempt=attempt, verdict=verdict):
                return self._judged(attempt, verdict, now)
            case Failed(attempt=attempt, failure=failure) if (
                attempt in self._speculations and failure.kind in NOT_ASKED
            ):
                return self._not_speculated(attempt, now)
            case Doubted() | ClientPaused() | ClientResumed():
                tiers = list(self._plans)
            case _:
                tiers = [self._tier_of.get(event.attempt, -1)]
        commands: list[Command] = []
        for tier in tiers:
            if tier in self._plans and not self._is_over:
                commands += self._follow(tier, self._plans[tier].handle(event, now), now)
        return commands

    def next_deadline(self) -> float | None:
        """Return when time alone changes something."""
        if self._is_over:
            return None
        due = [each for plan in self._plans.values() if (each := plan.next_deadline()) is not None]
        if self._speculate_at is not None:
            due.append(self._speculate_at)
        return min(due, default=None)

    def on_deadline(self, now: float) -> Sequence[Command]:
        """React to the time; see `Plan.on_deadline`."""
        commands: list[Command] = []
        for tier in list(self._plans):
            if tier in self._plans and not self._is_over:
                commands += self._follow(tier, self._plans[tier].on_deadline(now), now)
        if not self._is_over and self._speculate_at is not None and now >= self._speculate_at:
            self._speculate_at = None
            if self._may_begin_next:
                commands += self._begin_next(now, "speculation")
        return commands

    # -- tiers

    @property
    def _may_begin_next(self) -> bool:
        return self._begun <= self._last and not self._attempts.has_reached(self._tiers[self._begun].plan.max_attempts)

    def _begin_next(self, now: float, cause: AttemptCause = "escalation") -> Sequence[Command]:
        tier, self._begun = self._begun, self._begun + 1
        options = self._tiers[tier]
        is_last = tier == self._last
        after_s = options.speculate_after_s
        self._speculate_at = None if is_last or after_s is None else now + after_s
        plan = self._plans[tier] = Failover(
            replace(
                options.plan,
                attempts=self._attempts,
                rescue=options.plan.rescue if is_last else None,
                first_cause=cause if tier else "first",
            )
        )
        return self._follow(tier, plan.start(now), now)

    def _follow(self, tier: int, commands: Sequence[Command], now: float) -> Sequence[Command]:
        """Do what the plan of a tier says, but hold its answer back where it is not the last."""
        is_last = tier == self._last
        followed: list[Command] = []
        for command in commands:
            match command:
                case Start(attempt=attempt, cause=cause):
                    self._tier_of[attempt] = tier
                    self._speculations |= {attempt} if cause == "speculation" else set()
                    followed.append(command)
                case Commit() if is_last:
                    followed += [*self._give_up_others(tier, now), command]
                case Commit():
                    pass
                case Finish(attempt=attempt) if not is_last:
                    del self._plans[tier]
                    self._judging.add(attempt)
                    followed.append(Assess(attempt))
                case Finish():
                    self._is_over = True
                    followed.append(command)
                case Fail():
                    followed += self._tier_failed(tier, command, now)
                case _:
                    followed.append(command)
        return followed

    def _not_speculated(self, attempt: AttemptId, now: float) -> Sequence[Command]:
        """The larger model was not to be started beside the small one: it is asked again a little later, or in turn."""
        tier = self._tier_of[attempt]
        commands = [each for each in self._ended(tier, now) if each != Cancel(attempt, "lost")]
        self._attempts.not_made += 1
        self._begun = tier
        self._speculations_denied += 1
        self._speculate_at = now + HEDGE_RETRY_S if self._speculations_denied <= HEDGE_RETRIES else None
        return [*commands, *self._escalated(now)]

    def _tier_failed(self, tier: int, fail: Fail, now: float) -> Sequence[Command]:
        del self._plans[tier]
        if tier == self._last and fail.is_committed:
            return self._end(fail)
        self._tried += fail.tried
        self._failure = replace(fail, is_committed=False)  # nobody has any of an answer that was held
        if disposition(fail.failure.kind).next_step == "stop":
            self._begun = self._last + 1  # there is no time left in which a larger model could answer
            self._speculate_at = None
        return self._escalated(now)

    def _judged(self, attempt: AttemptId, verdict: Verdict, now: float) -> Sequence[Command]:
        if attempt not in self._judging:
            return ()
        self._judging.discard(attempt)
        tier, ruling = self._tier_of[attempt], verdict.ruling
        if verdict.score >= self._tiers[tier].accept_at if ruling is None else ruling.is_accepted:
            return self._deliver(attempt, now)
        if ruling is not None and ruling.delivers is not None:
            earlier = [each for _, each in self._drafts if self._tier_of[each] == ruling.delivers]
            if earlier:
                return self._deliver(earlier[-1], now)
        if ruling is not None:
            self._begun = max(self._begun, min(ruling.next_tier, self._last))
        self._drafts.append((verdict.score, attempt))
        return self._escalated(now)

    def _escalated(self, now: float) -> Sequence[Command]:
        """A tier is over without an answer that is good enough: go on to the next, unless it is under way."""
        if self._plans or self._judging:
            return ()
        if self._may_begin_next:
            return self._begin_next(now)
        if self._drafts:
            return self._deliver(max(self._drafts, key=lambda each: each[0])[1], now)
        failure = self._failure or Fail(failure=Failure(kind="blocked", message="there is no upstream to ask"))
        return self._end(replace(failure, tried=tuple(self._tried)))

    def _deliver(self, attempt: AttemptId, now: float) -> Sequence[Command]:
        """Deliver a whole answer that was held."""
        commands = [*self._give_up_others(None, now), Commit(attempt), Finish(attempt)]
        self._is_over = True
        return commands

    def _give_up_others(self, tier: int | None, now: float) -> Sequence[Command]:
        """End what the other tiers have under way: an answer was found."""
        commands: list[Command] = []
        for other in [each for each in self._plans if each != tier]:
            commands += self._ended(other, now)
        self._speculate_at = None
        commands += [Cancel(attempt, "lost") for attempt in self._judging]
        self._judging.clear()
        return commands

    def _ended(self, tier: int, now: float) -> list[Command]:
        """End what a tier has under way."""
        cancelled = self._plans.pop(tier).handle(ClientGone(), now)
        return [replace(each, reason="lost") for each in cancelled if isinstance(each, Cancel)]

    def _stop(self, event: ClientGone | ShutDown, now: float) -> Sequence[Command]:
        """End everything, once."""
        commands: list[Command] = []
        last: Command = Abandon()
        if isinstance(event, ShutDown):
            last = Fail(failure=Failure(kind="shutting_down", message="the sidecar is shutting down"))
        for plan in self._plans.values():
            for command in plan.handle(event, now):
                if isinstance(command, Cancel):
                    commands.append(command)
                else:
                    last = command
        self._is_over = True
        return [*commands, last]

    def _end(self, fail: Fail) -> Sequence[Command]:
        self._is_over = True
        return [fail]
