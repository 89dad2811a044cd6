"""What must hold: the targets of the product, by scenario, checked against the medians."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from failover_lab.suite import Row

Rows = Mapping[tuple[str, str], Row]
"""By (scenario, policy)."""
_BACKUP_P95_S = 0.6 * 1.78
"""Of c, the slowest backup: lognormal with sigma 0.35."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One line: a figure of `streamroute` in a scenario, and its limit."""

    scenario: str
    figure: str
    is_met: Callable[[float, Rows], bool]
    wants: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a target."""

    target: Target
    value: float | None
    is_met: bool


def _most(scenario: str, figure: str, limit: float) -> Target:
    return Target(scenario=scenario, figure=figure, is_met=lambda value, _: value <= limit, wants=f"<= {limit:g}")


def _least(scenario: str, figure: str, limit: float) -> Target:
    return Target(scenario=scenario, figure=figure, is_met=lambda value, _: value >= limit, wants=f">= {limit:g}")


def _against(scenario: str, figure: str, policy: str, factor: float, plus: float = 0.0) -> Target:
    def is_met(value: float, rows: Rows) -> bool:
        other = rows.get((scenario, policy), {}).get(figure)
        return isinstance(other, int | float) and value <= other * factor + plus

    return Target(scenario=scenario, figure=figure, is_met=is_met, wants=f"<= {factor:g} x {policy} + {plus:g}")


TARGETS: Sequence[Target] = (
    _most("hang", "client_error_ratio", 0.001),
    _most("hang", "time_to_steer_s", 2.0),
    _most("hang", "ttft_p99_s", 1.6),
    _most("outage_503", "client_error_ratio", 0.0),
    _most("outage_503", "time_to_steer_s", 0.3),
    _most("outage_503", "recovery_s", 20.0),
    _most("slow_3x", "time_to_steer_s", 2.0),
    _against("slow_3x", "ttft_p99_s", "oracle", 1.1),
    _most("ramp", "time_to_steer_s", 6.0),
    _least("ramp", "lead_time_s", 10.0),
    _against("ramp", "ttft_p99_s", "oracle", 1.1),
    _most("errors_20", "client_error_ratio", 0.0),
    _most("errors_20", "time_to_steer_s", 4.0),
    _most("rate_limit_storm", "client_error_ratio", 0.0),
    _most("rate_limit_storm", "time_to_steer_s", 0.3),
    _most("rate_limit_storm", "early_calls", 0),
    _most("rate_limit_bare", "client_error_ratio", 0.0),
    _most("quota", "client_error_ratio", 0.0),
    _most("quota", "early_calls", 0),
    _most("quota", "limited_calls_ratio", 0.002),
    *(
        target
        for scenario in ("cut", "stall", "truncated", "stream_error")
        for target in (
            _most(scenario, "client_error_ratio", 0.0),
            _most(scenario, "lost_chars", 0),
            _most(scenario, "repeated_chars", 0),
            _most(scenario, "seam_gap_p95_s", _BACKUP_P95_S + 0.5),
        )
    ),
    *(
        target
        for scenario in ("none", "none_0.1", "none_1", "none_50")
        for target in (
            _most(scenario, "client_error_ratio", 0.0),
            _most(scenario, "false_opens", 0),
            _most(scenario, "false_steers_per_hour", 1.0),
            _most(scenario, "calls_per_request", 1.02),
            _most(scenario, "wasted_spend_ratio", 0.02),
        )
    ),
    _most("heavy_tail", "calls_per_request", 1.08),
    _against("replay_heavy_tail", "ttft_p99_s", "unhedged", 1 / 20),
    _most("replay_heavy_tail", "calls_per_request", 1.08),
    _against("all_30_errors", "client_error_ratio", "round_robin_retry", 1.0, 0.002),
    _most("all_30_errors", "calls_per_request", 1.5),
    _most("outage_60s", "recovery_s", 5.0),
    _most("outage_60s", "probes_per_s", 0.5),
    _most("flapping", "recovery_s", 30.0),
    _most("cold_capacity", "recovery_s", 30.0),
    _most("cold_capacity", "client_error_ratio", 0.0),
    _most("capacity_coupled", "recovery_s", 30.0),
    _most("capacity_coupled", "client_error_ratio", 0.0),
    _most("burst", "false_opens", 0),
    _most("prompt_shift", "false_opens", 0),
    _most("domain", "client_error_ratio", 0.002),
    _most("auth", "client_error_ratio", 0.0),
)


def judge(rows: Sequence[Row]) -> list[Verdict]:
    """Return the verdict of every target whose scenario was run."""
    by_name = {(str(row["scenario"]), str(row["policy"])): row for row in rows}
    verdicts = []
    for target in TARGETS:
        row = by_name.get((target.scenario, "streamroute"))
        if row is None:
            continue
        value = row.get(target.figure)
        number = float(value) if isinstance(value, int | float) else None
        verdicts.append(
            Verdict(target=target, value=number, is_met=number is not None and target.is_met(number, by_name))
        )
    return verdicts
