"""Writing a model folder: the one way in which trained, pulled and ready models are released."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float

from earthclip.errors import OutputError
from earthclip.files import staging_folder
from earthclip.models.config import CONFIG, GALLERY, Calibration, ModelConfig, write_config
from earthclip.models.folder import ModelFolder
from earthclip.models.subnormals import SMALLEST, flush_folder

_CARD = "README.md"


def write_model_folder(
    folder: Path, config: ModelConfig, places: Float[np.ndarray, "m 2"] | None, write: Callable[[Path], None]
) -> ModelConfig:
    """Write a model folder and return its configuration as written.

    ``write`` puts the graphs and weights into the folder it is given; ``places`` are the candidates, in degrees.
    Weights too small to matter are set to 0. The folder appears under its name when it is complete, so that nothing
    half-made is ever loaded. It replaces a model that was there, but for the card. Raises OutputError when ``folder``
    holds other things or cannot be written.
    """
    _check(folder)
    with staging_folder(folder) as staging:
        write(staging)
        flush_folder(staging)
        if places is not None:
            np.save(staging / GALLERY, np.ascontiguousarray(places, np.float64))
        if (folder / _CARD).is_file():
            shutil.copyfile(folder / _CARD, staging / _CARD)
        return write_config(staging, dataclasses.replace(config, smallest_weight=SMALLEST))


def calibrated_copy(model: ModelFolder, folder: Path, temperature: float, calibration: Calibration) -> ModelConfig:
    """Write a copy of a model with another calibration; otherwise as ``write_model_folder``."""
    _check(folder)
    with staging_folder(folder) as staging:
        for file in sorted(model.path.iterdir()):
            if file.is_file() and file.name != CONFIG:
                shutil.copyfile(file, staging / file.name)
        return write_config(
            staging, dataclasses.replace(model.config, temperature=temperature, calibration=calibration)
        )


def _check(folder: Path) -> None:
    if folder.exists() and not (folder / CONFIG).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder}: holds other files than a model's; choose another folder")
