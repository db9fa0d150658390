"""What refinement does: places found again from their own embedding, and the built-in model's views.

python -m benchmarks.refinement geoclip [--n 1000]   gallery places displaced by about 50 km; places anywhere on land
python -m benchmarks.refinement orbit [--n 1000]     views of Blue Marble, half-widths 150-1500 km, before and after
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

import earthclip
from earthclip.geo.sphere import destination, great_circle_km, unit_vectors
from earthclip.locating.locator import Locator
from earthclip.locating.posterior import Posterior
from earthclip.locating.refinement import Grids, refine
from earthclip.metrics import Report
from earthclip.training.rendering.imagery import land_mask, load_texture
from recipes.orbit.testset import pictures, test_cameras

_AT_ONCE = 20
_SEED = 1_000_005  # apart from the card's cameras and those that calibration is fitted on


def displaced(locator: Locator, n: int, rng: np.random.Generator) -> np.ndarray:
    """n places of the gallery, each moved 45 to 55 km in a direction of its own."""
    chosen = locator.gallery.coordinates[rng.choice(len(locator.gallery), n, replace=False)]
    return destination(chosen, rng.uniform(0, 360, n), rng.uniform(45, 55, n))


def anywhere(n: int, rng: np.random.Generator) -> np.ndarray:
    """n places uniform over the land between latitudes -60 and 80."""
    kept: list[np.ndarray] = []
    while sum(map(len, kept)) < n:
        latitude = np.degrees(np.arcsin(rng.uniform(np.sin(np.radians(-60)), np.sin(np.radians(80)), n)))
        places = np.stack([latitude, rng.uniform(-180, 180, n)], axis=1)
        kept.append(places[land_mask().at(unit_vectors(places))])
    return np.concatenate(kept)[:n]


def views(locator: Locator, n: int, imagery: str) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of n views, and where they were taken."""
    cameras, texture = test_cameras(n, _SEED), load_texture(imagery)
    rows = [
        locator.encode_image(pictures(cameras.take(np.arange(i, min(i + _AT_ONCE, n))), texture, 256))
        for i in range(0, n, _AT_ONCE)
    ]
    return np.concatenate(rows), cameras.targets


def both(
    locator: Locator, embeddings: np.ndarray, truths: np.ndarray, grids: Grids
) -> tuple[np.ndarray, np.ndarray, float]:
    """Errors in km of the gallery alone and after refinement, and milliseconds that the latter took for each."""
    gallery, config = locator.gallery, locator.config
    alone, refined, seconds = np.empty(len(truths)), np.empty(len(truths)), 0.0
    arranged = None
    for start in range(0, len(truths), _AT_ONCE):
        block = embeddings[start : start + _AT_ONCE]
        for index, logits in enumerate(gallery.logits(block, config.logit_scale), start):
            posterior = Posterior.from_logits(gallery.coordinates, logits, config.temperature, arranged=arranged)
            arranged = posterior.place_cells
            alone[index] = great_circle_km(posterior.top_k(1)[0][0], truths[index])
            begun = time.perf_counter()
            places, _ = refine(
                embeddings[index],
                posterior,
                locator.encode_location,
                logit_scale=config.logit_scale,
                temperature=config.temperature,
                grids=grids,
            )
            seconds += time.perf_counter() - begun
            refined[index] = great_circle_km(places[0], truths[index])
    return alone, refined, 1000 * seconds / len(truths)


def show(name: str, alone: np.ndarray, refined: np.ndarray, milliseconds: float) -> None:
    print(f"\n{name}: {len(alone)} places, {milliseconds:.0f} ms each")
    for label, errors_km in (("gallery", alone), ("refined", refined)):
        shares = ", ".join(
            f"{km} km {100 * share:.1f} %" for km, share in Report.from_errors(errors_km).accuracy.items()
        )
        median, most = np.percentile(errors_km, [50, 95])
        near = 100 * np.mean(errors_km <= 0.1)
        print(
            f"  {label}: median {median:.4g} km, 95 % within {most:.4g} km; within 100 m {near:.1f} %, {shares}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=["geoclip", "orbit"])
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--imagery", default="bmng")
    parser.add_argument("--half-width-km", type=float, default=Grids.half_width_km)
    parser.add_argument("--rounds", type=int, default=Grids.rounds)
    chosen = parser.parse_args()
    grids = Grids(half_width_km=chosen.half_width_km, rounds=chosen.rounds)
    locator, rng = earthclip.load(chosen.model), np.random.default_rng(_SEED)
    print(f"{chosen.model}, {grids}, numpy {np.__version__}", file=sys.stderr)
    if chosen.model == "orbit":
        embeddings, truths = views(locator, chosen.n, chosen.imagery)
        show(f"views of {chosen.imagery}", *both(locator, embeddings, truths, grids))
        return
    for name, truths in (
        ("displaced by 50 km", displaced(locator, chosen.n, rng)),
        ("anywhere on land", anywhere(chosen.n, rng)),
    ):
        show(name, *both(locator, locator.encode_location(truths), truths, grids))


if __name__ == "__main__":
    main()
