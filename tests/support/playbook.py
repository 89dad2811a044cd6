"""A small language for scripts of what a plan is told and what it must answer, after mitmproxy's playbooks.

    book = failover(candidate("a"), candidate("b"))
    book.start(at=0.0) << start(1, "a")
    book.tell(failed(1, "reset"), at=0.2) << start(2, "b")

`tell`, `wake` and `start` feed the plan at literal times; `<<` says which commands must come, all of them, in order;
a step that is followed by none must be answered with silence. Commands are compared by the short forms below, so that
a script reads as what happens and not as how it is spelt.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

from streamroute.core.execution.cascade import Cascade, TierOptions
from streamroute.core.execution.commands import Abandon, Assess, Cancel, Command, Commit, Fail, Finish, Start
from streamroute.core.execution.events import AttemptEvent, AttemptId, Failed
from streamroute.core.execution.failover import Failover, FailoverOptions
from streamroute.core.execution.plan import Plan
from streamroute.core.execution.rescue import RescueOptions
from streamroute.core.health.standing import Estimate, Standing, TtftDistribution
from streamroute.core.outcome import AttemptCause, Failure, FailureKind
from streamroute.core.routing.decision import Candidate
from streamroute.core.upstream import (
    Capabilities,
    Continuation,
    CredentialId,
    Deadlines,
    ProviderName,
    RetryOptions,
    Rung,
    Upstream,
    UpstreamId,
)

Short = tuple[object, ...]

READY = Standing()


def start(attempt: int, upstream: str, *, last_resort: bool = False) -> Short:
    """Expect a call that follows on nothing, or on a failure."""
    return ("start", attempt, upstream, "last resort") if last_resort else ("start", attempt, upstream)


def beside(attempt: int, upstream: str, cause: AttemptCause) -> Short:
    """Expect a call beside the first one: a hedge, a rival in a race, a probe."""
    return ("start", attempt, upstream, cause)


def carry_on(attempt: int, upstream: str, rung: Rung) -> Short:
    """Expect a continuation."""
    return ("start", attempt, upstream, "continuation", rung)


def cancel(attempt: int, reason: str) -> Short:
    """Expect an attempt to be ended, for a `CancelReason` or for the kind of failure that a deadline made of it."""
    return ("cancel", attempt, reason)


def commit(attempt: int) -> Short:
    """Expect the answer to flow."""
    return ("commit", attempt)


def assess(attempt: int) -> Short:
    """Expect that a held answer is to be judged."""
    return ("assess", attempt)


def finish(attempt: int) -> Short:
    """Expect a whole answer."""
    return ("finish", attempt)


def fail(kind: FailureKind, *tried: str) -> Short:
    """Expect an error, that names these upstreams as tried."""
    return ("fail", kind, *tried)


ABANDON: Short = ("abandon",)


def shortened(command: Command) -> Short:  # noqa: PLR0911 - a case a command
    """Write a command in its short form."""
    match command:
        case Start(cause="continuation", attempt=attempt, upstream=upstream, rung=rung):
            return carry_on(attempt, upstream.id, rung or "instructed")
        case Start(
            cause="hedge" | "race" | "probe" | "escalation" | "speculation" as cause, attempt=attempt, upstream=upstream
        ):
            return beside(attempt, upstream.id, cause)
        case Start(attempt=attempt, upstream=upstream, is_last_resort=is_last_resort):
            return start(attempt, upstream.id, last_resort=is_last_resort)
        case Cancel(attempt=attempt, reason=reason, failure=failure):
            return cancel(attempt, reason if failure is None else failure.kind)
        case Commit(attempt=attempt):
            return commit(attempt)
        case Assess(attempt=attempt):
            return assess(attempt)
        case Finish(attempt=attempt):
            return finish(attempt)
        case Fail(failure=failure, tried=tried):
            return fail(failure.kind, *(each.upstream for each in tried))
        case Abandon():
            return ABANDON


class Playbook:
    """Plays one script."""

    played: ClassVar[list["Playbook"]] = []
    """Those of the test that is running: `tests/core/conftest.py` asks each whether its last step was answered."""

    def __init__(self, plan: Plan) -> None:
        self.played.append(self)
        self.plan = plan
        self.commands: Sequence[Command] = ()
        """What came last, in full."""
        self._unexpected: list[Short] = []
        self._step = "before the start"

    def start(self, *, at: float = 0.0) -> "Playbook":
        """Begin."""
        return self._feed(self.plan.start, at, f"start at {at:g}")

    def tell(self, event: AttemptEvent, *, at: float) -> "Playbook":
        """Let something happen."""
        return self._feed(lambda now: self.plan.handle(event, now), at, f"{event} at {at:g}")

    def wake(self, *, at: float) -> "Playbook":
        """Let time pass, until a moment for which the plan must have asked, or later."""
        due = self.plan.next_deadline()
        assert due is not None, f"nobody asked to be woken at {at:g}"
        assert due <= at, f"the plan sleeps until {due:g}, past {at:g}"
        return self._feed(self.plan.on_deadline, at, f"wake at {at:g}")

    def sleep(self, *, until: float) -> "Playbook":
        """Let time pass; the plan must not want to be woken before `until`."""
        due = self.plan.next_deadline()
        assert due is None or due >= until, f"woken at {due:g} already"
        return self._feed(self.plan.on_deadline, until - 1e-9, f"early at {until:g}")

    def __lshift__(self, expected: Short) -> "Playbook":
        """Expect the next command."""
        assert self._unexpected, f"{self._step}: expected {expected}, there is nothing more"
        found = self._unexpected.pop(0)
        assert found == expected, f"{self._step}: expected {expected}, got {found}"
        return self

    def skip(self) -> "Playbook":
        """Take whatever was commanded: the test looks at `commands`."""
        self._unexpected = []
        return self

    def end(self) -> "Playbook":
        """Nothing more may have been commanded."""
        assert not self._unexpected, f"{self._step}: unexpected {self._unexpected}"
        return self

    def over(self) -> "Playbook":
        """The script ended with a terminal command: the plan asks for nothing any more."""
        self.end()
        assert self.plan.next_deadline() is None
        assert not self.plan.on_deadline(1e9)
        return self

    def _feed(self, question: Callable[[float], Sequence[Command]], at: float, step: str) -> "Playbook":
        self.end()
        self._step = step
        self.commands = question(at)
        self._unexpected = [shortened(command) for command in self.commands]
        return self


def candidate(
    name: str,
    *,
    standing: Standing = READY,
    domain: str | None = None,
    context_tokens: int | None = None,
    continuation: Continuation | None = None,
    stall_soft_s: float | None = None,
    ttft: TtftDistribution | None = None,
) -> Candidate:
    """Make a candidate, 1 s to its first token; its failure domain is its own unless named."""
    upstream = Upstream(
        id=UpstreamId(name),
        provider=ProviderName(f"{name}-provider"),
        model="m",
        credential=CredentialId(name),
        failure_domain=domain or name,
        capabilities=Capabilities(context_tokens=context_tokens, continuation=continuation),
    )
    estimate = Estimate(ttft_s=1.0, normal_ttft_s=1.0, stall_soft_s=stall_soft_s, ttft=ttft)
    return Candidate(upstream=upstream, standing=standing, estimate=estimate)


def failover(
    *candidates: Candidate,
    stream: bool = True,
    deadlines: Deadlines | None = None,
    retry: RetryOptions | None = None,
    max_attempts: int = 16,
    jitter: tuple[float, ...] = (0.5,),
    hedge_after_s: float | None = None,
    race_width: int = 1,
    probe: Candidate | None = None,
    rescue: RescueOptions | None = None,
) -> Playbook:
    """Begin a script for a failover plan of a request that arrived at 0."""
    options = FailoverOptions(
        candidates=candidates,
        stream=stream,
        arrived_at=0.0,
        deadlines=deadlines or Deadlines(),
        retry=retry or RetryOptions(),
        max_attempts=max_attempts,
        jitter=jitter,
        hedge_after_s=hedge_after_s,
        race_width=race_width,
        probe=probe,
        rescue=rescue,
    )
    return Playbook(Failover(options))


def cascade(
    *tiers: Sequence[Candidate],
    accept_at: float = 0.5,
    speculate_after_s: float | None = None,
    stream: bool = True,
    rescue: RescueOptions | None = None,
) -> Playbook:
    """Begin a script for a cascade of a request that arrived at 0."""
    return Playbook(
        Cascade(
            [
                TierOptions(
                    plan=FailoverOptions(candidates=tuple(each), stream=stream, arrived_at=0.0, rescue=rescue),
                    accept_at=accept_at,
                    speculate_after_s=speculate_after_s,
                )
                for each in tiers
            ]
        )
    )


def failed(attempt: int, kind: FailureKind, *, retry_after_s: float | None = None) -> Failed:
    """Make the event."""
    return Failed(AttemptId(attempt), Failure(kind=kind, message="x", retry_after_s=retry_after_s))
