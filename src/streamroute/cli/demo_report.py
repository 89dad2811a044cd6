"""What the demo has shown: figures, and a judgement on what must never happen. Pure."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamroute.cli.demo_plan import PREFERRED, DemoPlan
from streamroute.cli.demo_stage import Performance
from streamroute.cli.demo_story import Foresight, Rescue, Return, rescue_shown, returned, warned
from streamroute.cli.demo_witness import Witness
from streamroute.core.health.upstream_health import quantile
from streamroute.core.observation import AttemptObservation
from streamroute.simulation.load import LoadResult
from streamroute.simulation.text import expected_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Figures over some of the requests. One that was answered whole was neither cut nor in error."""

    requests: int
    whole_answers: int
    errors: int
    """Clients that saw an error and not a word."""
    truncated: int
    """Answers that began and never came to their end."""
    passed_off: int
    """Answers that looked complete and were not exactly the expected text."""
    chars_lost: int
    chars_repeated: int
    tokens_lost: int
    tokens_repeated: int
    ttft_p50_s: float | None
    ttft_p95_s: float | None

    @classmethod
    def of(cls, results: Sequence[LoadResult], tokens: int) -> "Tally":
        """Count; `tokens` is what every request asked for."""
        ttfts_s = sorted(result.ttft_s for result in results if result.ttft_s is not None)
        return cls(
            requests=len(results),
            whole_answers=sum(result.is_exact for result in results),
            errors=sum(not result.is_complete and not result.text for result in results),
            truncated=sum(not result.is_complete and bool(result.text) for result in results),
            passed_off=sum(result.is_complete and not result.is_exact for result in results),
            chars_lost=sum(result.lost_chars for result in results),
            chars_repeated=sum(result.repeated_chars for result in results),
            tokens_lost=sum(_tokens(result, result.lost_chars, tokens) for result in results),
            tokens_repeated=sum(_tokens(result, result.repeated_chars, tokens) for result in results),
            ttft_p50_s=quantile(ttfts_s, 0.5),
            ttft_p95_s=quantile(ttfts_s, 0.95),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deeds:
    """What the sidecar did for some of the requests."""

    attempts: int
    answers_saved: int
    """An attempt failed, or was given up for another, before the first token; the client got its whole answer."""
    answers_rescued: int
    """Broken off in the middle and carried on; whole, without a character lost or repeated."""
    answers_routed_around: int
    """The first attempt went elsewhere than to the preferred upstream."""
    hedges: int
    hedges_won: int
    races: int
    races_won_by: Mapping[str, int]
    """Which upstream had the first token, of the requests that were raced."""
    probes: int

    @classmethod
    def of(cls, results: Sequence[LoadResult], witness: Witness) -> "Deeds":
        """Count what was observed of exactly these requests."""
        ids = {each.request_id for each in results if each.request_id is not None}
        exact = {each.request_id for each in results if each.is_exact}
        attempts = [each for each in witness.attempts if each.request_id in ids]
        requests = [each for each in witness.requests if each.request_id in exact]
        raced = {each.request_id for each in attempts if each.cause == "race"}
        winners = [each.upstream for each in attempts if each.request_id in raced and _won(each)]
        first = [each for each in attempts if each.attempt == 1]
        return cls(
            attempts=len(attempts),
            answers_saved=sum(bool(each.failovers) for each in requests)
            + sum(each.cause == "hedge" and _won(each) and each.request_id in exact for each in attempts),
            answers_rescued=sum(bool(each.continuations) for each in requests),
            answers_routed_around=sum(each.upstream != PREFERRED for each in first),
            hedges=sum(each.cause == "hedge" for each in attempts),
            hedges_won=sum(each.cause == "hedge" and _won(each) for each in attempts),
            races=len(raced),
            races_won_by={name: winners.count(name) for name in sorted(set(winners))},
            probes=sum(each.cause == "probe" for each in attempts),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseReport:
    """One phase, by when requests began."""

    name: str
    what: str
    through: Tally
    deeds: Deeds
    control: Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """The whole demo."""

    plan: DemoPlan
    prompts_sha256: str
    """Of all prompts in their order: the same seed asks the same."""
    through: Tally
    """Through the sidecar."""
    deeds: Deeds
    control: Tally
    """The control group: straight to the preferred provider, with plain retries."""
    phases: tuple[PhaseReport, ...]
    foresight: Foresight
    returned: Return
    rescue: Rescue | None
    """One answer that was carried on, to look at."""
    failures_by_kind: Mapping[str, int]
    answers_by_upstream: Mapping[str, int]
    leaked: int


def make_report(plan: DemoPlan, performance: Performance) -> DemoReport:
    """Count what came of a plan."""
    tokens = plan.load.tokens
    results, control, witness = performance.results, performance.control, performance.witness

    def within(name: str, some: Sequence[LoadResult]) -> list[LoadResult]:
        return [each for each in some if plan.phase_at(each.started_at - performance.started_at).name == name]

    prompts = "\n".join(sorted(each.prompt for each in results))
    return DemoReport(
        plan=plan,
        prompts_sha256=hashlib.sha256(prompts.encode()).hexdigest(),
        through=Tally.of(results, tokens),
        deeds=Deeds.of(results, witness),
        control=Tally.of(control, tokens),
        phases=tuple(
            PhaseReport(
                name=phase.name,
                what=phase.what,
                through=Tally.of(within(phase.name, results), tokens),
                deeds=Deeds.of(within(phase.name, results), witness),
                control=Tally.of(within(phase.name, control), tokens),
            )
            for phase in plan.phases
        ),
        foresight=warned(plan, performance),
        returned=returned(plan, performance),
        rescue=rescue_shown(plan, performance),
        failures_by_kind=performance.failures,
        answers_by_upstream={
            name: sum(each.is_exact and each.upstream == name for each in results) for name in plan.scripts
        },
        leaked=performance.leaked,
    )


def broken_invariants(report: DemoReport) -> tuple[str, ...]:
    """Return what should never have happened, in words; nothing where all is well."""
    through = report.through
    found = (
        (through.requests == 0, "no request was made"),
        (through.errors > 0, f"clients that saw an error: {through.errors}"),
        (through.truncated > 0, f"answers that never came to their end: {through.truncated}"),
        (through.passed_off > 0, f"answers that looked complete and were not: {through.passed_off}"),
        (through.tokens_lost > 0, f"tokens lost: {through.tokens_lost}"),
        (through.tokens_repeated > 0, f"tokens repeated: {through.tokens_repeated}"),
        (report.leaked > 0, f"still counted as in flight when all had gone: {report.leaked}"),
    )
    return tuple(words for is_broken, words in found if is_broken)


def _won(attempt: AttemptObservation) -> bool:
    """Return whether the client's text is (in its first part) this attempt's."""
    return attempt.is_committed and attempt.cause != "continuation"


def _tokens(result: LoadResult, chars: int, tokens: int) -> int:
    """Turn characters into tokens of that answer's mean length; a part of a token counts as one."""
    return math.ceil(chars * tokens / len(expected_text(result.prompt, tokens)))
