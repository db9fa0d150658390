"""WebDataset shards, here or at an address: their tar members become photos."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from earthclip.datasets.rows import NO_PLACE, Rows, Scan
from earthclip.datasets.tar_samples import Sample, Shard, indexed, read_shard
from earthclip.errors import InputError, MissingExtraError


def open_with_fsspec(address: str, extra: str = "remote") -> tuple[Any, str]:
    """fsspec's filesystem of ``address``, and its path there.

    Raises MissingExtraError, naming ``extra``, without fsspec; InputError, in fsspec's words, where it needs another
    package for this protocol or knows none of that name.
    """
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtraError(address, extra, "fsspec") from error
    try:
        system, path = fsspec.core.url_to_fs(address)
    except ImportError as error:  # of the package for this protocol, which fsspec names
        raise InputError(f"{address}: {reason(error)}, by pip") from error
    except ValueError as error:
        raise InputError(f"{address}: {reason(error)}; expected a path or an address as s3://bucket/photos") from error
    return system, path


def reason(error: BaseException) -> str:
    """The fault alone, in one line: libraries' messages may have many, and a path that the reader knows."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())[:160] or type(error).__name__


CUT_SHORT, UNREADABLE, NO_PHOTO = "cut short with their shard", "shards that cannot be read", "without a photo"

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"^(\d+)\.\.(\d+)$")
_MOST_SHARDS = 100_000


@dataclass(frozen=True, eq=False)
class ShardStore:
    """Photos as parts of shards: which one, where in it, how long, and what the part is called."""

    shards: list[str]
    shard: Int64[np.ndarray, " n"]
    start: Int64[np.ndarray, " n"]
    size: Int64[np.ndarray, " n"]
    names: list[str]

    def open(self, row: int) -> io.BytesIO:
        """The photo as a file in memory. Raises InputError when the shard cannot be read any more."""
        url, start, size = self.shards[int(self.shard[row])], int(self.start[row]), int(self.size[row])
        try:
            if _is_local(url):
                with Path(url).open("rb") as file:
                    file.seek(start)
                    data = file.read(size)
            else:
                system, path = open_with_fsspec(url)
                data = system.cat_file(path, start=start, end=start + size)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.label(row)}: cannot be read ({reason(error)}); is the shard still there?"
            ) from error
        if len(data) != size:
            raise InputError(f"{self.label(row)}: the shard has become shorter since it was opened; get it again")
        return io.BytesIO(data)

    def label(self, row: int) -> str:
        """The shard and the name in it."""
        return f"{self.shards[int(self.shard[row])]}/{self.names[row]}"


@dataclass
class _Index:
    """The columns of a ShardStore while they are gathered."""

    shard: list[int] = field(default_factory=list)
    start: list[int] = field(default_factory=list)
    size: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


def scan_shards(pattern: str, progress: Callable[[int], None] | None = None, cache: Path | None = None) -> Scan:
    """The photos of all shards that a pattern names, as ``s3://bucket/{00000..00009}.tar`` or ``folder/*.tar``.

    An id is a photo's key; where another shard has that key too, ``shard/key``. ``progress`` hears how many shards
    were read; ``cache`` is a folder where what was read of each is kept for the next time. Raises InputError when no
    shard can be read, and MissingExtraError for an address without ``remote``.
    """
    shards = expand(pattern)
    rows, index, keys = Rows(pattern), _Index(), dict[str, int]()
    read = 0
    for number, url in enumerate(shards):
        try:
            shard = indexed(cache, _identity(url), partial(_read, url))
            for sample in shard.samples:
                owner = keys.setdefault(sample.key, number)
                identity = sample.key if owner == number else f"{Path(url).stem}/{sample.key}"
                _add(rows, index, number, identity, sample)
            if not shard.whole:
                rows.skipped.add(CUT_SHORT, f"the end of {url}")
            read += 1
        except (OSError, ValueError, tarfile.TarError) as error:
            rows.leave_out(UNREADABLE, f"{url}: {reason(error)}")
        if progress is not None:
            progress(number + 1)
    if not read:
        raise InputError(f"{pattern}: no readable shard; {rows.skipped}")
    columns = [np.array(column, np.int64) for column in (index.shard, index.start, index.size)]
    kept = rows.kept(authors=True)
    if not any(kept.authors or []):
        kept = replace(kept, authors=None)
    return rows.scan(kept, ShardStore(shards, columns[0], columns[1], columns[2], index.names), kept.origin)


def expand(pattern: str) -> list[str]:
    """The shards of a pattern: ``{00000..00009}``, ``{a,b}``, and ``*`` where files can be listed; sorted by name.

    Raises InputError when there are none, more than 100,000, or when they are compressed.
    """
    parts = _BRACES.split(pattern)
    choices = [_alternatives(part, pattern) if i % 2 else [part] for i, part in enumerate(parts)]
    if np.prod([float(len(choice)) for choice in choices]) > _MOST_SHARDS:
        raise InputError(f"{pattern}: more than {_MOST_SHARDS:,} shards; name fewer")
    found: list[str] = []
    for pieces in product(*choices):
        name = "".join(pieces)
        found += _listed(name) if any(sign in name for sign in "*?[") else [name]
    if not found:
        raise InputError(f"{pattern}: no such shards; check the pattern and the folder")
    if packed := [name for name in found if name.endswith(("gz", "bz2", "xz", "zst"))]:
        raise InputError(f"{packed[0]}: compressed shards cannot be read at an offset; unpack them to .tar first")
    return found


def _add(rows: Rows, index: _Index, number: int, identity: str, sample: Sample) -> None:
    start, size, name = sample.photo or (0, 0, "")
    for column, value in zip((index.shard, index.start, index.size), (number, start, size), strict=True):
        column.append(value)
    index.names.append(name)
    if sample.photo is None:
        rows.leave_out(NO_PHOTO, identity)
    elif sample.place is None:
        rows.leave_out(NO_PLACE, identity)
    else:
        rows.add(identity, *sample.place, sample.author)


def _alternatives(text: str, pattern: str) -> list[str]:
    if numbers := _RANGE.match(text):
        first, last = numbers.groups()
        if int(last) - int(first) >= _MOST_SHARDS or int(last) < int(first):
            raise InputError(f"{pattern}: {{{text}}} must count upwards, to fewer than {_MOST_SHARDS:,} shards")
        return [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
    return text.split(",")


def _listed(pattern: str) -> list[str]:
    if _is_local(pattern):
        anchor = Path(pattern).anchor
        return sorted(str(path) for path in Path(anchor or ".").glob(pattern.removeprefix(anchor)))
    system, path = open_with_fsspec(pattern)
    return sorted(str(system.unstrip_protocol(found)) for found in system.glob(path))


def _is_local(url: str) -> bool:
    return "://" not in url


def _read(url: str) -> Shard:
    if _is_local(url):
        with Path(url).open("rb") as file:
            return read_shard(file)
    system, path = open_with_fsspec(url)
    with system.open(path, "rb") as file:
        return read_shard(file)


def _identity(url: str) -> str:
    """What changes when a shard does: its name and size, and when it was written or its checksum."""
    if _is_local(url):
        status = Path(url).stat()
        return f"{Path(url).resolve()} {status.st_size} {status.st_mtime_ns}"
    system, path = open_with_fsspec(url)
    return f"{url} {system.ukey(path)}"
