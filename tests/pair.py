"""Two models as ``auto`` finds them: a tiny ``orbit`` that knows bright pictures, and a pulled ``geoclip``."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from earthclip.models.config import Scope
from tests.tiny import write_tiny_model

SCOPE = Scope("a bright picture", 0.5, "use --model other")
CAUTION = "works on bright pictures"
ORBIT_PIXELS, GEOCLIP_PIXELS = 16, 24
# For processes of their own, in which nobody can patch anything.
AS_BUILT_IN = (
    "import os; from pathlib import Path; from earthclip.models import sources; cached = sources._cached; "
    "sources._path_of = lambda model: Path(os.environ['TINY_ORBIT']) if model.built_in else cached(model.name); "
    "import sys; from earthclip.cli import main; sys.exit(main())"
)


def write_pair(orbit: Path, home: Path) -> None:
    """The two models: one where ``AS_BUILT_IN`` is told of, the other in the cache folder ``home``."""
    write_tiny_model(orbit, "orbit", seed=5, scope=SCOPE, caution=CAUTION, size=ORBIT_PIXELS)
    write_tiny_model(home / "models" / "geoclip", "geoclip", seed=1, size=GEOCLIP_PIXELS)


def use_as_built_in(orbit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process take ``orbit`` for the built-in model."""
    home = Path(os.environ["EARTHCLIP_HOME"])
    monkeypatch.setattr(
        "earthclip.models.sources._path_of",
        lambda model: orbit if model.built_in else home / "models" / model.name,
    )


def shade(brightness: int) -> Image.Image:
    """A noisy picture of about that brightness, 0 to 255: ``orbit`` knows those from 128 on."""
    noise = np.random.default_rng(brightness).integers(-40, 40, (30, 40, 3))
    return Image.fromarray(np.clip(brightness + noise, 0, 255).astype(np.uint8))


def write_shades(folder: Path, *brightnesses: int) -> list[Path]:
    """A picture of each brightness, named so that they keep their order."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number:02}-{brightness}.png" for number, brightness in enumerate(brightnesses)]
    for path, brightness in zip(paths, brightnesses, strict=True):
        shade(brightness).save(path)
    return paths
