"""What the built-in model's probabilities are worth: coverage of its regions, by imagery and by how wide the views are.

python -m benchmarks.calibration [--n 1000] [--imagery NAME ...] [--test]   a table in Markdown, for the model's card

The cameras are the card's and 1,000 more of the whole range; none of them was calibrated on. ``--test`` also reads the
test imagery, which is for a model that is final.
"""

from __future__ import annotations

import argparse

import numpy as np

import earthclip
from earthclip.evaluation.calibration import Evidence, Outcomes, outcomes
from earthclip.locating.locator import Locator
from earthclip.training.rendering.camera import Cameras
from earthclip.training.rendering.imagery import IMAGERY, imagery, load_texture
from recipes.orbit.testset import pictures, test_cameras

_SEED = 1_000_003  # the card's
_BANDS_KM = ((150.0, 1500.0), (300.0, 1500.0), (150.0, 300.0))
_AT_ONCE = 20


def evidence(locator: Locator, cameras: Cameras, name: str) -> Evidence:
    texture = load_texture(name)
    rows = [
        locator.encode_image(pictures(cameras.take(np.arange(i, min(i + _AT_ONCE, len(cameras)))), texture, 256))
        for i in range(0, len(cameras), _AT_ONCE)
    ]
    return Evidence(locator.gallery, locator.config.logit_scale, np.concatenate(rows), cameras.targets)


def row(name: str, role: str, band: tuple[float, float], before: Outcomes, after: Outcomes) -> str:
    cells = [name, role, f"{band[0]:.0f}-{band[1]:.0f}", str(len(before.loss))]
    for promise in ("0.5", "0.9"):
        cells += [f"{100 * side.summary()['coverage'][promise]:.1f} %" for side in (before, after)]
    cells.append(f"{after.summary()['median_area_km2']['0.9']:,}")
    cells += [f"{side.summary()['calibration_error']:.3f}" for side in (before, after)]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--imagery", nargs="*")
    parser.add_argument("--test", action="store_true")
    chosen = parser.parse_args()
    locator = earthclip.load("orbit")
    names = chosen.imagery or [item.name for item in IMAGERY.values() if item.role != "test" or chosen.test]
    print(
        "| imagery | role | half-width, km | views | 50 %: before | after | 90 %: before | after | median area of the",
        end="",
    )
    print(" 90 % region, km² | calibration error: before | after |")
    print("|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name in names:
        for band, seed in zip(_BANDS_KM, (_SEED + 2, _SEED + 1, _SEED), strict=True):
            found = evidence(locator, test_cameras(chosen.n, seed, band), name)
            after = outcomes(found, locator.config.temperature, locator.config.calibration)
            print(row(name, imagery(name).role, band, outcomes(found), after), flush=True)


if __name__ == "__main__":
    main()
