"""The demo's last words on standard output: for people, or as one JSON object."""

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rich.text import Text

from streamroute.cli.demo_plan import PREFERRED, ROUTE
from streamroute.cli.demo_report import DemoReport, PhaseReport, Tally, broken_invariants

_QUESTION = '{"model": "%s", "stream": true, "messages": [{"role": "user", "content": "Name three rivers."}]}'


def curl_line(url: str) -> str:
    """Return a command that streams an answer from the sidecar at `url`."""
    return f"curl -N {url}/v1/chat/completions -d '{_QUESTION % ROUTE}'"


def summary_lines(report: DemoReport) -> Iterator[Text]:
    """Yield the summary for people."""
    through, straight = report.through, report.straight
    yield Text(
        f"{through.requests} requests, {through.answers_saved} answers saved: "
        "the provider failed, the client never noticed.",
        "bold",
    )
    yield Text(
        f"{through.tokens_lost} tokens lost, {through.tokens_repeated} repeated, {through.errors} client errors.",
        "bold green" if not broken_invariants(report) else "bold red",
    )
    yield Text(
        f"{through.answers_routed_around} more went straight to a backup, because {PREFERRED} had just failed others."
    )
    yield Text()
    yield from _phases(report)
    yield Text()
    yield from _comparison(through, straight)
    yield Text()
    yield Text(f"{through.attempts} attempts; failed and replaced: {_counts(report.failovers_by_cause)}")
    yield Text(f"answered by {_counts(report.answers_by_upstream, name_first=True)}")
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
    plan = report.plan
    document = {
        "seed": plan.seed,
        "fast": plan.is_fast,
        "wall_s": wall_s,
        "plan": {
            "duration_s": plan.duration_s,
            "tokens_per_answer": plan.load.tokens,
            "first_token_s": plan.first_token_s,
            "prompts_sha256": report.prompts_sha256,
            "phases": [asdict(phase) for phase in plan.phases],
        },
        **asdict(report.through),
        "failovers": report.through.attempts - report.through.requests,
        "failovers_by_cause": dict(report.failovers_by_cause),
        "answers_by_upstream": dict(report.answers_by_upstream),
        "in_flight_left": report.leaked,
        "phases": [
            {"name": phase.name, **asdict(phase.through), "control": asdict(phase.straight)} for phase in report.phases
        ],
        "control": {"provider": PREFERRED, "retries": 0, **asdict(report.straight)},
        "broken_invariants": broken_invariants(report),
    }
    return json.dumps(_rounded(document), indent=2)


def _phases(report: DemoReport) -> Iterator[Text]:
    yield Text(f"{'':53}  {'through streamroute':^30}  straight to {PREFERRED}", "dim")
    yield Text(f"{'phase':10} {'what happens':42}  requests  saved  errors ttft s  errors ttft s", "dim")
    for phase in report.phases:
        yield _phase(phase)


def _phase(phase: PhaseReport) -> Text:
    through, straight = phase.through, phase.straight
    line = Text(f"{phase.name:10} {phase.what:42}  {through.requests:8}  {through.answers_saved:5}")
    line.append(f"  {_broken(through):>6}", "red" if _unanswered(through) else "green").append(f" {_p50(through):>6}")
    return line.append(f"  {_broken(straight):>6}", "red" if _unanswered(straight) else "").append(
        f" {_p50(straight):>6}"
    )


def _comparison(through: Tally, straight: Tally) -> Iterator[Text]:
    yield Text(f"{'':24} {'through streamroute':>19}  {f'straight to {PREFERRED}, no retries':>26}", "dim")
    rows = (
        ("requests", str(through.requests), str(straight.requests)),
        ("whole answers", _share(through), _share(straight)),
        ("errors, broken answers", str(_unanswered(through)), str(_unanswered(straight))),
        ("first token, p50 / p95", _ttft(through), _ttft(straight)),
    )
    for name, ours, theirs in rows:
        yield Text(f"{name:24} {ours:>19}  {theirs:>26}")


def _broken(tally: Tally) -> str:
    return f"{_unanswered(tally) / tally.requests:.0%}" if tally.requests else "-"


def _p50(tally: Tally) -> str:
    return "-" if tally.ttft_p50_s is None else f"{tally.ttft_p50_s:.2f}"


def _unanswered(tally: Tally) -> int:
    return tally.requests - tally.whole_answers


def _share(tally: Tally) -> str:
    return f"{tally.whole_answers} ({tally.whole_answers / tally.requests:.0%})" if tally.requests else "-"


def _ttft(tally: Tally) -> str:
    if tally.ttft_p50_s is None or tally.ttft_p95_s is None:
        return "-"
    return f"{tally.ttft_p50_s:.2f} / {tally.ttft_p95_s:.2f} s"


def _counts(counts: object, *, name_first: bool = False) -> str:
    items = counts.items() if isinstance(counts, dict) else ()
    return ", ".join(f"{name} {count}" if name_first else f"{count} {name}" for name, count in items) or "none"


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
