"""Making an index of photos and keeping it up to date: only new and changed photos are encoded.

Every 256 photos are committed: their rows are written behind the others, then ``index.json``. What a killed process had
written since is cut off by the next one, which goes on there and comes to the same bytes.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from earthclip.datasets.photos import StoredPhotos
from earthclip.errors import InputError
from earthclip.files import locked, sha256_of
from earthclip.locating.approximate import keep_approximate
from earthclip.locating.evidence import Weights
from earthclip.locating.index_files import (
    ABOUT,
    PROGRAM,
    About,
    PhotoRecord,
    append,
    check_sources,
    file_name,
    files_left,
    read_about,
    remove_left,
    whole_photos,
    write_about,
)
from earthclip.locating.locator import Locator
from earthclip.locating.photo_index import PhotoIndex, fingerprint_of, map_index, rewritten, whole_rows
from earthclip.pictures.metadata import metadata_of, read_bytes
from earthclip.pictures.prepare import Failure, Prepared
from earthclip.pictures.reader import Named, Reader

COMMIT_PHOTOS = 256  # what a kill costs at most
_BATCH = 16  # divides the number above, so that batches are the same after a kill
_HEAD = 1 << 18  # bytes that are searched for the time a photo was taken
_COPIED = 65536  # rows that are copied at once


@dataclass
class Changes:
    """What became of a source's photos: how many were ``encoded``, among them those ``changed`` since, were
    ``unchanged``, or have the bytes of another (``repeated``); which could not be read. ``lost`` are rows of the index
    that were cut short or damaged and left out: those that the source has were encoded again."""

    encoded: int = 0
    changed: int = 0
    unchanged: int = 0
    repeated: int = 0
    lost: int = 0
    failed: list[Failure] = field(default_factory=list)


def build(folder: Path, locator: Locator, *, version: str = "", resume: bool = False) -> None:
    """Begin an index in ``folder``; ``extend`` fills it. With ``resume``, one that is there stays.

    Raises InputError for an index, or files of its names, that are there without ``resume``, ModelError for a model
    without an image encoder.
    """
    with locked(folder, PROGRAM):
        if (folder / ABOUT).exists():
            if not resume:
                raise InputError(
                    f"{folder}: already holds an index; earthclip index add SOURCE -o '{folder}' adds photos, --resume "
                    "continues an interrupted build, --force replaces the index"
                )
            return
        if files_left(folder, None) and not resume:
            raise InputError(
                f"{folder}: has files of an index without {ABOUT}; name another folder, or give --resume, which "
                "replaces them"
            )
        about = About(locator.name, fingerprint_of(locator.folder), locator.config.embedding_size, earthclip=version)
        remove_left(folder, None)
        append(folder, about, [], np.empty((0, about.embedding_size), np.float32), np.empty((0, 2)))


def extend(
    folder: Path,
    photos: StoredPhotos,
    source: str,
    locator: Locator,
    *,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
    searched: Callable[[int, int], None] | None = None,
) -> Changes:
    """Add the photos of a source to the index in ``folder``, or encode again those that changed.

    A photo is known by ``source`` and its id; it is unchanged where size and time of its file are, or its bytes, and
    its place is the same. ``progress`` hears of photos encoded and to be encoded, ``searched`` of those in the file
    that makes a large index fast to search. Damaged rows are left out first. Raises InputError for an index of another
    model, and OutputError when another process is at work in it.
    """
    with locked(folder, PROGRAM):
        about = read_about(folder)
        PhotoIndex(folder, about, np.empty((0, 2)), np.empty((0, 1), np.float16)).check_model(locator.folder)
        remove_left(folder, about.generation)
        changes = Changes()
        index, records = _mended(folder, about, changes)
        kept, pending = _compared(index, records, photos, source, changes)
        if not kept.all() or records != index.records():
            index = rewritten(index, [record for record, keep in zip(records, kept, strict=True) if keep], kept)
        about = _encode(index, photos, pending, source, locator, changes, workers, progress)
        if not about.complete:
            about = dataclasses.replace(about, complete=True)
            write_about(folder, about)
        keep_approximate(folder, about, map_index(folder, about).embeddings, searched)
        return changes


def remove(
    folder: Path,
    patterns: Sequence[str],
    *,
    gone: bool = False,
    searched: Callable[[int, int], None] | None = None,
) -> int:
    """Take out the photos whose id is or matches one of ``patterns``, with ``gone`` those whose file is gone.

    Returns how many they were; ``searched`` is as in ``extend``. Raises InputError for a pattern that matches none.
    """
    with locked(folder, PROGRAM):
        about = read_about(folder)
        remove_left(folder, about.generation)
        index, records = _mended(folder, about, Changes())
        kept = np.ones(len(records), bool)
        for pattern in patterns:
            found = [row for row, record in enumerate(records) if pattern in (record.id, record.path)]
            found = found or [row for row, record in enumerate(records) if fnmatch.fnmatchcase(record.id, pattern)]
            if not found:
                raise InputError(f"{folder}: no photo is called '{pattern}'; see earthclip index info '{folder}'")
            kept[found] = False
        if gone:
            check_sources(folder, records)
            kept &= np.array([record.path is None or Path(record.path).exists() for record in records], bool)
        if not kept.all():
            index = rewritten(index, [record for record, keep in zip(records, kept, strict=True) if keep], kept)
            keep_approximate(folder, index.about, index.embeddings, searched)
        return int((~kept).sum())


def set_weights(folder: Path, weights: Weights) -> None:
    """Keep how much the photos of an index count."""
    with locked(folder, PROGRAM):
        write_about(folder, dataclasses.replace(read_about(folder), weights=weights))


def _mended(folder: Path, about: About, changes: Changes) -> tuple[PhotoIndex, list[PhotoRecord]]:
    """The index without the rows that are cut short or damaged, which are counted."""
    whole = whole_photos(folder, about)
    before, about = about, dataclasses.replace(about, photos=whole)
    if whole < before.photos:
        path = folder / file_name("photos", about.generation)
        lines = path.read_bytes().splitlines(keepends=True)[:whole] if whole else []
        about = dataclasses.replace(about, record_bytes=sum(map(len, lines)))
    index = map_index(folder, about)
    kept, records = np.zeros(whole, bool), []
    for first in range(0, whole, _COPIED):
        part = slice(first, first + _COPIED)
        kept[part] = whole_rows(index.embeddings[part], index.coordinates[part])
    for row in range(whole):
        try:
            records.append(index.record(row))
        except InputError:
            records.append(PhotoRecord("", "", ""))
            kept[row] = False
    changes.lost = before.photos - int(kept.sum())
    if changes.lost:
        records = [record for record, keep in zip(records, kept, strict=True) if keep]
        index = rewritten(index, records, kept)
    return index, records


def _compared(
    index: PhotoIndex, records: list[PhotoRecord], photos: StoredPhotos, source: str, changes: Changes
) -> tuple[Bool[np.ndarray, " n"], list[int]]:
    """Which rows stay, and the photos to encode, by their number; ``records`` take the new times of unchanged files."""
    rows = {record.id: row for row, record in enumerate(records) if record.source == source}
    kept, pending = np.ones(len(records), bool), []
    for number, name in enumerate(photos.ids):
        if (row := rows.get(name)) is None:
            pending.append(number)
            continue
        record = _seen_again(photos, number, records[row])
        author = photos.authors[number] or None if photos.authors else None
        moved = not np.array_equal(index.coordinates[row], photos.coordinates[number]) or author != records[row].author
        if record is None or moved:
            kept[row] = False
            changes.changed += 1
            pending.append(number)
        else:
            records[row] = record
            changes.unchanged += 1
    return kept, pending


def _seen_again(photos: StoredPhotos, number: int, record: PhotoRecord) -> PhotoRecord | None:
    """The record of an unchanged photo, with the time of its file; None where its bytes are others or gone."""
    try:
        content = photos.open(number)
        if not isinstance(content, str):
            with content:
                return record if hashlib.sha256(content.read()).hexdigest() == record.sha256 else None
        size, mtime_ns = _stamp(content)
        if (size, mtime_ns) == (record.size, record.mtime_ns):
            return record
        same = size == record.size and sha256_of(Path(content)) == record.sha256
        return dataclasses.replace(record, mtime_ns=mtime_ns) if same else None
    except (OSError, InputError):
        return None


def _encode(
    index: PhotoIndex,
    photos: StoredPhotos,
    pending: list[int],
    source: str,
    locator: Locator,
    changes: Changes,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> About:
    """Encode the pending photos and commit them as they come; what the index is then."""
    about, seen = index.about, {record.sha256 for record in index.records()}
    facts: dict[int, PhotoRecord] = {}
    sources = (Named(photos.ids[number], partial(_opened, photos, number, source, facts)) for number in pending)
    done = 0
    rows, records, batch = [np.empty((0, about.embedding_size), np.float32)], list[PhotoRecord](), list[Prepared]()
    numbers: list[int] = []

    def commit() -> About:
        committed = append(index.folder, about, records, np.concatenate(rows), photos.coordinates[numbers])
        del rows[1:]
        records.clear()
        numbers.clear()
        return committed

    with Reader(locator.folder.preprocessing, workers=workers) as reader:
        for number, outcome in zip(pending, reader.read_ahead(sources, 2 * _BATCH + 2 * workers), strict=True):
            done += 1
            record = facts.pop(number, None)
            if isinstance(outcome, Failure) or record is None:
                changes.failed.append(outcome if isinstance(outcome, Failure) else Failure(None, photos.ids[number]))
            elif record.sha256 in seen:
                changes.repeated += 1
            else:
                seen.add(record.sha256)
                batch.append(outcome)
                records.append(record)
                numbers.append(number)
            full = (about.photos + len(records)) % COMMIT_PHOTOS == 0
            if batch and (full or len(batch) == _BATCH or done == len(pending)):
                rows.append(locator.encode_image(batch))
                batch.clear()
            if records and (full or done == len(pending)):
                changes.encoded += len(records)
                about = commit()
            if progress:
                progress(done, len(pending))
    return about


def _opened(photos: StoredPhotos, number: int, source: str, facts: dict[int, PhotoRecord]) -> bytes:
    """The bytes of a photo, whose record is put into ``facts``. Raises InputError."""
    content, path = photos.open(number), None
    stamp: tuple[int | None, int | None] = None, None
    if isinstance(content, str):
        path = os.path.abspath(content)  # noqa: PTH100  - not resolved: a link is the name people know
        try:
            stamp = _stamp(content)
        except OSError as error:
            raise InputError(f"{content}: cannot be read ({error.strerror})") from error
        data = read_bytes(Path(content))
    else:
        with content:
            data = content.read()
    times = [finding.value for finding in metadata_of(data[:_HEAD]).of_kind("time") if finding.source == "EXIF"]
    taken = next((value.removeprefix("taken: ") for value in times if value.startswith("taken: ")), None)
    author = photos.authors[number] or None if photos.authors else None
    digest = hashlib.sha256(data).hexdigest()
    facts[number] = PhotoRecord(source, photos.ids[number], digest, path, *stamp, author=author, taken=taken)
    return data


def _stamp(path: str) -> tuple[int, int]:
    found = Path(path).stat()
    return found.st_size, found.st_mtime_ns
