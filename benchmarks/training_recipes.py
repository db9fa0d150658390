"""Training recipes side by side: every one sees the very same views, disturbed alike, in the same order.

    python -m benchmarks.training_recipes benchmarks/training_recipes.toml [--only NAME,...] [--steps N] [--seeds 0,1,2]
        [--json FILE]

The TOML file has a [base] table, a training configuration, and a table of changes for each recipe under [recipes]. Each
batch is rendered once and given to one model after the other, so recipes differ in nothing but what their tables say;
the time of a step is reported for each. Accuracy is that of the validation of `python -m recipes.orbit train`: single
views of half-widths 300 to 1500 km, of Blue Marble and of imagery that is never trained on.
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
from earthclip.metrics import Report
from earthclip.training import Batch
from earthclip.training.config import check_training_config
from earthclip.training.losses import CoordinateQueue, noisy_places
from earthclip.training.networks import build_model
from earthclip.training.optimization import learning_rate, make_optimizer
from earthclip.training.source import to_tensor
from earthclip.training.validation import Validation
from recipes.orbit.config import OrbitConfig, check_orbit_config
from recipes.orbit.objective import orbit_loss
from recipes.orbit.source import ViewSource, batches


class Recipe:
    """One recipe's model in training."""

    def __init__(self, name: str, config: OrbitConfig) -> None:
        self.name, self.config, self.seconds = name, config, []
        self.preprocessing = ViewSource(config).preprocessing
        self.model = build_model(config).to(memory_format=torch.channels_last)
        self.optimizer = make_optimizer(self.model, config.optimizer)
        self.queue = CoordinateQueue(config.queue.size)

    def step(self, batch: Batch, step: int) -> float:
        began, config = time.perf_counter(), self.config
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config.optimizer, step, config.steps)
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        coordinates = torch.from_numpy(batch.coordinates)
        places = noisy_places(coordinates, self.queue, config.queue, 0, generator)
        given = to_tensor(batch.given, self.preprocessing)
        with torch.autocast("cpu", torch.bfloat16):
            loss = orbit_loss(self.model, given, batch, places, config, step / config.steps, generator)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.optimizer.clip_norm)
        self.optimizer.step()
        self.queue.push(coordinates)
        self.seconds.append(time.perf_counter() - began)
        return loss.item()


def checked(mapping: dict[str, Any], name: str) -> OrbitConfig:
    return check_orbit_config(check_training_config(from_mapping(OrbitConfig, mapping, name), name), name)


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
            recipes.append(Recipe(name, checked(mapping, name)))
        first = recipes[0].config
        exam = Validation(ViewSource(first), first, recipes[0].model)
        made = batches(first, range(first.steps))
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
