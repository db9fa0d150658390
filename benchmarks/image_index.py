"""What an index of training pictures adds to a gallery of places: CSLS and k nearest pictures, on `orbit`.

    python -m benchmarks.image_index [--index 30000] [--views 500] [--json FILE]

The index holds embeddings of undisturbed views of the training imagery. CSLS (Conneau et al., 2018) lowers places that
are near to many pictures; k nearest pictures vote for the places around them, with the softmax of their similarity.
Validation imagery only: what helps is chosen here, so the test imagery stays unread.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from earthclip import load
from earthclip.geo.sphere import great_circle_km, unit_vectors
from earthclip.metrics import Report
from earthclip.training.rendering.imagery import land_mask, load_texture
from earthclip.training.rendering.views import ViewDistribution, sample_cameras
from recipes.orbit.testset import pictures

TRAINING = ("bmng", "shadedrelief", "etopo1")
VALIDATION = ("bmng", "solar-system-scope", "natural-earth", "openuniverse")
NEIGHBOURS = 10


def embeddings(locator, name: str, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit embeddings [n, d] of views of one imagery, and the points at their centres."""
    distribution = ViewDistribution(half_width_km=(300.0, 1500.0))
    cameras = sample_cameras(n, land_mask(), np.random.default_rng(seed), distribution)
    size, texture, rows = locator.config.preprocessing.size, load_texture(name), []
    for begin in range(0, n, 64):
        chosen = cameras.take(np.arange(begin, min(begin + 64, n)))
        rows.append(locator.encode_image(pictures(chosen, texture, size), 64))
    found = np.concatenate(rows)
    return found / np.linalg.norm(found, axis=1, keepdims=True), cameras.targets


def nearest(similarities: np.ndarray) -> np.ndarray:
    """The mean of each row's largest similarities."""
    return np.partition(similarities, -NEIGHBOURS)[:, -NEIGHBOURS:].mean(axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=int, default=30_000)
    parser.add_argument("--views", type=int, default=500)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    locator = load("orbit")
    places = locator.gallery.coordinates
    gallery = locator.gallery.embeddings.astype(np.float32)
    parts = [embeddings(locator, name, options.index // 3, 77 + i) for i, name in enumerate(TRAINING)]
    index, where = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    hubness = np.concatenate([nearest(gallery[i : i + 500] @ index.T) for i in range(0, len(gallery), 500)])
    scale = float(np.exp(locator.config.logit_scale)) / locator.config.temperature
    table = {}
    for name in VALIDATION:
        views, truths = embeddings(locator, name, options.views, 4_000_003)
        cosines = views @ gallery.T
        near = views @ index.T
        best = np.argpartition(near, -NEIGHBOURS)[:, -NEIGHBOURS:]
        answers = {"gallery": cosines.argmax(axis=1), "CSLS": (2 * cosines - hubness).argmax(axis=1)}
        vectors = unit_vectors(places)
        votes = np.full_like(cosines, 1e-6)
        for row, neighbours in enumerate(best):
            weights = np.exp(scale * (near[row, neighbours] - near[row, neighbours].max()))
            close = np.exp(60.0 * (vectors @ unit_vectors(where[neighbours]).T - 1))  # about 800 km
            votes[row] += close @ (weights / weights.sum())
        answers[f"{NEIGHBOURS} nearest pictures"] = votes.argmax(axis=1)
        for share in (0.25, 0.5, 1.0):
            answers[f"gallery + {share:g} x nearest"] = (scale * cosines + share * np.log(votes)).argmax(axis=1)
        table[name] = {}
        for how, chosen in answers.items():
            report = Report.from_errors(great_circle_km(places[chosen], truths))
            table[name][how] = {**report.accuracy, "median_km": report.median_km}
            shares = [f"{km} km {report.accuracy[km]:.1%}" for km in ("200", "750")]
            print(f"{name:20} {how:24} {'  '.join(shares)}  {report.median_km:.0f} km")
    if options.json:
        options.json.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
