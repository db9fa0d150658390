"""Lines of the table that ``speed.py`` prints: figures of three sides, their ratios, and what was promised of them."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field

HEAD = (
    "| what | ours (a) | `geoclip` 1.3.0 (b) | with its gallery kept (c) | ratio | target | |\n"
    "|---|---:|---:|---:|---|---|---|"
)


@dataclass(frozen=True)
class Figure:
    """The measurements of one thing, of which the median is reported; ``unit`` is s, MB, a second or none."""

    values: tuple[float, ...]
    unit: str = "s"

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        value = self.median
        if self.unit == "s":
            return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.{0 if value >= 0.1 else 1}f} ms"
        if self.unit == "MB":
            return f"{value:,.0f} MB" if value >= 10 else f"{value:.1f} MB"
        number = f"{value:.0f}" if value >= 100 else f"{value:.3g}"
        return f"{number} {self.unit}".strip()


@dataclass(frozen=True)
class Check:
    """A ratio as it came out, with its place in ``text`` as {}, or without text the figure itself; and its bound."""

    text: str
    found: float
    bound: float | None = None
    at_most: bool = False
    unit: str = ""  # of the bound
    decimals: int | None = None  # None: three digits, or those before the point

    @property
    def kept(self) -> bool | None:
        if self.bound is None:
            return None
        return self.found <= self.bound if self.at_most else self.found >= self.bound

    @property
    def measured(self) -> str:
        return self.text.format(_cut(self.found, self.decimals, upwards=self.at_most))

    @property
    def target(self) -> str:
        return "" if self.bound is None else f"{'≤' if self.at_most else '≥'} {self.bound:g} {self.unit}".strip()


@dataclass(frozen=True)
class Row:
    what: str
    ours: Figure | None = None
    published: Figure | None = None
    kept: Figure | None = None
    checks: list[Check] = field(default_factory=list)
    note: str = ""  # in place of figures that there are not

    @property
    def passed(self) -> bool | None:
        verdicts = [check.kept for check in self.checks if check.kept is not None]
        return all(verdicts) if verdicts else None

    @property
    def verdict(self) -> str:
        return {None: "", True: "ok", False: "**missed**"}[self.passed]

    def __str__(self) -> str:
        figures = [str(figure or "") for figure in (self.ours, self.published, self.kept)]
        figures[0] = figures[0] or self.note
        measured = "; ".join(check.measured for check in self.checks if check.text)
        targets = "; ".join(check.target for check in self.checks if check.target)
        return f"| {' | '.join([self.what, *figures, measured, targets, self.verdict])} |"


def times_as_fast(ours: Figure, other: Figure | None, side: str, bound: float | None = None) -> list[Check]:
    """By the medians; nothing where the other side was not measured."""
    return [] if other is None else [Check(f"{{}} times as fast as {side}", other.median / ours.median, bound)]


def _cut(value: float, decimals: int | None, *, upwards: bool) -> str:
    """Rounded away from what would flatter."""
    if decimals is None:
        decimals = 0 if value >= 100 else 1 if value >= 10 else 2
    scaled = math.ceil(value * 10**decimals - 1e-9) if upwards else math.floor(value * 10**decimals)
    return f"{scaled / 10**decimals:,.{decimals}f}"
