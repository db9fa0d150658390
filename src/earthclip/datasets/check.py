"""What is wrong with a data set, before days are spent on it: a report with counts and examples, never a crash.

Rows are looked at as ``open_photos`` does; then each photo's file: is it there, whole, what its name says, and there
once only; with ``decode``, can it be read to its last pixel.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from earthclip.datasets.opening import scan
from earthclip.datasets.photos import Skipped, StoredPhotos
from earthclip.datasets.rows import Scan
from earthclip.errors import InputError, visible
from earthclip.pictures.decode import decode_reduced
from earthclip.pictures.kinds import SUFFIXES_OF
from earthclip.pictures.metadata.containers import container_of, jpeg_parts, png_parts
from earthclip.pictures.metadata.findings import DamagedError

EMPTY, CUT_SHORT, NO_PHOTO = "empty files", "cut short or damaged", "no photo inside"
OTHER_KIND, SAME_BYTES, NO_MORE, UNREADABLE = "of another kind than the suffix", "same bytes", "gone", "not decoded"
_USELESS = (EMPTY, CUT_SHORT, NO_PHOTO, NO_MORE, UNREADABLE)

# What files of a container may be called; HEIC's and AVIF's are one container.
_SUFFIXES = {name: suffixes for name, suffixes in SUFFIXES_OF.items() if name in ("JPEG", "PNG", "WebP", "TIFF")}
_SUFFIXES |= {"HEIC": (*SUFFIXES_OF["HEIC"], *SUFFIXES_OF["AVIF"]), "BigTIFF": SUFFIXES_OF["TIFF"]}
_TAIL = 4096  # bytes in which the end of a whole file is looked for
_HEAD = 64


@dataclass(frozen=True)
class DataReport:
    """What was found: rows of the source, how many there should be, how many photos can be used, and the findings.

    ``findings`` are reasons with their counts and first examples; those of ``left_out`` are rows that ``open_photos``
    skips, those of ``files`` concern photos that it gives.
    """

    source: str
    rows: int
    expected: int | None
    usable: int
    swapped: str | None
    decoded: bool
    left_out: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 clean, 1 with findings, 2 not usable as it is."""
        if self.swapped or not self.usable:
            return 2
        return 1 if self.left_out or self.files or self.expected not in (None, self.rows) else 0

    def format(self, form: Literal["text", "json"]) -> str:
        """For people, or as JSON in one line."""
        if form == "json":
            return json.dumps({**asdict(self), "exit_code": self.exit_code}, ensure_ascii=False)
        lines = [f"{self.source}: {self.rows:,} rows, {self.usable:,} usable photos"]
        if self.expected is not None:
            short = self.expected - self.rows
            differ = "" if not short else f", {abs(short):,} {'fewer' if short > 0 else 'more'} than published"
            lines.append(f"published: {self.expected:,} photos{differ}")
        if self.swapped:
            lines.append(f"{self.swapped}: swap the two names in the header of the table; not usable as it is")
        for title, counts in (("left out", self.left_out), ("files", self.files)):
            for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
                lines.append(f"{title}: {count:,} {reason}, e.g. {', '.join(self.examples[reason])}")
        if not self.exit_code:
            how = "read completely" if self.decoded else "checked without decoding; --decode reads them completely"
            lines.append(f"no problems found (files were {how})")
        return "\n".join(map(visible, lines))


def check(
    source: str,
    *,
    images: Path | None = None,
    decode: bool = False,
    cache: Path | None = None,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> DataReport:
    """Look at a source (see ``open_photos``) and at each of its files.

    ``progress`` hears what is done, how many, and of how many where that is known. Raises InputError when there is no
    such source or it cannot be read at all, and MissingExtraError.
    """
    say = progress or (lambda what, done, of: None)
    found = scan(source, images=images, cache=cache, progress=lambda done: say("looking", done, None))
    files, useless = _check_files(found, decode, lambda done: say("checking", done, len(found.photos)))
    left_out = found.photos.skipped
    return DataReport(
        found.photos.name,
        found.rows,
        found.expected,
        len(found.photos) - useless,
        found.swapped,
        decode,
        dict(left_out.counts),
        dict(files.counts),
        {**left_out.examples, **files.examples},
    )


def _check_files(found: Scan, decode: bool, progress: Callable[[int], None]) -> tuple[Skipped, int]:
    photos, faults = found.photos, Skipped()
    of_size: dict[int, list[int]] = defaultdict(list)
    useless = 0
    for index in range(len(photos)):
        before = sum(faults.counts[reason] for reason in _USELESS)
        try:
            with _opened(photos, index) as file:
                size = _look(file, photos.label(index), faults, decode)
            if size:
                of_size[size].append(index)
        except (InputError, OSError) as error:
            faults.add(NO_MORE, f"{photos.label(index)}: {_reason(error)}")
        useless += sum(faults.counts[reason] for reason in _USELESS) > before
        progress(index + 1)
    for first, again in _copies(photos, of_size):
        faults.add(SAME_BYTES, f"{photos.ids[again]} as {photos.ids[first]}")
    return faults, useless


def _look(file: io.BufferedIOBase, label: str, faults: Skipped, decode: bool) -> int:
    """Count what is wrong with one file, and return its size in bytes."""
    size = file.seek(0, io.SEEK_END)
    if not size:
        faults.add(EMPTY, label)
        return 0
    file.seek(0)
    head = file.read(_HEAD)
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    container = container_of(head)
    if container == "other" and not decode:
        if _known_suffix(label):
            faults.add(NO_PHOTO, label)
    elif container in _SUFFIXES and _known_suffix(label) and _suffix(label) not in _SUFFIXES[container]:
        faults.add(OTHER_KIND, f"{label} is {container}")
    if decode:
        file.seek(0)
        try:
            decode_reduced(file, None, where=label)
        except InputError as error:
            faults.add(UNREADABLE, str(error))
    elif _is_cut(file, container, size, tail):
        faults.add(CUT_SHORT, label)
    return size


def _is_cut(file: io.BufferedIOBase, container: str, size: int, tail: bytes) -> bool:
    if container == "WebP":
        file.seek(4)
        return int.from_bytes(file.read(4), "little") + 8 > size
    if container not in ("JPEG", "PNG") or tail.rstrip(b"\0\r\n ").endswith((b"\xff\xd9", b"IEND\xaeB`\x82")):
        return False
    file.seek(0)
    data = file.read()  # something follows the photo's end, as the video of a phone does, or there is no end
    try:
        if container == "PNG":
            return not list(png_parts(data))
        return all(part.name != "D9" for part in jpeg_parts(data))
    except DamagedError:
        return True


def _copies(photos: StoredPhotos, of_size: dict[int, list[int]]) -> Iterator[tuple[int, int]]:
    """The first photo with some bytes, and each other that has the same."""
    for indices in of_size.values():
        if len(indices) < 2:
            continue
        seen: dict[bytes, int] = {}
        for index in indices:
            try:
                with _opened(photos, index) as file:
                    digest = hashlib.blake2b(file.read()).digest()
            except (InputError, OSError):
                continue  # it was there a moment ago; the report has it when it is gone for good
            first = seen.setdefault(digest, index)
            if first != index:
                yield first, index


def _opened(photos: StoredPhotos, index: int) -> io.BufferedIOBase:
    source = photos.open(index)
    return Path(source).open("rb") if isinstance(source, str) else source


def _suffix(label: str) -> str:
    return Path(label).suffix.lower()


def _known_suffix(label: str) -> bool:
    return any(_suffix(label) in suffixes for suffixes in _SUFFIXES.values())


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)
