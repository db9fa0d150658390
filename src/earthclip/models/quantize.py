"""A model's image encoder in int8 beside the one it was made from, with its measured accuracy."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64
from PIL import Image

from earthclip.errors import InputError, ModelError
from earthclip.geo.sphere import great_circle_km
from earthclip.models.config import IMAGE_ENCODER, IMAGE_ENCODER_INT8, ModelConfig, write_config
from earthclip.models.encoders import Encoder
from earthclip.models.fastest import LEAST_PICTURES, MOVED_KM, PICTURES
from earthclip.models.folder import ModelFolder
from earthclip.models.int8 import Calibrated, calibrate, import_onnx, write_int8
from earthclip.models.subnormals import flush
from earthclip.pictures.prepare import Failure, prepare
from earthclip.pictures.preprocess import Preprocessing
from earthclip.pictures.reader import Reader

BestPlaces = Callable[[np.ndarray], Float64[np.ndarray, "n 2"]]  # embeddings [n, d] to degrees

LOWEST_COSINE = 0.999  # mean over the pictures, of int8 embeddings with those in float32
MOST_PICTURES = 256  # half of them to calibrate on, the others to measure on
_FEW = 4  # pictures up to which all serve both ends
_LEFT_OUT = (0.0, 0.05, 0.1, 0.2, 0.35)  # shares of the inputs that stay in float, those of the largest errors first


def read_some(
    files: Sequence[Path],
    preprocessing: Preprocessing,
    *,
    workers: int,
    progress: Callable[[int], None],
    failed: Callable[[Failure], None],
) -> list[Float32[np.ndarray, "3 h w"]]:
    """Pixels of up to 256 of ``files``, spread over them, since neighbours are often of one place.

    ``workers`` processes read them. ``progress`` hears how many were read, ``failed`` of each that cannot be.
    """
    chosen = np.linspace(0, len(files) - 1, min(len(files), MOST_PICTURES)).astype(int)
    pixels = []
    with Reader(preprocessing, workers=workers) as reader:
        for picture in reader.read_ahead(files[index] for index in chosen):
            if isinstance(picture, Failure):
                failed(picture)
            else:
                pixels.append(picture.pixels[0])
            progress(len(pixels))
    return pixels


def quantize_image_encoder(
    folder: ModelFolder,
    pixels: Sequence[Float32[np.ndarray, "3 h w"]],
    best_places: BestPlaces | None,
    *,
    accept_loss: bool,
    say: Callable[[str], None],
) -> ModelConfig:
    """Write ``image_encoder.int8.onnx`` into a model's folder, and what it is worth into its ``config.json``.

    ``pixels`` are preprocessed pictures, every other of which is calibrated on, and the rest measured on;
    ``best_places`` gives each embedding's best place, by which is counted how many pictures int8 moves; crops of
    pictures of this package make those up to 100. Products whose error is largest stay in float when
    int8 throughout would leave a mean cosine below 0.999. Raises ModelError when that does not help either, unless
    ``accept_loss``, and InputError without pictures.
    """
    import_onnx()  # before anything else is done in vain
    if not pixels:
        raise InputError("int8 is calibrated and measured on pictures, and none could be read; give a folder with some")
    path, size = folder.file(IMAGE_ENCODER), folder.config.embedding_size
    few = len(pixels) <= _FEW
    seen, unseen = (pixels, pixels) if few else (pixels[::2], pixels[1::2])
    say(f"Calibrating int8 on {len(seen)} pictures")
    scales = sorted(calibrate(path, (one[None] for one in seen)), key=lambda found: found.error)
    crops = _crops(folder.preprocessing, LEAST_PICTURES - len(unseen)) if best_places else []
    exact = _embed(path, size, [*unseen, *crops])
    with tempfile.TemporaryDirectory(dir=folder.path, prefix=".int8.") as staging:
        small = Path(staging) / IMAGE_ENCODER_INT8
        measured, written = {}, -1
        for share in _LEFT_OUT:
            quantised = scales[: max(1, round(len(scales) * (1 - share)))]
            if len(quantised) == written:
                continue
            written = len(quantised)
            measured = _try(path, small, quantised, exact, size, [*unseen, *crops], len(unseen), best_places)
            say(f"int8 in {written} of {len(scales)} layers: mean cosine with float32 {measured['mean_cosine']}")
            if measured["mean_cosine"] >= LOWEST_COSINE:
                break
        if measured["mean_cosine"] < LOWEST_COSINE and not accept_loss:
            raise ModelError(
                f"int8 changes the embeddings too much: mean cosine {measured['mean_cosine']} on {len(unseen)} "
                f"pictures, expected {LOWEST_COSINE} or more. Keep the model as it is, or add --accept-loss."
            )
        flush(small)
        small.replace(folder.path / IMAGE_ENCODER_INT8)
    return write_config(folder.path, dataclasses.replace(folder.config, int8=measured))


def _try(
    path: Path,
    small: Path,
    scales: Sequence[Calibrated],
    exact: Float32[np.ndarray, "n d"],
    size: int,
    pixels: Sequence[np.ndarray],
    given: int,
    best_places: BestPlaces | None,
) -> dict[str, float]:
    """What int8 does to ``pixels``, the first ``given`` of which are the user's."""
    products = write_int8(path, small, scales)
    found = _embed(small, size, pixels)
    cosines = (exact * found).sum(axis=1)[:given]
    measured: dict[str, float] = {
        "products": float(products),
        "pictures": float(len(cosines)),
        "mean_cosine": round(float(cosines.mean()), 6),
        "lowest_cosine": round(float(cosines.min()), 6),
    }
    if best_places is not None:
        moved_km = great_circle_km(best_places(exact), best_places(found))
        measured["top_1_agreement"] = round(float((moved_km[:given] == 0).mean()), 4)
        measured["moved"] = round(float((moved_km > MOVED_KM).mean()), 4)
        measured["moved_of"] = float(len(moved_km))
    return measured


def _crops(preprocessing: Preprocessing, count: int) -> list[Float32[np.ndarray, "3 h w"]]:
    """So many different crops of the pictures of this package, or none for a ``count`` below 1."""
    paths, random = sorted(PICTURES.glob("*.jpg")), np.random.default_rng(0)
    crops = []
    for number in range(max(0, count)):
        with Image.open(paths[number % len(paths)]) as image:
            side = int(min(image.size) * random.uniform(0.5, 0.9))
            left, top = (int(random.integers(0, extent - side + 1)) for extent in image.size)
            crops.append(prepare(image.crop((left, top, left + side, top + side)), preprocessing).pixels[0])
    return crops


def _embed(path: Path, size: int, pixels: Sequence[np.ndarray]) -> Float32[np.ndarray, "n d"]:
    encoder = Encoder(path, size)
    return np.concatenate([encoder.encode(one[None]) for one in pixels])
