"""The demo's last words on standard output: for people, in 80 columns, or as one JSON object."""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from rich.text import Text

from streamroute.cli.demo_control import MAX_RETRIES
from streamroute.cli.demo_plan import PREFERRED, ROUTE
from streamroute.cli.demo_report import DemoReport, PhaseReport, Tally, broken_invariants

_QUESTION = '{"model": "%s", "stream": true, "messages": [{"role": "user", "content": "Name three rivers."}]}'
_SHOWN_CHARS = 24
"""On either side of a joint."""


def curl_line(url: str) -> str:
    """Return a command that streams an answer from the sidecar at `url`."""
    return f"curl -N {url}/v1/chat/completions -d '{_QUESTION % ROUTE}'"


def summary_lines(report: DemoReport) -> Iterator[Text]:
    """Yield the summary for people."""
    through, deeds = report.through, report.deeds
    troubled = deeds.answers_saved + deeds.answers_rescued
    yield Text(
        f"{through.requests} requests, {troubled} answers saved: the provider failed, no client noticed.", "bold"
    )
    yield Text(
        f"{through.chars_lost} characters lost, {through.chars_repeated} repeated, "
        f"{through.errors + through.truncated} client errors.",
        "bold green" if not broken_invariants(report) else "bold red",
    )
    yield Text()
    yield from _phases(report)
    yield Text()
    yield from _story(report)
    yield Text()
    yield Text(f"{deeds.attempts} attempts; failed and replaced: {_counts(report.failures_by_kind)}")
    yield Text(f"first token by {_counts(report.answers_by_upstream, name_first=True)}")
    for words in broken_invariants(report):
        yield Text(f"BROKEN: {words}", "bold red")


def next_lines() -> Iterator[Text]:
    """Yield the commands to try next, as they can be typed here."""
    called = sys.argv[0]
    command = called if Path(called).name == "streamroute" and not shutil.which("streamroute") else "streamroute"
    yield Text()
    yield Text("Try next:")
    yield Text(f"  {command} serve    # the sidecar itself; without keys its answers are simulated")
    yield Text(f"  {curl_line('http://127.0.0.1:8700')}")
    yield Text(f"  {command} check    # what is configured, and where each value came from")


def summary_json(report: DemoReport, *, wall_s: float) -> str:
    """Return the summary as one JSON object; times in seconds."""
    plan, rescue = report.plan, report.rescue
    document = {
        "seed": plan.seed,
        "fast": plan.is_fast,
        "wall_s": wall_s,
        "plan": {
            "duration_s": plan.duration_s,
            "tokens_per_answer": plan.load.tokens,
            "first_token_s": plan.first_token_s,
            "stall_s": plan.stall_s,
            "phases": [asdict(phase) for phase in plan.phases],
        },
        "prompts_sha256": report.prompts_sha256,
        **asdict(report.through),
        **asdict(report.deeds),
        "foresight": {**asdict(report.foresight), "lead_s": report.foresight.lead_s},
        "returned": asdict(report.returned),
        "rescue": None if rescue is None else asdict(rescue),
        "failures_by_kind": dict(report.failures_by_kind),
        "answers_by_upstream": dict(report.answers_by_upstream),
        "in_flight_left": report.leaked,
        "phases": [
            {"name": phase.name, **asdict(phase.through), **asdict(phase.deeds), "control": asdict(phase.control)}
            for phase in report.phases
        ],
        "control": {"provider": PREFERRED, "retries": MAX_RETRIES, **asdict(report.control)},
        "broken_invariants": broken_invariants(report),
    }
    return json.dumps(_rounded(document), indent=2)


def _phases(report: DemoReport) -> Iterator[Text]:
    yield Text(f"{'':19}{'plain retries to ' + PREFERRED:^27}  {'streamroute':^32}", "dim")
    tally = f"{'sent':>5} {'errors':>6} {'cut':>4} {'p95 s':>6}"
    yield Text(f"{'':15}{tally}  {tally} {'rescued':>8} {'hedges':>7} {'warned':>7}", "dim")
    for phase in report.phases:
        lead_s = report.foresight.lead_s if phase.name == "outage" else None
        yield _phase(phase.name, phase.control, phase, lead_s)


def _phase(name: str, control: Tally, phase: PhaseReport, lead_s: float | None) -> Text:
    through, deeds = phase.through, phase.deeds
    line = Text(f"{name:15}")
    line.append(_tally(control), "red" if control.whole_answers < control.requests else "")
    line.append(f"  {_tally(through)}", "red" if through.whole_answers < through.requests else "green")
    warned = "-" if lead_s is None else f"{lead_s:.1f} s"
    return line.append(f" {deeds.answers_rescued:>8} {deeds.hedges_won:>7} {warned:>7}")


def _tally(tally: Tally) -> str:
    p95 = "-" if tally.ttft_p95_s is None else f"{tally.ttft_p95_s:.2f}"
    return f"{tally.requests:>5} {tally.errors:>6} {tally.truncated:>4} {p95:>6}"


def _story(report: DemoReport) -> Iterator[Text]:
    deeds, foresight, back = report.deeds, report.foresight, report.returned
    if deeds.races:
        won = _counts(deeds.races_won_by, name_first=True)
        yield Text(f"race      {deeds.races} latency-critical requests asked two at once; first token by {won}")
    yield Text(
        f"hedge     {deeds.hedges} second calls for late first tokens, {deeds.hedges_won} of them answered first"
    )
    if back.after_s is None:
        yield Text(
            f"recovery  {PREFERRED} was not back before the next trouble; {back.probes} probes beside users' requests"
        )
    else:
        yield Text(
            f"recovery  back on {PREFERRED} {back.after_s:.1f} s after its hang, "
            f"with {back.probes} probes beside users' requests"
        )
    yield Text(_foreseen(report))
    if foresight.asked_in_outage:
        asked = foresight.asked_in_outage
        yield Text(f"          {asked} request{'s' if asked != 1 else ''} asked it all the same, to see how it is")
    rescue = report.rescue
    if rescue is not None:
        lost = f"{report.through.chars_lost} characters lost, {report.through.chars_repeated} repeated"
        yield Text(
            f"rescue    {deeds.answers_rescued} answers carried on by another call, {lost}; "
            f"one of them ({rescue.reason}):"
        )
        line = Text(f"          {rescue.upstreams[0]}: ...{rescue.before[-_SHOWN_CHARS:]}")
        line.append("|", "bold magenta").append(f"{rescue.after[:_SHOWN_CHARS]}... :{rescue.upstreams[1]}")
        yield line


def _foreseen(report: DemoReport) -> str:
    foresight = report.foresight
    lead_s = foresight.lead_s
    if foresight.steered_at_s is None:
        return f"foresight none: requests went on to {PREFERRED} until it failed"
    why = f" ({foresight.reason})" if foresight.reason else ""
    if lead_s is None:
        return f"foresight left {PREFERRED} at {foresight.steered_at_s:.1f} s{why}"
    if lead_s > 0:
        return f"foresight left {PREFERRED} {lead_s:.1f} s before its first failure{why}"
    return f"foresight none: left {PREFERRED} {-lead_s:.1f} s after its first failure{why}"


def _counts(counts: Mapping[str, int], *, name_first: bool = False) -> str:
    return ", ".join(f"{name} {count}" if name_first else f"{count} {name}" for name, count in counts.items()) or "none"


def _rounded(value: object) -> object:
    match value:
        case float():
            return round(value, 4)
        case dict():
            return {key: _rounded(item) for key, item in value.items()}
        case list() | tuple():
            return [_rounded(item) for item in value]
        case _:
            return value
