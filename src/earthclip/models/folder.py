"""A model folder, opened and checked: complete, unmixed, with a gallery of real places."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from earthclip.datasets.tables import CSVTable
from earthclip.errors import InputError, ModelError
from earthclip.geo.sphere import check_coordinates
from earthclip.models.config import (
    GALLERY,
    IMAGE_ENCODER,
    IMAGE_ENCODER_INT8,
    LOCATION_ENCODER,
    LOCATION_PHASES,
    RUNNING_FILES,
    SCOPE,
    TEXT_ENCODER,
    TOKENIZER,
    ModelConfig,
    read_config,
)
from earthclip.pictures.preprocess import Preprocessing

_WHAT = {
    IMAGE_ENCODER: "image encoder",
    IMAGE_ENCODER_INT8: "image encoder in int8",
    TEXT_ENCODER: "words",
    TOKENIZER: "words",
    LOCATION_PHASES: "location encoder",
    LOCATION_ENCODER: "location encoder",
    GALLERY: "gallery of places",
    SCOPE: "scope",
}


@dataclass(frozen=True)
class ModelFolder:
    """A checked folder and what its ``config.json`` says; made by ``open_folder``."""

    path: Path
    config: ModelConfig

    def has(self, name: str) -> bool:
        """Whether the model has the file ``name``, such as ``"image_encoder.onnx"``."""
        return name in self.config.files

    def file(self, name: str) -> Path:
        """The path of the file ``name``; raises ModelError when the model does not have it."""
        if not self.has(name):
            what = _WHAT.get(name, "file")
            advice = self.config.lacks.get(what, "use another model, such as geoclip (earthclip model pull geoclip)")
            raise ModelError(f"model '{self.config.name}' has no {what} ({name}); {advice}")
        return self.path / name

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to a picture before the image encoder; ModelError says what a model without one lacks."""
        self.file(IMAGE_ENCODER)
        assert self.config.preprocessing is not None  # open_folder has checked it
        return self.config.preprocessing

    def gallery_coordinates(self) -> Float64[np.ndarray, "m 2"]:
        """The candidate places, degrees ``[m, 2]``. Raises ModelError when the gallery is empty or invalid."""
        path = self.file(GALLERY)
        try:
            places = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ModelError(f"{path}: not a NumPy array file ({error}); copy the model again") from error
        if (
            not isinstance(places, np.ndarray)
            or places.dtype != np.float64
            or places.shape[1:] != (2,)
            or not len(places)
        ):
            found = f"{places.dtype} {list(places.shape)}" if isinstance(places, np.ndarray) else "an archive"
            raise ModelError(f"{path}: expected float64 [m, 2] with m at least 1, found {found}; copy the model again")
        try:
            return check_coordinates(places, str(path))
        except InputError as error:
            raise ModelError(str(error)) from error


def gallery_of(content: bytes, where: str) -> Float64[np.ndarray, "m 2"]:
    """The places of a published CSV, degrees ``[m, 2]``. Raises ModelError, naming ``where``, for anything else."""
    try:
        with contextlib.closing(CSVTable(io.BytesIO(content), where)) as table:
            chunks = [chunk.coordinates for chunk in table.chunks()]
        if not chunks:
            raise InputError(f"{where}: no rows; expected at least one place")
        return np.concatenate(chunks)
    except InputError as error:
        raise ModelError(f"{error}; or download the table again") from error


def open_folder(path: Path) -> ModelFolder:
    """Open the model folder at ``path``, reading ``config.json`` and the sizes of the files it lists.

    Raises ModelError naming the file, what was expected and found, when one is missing, of another size (cut short,
    or taken from another model), not listed, or when ``config.json`` or the gallery is invalid.
    """
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing"
        raise ModelError(f"{path}: expected a model folder, found {found}; check the path")
    config = read_config(path)
    for name, size in config.files.items():
        file = path / name
        if not file.is_file():
            raise ModelError(f"{file}: missing from the model (expected {size:,} bytes); copy the whole folder again")
        found_size = file.stat().st_size
        if found_size != size:
            raise ModelError(
                f"{file}: expected {size:,} bytes, found {found_size:,}; cut short or from another model, "
                "copy the whole folder again"
            )
    for name in RUNNING_FILES:
        if name not in config.files and (path / name).exists():
            raise ModelError(f"{path / name}: not listed in config.json; remove it or export the model again")
    if (LOCATION_PHASES in config.files) != (LOCATION_ENCODER in config.files and config.phases_apart):
        raise ModelError(f"{path}: needs {LOCATION_PHASES} and {LOCATION_ENCODER} together; export the model again")
    if ((TEXT_ENCODER in config.files) + (TOKENIZER in config.files) + (config.words is not None)) not in (0, 3):
        raise ModelError(
            f"{path}: locating texts needs {TEXT_ENCODER}, {TOKENIZER} and words in config.json; export the model again"
        )
    if IMAGE_ENCODER in config.files and config.preprocessing is None:
        raise ModelError(f"{path}: has {IMAGE_ENCODER}, but config.json has no preprocessing; export the model again")
    if (SCOPE in config.files) != (config.scope is not None):
        raise ModelError(f"{path}: needs {SCOPE} and scope in config.json together; export the model again")
    folder = ModelFolder(path, config)
    if folder.has(GALLERY):
        folder.gallery_coordinates()
    return folder
