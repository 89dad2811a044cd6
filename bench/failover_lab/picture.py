"""A run as a picture: when first tokens came, and to whom requests went. Plain SVG, policies side by side."""

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from failover_lab.metrics import RunFigures, figures
from failover_lab.peer_client import PATIENCE_S
from failover_lab.records import RequestRecord, RunRecord
from failover_lab.run import run
from failover_lab.scenarios import SCENARIOS, Scenario
from failover_lab.suite import Job

_COLOURS = ("#c44e52", "#4c72b0", "#55a868", "#8172b2", "#ccb974")
_INK, _FAINT, _TROUBLE = "#333333", "#dddddd", "#fbeeee"
_WIDTH, _LEFT, _RIGHT = 860, 60, 20
_TTFT_HEIGHT, _SHARE_HEIGHT, _GAP = 130, 60, 46
_TICKS_S = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_BIN_S = 5.0
_MAX_DOTS = 3000


def draw_all(jobs: Sequence[Job], folder: Path) -> None:
    """Draw the first seed of every scenario, its policies one below the other."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in dict.fromkeys(job.scenario for job in jobs):
        firsts = [job for job in jobs if job.scenario == name and job.seed == 0]
        scenario = SCENARIOS[name].shorter() if firsts[0].is_fast else SCENARIOS[name]
        runs = [(job.policy, run(scenario, job.policy, job.seed, job.rps)) for job in firsts]
        (folder / f"{name}.svg").write_text(draw(scenario, runs))


def draw(scenario: Scenario, runs: Sequence[tuple[str, RunRecord]]) -> str:
    """Return one scenario as SVG."""
    block = _TTFT_HEIGHT + _SHARE_HEIGHT + _GAP + 14
    height = 50 + block * len(runs)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">',
        f'<g font-size="11" fill="{_INK}"><rect width="100%" height="100%" fill="white"/>',
        _text(_LEFT, 20, f"{scenario.name}: {scenario.description}", size=14),
        *_legend(scenario),
    ]
    for i, (policy, record) in enumerate(runs):
        parts += _Block(scenario, record, top=50 + i * block).draw(policy)
    return "\n".join([*parts, "</g></svg>"]) + "\n"


class _Block:
    """One policy: first tokens above, shares below."""

    def __init__(self, scenario: Scenario, record: RunRecord, top: float) -> None:
        self._scenario = scenario
        self._record = record
        self._top = top + 14
        self._share_top = self._top + _TTFT_HEIGHT + 10
        self._colour = {each.name: _COLOURS[i % len(_COLOURS)] for i, each in enumerate(scenario.providers)}

    def draw(self, policy: str) -> list[str]:
        """Return its parts."""
        made = figures(self._scenario, self._record)
        return [
            _text(_LEFT, self._top - 4, f"{policy}: {_in_words(made)}"),
            *self._trouble(),
            *self._axes(),
            *(self._dot(each) for each in self._some()),
            *self._shares(),
            *self._steer(made),
        ]

    def _x(self, at: float) -> float:
        return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * at / self._scenario.ends_s, 1)

    def _y(self, ttft_s: float) -> float:
        low, high = math.log(_TICKS_S[0]), math.log(_TICKS_S[-1])
        share = (math.log(min(max(ttft_s, _TICKS_S[0]), _TICKS_S[-1])) - low) / (high - low)
        return round(self._top + _TTFT_HEIGHT * (1 - share), 1)

    def _trouble(self) -> list[str]:
        from_x, until_x = self._x(self._scenario.onset_s), self._x(self._scenario.trouble_until_s)
        if self._scenario.faulty is None:
            return []
        height = _TTFT_HEIGHT + 10 + _SHARE_HEIGHT
        return [
            f'<rect x="{from_x}" y="{self._top}" width="{until_x - from_x:.1f}" height="{height}" fill="{_TROUBLE}"/>'
        ]

    def _axes(self) -> list[str]:
        parts = []
        for tick in _TICKS_S:
            y = self._y(tick)
            parts.append(_line(_LEFT, y, _WIDTH - _RIGHT, y, _FAINT))
            parts.append(_text(_LEFT - 6, y + 4, f"{tick:g} s", anchor="end"))
        bottom = self._share_top + _SHARE_HEIGHT
        step = max(30, round(self._scenario.ends_s / 10 / 30) * 30)
        times_s = range(0, int(self._scenario.ends_s) + 1, step)
        parts += [_text(self._x(at), bottom + 13, f"{at} s", anchor="middle") for at in times_s]
        parts.append(_text(_LEFT - 6, self._share_top + _SHARE_HEIGHT / 2, "shares", anchor="end"))
        return parts

    def _some(self) -> list[RequestRecord]:
        requests = self._record.requests
        return requests[:: max(1, len(requests) // _MAX_DOTS)]

    def _dot(self, request: RequestRecord) -> str:
        x, y = self._x(request.arrived_at), self._y(PATIENCE_S if request.ttft_s is None else request.ttft_s)
        colour = self._colour.get(request.primary or "", _INK)
        if not request.is_whole:
            return f'<path d="M{x - 2.5} {y - 2.5}l5 5m0 -5l-5 5" stroke="{_INK}"/>'
        return f'<circle cx="{x}" cy="{y}" r="1.6" fill="{colour}" fill-opacity="0.6"/>'

    def _shares(self) -> list[str]:
        bins = int(self._scenario.ends_s / _BIN_S) + 1
        counts = [dict.fromkeys(self._colour, 0) for _ in range(bins)]
        for each in self._record.requests:
            if each.primary is not None:
                counts[int(each.arrived_at / _BIN_S)][each.primary] += 1
        parts, width = [], self._x(_BIN_S) - self._x(0)
        for i, count in enumerate(counts):
            total, y = sum(count.values()), float(self._share_top)
            for name, picks in count.items():
                height = _SHARE_HEIGHT * picks / total if total else 0.0
                if height:
                    parts.append(
                        f'<rect x="{self._x(i * _BIN_S)}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
                        f'fill="{self._colour[name]}"/>'
                    )
                y += height
        return parts

    def _steer(self, made: RunFigures) -> list[str]:
        steer_s = made.time_to_steer_s
        if steer_s is None or steer_s == float("inf"):
            return []
        x = self._x(self._scenario.onset_s + steer_s)
        bottom = self._share_top + _SHARE_HEIGHT
        line = f'<line x1="{x}" y1="{self._top}" x2="{x}" y2="{bottom}" stroke="{_INK}" stroke-dasharray="4 3"/>'
        return [line, _text(x + 4, self._top + 11, f"steered after {steer_s:.1f} s")]


def _legend(scenario: Scenario) -> list[str]:
    parts = []
    for i, provider in enumerate(scenario.providers):
        x = _LEFT + (70 + 60 * i if i else 0)
        parts.append(f'<rect x="{x}" y="30" width="10" height="10" fill="{_COLOURS[i % len(_COLOURS)]}"/>')
        parts.append(_text(x + 14, 39, f"first sent to {provider.name}" if i == 0 else provider.name))
    return [*parts, _text(_LEFT + 90 + 60 * len(scenario.providers), 39, "x: no whole answer; tinted: trouble")]


def _in_words(made: RunFigures) -> str:
    return f"errors {made.client_error_ratio:.2%}, ttft p50 {made.ttft_p50_s:.2f} s, p99 {made.ttft_p99_s:.2f} s"


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 11) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'
