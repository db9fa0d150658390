"""Training recipes side by side: every one sees the very same views, disturbed alike, in the same order.

    python benchmarks/training_recipes.py benchmarks/training_recipes.toml [--only NAME,...] [--steps N] [--seeds 0,1,2]
        [--json FILE]

The TOML file has a [base] table, a training configuration, and a table of changes for each recipe under [recipes]. Each
batch is rendered once and given to one model after the other, so recipes differ in nothing but what their tables say;
the time of a step is told for each. Accuracy is that of `earthclip train`'s validation: single views of half-widths
300 to 1500 km, of Blue Marble and of imagery that is never trained on.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from earthclip.configuration import from_mapping
from earthclip.geo.sphere import great_circle_km
from earthclip.metrics import Report
from earthclip.nn.geoclip import GeoCLIP
from earthclip.training.config import TrainingConfig, check_training_config
from earthclip.training.loop import learning_rate
from earthclip.training.objective import batch_loss
from earthclip.training.pixels import to_tensor
from earthclip.training.queue import CoordinateQueue
from earthclip.training.rendering.imagery import land_mask, load_texture
from earthclip.training.rendering.views import ViewDistribution, land_places, render, sample_cameras
from earthclip.training.samples import batches

_SEED = 20_230_915  # of the validation's cameras, as in training/validation.py


class Recipe:
    """One recipe's model in training."""

    def __init__(self, name: str, config: TrainingConfig) -> None:
        self.name, self.config, self.seconds = name, config, []
        self.model = GeoCLIP.from_config(config.model, config.seed).to(memory_format=torch.channels_last)
        matrices = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(
            groups, lr=config.optimizer.learning_rate, weight_decay=config.optimizer.weight_decay
        )
        self.queue = CoordinateQueue(config.queue.size)

    def step(self, batch: Any, step: int) -> float:
        began = time.perf_counter()
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config.optimizer, step, self.config.steps)
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + step)
        with torch.autocast("cpu", torch.bfloat16):
            loss = batch_loss(self.model, self.queue, batch, self.config, step, generator)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optimizer.clip_norm)
        self.optimizer.step()
        self.queue.push(torch.from_numpy(batch.coordinates))
        self.seconds.append(time.perf_counter() - began)
        return loss.item()


class Exam:
    """The same views of each imagery for every recipe."""

    def __init__(self, config: TrainingConfig) -> None:
        wanted = config.validation
        cameras = sample_cameras(
            wanted.views,
            land_mask(),
            np.random.default_rng(_SEED),
            ViewDistribution(half_width_km=wanted.half_width_km),
        )
        self.truths = cameras.targets
        self.places = land_places(land_mask(), wanted.spacing_km)
        self.pixels = {}
        for name in wanted.imagery:
            views = render(cameras, load_texture(name, config.views.texture_width), config.model.image.image_size)
            self.pixels[name] = (views[..., :3] * 255 + 0.5).astype(np.uint8)

    @torch.no_grad()
    def __call__(self, model: GeoCLIP) -> dict[str, Report]:
        model.eval()
        coordinates = torch.from_numpy(self.places)
        places = model.encode_location(coordinates.float())
        reports = {}
        for name, pixels in self.pixels.items():
            images = torch.cat([model.encode_image(to_tensor(part)) for part in np.array_split(pixels, 8)])
            best = (images @ places.T).argmax(dim=1).numpy()
            reports[name] = Report.from_errors(great_circle_km(self.places[best], self.truths))
        return reports


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(base)
    for key, value in changes.items():
        result[key] = merged(result.get(key, {}), value) if isinstance(value, dict) else value
    return result


def row_of(recipe: Recipe, reports: dict[str, Report], step: int) -> dict[str, Any]:
    foreign = [report.accuracy["750"] for name, report in reports.items() if name != "bmng"]
    return {
        "recipe": recipe.name,
        "seed": recipe.config.seed,
        "step": step,
        "step_ms": round(1000 * float(np.median(recipe.seconds))),
        "bmng_median_km": round(reports["bmng"].median_km, 1),
        "bmng_750": round(reports["bmng"].accuracy["750"], 4),
        "foreign_750": round(float(np.mean(foreign)), 4),
    } | {name: {"750": report.accuracy["750"], "median_km": report.median_km} for name, report in reports.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--every", type=int, default=500, help="steps between exams")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    given = tomllib.loads(options.file.read_text())
    if options.steps:
        given["base"]["steps"] = options.steps
    if options.threads:
        torch.set_num_threads(options.threads)
    names = options.only.split(",") if options.only else list(given["recipes"])
    rows: list[dict[str, Any]] = []
    for seed in map(int, options.seeds.split(",")):
        recipes = []
        for name in names:
            mapping = merged(given["base"], given["recipes"][name]) | {"name": name, "seed": seed}
            config = check_training_config(from_mapping(TrainingConfig, mapping, name), name)
            recipes.append(Recipe(name, config))
        first = recipes[0].config
        exam = Exam(first)
        image = first.model.image
        made = batches(first.views, first.batch_size, image.image_size, image.grid, seed, 0, first.steps)
        began = time.monotonic()
        for step, batch in enumerate(made, start=1):
            losses = [recipe.step(batch, step - 1) for recipe in recipes]
            if step % 50 == 0:
                shown = "  ".join(f"{recipe.name} {loss:.2f}" for recipe, loss in zip(recipes, losses, strict=True))
                print(f"{time.monotonic() - began:6.0f} s  step {step}: {shown}", file=sys.stderr, flush=True)
            if step % options.every == 0 or step == first.steps:
                for recipe in recipes:
                    rows.append(row_of(recipe, exam(recipe.model), step))
                    print(json.dumps(rows[-1]), flush=True)
                if options.json:
                    options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
