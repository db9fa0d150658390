"""The short report, and that of a table of answers against one of true places.

A table of answers may come from any system, so published results and ours pass through the same arithmetic.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from earthclip.datasets.rows import read_places
from earthclip.evaluation.answers import Missing, answers_for
from earthclip.evaluation.document import figure_cells, grouping_note
from earthclip.evaluation.measured import Evaluation
from earthclip.geo.sphere import great_circle_km
from earthclip.metrics import Report


def evaluate_predictions(predictions_path: str | Path, truth_path: str | Path, missing: Missing = "error") -> Report:
    """The report on a table of answers (see ``answers_for``) against a table of true places.

    Raises InputError for an unreadable table, and unless both tables name the same pictures.
    """
    truth = read_places(truth_path)
    answers = answers_for(truth, Path(predictions_path), missing)
    return Report.from_errors(great_circle_km(truth.coordinates, answers.places)[answers.kept])


def format_report(report: Report, format: Literal["table", "json"]) -> str:
    """The report for people ("table": aligned lines, shares in %) or for programs ("json": one line, fractions)."""
    if format == "json":
        return report.to_json()
    rows = [("pictures", f"{report.n:,}", "")]
    rows += [(f"within {int(km):,} km", f"{100 * share:.1f}", " %") for km, share in report.accuracy.items()]
    rows += [
        ("median", f"{report.median_km:,.1f}", " km"),
        ("mean", f"{report.mean_km:,.1f}", " km"),
        ("GeoScore", f"{report.geoscore:,.0f}", " of 5,000"),
    ]
    width = max(len(value) for _, value, _ in rows)
    return "\n".join(f"{label:<16}{value:>{width}}{unit}" for label, value, unit in rows)


def format_evaluation(evaluation: Evaluation) -> str:
    """The report for people with the 95 % intervals beside its figures: of independent pictures, and by groups."""
    lines = format_report(evaluation.report, "table").splitlines()
    columns = [("95 % interval", evaluation.intervals)]
    if evaluation.grouping and evaluation.grouped_intervals:
        columns.append((f"by {evaluation.grouping.column}", evaluation.grouped_intervals))
    width = max(map(len, lines))
    lines = [line.ljust(width) for line in lines]
    for title, intervals in columns:
        cells = [title, *(cell.interval for cell in figure_cells(evaluation.report, intervals))]
        side = max(map(len, cells))
        lines = [f"{line}  {cell:>{side}}" for line, cell in zip(lines, cells, strict=True)]
    if evaluation.grouping:
        lines += ["", grouping_note(evaluation.grouping)]
    return "\n".join(lines)
