"""The samples of one shard: members of a tar file that share a key, and an index of them that outlives the process.

Source of the format: WebDataset's format specification.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earthclip.datasets.coordinates import LATITUDE_NAMES, LONGITUDE_NAMES
from earthclip.datasets.tables import AUTHOR_NAMES
from earthclip.errors import OutputError
from earthclip.files import atomic_write
from earthclip.pictures.kinds import PICTURE_SUFFIXES

_FORMAT = 1  # of stored indices; another one is not read
_LARGEST_JSON = 1 << 20  # bytes
_NESTED = ("gps", "location", "geo", "coordinates", "metadata", "exif")  # objects of a .json that are looked into


@dataclass
class Sample:
    """What one key of a shard has: where its photo is (start, size, name), its place as it is written, its author."""

    key: str
    photo: tuple[int, int, str] | None = None
    place: tuple[object, object] | None = None
    author: str = ""


@dataclass(frozen=True)
class Shard:
    """The samples of a shard in its order; not ``whole`` when it ends early, and lacks those it ends in."""

    samples: list[Sample]
    whole: bool


def read_shard(file: Any) -> Shard:
    """Read the headers of a tar file from front to end. Raises tarfile.TarError and OSError."""
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    samples: list[Sample] = []
    with tarfile.open(fileobj=file, mode="r:") as tar:
        end = 0
        while (member := _next(tar)) is not None:
            end = member.offset_data + member.size
            if end > length:
                break
            if member.isfile():
                key, suffix = _key(member.name)
                if not samples or samples[-1].key != key:
                    samples.append(Sample(key))
                _take(samples[-1], tar, member, suffix)
        whole = _ends_well(file, end, length)
    if not whole and samples and (samples[-1].photo is None or samples[-1].place is None):
        samples.pop()
    return Shard(samples, whole)


def indexed(cache: Path | None, identity: str, read: Callable[[], Shard]) -> Shard:
    """The shard as it was stored under ``identity``, or else as ``read()`` gives it, which is then stored.

    An index that cannot be read or written costs time and nothing else.
    """
    if cache is None:
        return read()
    path = cache / f"{hashlib.sha256(identity.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.json.gz"
    with contextlib.suppress(OSError, EOFError, ValueError, TypeError, LookupError, zlib.error):
        content = json.loads(gzip.decompress(path.read_bytes()))
        if content["format"] == _FORMAT and content["identity"] == identity:
            return Shard([_sample(*row) for row in content["samples"]], bool(content["whole"]))
    shard = read()
    rows = [[sample.key, sample.photo, sample.place, sample.author] for sample in shard.samples]
    content = {"format": _FORMAT, "identity": identity, "whole": shard.whole, "samples": rows}
    with contextlib.suppress(OSError, OutputError):
        cache.mkdir(parents=True, exist_ok=True)
        with atomic_write(path, overwrite=True) as file:
            file.write(gzip.compress(json.dumps(content).encode(), compresslevel=3, mtime=0))
    return shard


def _sample(key: str, photo: list[Any] | None, place: list[object] | None, author: str) -> Sample:
    where = None if photo is None else (int(photo[0]), int(photo[1]), str(photo[2]))
    return Sample(key, where, None if place is None else (place[0], place[1]), author)


def _next(tar: tarfile.TarFile) -> tarfile.TarInfo | None:
    try:
        return tar.next()
    except tarfile.ReadError:
        if not tar.offset:
            raise
        return None  # the last header is beyond the end, or is none


def _ends_well(file: Any, end: int, length: int) -> bool:
    """Whether the mark that ends a tar file follows the last member."""
    at = -(-end // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    if at + tarfile.BLOCKSIZE > length:
        return False
    file.seek(at)
    return not any(file.read(tarfile.BLOCKSIZE))


def _take(sample: Sample, tar: tarfile.TarFile, member: tarfile.TarInfo, suffix: str) -> None:
    if f".{suffix}" in PICTURE_SUFFIXES and sample.photo is None:
        sample.photo = member.offset_data, member.size, member.name
    elif suffix in ("json", "txt") and member.size <= _LARGEST_JSON:
        reader = tar.extractfile(member)
        text = reader.read().decode("utf-8", "replace") if reader else ""
        if suffix == "json":
            sample.place, sample.author = _of_json(text)
        elif sample.place is None and len(pair := text.replace(",", " ").split()) == 2:
            sample.place = pair[0], pair[1]


def _of_json(text: str) -> tuple[tuple[object, object] | None, str]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None, ""
    if not isinstance(content, dict):
        return None, ""
    values = {str(name).strip().casefold(): value for name, value in content.items()}
    author = next((str(values[name]) for name in AUTHOR_NAMES if isinstance(values.get(name), str | int)), "")
    for inner in (values, *(values[name] for name in _NESTED if isinstance(values.get(name), dict))):
        named = {str(name).strip().casefold(): value for name, value in inner.items()}
        latitude = next((named[name] for name in LATITUDE_NAMES if named.get(name) is not None), None)
        longitude = next((named[name] for name in LONGITUDE_NAMES if named.get(name) is not None), None)
        if latitude is not None and longitude is not None:
            return (latitude, longitude), author
    return None, author


def _key(name: str) -> tuple[str, str]:
    """The key of a member, and its suffix: what follows the first dot of its last part."""
    folder, slash, last = name.rpartition("/")
    key, _, suffix = last.partition(".")
    return f"{folder}{slash}{key}".removeprefix("./"), suffix.lower()
