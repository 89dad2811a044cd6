"""Who carries on an answer that broke off after its first token, and how: the ladder of one request.

    silent switch (before commit: `failover`)
    -> native continuation of the answer by another upstream
    -> instructed continuation by another upstream
    -> the same two by the upstream that broke off, where it was not alone at fault for long
    -> a restart with an explicit marker, for clients that opted in
    -> an honest error event

Native comes before instructed whoever is preferred: it is near exact, the other one is a request to a model. What the
client already has decides in the end whether any of it is possible; the engine knows that, and says `not_continuable`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from streamroute.core.execution.ladder import rungs_of
from streamroute.core.outcome import NOT_ASKED, FailureKind
from streamroute.core.routing.decision import Candidate
from streamroute.core.upstream import Midstream, Rung, Upstream, UpstreamId

MAX_LEGS = 4
"""An answer's parts: the first one and three continuations. Each pays for the whole prompt again."""
MAX_CALLS = 8
"""Continuations that may be made for one request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RescueOptions:
    """What may be done for an answer that breaks off."""

    midstream: Midstream = "continue"
    """`continue`: carry it on; `restart`: or else begin anew, marked as such; `error`: say so."""
    is_continuable: bool = True
    """False for requests whose answers cannot be joined: JSON schemas, log probabilities, several choices."""


class Ladder:
    """The rungs that are left, best first."""

    def __init__(self, options: RescueOptions, candidates: Sequence[Candidate]) -> None:
        self._midstream = options.midstream
        self._is_continuable = options.is_continuable
        self._candidates = candidates
        self._failed: set[tuple[UpstreamId, Rung]] = set()
        self._broken: set[UpstreamId] = set()
        self._calls = 0

    def broke_off(self, upstream: Upstream) -> None:
        """Note who failed: it is asked last."""
        self._broken.add(upstream.id)

    def failed(self, upstream: Upstream, rung: Rung, kind: FailureKind) -> None:
        """Note that this rung led nowhere: it is not tried again in this request.

        A request that was refused and a text that does not follow on speak against the rung, the rest against the
        upstream.
        """
        self._failed.add((upstream.id, rung))
        self._calls -= kind in NOT_ASKED  # nobody was asked
        if kind not in {"client_error", "seam_mismatch"}:
            self._broken.add(upstream.id)

    def not_continuable(self) -> None:
        """Note that what the client has cannot be joined to; to begin anew is still possible."""
        self._is_continuable = False

    def next(self, now: float) -> tuple[Candidate, Rung] | None:
        """Return the next rung to try; None where nothing is left."""
        if self._calls >= MAX_CALLS:
            return None
        for candidate, rung in self._steps(now):
            if (candidate.upstream.id, rung) not in self._failed:
                self._calls += 1
                return candidate, rung
        return None

    def _steps(self, now: float) -> list[tuple[Candidate, Rung]]:
        if self._midstream == "error":
            return []
        others = [each for each in self._candidates if each.upstream.id not in self._broken]
        # A decision is as old as the answer: who could not be asked then may be asked now, and who gives permits knows.
        pools = (
            [each for each in others if each.is_ready_at(now)],
            [each for each in others if not each.is_ready_at(now)],
            [each for each in self._candidates if each.upstream.id in self._broken],
        )
        steps: list[tuple[Candidate, Rung]] = []
        if self._is_continuable:
            for pool in pools:
                rungs = [(each, rung) for each in pool for rung in rungs_of(each.upstream.capabilities)]
                steps += [step for step in rungs if step[1] != "instructed"]
                steps += [step for step in rungs if step[1] == "instructed"]
        if self._midstream == "restart":
            steps += [(each, "restart") for pool in pools for each in pool]
        return steps
