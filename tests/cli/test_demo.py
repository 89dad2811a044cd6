"""`streamroute demo` as a person, a pipe and a script see it, and its judgement on what must never happen."""

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from rich.console import Console

from streamroute.cli.demo import exit_code_of
from streamroute.cli.demo_plan import DemoPlan, make_plan
from streamroute.cli.demo_report import broken_invariants, make_report
from streamroute.cli.demo_stage import Performance, Stage, open_stage
from streamroute.cli.demo_summary import summary_lines
from streamroute.cli.demo_view import PhaseLines, picture
from streamroute.cli.demo_witness import Witness
from streamroute.simulation.faults import ErrorStatus
from streamroute.simulation.load import LoadOptions, LoadResult, run_load
from streamroute.simulation.script import Script
from streamroute.simulation.text import expected_text

SEED = 3
CONTROL_CHARACTERS = re.compile(r"[^\n\x20-\x7e]")
FAST_S = 45.0
"""On a quiet machine a fast demo takes 2.4 s; this ends a hang, and is for one that is busy with other things."""


@dataclass
class Run:
    exit_code: int
    out: str
    talk: str


@contextmanager
def running(*options: str, stderr: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    environ = {name: value for name, value in os.environ.items() if name not in {"FORCE_COLOR", "TERM"}}
    process = subprocess.Popen(
        [sys.executable, "-m", "streamroute", "demo", "--fast", *options],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=environ | {"TERM": "xterm"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def finish(process: subprocess.Popen[str]) -> Run:
    out, talk = process.communicate(timeout=FAST_S)
    return Run(process.returncode, out, talk)


@pytest.fixture(scope="module")
def runs() -> Mapping[str, Run]:
    """Run it for a person and, at the same time, twice for a script."""
    seed = ("--seed", str(SEED))
    with running(*seed) as text, running("--json", *seed) as first, running("--json", *seed) as second:
        return {"text": finish(text), "json": finish(first), "again": finish(second)}


def test_nobody_notices(runs: Mapping[str, Run]) -> None:
    """Providers fail, answers are saved, no client sees any of it: exit 0."""
    for run in runs.values():
        assert run.exit_code == 0, run.out + run.talk
    seen = json.loads(runs["json"].out)
    assert seen["answers_saved"] > 0
    assert seen["answers_rescued"] + seen["hedges"] + seen["races"] > 0
    assert seen["whole_answers"] == seen["requests"] > 50
    assert all(seen[name] == 0 for name in ("errors", "passed_off", "tokens_lost", "tokens_repeated", "in_flight_left"))
    assert seen["broken_invariants"] == []
    assert 0 < seen["ttft_p50_s"] <= seen["ttft_p95_s"]


def test_control_group_suffers(runs: Mapping[str, Run]) -> None:
    """The comparison is measured: without the sidecar, at the same time, the preferred provider keeps its clients
    waiting, or fails them."""
    seen = json.loads(runs["json"].out)
    control = seen["control"]
    ends = sum(control[name] for name in ("whole_answers", "errors", "truncated", "passed_off"))
    assert ends == control["requests"] > 0
    assert control["errors"] > 0 or control["ttft_p95_s"] > seen["ttft_p95_s"]


def test_json_adds_up(runs: Mapping[str, Run]) -> None:
    """Standard output is one object; what clients saw, what `/metrics` counted and the phases tell the same story."""
    seen = json.loads(runs["json"].out)
    assert [phase["name"] for phase in seen["phases"]] == list(PHASES)
    for name in ("requests", "answers_saved", "answers_rescued", "answers_routed_around", "attempts", "hedges"):
        assert sum(phase[name] for phase in seen["phases"]) == seen[name]
    assert sum(phase["control"]["requests"] for phase in seen["phases"]) == seen["control"]["requests"]
    assert seen["attempts"] >= seen["requests"] + seen["answers_rescued"]
    assert sum(seen["answers_by_upstream"].values()) == seen["requests"]


def test_seed_decides(runs: Mapping[str, Run]) -> None:
    """The same seed gives the same plan, as many requests and the same prompts; another seed gives others."""
    first, again = json.loads(runs["json"].out), json.loads(runs["again"].out)
    assert (first["plan"], first["requests"], first["seed"]) == (again["plan"], again["requests"], SEED)
    for is_fast in (True, False):
        assert make_plan(SEED, is_fast=is_fast) == make_plan(SEED, is_fast=is_fast)
        assert make_plan(SEED, is_fast=is_fast) != make_plan(SEED + 1, is_fast=is_fast)


def test_pipes_get_plain_text(runs: Mapping[str, Run]) -> None:
    """Without a terminal neither stream has colours, bars or cursor movements."""
    for run in runs.values():
        assert CONTROL_CHARACTERS.findall(run.out + run.talk) == []
    talk = runs["text"].talk
    assert [name for name in PHASES if f"{name}: " not in talk] == []
    assert "attempt.failed" not in talk


def test_summary_says_what_happened_and_what_to_try(runs: Mapping[str, Run]) -> None:
    """The first line is the point of it all; the last ones are three commands."""
    lines = runs["text"].out.splitlines()
    assert re.fullmatch(r"\d+ requests, \d+ answers saved: the provider failed, no client noticed\.", lines[0])
    assert lines[1] == "0 characters lost, 0 repeated, 0 client errors."
    commands = [line.split()[:2] for line in lines[-3:]]
    assert [(Path(program).name, word) for program, word in commands] == [
        ("streamroute", "serve"),
        ("curl", "-N"),
        ("streamroute", "check"),
    ]


def test_terminal_gets_a_live_table() -> None:
    """On a terminal the table is drawn, wiped out and the cursor given back; standard output stays plain."""
    master, slave = pty.openpty()
    drawn = bytearray()

    def read() -> None:
        try:
            while block := os.read(master, 65536):
                drawn.extend(block)
        except OSError:  # EIO: the other end is closed
            pass

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    with running(stderr=slave) as process:
        os.close(slave)
        run = finish(process)
    reader.join(timeout=FAST_S)
    os.close(master)
    assert run.exit_code == 0
    assert CONTROL_CHARACTERS.findall(run.out) == []
    for words in (b"standing", b"slowing", b"outage", b"\x1b[?25h"):
        assert words in drawn


async def test_serves_on_until_interrupted() -> None:
    """`--serve` says where a client can go on, keeps answering it whatever fails, and ends with Ctrl-C."""
    with running("--serve", "--json") as process:
        talk = ""
        while "curl -N" not in talk:
            line = process.stderr.readline()
            assert line, talk
            talk += line
        url = re.search(r"Serving on (http://127\.0\.0\.1:\d+);", talk).group(1)
        results = await run_load(f"{url}/v1", LoadOptions(model="chat", requests=10, concurrency=5))
        assert [result.is_exact for result in results] == [True] * 10
        process.send_signal(signal.SIGINT)
        run = finish(process)
    assert run.exit_code == 130
    assert json.loads(run.out)["errors"] == 0
    assert "Traceback" not in run.talk


def test_interrupt_ends_the_show() -> None:
    """Ctrl-C in the middle exits with 130, without a traceback and without a summary."""
    with running() as process:
        assert process.stderr.readline().startswith("Three simulated providers")
        process.send_signal(signal.SIGINT)
        run = finish(process)
    assert (run.exit_code, run.out) == (130, "")
    assert "Traceback" not in run.talk


PLAN = make_plan(SEED, is_fast=True)
PHASES = tuple(phase.name for phase in PLAN.phases)
PROMPT = "Tell me about rivers."
GOOD = LoadResult(
    index=0,
    prompt=PROMPT,
    started_at=0.0,
    duration_s=0.2,
    ttft_s=0.1,
    status=200,
    text=expected_text(PROMPT, PLAN.load.tokens),
    error=None,
    is_complete=True,
    lost_chars=0,
    repeated_chars=0,
    upstream="a",
    attempts=1,
)


def performance(*results: LoadResult, leaked: int = 0) -> Performance:
    return Performance(
        started_at=0.0, results=results, control=(GOOD,), witness=Witness(), outage_at=None, failures={}, leaked=leaked
    )


@pytest.mark.parametrize(
    ("came", "words"),
    [
        (
            performance(GOOD, replace(GOOD, error="HTTP 503", is_complete=False, text="")),
            ["clients that saw an error: 1"],
        ),
        (
            performance(GOOD, replace(GOOD, error="cut", is_complete=False)),
            ["answers that never came to their end: 1"],
        ),
        (performance(replace(GOOD, lost_chars=1)), ["answers that looked complete and were not: 1", "tokens lost: 1"]),
        (
            performance(replace(GOOD, repeated_chars=30)),
            ["answers that looked complete and were not: 1", "tokens repeated: 3"],
        ),
        (performance(GOOD, leaked=2), ["still counted as in flight when all had gone: 2"]),
        (performance(), ["no request was made"]),
    ],
)
def test_broken_invariants_exit_with_1(came: Performance, words: list[str]) -> None:
    """An error, a lost or repeated token, a truncated answer passed off as whole, a leak: each is named, exit 1."""
    report = make_report(PLAN, came)
    assert exit_code_of(report) == 1
    broken = broken_invariants(report)
    assert list(broken) == words
    said = "\n".join(line.plain for line in summary_lines(report))
    assert all(f"BROKEN: {each}" in said for each in broken)


def short(plan: DemoPlan, scripts: dict[str, Script]) -> DemoPlan:
    brief = {"duration_s": 0.2}
    return replace(plan, scripts=scripts, load=replace(plan.load, **brief), control=replace(plan.control, **brief))


async def test_a_real_loss_is_not_glossed_over() -> None:
    """With every provider down clients do see errors, and the demo says so."""
    down = Script.of(ErrorStatus(status=503))
    async with open_stage(short(PLAN, dict.fromkeys(PLAN.scripts, down))) as stage:
        report = make_report(stage.plan, await stage.perform(PhaseLines()))
    assert report.through.errors == report.through.requests > 0
    assert exit_code_of(report) == 1


async def test_picture_shows_every_upstream() -> None:
    """The live table names phase, how each upstream stands, and what came of the requests."""
    drawn: list[str] = []

    def watch(stage: Stage) -> None:
        console = Console(file=io.StringIO(), width=100)
        console.print(picture(stage))
        drawn.append(console.file.getvalue())

    async with open_stage(short(PLAN, dict(PLAN.scripts))) as stage:
        await stage.perform(watch)
        watch(stage)
    for upstream in PLAN.scripts:
        assert re.search(rf"^{upstream} ", drawn[-1], flags=re.MULTILINE)
    assert "rescued" in drawn[-1]
    assert "well: all three are well" in drawn[0]
