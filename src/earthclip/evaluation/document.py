"""An evaluation in words, tables and pictures, before it becomes text, Markdown or HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from earthclip.evaluation.comparison import Comparison
from earthclip.evaluation.grouping import Grouping
from earthclip.evaluation.leaderboard import Leaderboard
from earthclip.evaluation.measured import Evaluation, Group
from earthclip.evaluation.outcomes import CalibrationReport
from earthclip.metrics import THRESHOLDS_KM, Interval, Intervals, Report

SHARES = tuple(f"{km:,} km, %" for km in THRESHOLDS_KM)
FIGURES = (*SHARES, "median, km", "mean, km", "GeoScore")


@dataclass(frozen=True)
class Cell:
    """A cell of a table: a value, and the interval it lies in where there is one."""

    value: str
    interval: str = ""

    def __str__(self) -> str:
        return f"{self.value} ({self.interval})" if self.interval else self.value


@dataclass(frozen=True)
class Table:
    """Rows under a header; the columns ``words`` are words, the others numbers. The rows ``marked`` stand out."""

    header: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    words: frozenset[int] = frozenset({0})
    marked: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Picture:
    """A PNG, what it shows in words, and the name of its file without suffix."""

    name: str
    png: bytes
    alt: str


@dataclass(frozen=True)
class Section:
    """A title, paragraphs, then tables, then pictures."""

    title: str
    paragraphs: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)


def document(evaluation: Evaluation, pictures: Iterable[Picture] = ()) -> list[Section]:
    """The whole report, the section titled by the system first; ``pictures`` go where their names belong."""
    by_name = {picture.name: picture for picture in pictures}

    def drawn(*names: str) -> list[Picture]:
        return [by_name[name] for name in names if name in by_name]

    sections = [_summary(evaluation, drawn("error_curve", "error_map"))]
    if evaluation.comparison:
        sections.append(comparison_section(evaluation.comparison, _by(evaluation)))
    if evaluation.leaderboard:
        sections.append(leaderboard_section(evaluation.leaderboard, evaluation))
    if evaluation.calibration:
        sections.append(_calibration(evaluation.calibration, drawn("calibration")))
    note = "By the country of the true place, and the continent GeoNames counts it to."
    if column := _by(evaluation):
        note += f" Intervals are by {column} where there are two or more, else of independent pictures: too narrow."
    sections.append(Section("By continent", [note], [_groups("continent", evaluation.continents, column)]))
    sections.append(Section("By country", [], [_groups("country", evaluation.countries, column)]))
    return sections


def comparison_section(comparison: Comparison, by: str | None) -> Section:
    """Two systems, their difference, and the pictures that only one placed; ``by`` says what the groups are."""
    first, second = comparison.names

    def difference(intervals: Intervals) -> tuple[Cell, ...]:
        return (
            *(_signed(100 * comparison.accuracy[k], intervals.accuracy[k], 1, 100.0) for k in comparison.accuracy),
            _signed(comparison.median_km, intervals.median_km, 1),
            _signed(comparison.mean_km, intervals.mean_km, 1),
            _signed(comparison.geoscore, intervals.geoscore, 0),
        )

    grouped = comparison.grouped_intervals
    figures = Table(
        ("", *FIGURES),
        [
            (Cell(first), *(Cell(cell.value) for cell in figure_cells(comparison.first, None))),
            (Cell(second), *(Cell(cell.value) for cell in figure_cells(comparison.second, None))),
            (Cell("difference"), *difference(comparison.intervals)),
            *([(Cell(f"difference, by {by}"), *difference(grouped))] if grouped else []),
        ],
        marked=frozenset({3 if grouped else 2}),
    )
    counts = Table(
        ("within", "both", "only the first", "only the second", "neither", "p"),
        [
            tuple(
                Cell(text)
                for text in (
                    f"{int(km):,} km",
                    *(f"{n:,}" for n in (a.both, a.only_first, a.only_second, a.neither)),
                    f"{a.p_value:.2g}" if a.p_value >= 1e-4 else "< 0.0001",
                )
            )
            for km, a in comparison.agreement.items()
        ],
    )
    notes = [
        f"The first is {first}, the second {second}. Differences are first minus second, with the 95 % interval of "
        f"paired resamples: an interval without 0 is more than chance.",
        "Counts of pictures placed within each distance; p is McNemar's exact test of those that only one placed.",
    ]
    if grouped:
        notes[0] += f" Intervals by {by} are of resamples of whole groups."
        notes[1] += " It takes pictures as independent, so that p is too small: go by the intervals."
    return Section("Comparison", notes, [figures, counts])


def leaderboard_section(board: Leaderboard, evaluation: Evaluation) -> Section:
    """Published rows, quoted, and those measured here."""
    scored = any(row.geoscore is not None for row in board.rows)
    rows = [
        (
            Cell(f"{row.system}, {row.year}"),
            Cell("quoted"),
            *(Cell(f"{row.within[str(km)]:.1f}" if str(km) in row.within else "-") for km in THRESHOLDS_KM),
            *([Cell("-" if row.geoscore is None else _whole(row.geoscore))] if scored else []),
            Cell(f"{row.source}; {row.note}" if row.note else row.source),
        )
        for row in board.rows
    ]
    measured = [(evaluation.system, evaluation.report, evaluation.intervals_to_quote)]
    if other := evaluation.comparison:
        measured.append((other.names[1], other.second, other.second_intervals))
    marked = frozenset(range(len(rows), len(rows) + len(measured)))
    for name, report, intervals in measured:
        figures = figure_cells(report, intervals)
        shown = figures[: len(SHARES)] + (figures[-1:] if scored else ())
        told = Cell(f"{report.n:,} pictures of {evaluation.dataset}")
        rows.append((Cell(name), Cell("measured here"), *shown, told))
    notes = [f"Published figures for {board.title} as their papers give them, and what was measured here."]
    if by := _by(evaluation):
        notes[0] += f" Intervals are by {by}."
    if warning := board.warning(evaluation.report.n):
        notes.append(f"Warning: {warning}.")
    header = ("system", "", *SHARES, *(["GeoScore"] if scored else []), "source")
    table = Table(header, rows, frozenset({0, 1, len(header) - 1}), marked)
    return Section(f"Leaderboard: {board.title}", notes, [table])


def figure_cells(report: Report, intervals: Intervals | None) -> tuple[Cell, ...]:
    """The eight figures of ``FIGURES``."""

    def cell(show: Callable[[float], str], value: float, interval: Interval | None) -> Cell:
        return Cell(show(value), f"{show(interval[0])}-{show(interval[1])}" if interval else "")

    shares = intervals.accuracy if intervals else {}
    return (
        *(cell(_percent, share, shares.get(km)) for km, share in report.accuracy.items()),
        cell(_km, report.median_km, intervals.median_km if intervals else None),
        cell(_km, report.mean_km, intervals.mean_km if intervals else None),
        cell(_whole, report.geoscore, intervals.geoscore if intervals else None),
    )


def _summary(evaluation: Evaluation, pictures: list[Picture]) -> Section:
    by, kinds = _by(evaluation), [evaluation.intervals]
    header: tuple[str, ...] = ("figure", "value", "95 % interval")
    if evaluation.grouped_intervals:
        kinds.append(evaluation.grouped_intervals)
        header = ("figure", "value", "95 % interval, pictures independent", f"95 % interval, by {by}")
    cells = zip(*(figure_cells(evaluation.report, intervals) for intervals in kinds), strict=True)
    figures = Table(
        header,
        [
            (Cell("pictures"), Cell(f"{evaluation.report.n:,}"), *(Cell("") for _ in kinds)),
            *(
                (Cell(_label(name)), Cell(row[0].value + _unit(name)), *(Cell(cell.interval) for cell in row))
                for name, row in zip(FIGURES, cells, strict=True)
            ),
        ],
    )
    notes = [
        f"Answers of {evaluation.system} to {evaluation.report.n:,} pictures of {evaluation.dataset}, measured here"
        + (f", the mean of views: {evaluation.views}." if evaluation.views != "none" else "."),
        f"Intervals hold 95 % of {evaluation.resamples:,} resamples of the pictures (seed {evaluation.seed}).",
    ]
    if evaluation.grouping:
        notes[1] += " " + grouping_note(evaluation.grouping)
    notes += [f"Warning: {warning}." for warning in evaluation.left_out]
    return Section(evaluation.system, notes, [figures], pictures)


def _calibration(found: CalibrationReport, pictures: list[Picture]) -> Section:
    def share(value: float, interval: Interval) -> Cell:
        return Cell(f"{100 * value:.1f}", f"{100 * interval[0]:.1f}-{100 * interval[1]:.1f}")

    notes = [
        f"Within {found.within_km:.0f} km of its answer the model promised {100 * found.promised:.1f} % of the "
        f"probability on average, and {share(found.found, found.found_interval)} % of the truths lay there. "
        f"Expected calibration error: {Cell(f'{found.calibration_error:.3f}', _thousandths(found))}.",
    ]
    curve = Table(
        ("promised", "pictures", "mean promise, %", f"found within {found.within_km:.0f} km, %"),
        [
            (
                Cell(f"{100 * b.low:.0f}-{100 * b.high:.0f} %"),
                Cell(f"{b.n:,}"),
                Cell(f"{100 * b.promised:.1f}"),
                share(b.found, b.found_interval),
            )
            for b in found.curve
        ],
    )
    regions = Table(
        ("region", "holds the truth, %", "median area, km²"),
        [
            (Cell(f"{r.promised:.0%}"), share(r.found, r.found_interval), Cell(f"{r.median_area_km2:,.0f}"))
            for r in found.regions
        ],
    )
    return Section("Calibration", notes, [curve, regions], pictures)


def grouping_note(grouping: Grouping) -> str:
    """How the pictures are grouped, and which interval to quote, in sentences."""
    return (
        f"The pictures are of {grouping.count:,} groups by {grouping.column}, the largest of {grouping.largest:,}. "
        f"Quote the interval by {grouping.column}, since pictures of one group are alike."
    )


def _by(evaluation: Evaluation) -> str | None:
    return evaluation.grouping.column if evaluation.grouping else None


def _groups(what: str, groups: list[Group], by: str | None) -> Table:
    counts = [() if g.groups is None else (Cell(f"{g.groups:,}"),) for g in groups]
    return Table(
        (what, "pictures", *(("groups",) if by else ()), *FIGURES),
        [
            (Cell(g.name), Cell(f"{g.report.n:,}"), *count, *figure_cells(g.report, g.intervals))
            for g, count in zip(groups, counts, strict=True)
        ],
    )


def _signed(value: float, interval: Interval, digits: int, times: float = 1.0) -> Cell:
    def show(number: float) -> str:
        return f"{number:+,.{digits}f}"

    return Cell(show(value), f"{show(times * interval[0])} to {show(times * interval[1])}")


def _km(value: float) -> str:
    return f"{value:,.1f}" if value < 1_000 else f"{value:,.0f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _whole(score: float) -> str:
    return f"{score:,.0f}"


def _label(figure: str) -> str:
    name = figure.split(",")[0] if figure not in SHARES else figure.removesuffix(", %")
    return f"within {name}" if figure in SHARES else name


def _unit(figure: str) -> str:
    if figure in SHARES:
        return " %"
    return " km" if figure.endswith(", km") else " of 5,000"


def _thousandths(found: CalibrationReport) -> str:
    low, high = found.calibration_error_interval
    return f"{low:.3f}-{high:.3f}"
