"""Whom a plan asks next: the candidates that were not asked yet, and the rules of their order.

1. The order of the decision, those that can be asked first; upstreams of a failure domain that has not failed in this
   request before those of one that has.
2. One that was given up because its first token was late is asked once more, after all others that are well and before
   any that is not: most late answers are one call's bad luck.
3. Upstreams whose breaker is open are a last resort; ones whose credential must wait are not asked before its time.
4. A backup (of a hedge or a race) is one that stands well, in a failure domain where nothing is under way: what
   slows down together must not be hedged with itself. And one with room: the rest of a quota is for first calls.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from streamroute.core.health.standing import Standing
from streamroute.core.outcome import Failure
from streamroute.core.routing.decision import Candidate
from streamroute.core.upstream import Upstream, UpstreamId


class Selection:
    """Candidates that can still be asked. Times are monotonic seconds."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._untried = list(candidates)
        self._failed_domains: set[str] = set()
        self._late: set[UpstreamId] = set()

    def is_last_chance(self, candidate: Candidate) -> bool:
        """Return whether nobody is left to be quicker than it, or it was late before."""
        return not self._untried or candidate.upstream.id in self._late

    def take(self, candidate: Candidate) -> None:
        """Note that it is being asked."""
        if candidate in self._untried:
            self._untried.remove(candidate)

    def failed(self, upstream: Upstream) -> None:
        """Note that one of its domain has failed."""
        self._failed_domains.add(upstream.failure_domain)

    def late(self, candidate: Candidate) -> None:
        """Note that it was given up for others' sake; the first time it may be asked again."""
        if candidate.upstream.id not in self._late:
            self._late.add(candidate.upstream.id)
            self._untried.append(candidate)

    def give_back(self, candidate: Candidate) -> None:
        """Undo `take`: it was not asked after all. It comes last, for it was not the best."""
        self._untried.append(candidate)

    def put_off(self, candidate: Candidate) -> None:
        """Keep it as a last resort: its breaker has opened since the decision."""
        self._untried.append(replace(candidate, standing=Standing(breaker="open", can_ask=False)))

    def keep_larger(self, failed: Upstream) -> None:
        """Forget upstreams whose context is known to be no larger than the one that was too small."""
        size = failed.capabilities.context_tokens
        kept = []
        for candidate in self._untried:
            other = candidate.upstream.capabilities.context_tokens
            if other is None or size is None or other > size:
                kept.append(candidate)
        self._untried = kept

    def best(self, now: float) -> tuple[Candidate, bool] | None:
        """Return whom to ask, and whether it is a last resort; None where nobody is left that can be asked."""
        ready = [candidate for candidate in self._untried if candidate.is_ready_at(now)]
        elsewhere = [each for each in ready if each.upstream.failure_domain not in self._failed_domains]
        well = [each for each in ready if each.standing.breaker in {"closed", "ramping"}]
        well_elsewhere = [each for each in well if each in elsewhere]
        askable = [each for each in self._untried if each in ready or each.standing.kind != "rate_limited"]
        for pool in (well_elsewhere, well, elsewhere, ready, askable):
            if pool:
                return pool[0], pool[0] not in ready
        return None

    def backup(self, now: float, busy_domains: Collection[str]) -> Candidate | None:
        """Return the best upstream to ask beside the ones under way, None where there is none that is fit for it."""
        for each in self._untried:
            domain = each.upstream.failure_domain
            standing = each.standing
            is_well = standing.kind == "healthy" and not standing.is_probe and each.is_ready_at(now) and each.has_room
            if is_well and domain not in busy_domains and domain not in self._failed_domains:
                return each
        return None

    def soonest(self, now: float) -> Candidate | None:
        """Return the one that can be asked first, of those that must wait."""
        return min(self._untried, key=lambda each: each.standing.until or now, default=None)

    def waiting(self, now: float) -> list[tuple[UpstreamId, Failure]]:
        """Return those that were not asked because their rate limit has not ended, and that as a failure."""
        return [
            (each.upstream.id, must_wait(each, now))
            for each in self._untried
            if each.standing.kind == "rate_limited" and not each.is_ready_at(now)
        ]


def must_wait(candidate: Candidate, now: float) -> Failure:
    """Put into a failure that an upstream could not be asked yet."""
    wait_s = max(0.0, (candidate.standing.until or now) - now)
    message = f"not asked: its rate limit ends in {wait_s:.1f} s"
    return Failure(kind="rate_limited", message=message, retry_after_s=wait_s)
