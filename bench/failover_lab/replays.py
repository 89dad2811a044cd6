"""Scenarios from recorded traffic, as far as it is there: the product does not depend on it.

Found in the folder that `STREAMROUTE_SHARED_DATA` names, or in `../shared/data` beside the checkout. The recordings:
llmperf's public results (first tokens, errors), Azure's public LLM inference trace of 2023 (arrivals and sizes) and
Mooncake's conversation trace (sizes).
"""

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import ClassVar

from streamroute.simulation.exchange import Exchange
from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import ErrorStatus, RateLimit, Reset
from streamroute.simulation.moment import Moment
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios import SCENARIOS
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script
from streamroute.simulation.seeded import fraction
from streamroute.simulation.severity import Severity
from streamroute.simulation.timeline import Timeline
from streamroute.simulation.traffic import Arrival, Load

_MS = 1000.0
_HEAVY_TAIL = (("together", "13b"), ("fireworks", "70b"), ("together", "70b"))
_LIGHT_TAILS = (("fireworks", "13b"), ("fireworks", "70b"), ("together", "70b"))
"""Whose first tokens a, b and c have. Medians of 0.5 to 0.65 s; p99 under a second but for the first one, 100 s."""
_LIMITED = ("lepton", "13b")
_PATIENCE_S = 120.0
"""Longer than the longest first token on record, 100 s: what an unhedged client waits for must show."""
_MOST_ANSWER_TOKENS = 600


def traffic_folder() -> Path:
    """Return where recorded traffic is to be found, if there is any."""
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("STREAMROUTE_SHARED_DATA", default)) / "traffic"


@cache
def _rows(file: str) -> list[dict[str, str]]:
    with (traffic_folder() / file).open(newline="") as lines:
        return list(csv.DictReader(lines))


def _first_tokens_s(provider: str, size: str) -> tuple[float, ...]:
    return tuple(
        float(row["ttft_s"])
        for row in _rows("llmperf_requests.csv")
        if (row["provider"], row["model_size"], row["error_code"]) == (provider, size, "")
    )


def _with_first_tokens(
    of: Sequence[tuple[str, str]], scripts: Mapping[str, Script], timing: Timing
) -> dict[str, Script]:
    made = dict[str, Script]()
    for (name, script), whose in zip(scripts.items(), of, strict=True):
        draws_s = tuple(each * timing.scale for each in _first_tokens_s(*whose))
        profile = replace(script.profile, ttft_draws_s=draws_s, ttft_per_ktok_s=0.0)
        made[name] = replace(script, profile=profile)
    return made


def _heavy_tail() -> Scenario:
    return Scenario(
        name="replay_heavy_tail",
        title="a, which is preferred, has the first tokens of a provider with a heavy tail (llmperf)",
        scripts=lambda seed, timing: _with_first_tokens(_HEAVY_TAIL, cast("replay_heavy_tail", seed, timing), timing),
        faulty=(),
        load=Load(steering="preferred", patience_s=_PATIENCE_S),
    )


def _incident() -> Scenario:
    def scripts(seed: int, timing: Timing) -> dict[str, Script]:
        an_hour = replace(timing, trouble_until_s=timing.at(0.5))
        told = SCENARIOS["incident_replay"].scripts(seed, an_hour)
        return _with_first_tokens(_LIGHT_TAILS, told, timing)

    return Scenario(
        name="replay_incident",
        title="an hour of a usual incident of a in a minute, with recorded first tokens (llmperf)",
        scripts=scripts,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Requests meet one recorded error code after the other, from the first one again when they are used up."""

    kind: ClassVar[str] = "recorded"
    codes: tuple[str, ...]
    """Empty: answered. `429` and other statuses; -1 and below: the client lost the connection. Never empty itself."""

    def fault_of(self, ordinal: int) -> Fault | None:
        """Return what the request of this 0-based number meets."""
        code = self.codes[ordinal % len(self.codes)]
        if not code:
            return None
        if code == "429":
            return RateLimit(form="none")
        return Reset() if code.startswith("-") else ErrorStatus(status=int(code))

    async def play(self, exchange: Exchange) -> None:
        """Answer well, or as it was answered."""
        fault = self.fault_of(exchange.moment.draw)
        await (exchange.answer_normally() if fault is None else fault.play(exchange))

    def severity(self, elapsed_s: float) -> Severity:
        """Return the share of the errors."""
        return Severity(failing=sum(bool(code) for code in self.codes) / len(self.codes))

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what `play` lets the client see."""
        fault = self.fault_of(moment.draw)
        return normal if fault is None else fault.timeline(normal, moment)


def _rate_limits() -> Scenario:
    def scripts(seed: int, timing: Timing) -> dict[str, Script]:
        codes = [
            row["error_code"]
            for row in _rows("llmperf_requests.csv")
            if (row["provider"], row["model_size"]) == _LIMITED
        ]
        first = int(fraction(seed, "first") * len(codes))
        fault = Recorded(codes=(*codes[first:], *codes[:first]))
        return cast("replay_rate_limits", seed, timing, {"a": (during(timing, fault),)})

    return Scenario(
        name="replay_rate_limits",
        title="a answers with a recorded sequence of 429 (87 %, llmperf)",
        scripts=scripts,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedLoad(Load):
    """Requests as they were recorded: a stretch of them, from a place that the seed chooses."""

    recorded: tuple[tuple[float, int, int], ...] = ()
    """(seconds since the recording began, prompt tokens, answer tokens), in order."""
    is_timed: bool = True
    """Whether they come when they came then; else only their sizes are used."""

    def arrivals(self, seed: int, until_s: float) -> Iterator[Arrival]:
        """Yield the requests before `until_s`, in order; the same seed gives the same."""
        first = int(fraction(seed, "first") * len(self.recorded))
        if not self.is_timed:
            for arrival in Load.arrivals(self, seed, until_s):
                _, prompt, answer = self.recorded[(first + arrival.ordinal) % len(self.recorded)]
                yield replace(arrival, prompt_tokens=prompt, answer_tokens=answer)
            return
        lasted_s = self.recorded[-1][0] - self.recorded[0][0]
        began_s, rounds_s = self.recorded[first][0], 0.0
        for ordinal in range(10 * len(self.recorded)):
            place = (first + ordinal) % len(self.recorded)
            if place == 0 and ordinal:
                rounds_s += lasted_s
            at_s, prompt, answer = self.recorded[place]
            at_s += rounds_s - began_s
            if at_s >= until_s:
                return
            yield Arrival(ordinal=ordinal, at_s=at_s, prompt_tokens=prompt, answer_tokens=answer)


def _code_arrivals() -> Scenario:
    rows = _rows("azure2023_code.csv")
    recorded = tuple(
        (float(row["t_s"]), int(row["context_tokens"]), max(1, int(row["generated_tokens"]))) for row in rows
    )
    return Scenario(
        name="replay_code_arrivals",
        title="requests come as recorded of code completion (Azure, cv 13), all are well",
        scripts=lambda seed, timing: cast("replay_code_arrivals", seed, timing),
        faulty=(),
        load=RecordedLoad(recorded=recorded, rps=len(recorded) / recorded[-1][0]),
    )


def _long_prompts() -> Scenario:
    rows = _rows("mooncake_conversation.csv")
    recorded = tuple(
        (
            int(row["t_ms"]) / _MS,
            int(row["input_length"]),
            min(_MOST_ANSWER_TOKENS, max(1, int(row["output_length"]))),
        )
        for row in rows
    )
    return Scenario(
        name="replay_long_prompts",
        title="prompts and answers as long as recorded of conversations (Mooncake), all are well",
        scripts=lambda seed, timing: cast("replay_long_prompts", seed, timing),
        faulty=(),
        load=RecordedLoad(recorded=recorded, is_timed=False),
    )


REPLAYS: Mapping[str, Callable[[], Scenario]] = {
    "replay_heavy_tail": _heavy_tail,
    "replay_rate_limits": _rate_limits,
    "replay_incident": _incident,
    "replay_code_arrivals": _code_arrivals,
    "replay_long_prompts": _long_prompts,
}
"""By their names; each reads its recording when it is called for."""
