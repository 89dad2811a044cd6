"""Quality against cost as a picture: each policy's curve, where it was set, and what nobody can reach. Plain SVG."""

from collections.abc import Sequence
from html import escape
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _FOOT = 760, 480, 64, 24, 76, 52
_INK, _SOFT, _FAINT = "#222222", "#666666", "#e2e2e2"
_FONTS = "Helvetica, Arial, DejaVu Sans, sans-serif"
_COLOURS = {
    "router": "#3a9b6f",
    "cascade": "#2e6f9e",
    "hybrid": "#d1495b",
    "adaptive": "#7b4ea3",
    "oracle": "#c98a1b",
    "always_small": "#666666",
    "always_large": "#222222",
}
_LABEL_PX = 6.4
"""Width of a letter in a label, about."""


def draw(name: str, lines: Sequence[dict[str, Any]]) -> str | None:
    """Return a pool as SVG; None where no line has a curve."""
    curves = {line["policy"]: line["curve"] for line in lines if line.get("curve")}
    if not curves:
        return None
    dots = {line["policy"]: (line["saving"], line["quality_ratio"]) for line in lines if line["policy"] in _COLOURS}
    shown = [*dots.values(), *[tuple(point) for curve in curves.values() for point in curve]]
    frame = _Frame(min(0.0, *(x for x, _ in shown)), *_ends([y for _, y in shown]))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="{_FONTS}">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(_LEFT, 28, f"{name}, {lines[0]['split']}: {lines[0]['n']:,} questions", size=16, weight="bold"),
        *_legend(dots),
        *frame.axes(),
        *_mix(frame, dots),
    ]
    for policy, curve in curves.items():
        points = " ".join(f"{frame.x(saving)},{frame.y(ratio)}" for saving, ratio in sorted(map(tuple, curve)))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{_COLOURS[policy]}" stroke-width="1.8"/>')
    parts += [
        f'<circle cx="{frame.x(saving)}" cy="{frame.y(ratio)}" r="5" fill="{_COLOURS[policy]}" stroke="white"/>'
        for policy, (saving, ratio) in dots.items()
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Frame:
    """Where a saving and a ratio are on the paper."""

    def __init__(self, left: float, low: float, high: float) -> None:
        self._left, self._low, self._high = left, low, high

    def x(self, saving: float) -> float:
        share = (saving - self._left) / (1.0 - self._left)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, ratio: float) -> float:
        share = (ratio - self._low) / (self._high - self._low)
        return round(_HEIGHT - _FOOT - share * (_HEIGHT - _TOP - _FOOT), 1)

    def axes(self) -> list[str]:
        """Return lines and numbers; the one at equal quality is dark."""
        parts = []
        for step in range(round(self._low * 20), round(self._high * 20) + 1):
            y, colour = self.y(step / 20), _INK if step == 20 else _FAINT
            parts.append(f'<line x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}" stroke="{colour}"/>')
            parts.append(_text(_LEFT - 8, y + 4, f"{step / 20:.2f}", anchor="end", colour=_SOFT))
        for step in range(round(self._left * 5 + 0.4999) if self._left < 0 else 0, 6):
            x = self.x(step / 5)
            parts.append(f'<line x1="{x}" y1="{_TOP}" x2="{x}" y2="{_HEIGHT - _FOOT}" stroke="{_FAINT}"/>')
            parts.append(_text(x, _HEIGHT - _FOOT + 18, f"{20 * step} %", anchor="middle", colour=_SOFT))
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        label = "saved against always asking the largest model, every call billed"
        return [*parts, _text(middle, _HEIGHT - 12, label, anchor="middle", colour=_SOFT)]


def _ends(ratios: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and the highest ratio that are drawn, in steps of .05."""
    return (int(min(ratios) * 20 - 0.01) / 20, int(max(ratios) * 20 + 1) / 20)


def _mix(frame: _Frame, dots: dict[str, tuple[float, float]]) -> list[str]:
    """Return the line between the smallest and the largest model: what dealing requests out by chance comes to."""
    if "always_small" not in dots or "always_large" not in dots:
        return []
    (x1, y1), (x2, y2) = dots["always_small"], dots["always_large"]
    ends = f'x1="{frame.x(x1)}" y1="{frame.y(y1)}" x2="{frame.x(x2)}" y2="{frame.y(y2)}"'
    return [f'<line {ends} stroke="{_SOFT}" stroke-dasharray="5 4"/>']


def _legend(dots: dict[str, tuple[float, float]]) -> list[str]:
    parts, x = [], float(_LEFT)
    for policy in dots:
        label = policy.replace("_", " ")
        parts.append(f'<circle cx="{x + 5}" cy="50" r="5" fill="{_COLOURS[policy]}"/>')
        parts.append(_text(x + 14, 54, label))
        x += 14 + _LABEL_PX * len(label) + 16
    return [*parts, _text(_LEFT, 70, "lines: any price; dots: as chosen on train; dashed: by chance", colour=_SOFT)]


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 11, weight: str = "normal", colour: str = _INK
) -> str:
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" fill="{colour}">'
        f"{escape(text)}</text>"
    )
