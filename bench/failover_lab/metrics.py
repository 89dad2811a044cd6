"""From the records of one run to its figures."""

import bisect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from failover_lab.records import RequestRecord, RunRecord
from failover_lab.staged import Staged
from failover_lab.world import INPUT_PRICE_USD_PER_MTOK, OUTPUT_PRICE_USD_PER_MTOK

STEERED_SHARE = 0.1
"""Of its base share: below this a provider is steered away from."""
RECOVERED_SHARE = 0.75
STEER_WINDOW_S = 5.0
RECOVERY_WINDOW_S = 10.0
"""At 5 requests/s a fifth of them still makes ten; with fewer the share is mostly luck."""
MIN_PICKS = 15
"""Where requests are rare, windows are as long as so many of them take."""
BASE_WINDOW_S = 40.0
"""Before the onset: where the base share is counted."""
WELL_FOR_S = 12.0
"""A provider counts as well so long after its trouble: calls from before end within the core's deadline of 10 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """One run's figures. None: not applicable; infinity: it did not happen in the time that was watched."""

    requests: int
    client_error_ratio: float
    """Requests without a whole answer, of those that arrived in the time of trouble."""
    ttft_p50_s: float
    ttft_p99_s: float
    """Failures count as the client's patience, 30 s unless the scenario has more."""
    time_to_steer_s: float | None
    """From the onset until less than a tenth of its base share goes to the faulty provider for 5 s."""
    lead_time_s: float | None
    """How long before that a client that never steers would see a failure or a breach; negative: after it."""
    recovery_s: float | None
    """From the end of the trouble until three quarters of its base share are back."""
    false_opens: int
    """A provider was shut out that was well."""
    calls_per_request: float
    """Of all kinds: first calls, hedges, races, retries, continuations, probes beside requests, and completions that no
    request had a part in. Probes that are free (a connection, a list of models) are no calls of a model."""
    wasted_spend_ratio: float
    lost_chars: int
    repeated_chars: int
    false_steers_per_hour: float
    """Times at which less than a tenth of its share was sent for 5 s to a provider that was well."""
    false_alarms_per_hour: float
    """The same, and those that were taken back sooner."""
    probes_per_s: float
    """Calls to the faulty provider that users' requests did not depend on, per second of trouble."""
    limited_calls_ratio: float
    """Calls that were answered with 429, of all."""
    early_calls: int
    """Calls to a provider before the time had passed that it had asked to wait."""
    seam_gap_p95_s: float | None
    trouble_share: float | None
    """The faulty provider's share of first picks while in trouble."""


def figures(stage: Staged, record: RunRecord) -> RunFigures:
    """Return the figures of one run."""
    onset, until = stage.onset_s, stage.trouble_until_s
    judged_from, judged_until = stage.judged_s
    judged = [each for each in record.requests if judged_from <= each.arrived_at < judged_until]
    probes = [call for call in record.probes if judged_from <= call.at < judged_until and not call.is_free]
    patience_s = stage.load.patience_s
    ttfts = sorted(patience_s if each.ttft_s is None else min(patience_s, each.ttft_s) for each in judged)
    calls = [call for each in judged for call in each.calls]
    seams = sorted(gap for each in record.requests for gap in each.seam_gaps_s)
    whole = [each for each in record.requests if each.is_whole]
    steer, lead, recovery, share = _steering(stage, record)
    well_h = sum(stage.well_s(each) for each in stage.truth) / len(stage.truth) / 3600
    false_steers = sum(_lasting(stage, record, each) for each in stage.truth)
    false_alarms = sum(stage.is_well(name, at, for_s=WELL_FOR_S) for at, name in record.steers)
    asides = [
        call
        for each in record.requests
        for call in each.calls
        if call.provider == stage.watched and onset <= call.at < until and call.cause == "probe"
    ]
    asides += [call for call in record.probes if call.provider == stage.watched and onset <= call.at < until]
    return RunFigures(
        requests=len(record.requests),
        client_error_ratio=sum(not each.is_whole for each in judged) / max(1, len(judged)),
        ttft_p50_s=percentile(ttfts, 0.5),
        ttft_p99_s=percentile(ttfts, 0.99),
        time_to_steer_s=steer,
        lead_time_s=lead,
        recovery_s=recovery,
        false_opens=sum(stage.is_well(name, at, for_s=WELL_FOR_S) for at, name in record.openings),
        calls_per_request=(len(calls) + len(probes)) / max(1, len(judged)),
        wasted_spend_ratio=_waste(judged),
        lost_chars=sum(each.lost_chars for each in whole),
        repeated_chars=sum(each.repeated_chars for each in whole),
        false_steers_per_hour=false_steers / well_h if well_h else 0.0,
        false_alarms_per_hour=false_alarms / well_h if well_h else 0.0,
        probes_per_s=len(asides) / max(1e-9, until - onset),
        limited_calls_ratio=sum(call.limited_until is not None for call in calls) / max(1, len(calls)),
        early_calls=_early_calls(record),
        seam_gap_p95_s=percentile(seams, 0.95) if seams else None,
        trouble_share=share,
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of ascending values; 0 without any."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def _steering(stage: Staged, record: RunRecord) -> tuple[float | None, float | None, float | None, float | None]:
    """Return (time to steer, lead time, recovery, share while in trouble)."""
    name = stage.watched
    if name is None:
        return None, None, None, None
    picks = [(each.arrived_at, each.primary == name) for each in record.requests if each.primary is not None]
    onset, until = stage.onset_s, stage.trouble_until_s
    shares = Shares(picks)
    base = shares.between(max(0.0, onset - BASE_WINDOW_S), onset)
    share = shares.between(onset, until)
    if not base:
        return None, None, None, share
    steered_at = shares.first(onset, until, STEER_WINDOW_S, lambda share: share < STEERED_SHARE * base)
    steer = math.inf if steered_at is None else steered_at - onset
    breach_at = stage.breach_s(name)
    lead = None if breach_at is None else breach_at - onset - steer
    if steered_at is None:
        return steer, lead, None, share
    back_at = shares.first(
        until, stage.end_s - RECOVERY_WINDOW_S, RECOVERY_WINDOW_S, lambda share: share >= RECOVERED_SHARE * base
    )
    return steer, lead, math.inf if back_at is None else back_at - until, share


def _lasting(stage: Staged, record: RunRecord, name: str) -> int:
    """Count the times at which a provider that was well got next to nothing for `STEER_WINDOW_S`."""
    shares = Shares([(each.arrived_at, each.primary == name) for each in record.requests if each.primary is not None])
    base = shares.between(0.0, stage.onset_s or stage.end_s)
    if base < STEERED_SHARE:
        return 0  # nobody would notice
    count, now = 0, 0.0
    while True:
        until = stage.end_s - STEER_WINDOW_S
        at = shares.first(now, until, STEER_WINDOW_S, lambda share: share < STEERED_SHARE * base)
        if at is None:
            return count
        count += stage.is_well(name, at, for_s=WELL_FOR_S)
        back = shares.first(at, until, STEER_WINDOW_S, lambda share: share >= RECOVERED_SHARE * base)
        if back is None:
            return count
        now = back


class Shares:
    """A provider's share of the picks, in any window of time."""

    def __init__(self, picks: Sequence[tuple[float, bool]]) -> None:
        self._times = [at for at, _ in picks]
        self._before = [0]
        for _, is_its in picks:
            self._before.append(self._before[-1] + is_its)

    def between(self, from_s: float, until_s: float, at_least: int = 0) -> float:
        """Return the share of picks in [from_s, until_s), or of the next `at_least` picks where those are more."""
        first = bisect.bisect_left(self._times, from_s)
        last = max(bisect.bisect_left(self._times, until_s), min(len(self._times), first + at_least))
        return (self._before[last] - self._before[first]) / (last - first) if last > first else 0.0

    def first(self, from_s: float, until_s: float, window_s: float, holds: Callable[[float], bool]) -> float | None:
        """Return the first moment from which on a window's share passes the test; None: none before `until_s`."""
        step = bisect.bisect_left(self._times, from_s)
        now = from_s
        while now < until_s:
            if step >= len(self._times):
                return None  # silence proves nothing
            if holds(self.between(now, now + window_s, MIN_PICKS)):
                return now
            now = math.nextafter(max(now, self._times[step]), math.inf)
            step += 1
        return None


def _early_calls(record: RunRecord) -> int:
    """Count calls that were begun although a 429 that had come before asked to wait."""
    moments: list[tuple[float, str, float | None]] = []
    for call in (call for each in record.requests for call in each.calls):
        moments.append((call.at, call.provider, None))
        if call.limited_until is not None:
            moments.append((call.ended_at, call.provider, call.limited_until))
    until: dict[str, float] = {}
    early = 0
    for at, provider, limited_until in sorted(moments, key=lambda each: (each[0], each[2] is not None)):
        if limited_until is not None:
            until[provider] = max(limited_until, until.get(provider, 0.0))
        elif at < until.get(provider, 0.0) - 1e-6:
            early += 1
    return early


def _waste(requests: Sequence[RequestRecord]) -> float:
    """Return the share of the spend that bought no text that a client has."""
    total = wasted = 0.0
    for request in requests:
        for call in request.calls:
            if call.is_error or not call.was_connected:
                continue
            spend = request.prompt_tokens * INPUT_PRICE_USD_PER_MTOK + call.tokens * OUTPUT_PRICE_USD_PER_MTOK
            total += spend
            wasted += 0.0 if call.was_used else spend
    return wasted / total if total else 0.0
