"""All runs of a command, on several processes, and their medians."""

import math
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields
from multiprocessing import get_context
from random import Random

from failover_lab.catalogue import scenario_named
from failover_lab.metrics import RunFigures, figures
from failover_lab.records import RunRecord
from failover_lab.run import run
from failover_lab.staged import Mode, Staged, staged
from streamroute.core.upstream import Steering

WORKERS = 2
_RESAMPLES = 400
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Job:
    """One run."""

    scenario: str
    policy: str
    seed: int
    mode: Mode = "des"
    rps: float | None = None
    is_fast: bool = False
    steering: Steering | None = None


def stage_of(job: Job) -> Staged:
    """Return what it plays."""
    scenario = scenario_named(job.scenario)
    return staged(scenario, job.mode, is_fast=job.is_fast, rps=job.rps, steering=job.steering)


def perform(job: Job) -> tuple[Job, RunFigures]:
    """Run it."""
    stage = stage_of(job)
    return job, figures(stage, record_of(job, stage))


def record_of(job: Job, stage: Staged) -> RunRecord:
    """Run it, and return what happened."""
    if job.mode == "des":
        return run(stage, job.policy, job.seed)
    from failover_lab.sidecar import run_sidecar  # noqa: PLC0415 - imports the whole product, aiohttp and all

    return run_sidecar(stage, job.policy, job.seed, mode=job.mode)


def perform_all(
    jobs: Sequence[Job], on_done: Callable[[Job], None], workers: int = WORKERS
) -> dict[tuple[str, str], list[RunFigures]]:
    """Run them all; return the figures by (scenario, policy), in the order of the seeds."""
    found: dict[Job, RunFigures] = {}
    if workers <= 1 or len(jobs) == 1:
        for job in jobs:
            found[job] = perform(job)[1]
            on_done(job)
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for future in as_completed([pool.submit(perform, job) for job in jobs]):
                job, made = future.result()
                found[job] = made
                on_done(job)
    grouped: dict[tuple[str, str], list[RunFigures]] = {}
    for job in jobs:
        grouped.setdefault((job.scenario, job.policy), []).append(found[job])
    return grouped


Row = dict[str, object]


def summarise(scenario: str, policy: str, mode: str, runs: Sequence[RunFigures]) -> Row:
    """Return the medians over the seeds, and a bootstrap 95 % interval of some.

    What did not happen counts as infinitely late; where that is the median, it is None. What must not happen at all
    (openings of providers that are well, lost and repeated text) is summed up, not averaged away.
    """
    row: Row = {"scenario": scenario, "policy": policy, "mode": mode, "seeds": len(runs)}
    for field in fields(RunFigures):
        values = [getattr(each, field.name) for each in runs]
        known = [value for value in values if value is not None]
        if not known:
            row[field.name] = None
        elif field.name in {"false_opens", "lost_chars", "repeated_chars", "early_calls"}:
            row[field.name] = sum(known)
        elif field.name == "requests":
            row[field.name] = round(statistics.median(known))
        elif field.name in {"client_error_ratio", "false_steers_per_hour", "false_alarms_per_hour"}:
            row[field.name] = round(statistics.fmean(known), _DIGITS)
        else:
            row[field.name] = _finite(statistics.median(known))
    for name in ("ttft_p99_s", "time_to_steer_s", "recovery_s"):
        known = [value for value in (getattr(each, name) for each in runs) if value is not None]
        row[f"{name}_ci"] = [_finite(each) for each in bootstrap(known)] if len(known) >= 3 else None
    return row


def bootstrap(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the median, by resampling."""
    draw = Random(1)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(_RESAMPLES))
    return medians[int(0.025 * _RESAMPLES)], medians[int(0.975 * _RESAMPLES) - 1]


def rows_of(grouped: dict[tuple[str, str], list[RunFigures]], mode: str) -> list[Row]:
    """Return a row for each pair of scenario and policy."""
    return [summarise(scenario, policy, mode, runs) for (scenario, policy), runs in grouped.items()]


def _finite(value: float) -> float | None:
    return round(value, _DIGITS) if math.isfinite(value) else None
