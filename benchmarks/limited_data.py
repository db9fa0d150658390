"""What a recipe makes of few pictures: 5 to 100 % of one fixed set of views, and the curve as a PNG.

    python benchmarks/limited_data.py benchmarks/training_recipes.toml [--recipes NAME,...] [--batches N] [--steps N]
        [--seed N] [--threads N] [--json FILE] [--png FILE]

The views are rendered and disturbed once, as photos are taken once; smaller shares are part of larger ones. Every run
has the same number of steps, so that of a twentieth sees each view twenty times as often. The protocol is the paper's
(its figure of limited data), on rendered views instead of MP-16. Accuracy is that of benchmarks/training_recipes.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from training_recipes import Exam, Recipe, merged, row_of

from earthclip.configuration import from_mapping
from earthclip.training.config import TrainingConfig, check_training_config
from earthclip.training.order import Order
from earthclip.training.rendering.sampler import Batch
from earthclip.training.samples import batches

_SHARES = (0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Views:
    """Rendered views, kept."""

    pixels: np.ndarray
    coordinates: np.ndarray
    cell_coordinates: np.ndarray

    def take(self, rows: np.ndarray) -> Batch:
        return Batch(self.pixels[rows], self.coordinates[rows], self.cell_coordinates[rows])


def rendered(config: TrainingConfig, count: int) -> Views:
    image, began = config.model.image, time.monotonic()
    parts = []
    for part in batches(config.views, config.batch_size, image.image_size, image.grid, config.seed, 0, count):
        parts.append(part)
        if len(parts) % 50 == 0:
            print(f"{time.monotonic() - began:6.0f} s  {len(parts)} of {count} batches", file=sys.stderr, flush=True)
    return Views(
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.coordinates for part in parts]),
        np.concatenate([part.cell_coordinates for part in parts]),
    )


def trained(name: str, config: TrainingConfig, views: Views, share: float, exam: Exam) -> dict[str, Any]:
    count = round(share * len(views.pixels))
    recipe, order, began = Recipe(name, config), Order(count, config.batch_size, config.seed), time.monotonic()
    loss = 0.0
    for step in range(config.steps):
        loss = recipe.step(views.take(order.batch(step)), step)
        if (step + 1) % 100 == 0:
            print(
                f"{time.monotonic() - began:6.0f} s  {name} {share:.0%} step {step + 1}: {loss:.2f}",
                file=sys.stderr,
                flush=True,
            )
    told = {"share": share, "views": count, "epochs": round(config.steps * config.batch_size / count, 2), "loss": loss}
    return row_of(recipe, exam(recipe.model), config.steps) | told


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    accuracy, median = figure.subplots(1, 2)
    for name in dict.fromkeys(row["recipe"] for row in rows):
        mine = [row for row in rows if row["recipe"] == name]
        shares = [100 * row["share"] for row in mine]
        (line,) = accuracy.plot(
            shares, [100 * row["bmng_750"] for row in mine], marker="o", label=f"{name}: Blue Marble"
        )
        foreign = [100 * row["foreign_750"] for row in mine]
        accuracy.plot(shares, foreign, marker="s", ls="--", color=line.get_color(), label=f"{name}: never trained on")
        median.plot(shares, [row["bmng_median_km"] for row in mine], marker="o", color=line.get_color(), label=name)
    accuracy.set(title="within 750 km", ylabel="%", ylim=(0, None))
    median.set(title="median error on Blue Marble", ylabel="km", ylim=(0, None))
    for axes in (accuracy, median):
        axes.set(xscale="log", xlabel=f"% of {max(row['views'] for row in rows):,} views")
        axes.set_xticks([100 * share for share in _SHARES], [f"{100 * share:g}" for share in _SHARES])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(path, dpi=110, metadata={"Software": "EarthCLIP"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--recipes", default="sphere-distance")
    parser.add_argument("--batches", type=int, default=400, help="the whole of the data")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--png", type=Path)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    given = tomllib.loads(options.file.read_text())
    configs = {}
    for name in options.recipes.split(","):
        changes = given["recipes"][name] | {"name": name, "seed": options.seed, "steps": options.steps}
        configs[name] = check_training_config(from_mapping(TrainingConfig, merged(given["base"], changes), name), name)
    first = next(iter(configs.values()))
    if any((config.views, config.model.image) != (first.views, first.model.image) for config in configs.values()):
        parser.error("recipes of different views or image encoders; compare them in runs of their own")
    exam, views = Exam(first), rendered(first, options.batches)
    rows: list[dict[str, Any]] = []
    for name, config in configs.items():
        for share in _SHARES:
            rows.append(trained(name, config, views, share, exam))
            print(json.dumps(rows[-1]), flush=True)
            if options.json:
                options.json.write_text(json.dumps(rows, indent=1))
    if options.png:
        draw(rows, options.png)


if __name__ == "__main__":
    main()
