"""The pictures that command-line arguments mean: files, folders, patterns and lists, one at a time however many."""

from __future__ import annotations

import fnmatch
import io
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import cast

from earthclip.errors import InputError
from earthclip.pictures.prepare import Failure

_KINDS = "jpg jpeg jpe jfif png tif tiff webp gif bmp jp2 avif ppm pgm"
SUFFIXES = frozenset(f".{kind}" for kind in _KINDS.split())
STDIN = "-"
_COLLAPSED = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(?!/)")


def as_given(path: Path) -> str:
    """An address again, of which Path has made a path by taking one of its slashes; a path as it is."""
    text = os.fspath(path)
    match = _COLLAPSED.match(text)
    if match is None or path.exists():
        return text
    root = "/" if match[1].lower() == "file" else ""
    return f"{match[1]}://{root}{text[match.end() :]}"


def refuse_addresses(*paths: Path | None) -> None:
    """Raise InputError for an address, which only a cluster reads and writes."""
    for path in paths:
        if path is not None and "://" in (given := as_given(path)):
            raise InputError(
                f"{given}: earthclip reads and writes files of this machine here; save the file first, or use "
                "'earthclip cluster', see docs/clusters.md"
            )


def find_pictures(arguments: Iterable[Path]) -> tuple[list[Path], list[Failure]]:
    """The pictures of ``each_picture`` apart from what there is instead."""
    found = list(each_picture(arguments))
    files = [picture for picture in found if isinstance(picture, Path)]
    return files, [picture for picture in found if isinstance(picture, Failure)]


def each_picture(
    arguments: Iterable[Path], listed: Path | None = None, suffixes: Collection[str] = SUFFIXES
) -> Iterator[Path | Failure]:
    """Files as given, the pictures in folders, what patterns match, then the paths of the list, in that order.

    Folders are searched to the bottom in sorted order for ``suffixes``; hidden names are passed over, links to
    folders not followed. ``*``, ``?``, ``[...]`` and ``**`` are a pattern unless a file has that very name. ``-``
    stands for a list on stdin, whose paths are ended by line breaks or, where there are any, by NUL. A folder without
    pictures or that cannot be read and a pattern without matches are a Failure. Raises InputError for a list that
    cannot be read.
    """
    for argument in arguments:
        if str(argument) == STDIN:
            yield from _listed(argument, suffixes)
        elif _is_pattern(str(argument)) and not os.path.lexists(argument):
            yield from _matches(argument, suffixes)
        else:
            yield from _file_or_folder(argument, suffixes)
    if listed is not None:
        yield from _listed(listed, suffixes)


def count_pictures(arguments: Iterable[Path], listed: Path | None = None) -> int | None:
    """How many ``each_picture`` gives; None where that is not known before they have come."""
    arguments = list(arguments)
    if Path(STDIN) in arguments or (listed is not None and not listed.is_file()):
        return None
    return sum(1 for _ in each_picture(arguments, listed))


def check_list(path: Path) -> None:
    """Raise InputError unless there is a list of paths at ``path``, or it is stdin."""
    if str(path) != STDIN and (path.is_dir() or not path.exists()):
        advice = "a folder; give it without --list" if path.is_dir() else "nothing; check the name, or - for stdin"
        raise InputError(f"{path}: expected a file of paths, found {advice}")


def _file_or_folder(path: Path, suffixes: Collection[str]) -> Iterator[Path | Failure]:
    if not path.is_dir():
        yield path
        return
    faults: list[OSError] = []
    empty = True
    for parent, folders, names in os.walk(path, onerror=faults.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if Path(name).suffix.lower() in suffixes and not name.startswith("."):
                empty = False
                yield Path(parent, name)
    for fault in faults:
        yield Failure(str(fault.filename), f"{fault.filename}: the folder cannot be read ({fault.strerror})")
    if empty and not faults:
        kinds = _KINDS if suffixes is SUFFIXES else " ".join(suffix.removeprefix(".") for suffix in suffixes)
        what = "pictures" if suffixes is SUFFIXES else "tables"
        yield Failure(str(path), f"{path}: a folder without {what}; expected files that end in one of {kinds}")


def _is_pattern(text: str) -> bool:
    return any(sign in text for sign in "*?[")


def _matches(pattern: Path, suffixes: Collection[str]) -> Iterator[Path | Failure]:
    parts = pattern.parts
    while parts[-1] == "**":  # of a folder, all that is below
        parts = parts[:-1] or (".",)
    empty = True
    for path in _expand(Path(), parts):
        if "**" in parts and path.is_dir():
            continue  # what is in it is matched by itself
        empty = False
        yield from _file_or_folder(path, suffixes)
    if empty:
        yield Failure(str(pattern), f"{pattern}: no such file, nor any that match it; check the name and the folder")


def _expand(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    # Not glob.glob, which gives them in the order of the disk and knows no end before it has them all.
    if not parts:
        yield folder
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        yield from _expand(folder, rest)
        for name in _names(folder):
            if (folder / name).is_dir() and not (folder / name).is_symlink():
                yield from _expand(folder / name, parts)
    elif _is_pattern(part):
        for name in fnmatch.filter(_names(folder, hidden=part.startswith(".")), part):
            yield from _expand(folder / name, rest)
    elif os.path.lexists(folder / part):
        yield from _expand(folder / part, rest)


def _names(folder: Path, *, hidden: bool = False) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if hidden or not path.name.startswith("."))
    except OSError:
        return []


def _listed(path: Path, suffixes: Collection[str]) -> Iterator[Path | Failure]:
    if str(path) == STDIN:
        if sys.stdin is None:
            raise InputError("-: expected paths on stdin, which is closed")
        yield from _paths(cast(io.BufferedReader, sys.stdin.buffer), "stdin", suffixes)
        return
    try:
        with path.open("rb") as file:
            yield from _paths(file, str(path), suffixes)
    except OSError as error:
        raise InputError(f"{path}: the list of paths cannot be read ({error.strerror})") from error


def _paths(file: io.BufferedReader, where: str, suffixes: Collection[str]) -> Iterator[Path | Failure]:
    rest, end = b"", b""
    while block := file.read1(1 << 16):
        rest += block
        if not end and rest.startswith((b"\xff\xfe", b"\xfe\xff")):  # as PowerShell's > writes
            raise InputError(f"{where}: a list of paths in UTF-16; save it as UTF-8")
        end = end or (b"\0" if b"\0" in rest else b"\n" if b"\n" in rest else b"")
        if end:
            *lines, rest = rest.split(end)
            for line in lines:
                yield from _entry(line, suffixes)
    yield from _entry(rest, suffixes)


def _entry(line: bytes, suffixes: Collection[str]) -> Iterator[Path | Failure]:
    text = line.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\r")
    if text.strip():
        yield from _file_or_folder(Path(os.fsdecode(text)), suffixes)
