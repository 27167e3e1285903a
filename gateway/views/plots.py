"""Plots as inline SVG: no library, no script, no outside resource; they follow the page's colours.

Rules of this room:
1. Every plot is an image with a title and a description that say in words what it shows.
2. Colour never carries a meaning alone: shape, position or a word says the same.
3. Sizes are in units of the view box; the page scales the whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from html import escape

ROW = 26
LABELS = 92
WIDTH = 640
LINE_WIDTH, LINE_HEIGHT = 480, 220
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 64, 16, 14, 30
TICKS = 5
CURVES = 6
"""So many curves of one plot can be told apart: each has a colour and a pattern of dashes of its own."""
LEGEND_ROW, LEGEND_LETTERS = 18, {3: 13, 2: 24, 1: 60}
"""A legend's columns, by how many letters its longest name may have."""
LABEL_HEIGHT = 12.0
QUARTERS, FULL = (0.0, 0.25, 0.5, 0.75, 1.0), 0.05
"""Parts that add up to a whole, about, are drawn against the whole."""
TINY = 1e-9
EVEN = 0.00005
"""A gap that is shown as 0.00 points has no side."""


def signed(value: float) -> str:
    """Return a number with two places and its sign, zero without one."""
    text = f"{value:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text


@dataclass(frozen=True, slots=True)
class Pair:
    """Hold one name's current and target weight, as fractions."""

    name: str
    now: float
    target: float


@dataclass(frozen=True, slots=True)
class Limit:
    """Hold one horizontal line and what it is called."""

    name: str
    at: float


def steps(low: float, high: float, count: int = TICKS) -> list[float]:
    """Return round numbers from at or below `low` to at or above `high`, about `count` apart."""
    span = high - low
    if span < max(TINY, abs(high) * TINY):
        span = abs(high) if abs(high) > TINY else 1.0
    raw = span / max(1, count - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    size = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / size + 1e-9), math.ceil(high / size - 1e-9)
    return [number * size for number in range(first, max(last, first + 1) + 1)]


def _figure(body: Sequence[str], width: int, height: float, name: str, title: str, words: str) -> str:
    """Wrap the parts of a plot as one accessible image."""
    return (
        f'<svg viewBox="0 0 {width} {height:g}" role="img" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(title)}</title><desc id="{name}-d">{escape(words)}</desc>'
        f"{''.join(body)}</svg>"
    )


def weights(pairs: Sequence[Pair], name: str) -> str:
    """Draw current against target weights: a dot for what is held, a bar for what is wanted."""
    ticks = steps(min(0.0, *(min(one.now, one.target) for one in pairs)), _largest(pairs))
    left, right = LABELS, WIDTH - MARGIN_RIGHT - 58
    low, high = ticks[0], ticks[-1]
    height = MARGIN_TOP + ROW * len(pairs) + MARGIN_BOTTOM

    def x(weight: float) -> float:
        return left + (weight - low) / (high - low) * (right - left)

    body = []
    bottom = height - MARGIN_BOTTOM
    for tick in ticks:
        at = x(tick)
        body.append(
            f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{MARGIN_TOP}" y2="{bottom}"/>'
            f'<text class="tick" x="{at:.1f}" y="{height - 10}" text-anchor="middle">{tick * 100:g}%</text>'
        )
    for row, one in enumerate(pairs):
        y = MARGIN_TOP + ROW * row + ROW / 2
        gap, now, target = one.now - one.target, x(one.now), x(one.target)
        word = "even" if abs(gap) < EVEN else "over" if gap > 0 else "under"
        body.append(
            f'<text class="name" x="{left - 10}" y="{y + 4:.1f}" text-anchor="end">{escape(one.name)}</text>'
            f'<line class="gap {word}" x1="{now:.1f}" x2="{target:.1f}" y1="{y}" y2="{y}"/>'
            f'<line class="target" x1="{target:.1f}" x2="{target:.1f}" y1="{y - 8}" y2="{y + 8}"/>'
            f'<circle class="now {word}" cx="{now:.1f}" cy="{y}" r="5"/>'
            f'<text class="tick" x="{WIDTH - MARGIN_RIGHT}" y="{y + 4:.1f}" text-anchor="end">'
            f"{signed(gap * 100)}</text>"
        )
    words = "; ".join(f"{one.name} {one.now:.2%} against {one.target:.2%}" for one in pairs)
    return _figure(body, WIDTH, height, name, "Current against target weights", words)


def _largest(pairs: Sequence[Pair]) -> float:
    return max(0.0, *(max(one.now, one.target) for one in pairs))


def line(
    points: Sequence[tuple[datetime, float]], name: str, title: str, unit: str, limits: Sequence[Limit] = ()
) -> str:
    """Draw one figure over time; `unit` is `%` (values are fractions) or empty (money)."""
    values = [value for _, value in points]
    bounds = [*values, *(limit.at for limit in limits)] + ([0.0] if unit else [])
    ticks = steps(min(bounds), max(bounds))
    low, high = ticks[0], ticks[-1]
    first, last = points[0][0], points[-1][0]
    span_s = (last - first).total_seconds() or 1.0
    right, bottom = LINE_WIDTH - MARGIN_RIGHT, LINE_HEIGHT - MARGIN_BOTTOM

    def x(at: datetime) -> float:
        return MARGIN_LEFT + (at - first).total_seconds() / span_s * (right - MARGIN_LEFT)

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - MARGIN_TOP)

    def label(value: float) -> str:
        return f"{value * 100:.4g}%" if unit else f"{value:,.10g}"

    body = [
        f'<line class="grid" x1="{MARGIN_LEFT}" x2="{right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        f'<text class="tick" x="{MARGIN_LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">'
        f"{label(tick)}</text>"
        for tick in ticks
    ]
    body += [
        f'<line class="limit {escape(one.name)}" x1="{MARGIN_LEFT}" x2="{right}" y1="{y(one.at):.1f}" '
        f'y2="{y(one.at):.1f}"/><text class="tick" x="{MARGIN_LEFT + 6}" y="{y(one.at) - 5:.1f}">'
        f"{escape(one.name)}</text>"
        for one in limits
    ]
    path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
    body.append(f'<polyline class="curve" points="{path}"/>')
    body.append(f'<circle class="end" cx="{x(last):.1f}" cy="{y(values[-1]):.1f}" r="4"/>')
    for at, anchor in ((first, "start"), (last, "end")):
        body.append(
            f'<text class="tick" x="{x(at):.1f}" y="{LINE_HEIGHT - 9}" text-anchor="{anchor}">'
            f"{at:%a %d %b %H:%M}</text>"
        )
    words = (
        f"from {label(values[0])} on {first:%a %d %b %H:%M} UTC to {label(values[-1])} on "
        f"{last:%a %d %b %H:%M} UTC; lowest {label(min(values))}, highest {label(max(values))}"
    )
    return _figure(body, LINE_WIDTH, LINE_HEIGHT, name, title, words)


@dataclass(frozen=True, slots=True)
class Frame:
    """Hold where values lie in a plot of days; `ticks` are its values' round numbers, lowest first."""

    ticks: Sequence[float]
    first: date
    last: date
    right: float = LINE_WIDTH - MARGIN_RIGHT
    bottom: float = LINE_HEIGHT - MARGIN_BOTTOM

    def x(self, on: date) -> float:
        """Return where a day lies."""
        span = (self.last - self.first).days or 1
        return MARGIN_LEFT + (on - self.first).days / span * (self.right - MARGIN_LEFT)

    def y(self, value: float) -> float:
        """Return where a value lies."""
        low, high = self.ticks[0], self.ticks[-1]
        return self.bottom - (value - low) / (high - low) * (self.bottom - MARGIN_TOP)

    def drawn(self, unit: str) -> list[str]:
        """Return the grid, its numbers, and the years below."""
        body = [
            f'<line class="grid" x1="{MARGIN_LEFT}" x2="{self.right}" y1="{self.y(tick):.1f}" '
            f'y2="{self.y(tick):.1f}"/><text class="tick" x="{MARGIN_LEFT - 8}" y="{self.y(tick) + 4:.1f}" '
            f'text-anchor="end">{_label(tick, unit)}</text>'
            for tick in self.ticks
        ]
        for on, anchor in ((self.first, "start"), (self.last, "end")):
            body.append(
                f'<text class="tick" x="{self.x(on):.1f}" y="{self.bottom + 21}" text-anchor="{anchor}">'
                f"{on:%b %Y}</text>"
            )
        return body


def _label(value: float, unit: str) -> str:
    if unit:
        return f"{value * 100:.4g}%"
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= 10 * size:
            return f"{value / size:,.6g}{letter}"
    return f"{value:,.10g}"


def curves(
    days: Sequence[date], series: Mapping[str, Sequence[float]], name: str, title: str, unit: str = ""
) -> str:
    """Draw up to `CURVES` figures over the same days; `unit` is `%` (values are fractions) or empty."""
    shown = dict(list(series.items())[:CURVES])
    values = [value for one in shown.values() for value in one]
    frame = Frame(steps(min(0.0 if unit else min(values), *values), max(values)), days[0], days[-1])
    body = frame.drawn(unit)
    longest = max(map(len, shown))
    columns = next((count for count, letters in LEGEND_LETTERS.items() if longest <= letters), 1)
    rows = -(-len(shown) // columns)
    for place, (label, one) in enumerate(shown.items()):
        path = " ".join(
            f"{frame.x(day):.1f},{frame.y(value):.1f}" for day, value in zip(days, one, strict=True)
        )
        body.append(f'<polyline class="curve c{place}" points="{path}"/>')
        row, column = divmod(place, columns)
        x = MARGIN_LEFT + column * (frame.right - MARGIN_LEFT) / columns
        y = LINE_HEIGHT + 10 + row * LEGEND_ROW
        body.append(
            f'<line class="curve c{place}" x1="{x:.1f}" x2="{x + 30:.1f}" y1="{y}" y2="{y}"/>'
            f'<text class="name" x="{x + 36:.1f}" y="{y + 4}">{escape(label)}</text>'
        )
    words = "; ".join(f"{label} ends at {_label(one[-1], unit)}" for label, one in shown.items())
    return _figure(body, LINE_WIDTH, LINE_HEIGHT + 6 + rows * LEGEND_ROW, name, title, words)


def stack(days: Sequence[date], parts: Mapping[str, Sequence[float]], name: str, title: str) -> str:
    """Draw parts of a whole over the same days, one on the other, largest at the end lowest."""
    order = sorted(parts, key=lambda one: -parts[one][-1])
    whole = [sum(parts[one][at] for one in order) for at in range(len(days))]
    top = max(whole)
    ticks = QUARTERS if abs(top - 1.0) < FULL else steps(0.0, top)
    frame = Frame(ticks, days[0], days[-1], right=LINE_WIDTH - 52)
    body = frame.drawn("%")
    below = [0.0] * len(days)
    free = LINE_HEIGHT * 2.0
    for place, one in enumerate(order):
        above = [low + part for low, part in zip(below, parts[one], strict=True)]
        there = [f"{frame.x(day):.1f},{frame.y(value):.1f}" for day, value in zip(days, above, strict=True)]
        back = [f"{frame.x(day):.1f},{frame.y(value):.1f}" for day, value in zip(days, below, strict=True)]
        body.append(f'<polygon class="part p{place % 2}" points="{" ".join([*there, *reversed(back)])}"/>')
        middle = frame.y((above[-1] + below[-1]) / 2)
        if free - middle >= LABEL_HEIGHT and parts[one][-1] > 0:
            free = middle
            body.append(f'<text class="tick" x="{frame.right + 5}" y="{middle + 4:.1f}">{escape(one)}</text>')
        below = above
    words = "at the end " + ", ".join(f"{one} {parts[one][-1]:.1%}" for one in order)
    return _figure(body, LINE_WIDTH, LINE_HEIGHT, name, title, words)
