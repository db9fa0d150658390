"""Cached features that tell the place, as the trainer reads them; run as a script, ``earthclip`` with them in place.

python -m tests.training.cached_features train CONFIG.toml ...
"""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WIDTH, VIEWS = 12, 3


@dataclass
class Store:
    """The contract of ``datasets.features.FeatureStore``, in memory."""

    ids: list[str]
    coordinates: np.ndarray
    features: np.ndarray  # [n, views, width]
    fingerprint: str = "tiny"
    views: int = VIEWS
    width: int = WIDTH

    def rows(self, indices: np.ndarray, view: np.ndarray | None) -> np.ndarray:
        return self.features[indices, 0 if view is None else view].astype(np.float32)


def store(n: int = 90, broken: int | None = None) -> Store:
    rng = np.random.default_rng(3)
    coordinates = np.stack([rng.uniform(40, 50, n), rng.uniform(0, 12, n)], axis=1)
    waves = np.radians(coordinates) @ rng.normal(0, 12, (2, WIDTH))
    features = np.sin(waves)[:, None] + rng.normal(0, 0.05, (n, VIEWS, WIDTH))
    if broken is not None:
        features[broken] = np.nan
    return Store([f"photo{i}" for i in range(n)], coordinates, features.astype(np.float16))


def module() -> types.ModuleType:
    """Stands for ``earthclip.datasets.feature_store``; the folder's name may say which photo is broken."""
    made = types.ModuleType("earthclip.datasets.feature_store")

    def open_features(folder: Path) -> Store:
        return store(broken=int(folder.name.split("-")[1]) if "-" in folder.name else None)

    made.open_features = open_features  # type: ignore[attr-defined]
    return made


if __name__ == "__main__":
    sys.modules["earthclip.datasets.feature_store"] = module()
    from earthclip.cli import main

    sys.exit(main(sys.argv[1:]))
