"""Features of a frozen backbone, kept once for each photo and view, read at the speed of the disk.

A store is a folder: ``features.json`` (what it is of), ``ids.txt``, ``coordinates.npy``, and shards of float16 features
``features-00000.npy`` [rows, views, width] beside ``features-00000.json`` with the photos that could not be read. A
shard is there when both of its files are; one that was unfinished at an interruption is made again.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float16, Float32, Int, Int64

from earthclip.errors import InputError
from earthclip.files import atomic_write

ABOUT, IDS, COORDINATES = "features.json", "ids.txt", "coordinates.npy"
FORMAT = 1
SHARD_ROWS = 4096  # photos: what a kill costs at most


@dataclass(frozen=True)
class About:
    """What decides features: another ``fingerprint`` (of backbone, preprocessing and views) is another store."""

    backbone: str
    fingerprint: str
    width: int
    views: int
    photos: int
    shard_rows: int = SHARD_ROWS
    format: int = FORMAT

    @property
    def shards(self) -> int:
        """How many files the features are in."""
        return -(-self.photos // self.shard_rows)


class FeatureStore:
    """The readable photos of a finished store: ``ids``, ``coordinates`` [n, 2] in degrees, ``rows`` of features."""

    def __init__(self, folder: Path, about: About, ids: list[str], coordinates: Float[np.ndarray, "m 2"]) -> None:
        self.about, self.width, self.views = about, about.width, about.views
        self.fingerprint = about.fingerprint
        self._shards = [_open_shard(folder, shard, about) for shard in range(about.shards)]
        self.failed = _failures(folder, about)
        kept = np.ones(about.photos, bool)
        kept[list(self.failed)] = False
        self._kept: Int64[np.ndarray, " n"] = np.flatnonzero(kept)
        self.ids = [ids[row] for row in self._kept.tolist()]
        self.coordinates: Float[np.ndarray, "n 2"] = coordinates[self._kept]

    def __len__(self) -> int:
        return len(self.ids)

    def rows(
        self, indices: Int[np.ndarray, " b"], view: Int[np.ndarray, " b"] | None = None
    ) -> Float32[np.ndarray, "b width"]:
        """Features of photos, of each one view: 0, the undisturbed one, where ``view`` is not given."""
        rows = self._kept[indices]
        views = np.zeros(len(rows), np.int64) if view is None else np.asarray(view)
        found = np.empty((len(rows), self.width), np.float16)
        shards = rows // self.about.shard_rows
        order = np.argsort(shards, kind="stable")
        starts = np.flatnonzero(np.diff(shards[order], prepend=-1))
        for part in np.split(order, starts[1:]):
            if part.size:
                within = rows[part] % self.about.shard_rows
                found[part] = self._shards[int(shards[part[0]])][within, views[part]]
        return found.astype(np.float32)


class FeatureWriter:
    """Makes a store, or goes on with one that was ended; ``missing`` shards are written in any order."""

    def __init__(
        self, folder: Path, about: About, ids: list[str], coordinates: Float[np.ndarray, "n 2"], *, resume: bool = False
    ) -> None:
        """Raises InputError when the folder holds a store and not ``resume``, or one of something else."""
        self._folder, self.about = folder, about
        if (folder / ABOUT).exists():
            self._check_same(ids, coordinates, resume)
            return
        if bad := next((name for name in ids if "\n" in name), None):
            raise InputError(f"{bad!r}: an id with a line break; rename the photo")
        folder.mkdir(parents=True, exist_ok=True)
        places = io.BytesIO()
        np.save(places, np.ascontiguousarray(coordinates, np.float64))
        self._write(IDS, "\n".join(ids).encode("utf-8", "surrogateescape"))
        self._write(COORDINATES, places.getvalue())
        self._write(ABOUT, json.dumps(asdict(about), indent=2).encode() + b"\n")

    @property
    def missing(self) -> list[int]:
        """The shards that are still to be made."""
        return [shard for shard in range(self.about.shards) if not _is_whole(self._folder, shard)]

    def rows_of(self, shard: int) -> range:
        """The photos of a shard."""
        first = shard * self.about.shard_rows
        return range(first, min(first + self.about.shard_rows, self.about.photos))

    def write(self, shard: int, features: Float16[np.ndarray, "rows views width"], failed: dict[int, str]) -> None:
        """Write a shard whole; ``failed`` photos, by their number in the store, have zeros for features."""
        shape = (len(self.rows_of(shard)), self.about.views, self.about.width)
        if features.shape != shape:
            raise InputError(f"shard {shard} needs features {list(shape)}, found {list(features.shape)}")
        data = io.BytesIO()
        np.save(data, np.ascontiguousarray(features, np.float16))
        self._write(_name(shard, "npy"), data.getvalue())
        self._write(_name(shard, "json"), json.dumps({"failed": failed}).encode())

    def _check_same(self, ids: list[str], coordinates: np.ndarray, resume: bool) -> None:
        if not resume:
            raise InputError(
                f"{self._folder}: already holds features; add --resume to continue, or choose another folder"
            )
        before, known, places = _read(self._folder)
        if before != self.about:
            names = [name for name, value in asdict(before).items() if getattr(self.about, name) != value]
            raise InputError(
                f"{self._folder}: holds features of another {', '.join(names)}; give the same, or choose another folder"
            )
        if known != ids or not np.array_equal(places, coordinates):
            raise InputError(
                f"{self._folder}: holds features of other photos; give the same photos, or choose another folder"
            )

    def _write(self, name: str, data: bytes) -> None:
        with atomic_write(self._folder / name, overwrite=True) as file:
            file.write(data)


def open_features(folder: Path) -> FeatureStore:
    """The store in a folder. Raises InputError when there is none, or it is not finished or damaged."""
    about, ids, coordinates = _read(folder)
    missing = [shard for shard in range(about.shards) if not _is_whole(folder, shard)]
    if missing:
        raise InputError(
            f"{folder}: {len(missing)} of {about.shards} shards are missing; earthclip features --resume makes them"
        )
    return FeatureStore(folder, about, ids, coordinates)


def refuse_features(source: str) -> None:
    """Raise InputError where ``source`` is a store, but photos are needed: a model makes more of them."""
    folder = Path(source)
    if (folder / ABOUT).is_file():
        about, _, _ = _read(folder)
        raise InputError(
            f"{source}: features of the backbone '{about.backbone}', not photos; an index holds what the whole model "
            "makes of a photo, so give the photos that the features were made of"
        )


def _read(folder: Path) -> tuple[About, list[str], Float[np.ndarray, "n 2"]]:
    try:
        about = About(**json.loads((folder / ABOUT).read_text(encoding="utf-8")))
        text = (folder / IDS).read_bytes().decode("utf-8", "surrogateescape")
        coordinates = np.load(folder / COORDINATES, allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(
            f"{folder}: no features here ({ABOUT} is missing); make them with earthclip features"
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{folder}: damaged ({' '.join(str(error).split())[:100]}); make the features again"
        ) from error
    ids = text.split("\n") if text else []
    if about.format != FORMAT or len(ids) != about.photos or coordinates.shape != (about.photos, 2):
        raise InputError(f"{folder}: {ABOUT}, {IDS} and {COORDINATES} do not fit together; make the features again")
    return about, ids, coordinates


def _open_shard(folder: Path, shard: int, about: About) -> Float16[np.ndarray, "rows views width"]:
    path = folder / _name(shard, "npy")
    rows = min(about.shard_rows, about.photos - shard * about.shard_rows)
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{path}: damaged or cut short; delete it, then earthclip features --resume makes it"
        ) from error
    if found.shape != (rows, about.views, about.width) or found.dtype != np.float16:
        raise InputError(
            f"{path}: expected float16 {[rows, about.views, about.width]}, found {found.dtype} of another shape"
        )
    return np.asarray(found)


def _failures(folder: Path, about: About) -> dict[int, str]:
    failed: dict[int, str] = {}
    for shard in range(about.shards):
        path = folder / _name(shard, "json")
        try:
            failed |= {int(row): str(why) for row, why in json.loads(path.read_text())["failed"].items()}
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path}: damaged; delete it, then earthclip features --resume makes it again") from error
    return failed


def _is_whole(folder: Path, shard: int) -> bool:
    return (folder / _name(shard, "npy")).exists() and (folder / _name(shard, "json")).exists()


def _name(shard: int, kind: str) -> str:
    return f"features-{shard:05d}.{kind}"
