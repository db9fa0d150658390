"""The files of an index of photos: what they hold, how photos are written behind the others, what counts.

A folder holds ``embeddings-G.npy`` [n, d] (float16, unit rows), ``coordinates-G.npy`` [n, 2] (degrees),
``photos-G.jsonl`` (one object a photo) and ``index.json``. That one is written last: it says how many photos are whole
and which generation G of the files they are in. What stands behind them was being written when a process was killed.
A large index has ``search-G.faiss``, too, which makes searching it fast, see approximate.py.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from earthclip.configuration import from_mapping, to_mapping
from earthclip.errors import ConfigError, InputError
from earthclip.files import atomic_write, locked
from earthclip.locating.evidence import Weights

FORMAT = 1
PROGRAM = "earthclip index"  # what holds a folder against others
ABOUT = "index.json"
HEADER = 128  # bytes of a NumPy file before its numbers; numpy leaves room in it for any number of rows


@dataclass(frozen=True)
class About:
    """What ``index.json`` says. ``complete`` is false until the first build has ended."""

    model: str
    fingerprint: str  # SHA-256 over what decides the embeddings: the image encoder and its preprocessing
    embedding_size: int
    photos: int = 0
    record_bytes: int = 0  # of the photos' records
    generation: int = 0
    complete: bool = False
    weights: Weights | None = None  # None: nobody has fitted them
    earthclip: str = ""  # the version that made it
    format: int = FORMAT


@dataclass(frozen=True)
class PhotoRecord:
    """What is known of a photo beside its place. ``source`` and ``id`` together name it."""

    source: str
    id: str
    sha256: str
    path: str | None = None  # absolute; None for a photo that is not a file of its own
    size: int | None = None
    mtime_ns: int | None = None
    author: str | None = None
    taken: str | None = None  # local time of the camera, as EXIF has it

    @property
    def line(self) -> bytes:
        """The record as a line of JSON."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps(values).encode() + b"\n"


def read_about(folder: Path) -> About:
    """What ``index.json`` says. Raises InputError when there is none, or it is damaged or of another format."""
    path = folder / ABOUT
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(values, dict) and values.get("format") != FORMAT:
            raise InputError(
                f"{path}: expected format {FORMAT}, found {values.get('format')}; install the version of earthclip "
                f"that wrote it, or rebuild it: earthclip index build SOURCE -o '{folder}' --force"
            )
        return from_mapping(About, values, str(path))
    except FileNotFoundError as error:
        raise InputError(
            f"{folder}: no index of photos ({ABOUT} is missing); make one: earthclip index build SOURCE -o '{folder}'"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error
    except (ValueError, ConfigError) as error:
        reason = " ".join(str(error).split())[:100]
        raise InputError(
            f"{path}: damaged ({reason}); rebuild it: earthclip index build SOURCE -o '{folder}' --force"
        ) from error


def write_about(folder: Path, about: About) -> None:
    """Write ``index.json``, which makes what the other files hold count."""
    with atomic_write(folder / ABOUT, overwrite=True) as file:
        file.write(json.dumps(to_mapping(about), indent=1).encode() + b"\n")


def file_name(what: str, generation: int | None) -> str:
    """The name of a file of an index: of its "embeddings", "coordinates", "photos" or "search"."""
    return f"{what}-{generation}.{ {'photos': 'jsonl', 'search': 'faiss'}.get(what, 'npy') }"


def header_of(what: str, about: About) -> bytes:
    """The first bytes of a NumPy file of so many photos, the same number of bytes whatever their number."""
    kind, width = next((kind, width) for name, kind, width in arrays(about) if name == what)
    buffer = io.BytesIO()
    shape = {"descr": np.dtype(kind).str, "fortran_order": False, "shape": (about.photos, width)}
    np.lib.format.write_array_header_1_0(buffer, shape)
    assert len(buffer.getvalue()) == HEADER
    return buffer.getvalue()


def byte_counts(about: About) -> dict[str, int]:
    """How long each file is when it holds the photos that ``about`` counts."""
    sizes = {what: HEADER + about.photos * width * np.dtype(kind).itemsize for what, kind, width in arrays(about)}
    return {**sizes, "photos": about.record_bytes}


def whole_photos(folder: Path, about: About) -> int:
    """How many of the photos, from the first on, no file is too short for; without the last where a line is."""
    whole = about.photos
    for what, kind, width in arrays(about):
        size = _size(folder / file_name(what, about.generation)) - HEADER
        whole = min(whole, max(0, size) // (width * np.dtype(kind).itemsize))
    path = folder / file_name("photos", about.generation)
    if _size(path) < about.record_bytes:
        lines = path.read_bytes().count(b"\n") if path.exists() else 0
        whole = min(whole, lines, about.photos - 1)
    return whole


def append(
    folder: Path,
    about: About,
    records: Sequence[PhotoRecord],
    embeddings: Float32[np.ndarray, "n d"],
    coordinates: Float64[np.ndarray, "n 2"],
) -> About:
    """Write photos behind those that ``about`` counts, and commit them."""
    lines = b"".join(record.line for record in records)
    after = dataclasses.replace(about, photos=about.photos + len(records), record_bytes=about.record_bytes + len(lines))
    data = {"embeddings": embeddings.astype(np.float16), "coordinates": coordinates.astype(np.float64)}
    for what, end in byte_counts(about).items():
        path = folder / file_name(what, about.generation)
        with path.open("r+b" if path.exists() else "w+b") as file:
            if what != "photos":
                file.write(header_of(what, after))
            file.seek(end)
            file.truncate()
            file.write(lines if what == "photos" else np.ascontiguousarray(data[what]).data)
            file.flush()
            os.fsync(file.fileno())
    write_about(folder, after)
    return after


def files_left(folder: Path, generation: int | None) -> list[Path]:
    """The files of other generations than this one, which killed processes have left."""
    found = [path for what in ("embeddings", "coordinates", "photos", "search") for path in folder.glob(f"{what}-*.*")]
    kept = {file_name(what, generation) for what in ("embeddings", "coordinates", "photos", "search")}
    return [path for path in found if path.stem.rpartition("-")[2].isdecimal() and path.name not in kept]


def remove_left(folder: Path, generation: int | None) -> None:
    """Remove the files of other generations."""
    for path in files_left(folder, generation):
        path.unlink()


def check_sources(folder: Path, records: Sequence[PhotoRecord]) -> None:
    """Raise InputError where all photos of a source are gone, as on a disk that is not connected."""
    for source in dict.fromkeys(record.source for record in records if record.path):
        if not any(Path(record.path).exists() for record in records if record.path and record.source == source):
            raise InputError(
                f"{source}: none of its photos is there, so none is removed; connect its disk, or remove them by name: "
                f"earthclip index remove '{folder}' '*'"
            )


def put_in_place(folder: Path, made: Path) -> None:
    """Move the index in ``made`` to ``folder``, in place of the one there. Raises OutputError."""
    with locked(folder, PROGRAM):
        (folder / ABOUT).unlink(missing_ok=True)
        remove_left(folder, None)
        for path in (*files_left(made, None), made / ABOUT):
            path.replace(folder / path.name)
        shutil.rmtree(made)


def damaged(folder: Path, what: str) -> InputError:
    """The fault of an index whose files are not as they were written."""
    return InputError(
        f"{folder}: damaged ({what}); mend it, which encodes only what is lost: earthclip index build SOURCE -o "
        f"'{folder}' --resume"
    )


def arrays(about: About) -> tuple[tuple[str, type, int], ...]:
    """The NumPy files: name, kind of number, numbers a photo."""
    return ("embeddings", np.float16, about.embedding_size), ("coordinates", np.float64, 2)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
