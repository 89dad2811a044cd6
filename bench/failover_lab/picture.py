"""Runs as a picture: when first tokens came, from whom, when traffic was steered. Plain SVG, one policy a panel."""

import math
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from failover_lab.metrics import RunFigures, figures
from failover_lab.records import RequestRecord, RunRecord
from failover_lab.staged import Staged

_COLOURS = {"a": "#d1495b", "b": "#2e6f9e", "c": "#3a9b6f"}
_INK, _SOFT, _FAINT, _TROUBLE, _NOBODY = "#222222", "#666666", "#e2e2e2", "#fdf0e3", "#999999"
_WIDTH, _LEFT, _RIGHT = 960, 64, 24
_HEAD, _TITLE, _DOTS, _BETWEEN, _SHARES, _FOOT = 78, 30, 170, 22, 56, 44
_TICKS_S = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_BINS = 60
_MAX_DOTS = 2500
_FONTS = "Helvetica, Arial, DejaVu Sans, sans-serif"
_LABEL_PX = 6.2
"""Width of a letter in a label, about."""


def draw_all(
    runs: Callable[[str], tuple[Staged, Sequence[tuple[str, RunRecord]]]], names: Sequence[str], to: Path
) -> None:
    """Draw each scenario of `names` into the folder `to`; `runs` gives its stage, and (policy, record) to compare."""
    to.mkdir(parents=True, exist_ok=True)
    for name in names:
        stage, compared = runs(name)
        (to / f"{name}.svg").write_text(draw(stage, compared))


def draw(stage: Staged, runs: Sequence[tuple[str, RunRecord]]) -> str:
    """Return one scenario as SVG, its policies one below the other, on the same scales."""
    panel = _TITLE + _DOTS + _BETWEEN + _SHARES + _FOOT
    height = _HEAD + panel * len(runs)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="{_FONTS}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        _text(_LEFT, 28, stage.name, size=18, weight="bold"),
        _text(_LEFT + 11 * len(stage.name) + 14, 28, stage.scenario.title, size=13, colour=_SOFT),
        *_legend(stage),
    ]
    for i, (policy, record) in enumerate(runs):
        parts += _Panel(stage, record, top=_HEAD + i * panel).draw(policy)
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Panel:
    """One policy: first tokens above, whom requests were first sent to below."""

    def __init__(self, stage: Staged, record: RunRecord, top: float) -> None:
        self._stage = stage
        self._record = record
        self._top = top + _TITLE
        self._shares_top = self._top + _DOTS + _BETWEEN
        self._bottom = self._shares_top + _SHARES
        patience_s = stage.load.patience_s
        self._ticks_s = [tick for tick in _TICKS_S if tick <= max(30.0, patience_s)]

    def draw(self, policy: str) -> list[str]:
        """Return its parts, those in front last."""
        made = figures(self._stage, self._record)
        return [
            _text(_LEFT, self._top - 12, policy, size=14, weight="bold"),
            _text(_LEFT + 9 * len(policy) + 12, self._top - 12, _in_words(made), size=12, colour=_SOFT),
            *self._trouble(),
            *self._axes(),
            *self._shares(),
            *(self._mark(each) for each in self._some()),
            *self._steering(made),
        ]

    def _x(self, at: float) -> float:
        return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * min(1.0, at / self._stage.end_s), 1)

    def _y(self, ttft_s: float) -> float:
        low, high = math.log(self._ticks_s[0]), math.log(self._ticks_s[-1])
        share = (math.log(min(max(ttft_s, self._ticks_s[0]), self._ticks_s[-1])) - low) / (high - low)
        return round(self._top + _DOTS * (1 - share), 1)

    def _trouble(self) -> list[str]:
        spans = {span for script in self._stage.truth.values() for span in script.troubles()}
        spans |= {(pause.at_s, pause.at_s + pause.for_s) for pause in self._stage.pauses}
        parts = []
        for at, until in sorted(spans):
            from_x, until_x = self._x(at), self._x(until)
            parts.append(
                f'<rect x="{from_x}" y="{self._top}" width="{until_x - from_x:.1f}" '
                f'height="{self._bottom - self._top}" fill="{_TROUBLE}"/>'
            )
        return parts

    def _axes(self) -> list[str]:
        parts = []
        for tick in self._ticks_s:
            y = self._y(tick)
            parts.append(_line(_LEFT, y, _WIDTH - _RIGHT, y, _FAINT))
            parts.append(_text(_LEFT - 8, y + 4, f"{tick:g} s", anchor="end"))
        parts.append(_text(_LEFT - 8, self._shares_top + 11, "100 %", anchor="end"))
        parts.append(_text(_LEFT - 8, self._bottom, "0", anchor="end"))
        step_s = _step_s(self._stage.end_s)
        for i in range(int(self._stage.end_s / step_s + 1e-9) + 1):
            x = self._x(i * step_s)
            parts.append(_line(x, self._bottom, x, self._bottom + 4, _SOFT))
            parts.append(_text(x, self._bottom + 17, f"{i * step_s:g} s", anchor="middle"))
        return parts

    def _some(self) -> list[RequestRecord]:
        """Return what there is room for; all that failed."""
        requests = self._record.requests
        step = max(1, math.ceil(len(requests) / _MAX_DOTS))
        return [each for i, each in enumerate(requests) if i % step == 0 or not each.is_whole]

    def _mark(self, request: RequestRecord) -> str:
        x = self._x(request.arrived_at)
        if not request.is_whole:
            y = self._y(self._ticks_s[-1] if request.ttft_s is None else request.ttft_s)
            return f'<path d="M{x - 3:.1f} {y - 3:.1f}l6 6m0 -6l-6 6" stroke="{_INK}" stroke-width="1.4"/>'
        colour = _COLOURS.get(_answered_by(request), _NOBODY)
        return f'<circle cx="{x}" cy="{self._y(request.ttft_s or 0.0)}" r="1.7" fill="{colour}" fill-opacity="0.7"/>'

    def _shares(self) -> list[str]:
        width_s = self._stage.end_s / _BINS
        counts = [dict.fromkeys(self._stage.truth, 0) for _ in range(_BINS)]
        for each in self._record.requests:
            if each.primary is not None:
                counts[min(_BINS - 1, int(each.arrived_at / width_s))][each.primary] += 1
        parts = []
        for i, count in enumerate(counts):
            total, y = sum(count.values()), float(self._bottom)
            x, width = self._x(i * width_s), self._x((i + 1) * width_s) - self._x(i * width_s)
            for name, picks in count.items():
                height = _SHARES * picks / total if total else 0.0
                y -= height
                if height:
                    parts.append(
                        f'<rect x="{x}" y="{y:.1f}" width="{max(0.5, width - 0.6):.1f}" height="{height:.1f}" '
                        f'fill="{_COLOURS.get(name, _NOBODY)}"/>'
                    )
        return parts

    def _steering(self, made: RunFigures) -> list[str]:
        """Return the lines between the two parts: onset, steered, back."""
        if self._stage.watched is None:
            return []
        stage, moments = self._stage, list[tuple[float, str]]()
        if made.time_to_steer_s is None or math.isinf(made.time_to_steer_s):
            moments.append((stage.onset_s, f"never steered away from {stage.watched}"))
        else:
            at, after = stage.onset_s + made.time_to_steer_s, f"{made.time_to_steer_s:.1f} s"
            moments.append((at, f"steered away from {stage.watched} after {after}"))
            if made.recovery_s is not None and not math.isinf(made.recovery_s):
                moments.append((stage.trouble_until_s + made.recovery_s, f"back after {made.recovery_s:.1f} s"))
        parts, free_x = [], 0.0
        for at, label in moments:
            x, width = self._x(at), _LABEL_PX * len(label)
            left = max(free_x, min(x + 4, _WIDTH - _RIGHT - width))
            free_x = left + width + 8
            parts.append(
                f'<line x1="{x}" y1="{self._top}" x2="{x}" y2="{self._bottom}" stroke="{_INK}" stroke-width="1.2" '
                'stroke-dasharray="5 3"/>'
            )
            parts.append(_text(left, self._shares_top - 7, label, weight="bold"))
        return parts


def _answered_by(request: RequestRecord) -> str:
    """Return whose first token the client had."""
    return next((call.provider for call in request.calls if call.was_used), request.primary or "")


def _legend(stage: Staged) -> list[str]:
    parts, x, y = [], float(_LEFT), 52
    for name in stage.truth:
        label = f"first token from {name}" if name == next(iter(stage.truth)) else name
        parts.append(f'<circle cx="{x + 5}" cy="{y - 4}" r="5" fill="{_COLOURS.get(name, _NOBODY)}"/>')
        parts.append(_text(x + 15, y, label))
        x += 15 + _LABEL_PX * len(label) + 18
    parts.append(f'<path d="M{x} {y - 8}l8 8m0 -8l-8 8" stroke="{_INK}" stroke-width="1.6"/>')
    parts.append(_text(x + 14, y, "no whole answer"))
    x += 14 + _LABEL_PX * 15 + 18
    parts.append(f'<rect x="{x}" y="{y - 10}" width="16" height="12" fill="{_TROUBLE}" stroke="#e0c9ad"/>')
    parts.append(_text(x + 22, y, "trouble"))
    x += 22 + _LABEL_PX * 7 + 18
    parts.append(_text(x, y, "dots: time to the first token; bars: share of requests first sent to each", colour=_SOFT))
    return parts


def _in_words(made: RunFigures) -> str:
    errors = (
        f"{100 * made.client_error_ratio:.2f} % of the clients failed"
        if made.client_error_ratio
        else "no client failed"
    )
    return (
        f"while there is trouble: {errors}; first token p50 {made.ttft_p50_s:.2f} s, p99 {made.ttft_p99_s:.2f} s; "
        f"{made.calls_per_request:.2f} calls a request"
    )


def _step_s(end_s: float) -> float:
    """Return the distance of the ticks of time: at most ten, and round numbers."""
    rough = end_s / 10
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 3, 5, 10) if step * power >= rough * (1 - 1e-9))


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}"/>'


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 11, weight: str = "normal", colour: str = _INK
) -> str:
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" fill="{colour}">'
        f"{escape(text)}</text>"
    )
