"""What the demo has shown: figures, and a judgement on what must never happen. Pure."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamroute.cli.demo_plan import PREFERRED, DemoPlan
from streamroute.cli.demo_stage import Performance, is_saved
from streamroute.core.health.upstream_health import quantile
from streamroute.simulation.load import LoadResult
from streamroute.simulation.text import expected_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Figures over some of the requests. One that was answered whole was neither cut, nor late, nor in error."""

    requests: int
    whole_answers: int
    answers_saved: int
    """An attempt failed, and the client got its whole answer all the same."""
    answers_routed_around: int
    """The first attempt succeeded, at a backup: the preferred upstream was known to be in trouble."""
    errors: int
    """Clients that saw an error, or an answer that ended without a finish reason."""
    passed_off: int
    """Answers that looked complete and were not exactly the expected text."""
    tokens_lost: int
    tokens_repeated: int
    attempts: int
    ttft_p50_s: float | None
    ttft_p95_s: float | None

    @classmethod
    def of(cls, results: Sequence[LoadResult], tokens: int) -> "Tally":
        """Count; `tokens` is what every request asked for."""
        ttfts_s = sorted(result.ttft_s for result in results if result.ttft_s is not None)
        return cls(
            requests=len(results),
            whole_answers=sum(result.is_exact for result in results),
            answers_saved=sum(is_saved(result) for result in results),
            answers_routed_around=sum(_is_routed_around(result) for result in results),
            errors=sum(not result.is_complete for result in results),
            passed_off=sum(result.is_complete and not result.is_exact for result in results),
            tokens_lost=sum(_tokens(result, result.lost_chars, tokens) for result in results),
            tokens_repeated=sum(_tokens(result, result.repeated_chars, tokens) for result in results),
            attempts=sum(result.attempts or 1 for result in results),
            ttft_p50_s=quantile(ttfts_s, 0.5),
            ttft_p95_s=quantile(ttfts_s, 0.95),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseReport:
    """One phase, by when requests began."""

    name: str
    what: str
    through: Tally
    straight: Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """The whole demo."""

    plan: DemoPlan
    prompts_sha256: str
    """Of all prompts in their order: the same seed asks the same."""
    through: Tally
    """Through the sidecar."""
    straight: Tally
    """The control group: straight to the preferred provider, one request each, no retries."""
    phases: tuple[PhaseReport, ...]
    failovers_by_cause: Mapping[str, int]
    answers_by_upstream: Mapping[str, int]
    leaked: int


def make_report(plan: DemoPlan, performance: Performance) -> DemoReport:
    """Count what came of a plan."""
    tokens = plan.load.tokens
    results, control = performance.results, performance.control

    def within(name: str, some: Sequence[LoadResult]) -> list[LoadResult]:
        return [each for each in some if plan.phase_at(each.started_at - performance.started_at).name == name]

    prompts = "\n".join(each.prompt for each in sorted(results, key=lambda each: each.index))
    return DemoReport(
        plan=plan,
        prompts_sha256=hashlib.sha256(prompts.encode()).hexdigest(),
        through=Tally.of(results, tokens),
        straight=Tally.of(control, tokens),
        phases=tuple(
            PhaseReport(
                name=phase.name,
                what=phase.what,
                through=Tally.of(within(phase.name, results), tokens),
                straight=Tally.of(within(phase.name, control), tokens),
            )
            for phase in plan.phases
        ),
        failovers_by_cause=performance.failures,
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
        (through.passed_off > 0, f"answers that looked complete and were not: {through.passed_off}"),
        (through.tokens_lost > 0, f"tokens lost: {through.tokens_lost}"),
        (through.tokens_repeated > 0, f"tokens repeated: {through.tokens_repeated}"),
        (report.leaked > 0, f"still counted as in flight when all had gone: {report.leaked}"),
    )
    return tuple(words for is_broken, words in found if is_broken)


def _is_routed_around(result: LoadResult) -> bool:
    return result.is_exact and result.attempts == 1 and result.upstream not in {None, PREFERRED}


def _tokens(result: LoadResult, chars: int, tokens: int) -> int:
    """Turn characters into tokens of that answer's mean length; a part of a token counts as one."""
    return math.ceil(chars * tokens / len(expected_text(result.prompt, tokens)))
