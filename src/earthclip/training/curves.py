"""The curves of a run, loss and accuracy over its steps, as a picture [extra ``map``]."""

from __future__ import annotations

import csv
import importlib
import importlib.util
from collections import defaultdict
from pathlib import Path
from typing import Any

from earthclip.files import atomic_write

CURVES = "curves.png"


def draw_curves(folder: Path) -> Path | None:
    """Draw the run's CSV files as ``curves.png``; None, and nothing drawn, without the extra ``map``."""
    if importlib.util.find_spec("matplotlib") is None:
        return None
    figures: Any = importlib.import_module("matplotlib.figure")
    agg: Any = importlib.import_module("matplotlib.backends.backend_agg")
    progress, validation = _rows(folder / "progress.csv"), _rows(folder / "validation.csv")
    figure = figures.Figure(figsize=(11, 4.2), layout="constrained")
    agg.FigureCanvasAgg(figure)
    loss, accuracy = figure.subplots(1, 2)
    loss.plot([float(row["step"]) for row in progress], [float(row["loss"]) for row in progress], lw=1.2)
    loss.set(title="loss", xlabel="step")
    series: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in validation:
        for column in ("within_25_km", "within_200_km", "within_750_km"):
            name = f"{row['imagery']}, {column.split('_')[1]} km"
            series[name].append((float(row["step"]), 100 * float(row[column])))
    for name, points in series.items():
        accuracy.plot(*zip(*points, strict=True), marker=".", lw=1.2, label=name)
    accuracy.set(title="validation: share within", xlabel="step", ylabel="%", ylim=(0, 100))
    if 0 < len(series) <= 12:
        accuracy.legend(fontsize=7)
    for axes in (loss, accuracy):
        axes.grid(alpha=0.3)
    with atomic_write(folder / CURVES, overwrite=True) as file:
        figure.savefig(file, format="png", dpi=120, metadata={"Software": "EarthCLIP"})
    return folder / CURVES


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
