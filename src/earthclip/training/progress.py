"""Progress of a run: its tables, and the curves drawn from them."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import io
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from earthclip.errors import OutputError
from earthclip.files import atomic_write
from earthclip.metrics import Report
from earthclip.training.config import TrainingConfig

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
            name = f"{row.get('set') or row['imagery']}, {column.split('_')[1]} km"  # runs of before have imagery
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


_FAULTS_SAID = 3

PROGRESS = ("step", "loss", "learning_rate", "samples_per_s")
VALIDATION = ("step", "set", "within_25_km", "within_200_km", "within_750_km", "median_km")


class Progress:
    """Prints and stores a line at regular steps; rows of an interrupted run beyond ``first_step`` are dropped."""

    def __init__(self, folder: Path, config: TrainingConfig, first_step: int, say: Callable[[str], None]) -> None:
        self._folder, self._config, self._say = folder, config, say
        self._losses: list[float] = []
        self._since, self._since_step = time.monotonic(), first_step
        self._faults = 0
        for name, columns in (("progress.csv", PROGRESS), ("validation.csv", VALIDATION)):
            _keep_rows(folder / name, columns, first_step)

    def step(self, step: int, loss: float, learning_rate: float, faults: list[str]) -> None:
        """Count a finished step; of the ``faults`` of all batches, the first few are said."""
        for text in faults[: max(0, _FAULTS_SAID - self._faults)]:
            self._say(f"warning: {text}")
        self._faults += len(faults)
        if self._faults > _FAULTS_SAID >= self._faults - len(faults):
            self._say("warning: more photos cannot be decoded; earthclip data check counts them")
        self._losses.append(loss)
        if step % self._config.log_every_steps and step != self._config.steps:
            return
        now = time.monotonic()
        seconds_per_step = (now - self._since) / max(1, step - self._since_step)
        rate = self._config.batch_size / max(seconds_per_step, 1e-9)
        mean = sum(self._losses) / len(self._losses)
        left = _clock(seconds_per_step * (self._config.steps - step))
        self._say(
            f"step {step:6d}/{self._config.steps}  loss {mean:.4f}  lr {learning_rate:.2e}  "
            f"{rate:.0f} samples/s  {left} left"
        )
        self._append("progress.csv", (step, round(mean, 5), learning_rate, round(rate, 1)))
        self._losses, self._since, self._since_step = [], now, step

    def validate(self, step: int, validation: Callable[[], dict[str, Report]]) -> None:
        """Run a validation, say and keep its accuracies, and leave its time out of the rate."""
        started = time.monotonic()
        for name, report in validation().items():
            shares = [report.accuracy[key] for key in ("25", "200", "750")]
            text = " / ".join(f"{100 * share:.1f}" for share in shares)
            self._say(f"  {name}: within 25/200/750 km {text} %, median {report.median_km:.0f} km")
            row = (step, name, *(round(share, 4) for share in shares), round(report.median_km, 1))
            self._append("validation.csv", row)
        self._since += time.monotonic() - started

    def _append(self, name: str, row: tuple[object, ...]) -> None:
        path = self._folder / name
        try:
            with path.open("a", newline="", encoding="utf-8") as file:
                csv.writer(file).writerow(row)
        except OSError as error:
            raise OutputError(
                f"{path}: writing failed ({error.strerror}); free some space, then add --resume"
            ) from error


def _keep_rows(path: Path, columns: tuple[str, ...], last_step: int) -> None:
    """Rewrite the file with its whole rows up to ``last_step``, with none for a run that begins."""
    kept = io.StringIO(newline="")
    writer = csv.writer(kept)
    writer.writerow(columns)
    if path.exists() and last_step > 0:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.reader(file):
                if len(row) == len(columns) and row[0].isdecimal() and int(row[0]) <= last_step:
                    writer.writerow(row)
    with atomic_write(path, overwrite=True) as out:
        out.write(kept.getvalue().encode())


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
