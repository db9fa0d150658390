"""The downstream experiment of the GeoCLIP paper: concepts of photos from where they were taken, Geo-tagged NUS-WIDE.

``python -m recipes.probes nus-wide --data DIR``. The pictures and labels of NUS-WIDE cannot be passed on, so
DIR is made by whoever has them, in this layout:

    concepts.txt                   the 81 concepts, one a line (Concepts81.txt of NUS-WIDE)
    train.csv   test.csv           IMG_ID,LAT,LON, a row for each photo of the part; degrees
    train_labels.txt               for each row of train.csv a line of 81 zeros and ones, in the order of concepts.txt,
    test_labels.txt                apart by spaces, tabs or commas (the files Labels_*.txt of NUS-WIDE, side by side)
  and, for the rows with the image, either of
    images/                        photos named by IMG_ID, as it is or with .jpg, .jpeg or .png
    train_images.npy               float [n,d], visual features of any model, a row for each row of train.csv;
    test_images.npy                go before images/, and save encoding the photos at each run

The classifier is one small network with a hidden layer for all concepts: they share what it learns of places, and
location and image can interact, neither of which 81 logistic regressions offer. When to stop is chosen on a tenth of
the training photos. The size of the paper's own classifier and its visual features could not be verified, so its
figures are for orientation. mAP is the mean over concepts of average precision.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from earthclip.datasets.manifest import Manifest, read_manifest
from earthclip.errors import InputError
from earthclip.evaluation.report import find_pictures
from recipes.probes import need, single_thread
from recipes.probes.encodings import EncodesLocations, raw_coordinates

CONCEPTS = 81
PAPER_LOCATION, PAPER_BOTH = 0.249, 0.362  # mAP of GeoCLIP, arXiv 2309.16020
_HELP = "python -m recipes.probes nus-wide --help"
_HIDDEN = 512
_EPOCHS = 60
_PATIENCE = 6  # epochs without a better mAP on the photos held out
_BATCH = 256


@runtime_checkable  # so that the checks of signatures in tests can see it
class EncodesBoth(EncodesLocations, Protocol):
    """What is asked of a model when there are photos; a Locator is one."""

    def encode_image(self, pictures: Sequence[Path], /) -> Float[np.ndarray, "n d"]:
        """Unit embeddings of pictures, in order."""


@dataclass(frozen=True, eq=False)  # arrays have no single truth to compare by
class Part:
    """Training or test photos: where they were taken, which concepts they show, and their files or features."""

    photos: Manifest
    labels: Bool[np.ndarray, "n 81"]
    pictures: list[Path] | None = None
    visual: Float[np.ndarray, "n v"] | None = None


@dataclass(frozen=True)
class Row:
    """mAP of one kind of feature over ``concepts`` concepts, with the paper's figure where it has one."""

    features: str
    numbers: int
    mean_average_precision: float
    concepts: int
    paper: float | None = None


def read_nus_wide(folder: str | Path) -> tuple[Part, Part]:
    """The training and test parts of a folder in the layout above.

    Raises InputError in one line for whatever is missing, of another shape, or in both parts.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: expected the folder of Geo-tagged NUS-WIDE, found none; see {_HELP}")
    concepts = _lines(folder / "concepts.txt")
    if len(concepts) != CONCEPTS or len(set(concepts)) != CONCEPTS:
        raise InputError(
            f"{folder / 'concepts.txt'}: expected {CONCEPTS} different concepts, one a line, found "
            f"{len(set(concepts))} on {len(concepts)} lines; use the Concepts81.txt of NUS-WIDE"
        )
    train, test = _part(folder, "train"), _part(folder, "test")
    if both := set(train.photos.ids) & set(test.photos.ids):
        raise InputError(
            f"{folder}: {len(both)} photos are in train.csv and in test.csv, e.g. {min(both)!r}; keep each in one"
        )
    if (train.visual is None) != (test.visual is None):
        raise InputError(f"{folder}: expected both train_images.npy and test_images.npy, found one; add or remove one")
    if train.visual is not None and test.visual is not None and train.visual.shape[1] != test.visual.shape[1]:
        widths = f"{train.visual.shape[1]} and {test.visual.shape[1]}"
        raise InputError(
            f"{folder}: train_images.npy and test_images.npy have {widths} columns; use one model for both"
        )
    return train, test


def measure(model: EncodesLocations, folder: str | Path, seed: int = 0) -> Iterator[Row]:
    """mAP by coordinates, by the model's location features, and, where there are photos, by image and by both.

    Raises InputError as ``read_nus_wide``, for a photo that cannot be read, and for photos with a model that does
    not encode pictures.
    """
    train, test = read_nus_wide(folder)
    parts = (train, test)
    raw = [raw_coordinates(part.photos.coordinates) for part in parts]
    yield _row("coordinates", raw, parts, seed)
    places = [np.asarray(model.encode_location(part.photos.coordinates), dtype=np.float64) for part in parts]
    yield _row(f"location ({model.name})", places, parts, seed, PAPER_LOCATION)
    if train.visual is None and train.pictures is None:
        return
    visual = [_visual(model, part) for part in parts]
    source = "image features" if train.visual is not None else f"image ({model.name})"
    yield _row(source, visual, parts, seed)
    both = [np.concatenate(pair, axis=1) for pair in zip(places, visual, strict=True)]
    yield _row(f"location ({model.name}) + {source}", both, parts, seed, PAPER_BOTH)


def format_rows(rows: Sequence[Row], format: str) -> str:
    """The rows for people ("table": Markdown) or for programs ("json": one line)."""
    if format == "json":
        return json.dumps([asdict(row) for row in rows])
    lines = [f"| features | numbers | mAP of {rows[0].concepts} concepts | GeoCLIP's paper |", "|---|---:|---:|---:|"]
    for row in rows:
        paper = "" if row.paper is None else f"{row.paper:.3f}"
        lines.append(f"| {row.features} | {row.numbers} | {row.mean_average_precision:.3f} | {paper} |")
    return "\n".join(lines)


def _part(folder: Path, name: str) -> Part:
    photos = read_manifest(folder / f"{name}.csv")
    labels = _labels(folder / f"{name}_labels.txt", len(photos), f"{name}.csv")
    features, images = folder / f"{name}_images.npy", folder / "images"
    if features.is_file():
        return Part(photos, labels, visual=_features(features, len(photos), f"{name}.csv"))
    return Part(photos, labels, pictures=find_pictures(photos, images) if images.is_dir() else None)


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; see {_HELP}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text; save it as plain text") from error


def _labels(path: Path, rows: int, table: str) -> Bool[np.ndarray, "n 81"]:
    lines = [line.replace(",", " ").split() for line in _lines(path)]
    if len(lines) != rows:
        raise InputError(f"{path}: {len(lines)} lines of labels, but {table} has {rows} photos; give one for each")
    for number, line in enumerate(lines, start=1):
        if len(line) != CONCEPTS or not set(line) <= {"0", "1"}:
            found = next((value for value in line if value not in ("0", "1")), f"{len(line)} values")
            raise InputError(
                f"{path}, row {number}: expected {CONCEPTS} zeros and ones, found {found[:40]}; correct it"
            )
    return np.asarray(np.array(lines, dtype="U1") == "1", dtype=bool)


def _features(path: Path, rows: int, table: str) -> Float[np.ndarray, "n v"]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a readable .npy array of numbers; save it with numpy.save") from error
    if array.ndim != 2 or len(array) != rows or array.dtype.kind != "f" or not np.isfinite(array).all():
        found = f"{array.dtype} of shape {list(array.shape)}"
        raise InputError(f"{path}: expected finite floats [{rows}, d], a row for each of {table}, found {found}")
    return np.asarray(array, dtype=np.float64)


def _visual(model: EncodesLocations, part: Part) -> Float[np.ndarray, "n v"]:
    if part.visual is not None:
        return part.visual
    if not isinstance(model, EncodesBoth):
        raise InputError(f"model {model.name} does not encode pictures; give train_images.npy and test_images.npy")
    return np.asarray(model.encode_image(part.pictures or []), dtype=np.float64)


def _row(name: str, features: list[np.ndarray], parts: tuple[Part, Part], seed: int, paper: float | None = None) -> Row:
    scores = _classify(features[0], parts[0].labels, features[1], seed)
    precisions = _average_precisions(parts[1].labels, scores)
    if not precisions:
        raise InputError("no photo of test_labels.txt shows a concept; expected at least one 1 in it")
    return Row(name, features[0].shape[1], float(np.mean(precisions)), len(precisions), paper)


def _classify(
    features: Float[np.ndarray, "n d"],
    labels: Bool[np.ndarray, "n 81"],
    asked: Float[np.ndarray, "t d"],
    seed: int,
) -> Float[np.ndarray, "t 81"]:
    """Scores of every concept for the photos asked about, of the epoch that was best on photos held out."""
    scaler = need("sklearn.preprocessing", "scikit-learn").StandardScaler().fit(features)
    features, asked = scaler.transform(features).astype(np.float32), scaler.transform(asked).astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(features))
    held = max(1, len(order) // 10)
    chosen, fitted = order[:held], order[held:]
    if len(fitted) < 1:
        raise InputError("train.csv has one photo; expected at least 2, to fit on and to choose by")
    network = need("sklearn.neural_network", "scikit-learn").MLPClassifier(
        (_HIDDEN,), batch_size=min(_BATCH, len(fitted)), random_state=seed
    )
    best, best_at, scores = -1.0, 0, np.zeros((len(asked), CONCEPTS))
    with single_thread():
        for epoch in range(_EPOCHS):
            network.partial_fit(features[fitted], labels[fitted].astype(int), classes=np.arange(CONCEPTS))
            held_out = _average_precisions(labels[chosen], network.predict_proba(features[chosen]))
            precision = float(np.mean(held_out or 0.0))
            if precision > best:
                best, best_at, scores = precision, epoch, np.asarray(network.predict_proba(asked), dtype=np.float64)
            elif epoch - best_at >= _PATIENCE:
                break
    return scores


def _average_precisions(truth: Bool[np.ndarray, "t 81"], scores: Float[np.ndarray, "t 81"]) -> list[float]:
    """Average precision of each concept that at least one photo shows; of the others there is none."""
    measure = need("sklearn.metrics", "scikit-learn").average_precision_score
    return [float(measure(truth[:, k], scores[:, k])) for k in range(truth.shape[1]) if truth[:, k].any()]
