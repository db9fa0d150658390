"""Finding pictures: files, folders, patterns and lists of paths, one at a time however many."""

from __future__ import annotations

import fnmatch
import io
import os
import stat
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from earthclip.errors import InputError
from earthclip.pictures.kinds import PICTURE_SUFFIXES, PassedOver, kind_of, listed, read_suffixes
from earthclip.pictures.metadata.containers import container_of
from earthclip.pictures.prepare import Failure

STDIN = "-"


def find_pictures(arguments: Iterable[Path]) -> tuple[list[Path], list[Failure]]:
    """The pictures of ``each_picture`` apart from what there is instead."""
    found = list(each_picture(arguments))
    files = [picture for picture in found if isinstance(picture, Path)]
    return files, [picture for picture in found if isinstance(picture, Failure)]


def each_picture(
    arguments: Iterable[Path],
    listed: Path | None = None,
    passed_over: PassedOver | None = None,
    suffixes: Collection[str] | None = None,
    *,
    literal: bool = False,
) -> Iterator[Path | Failure]:
    """Files as given, the pictures in folders, what patterns match, then the paths of the list, in that order.

    Folders are searched at all depths in sorted order for ``suffixes``, or else for the pictures that are read here;
    ``passed_over`` counts the other files. Hidden names are left out, links to folders not followed. ``*``, ``?``,
    ``[...]`` and ``**`` are a pattern unless a file has that very name. ``-`` stands for a list on standard input,
    whose paths end with line breaks or, where there are any, with NUL. With ``literal``, every argument is a name. A
    folder without pictures or that cannot be read, a pipe, socket or device, and a pattern without matches are a
    Failure. Raises InputError for a list that cannot be read.
    """
    search = _Search(frozenset(suffixes) if suffixes else None, PassedOver() if passed_over is None else passed_over)
    for argument in arguments:
        if str(argument) == STDIN and not literal:
            yield from _listed(argument, search)
        elif not literal and _is_pattern(str(argument)) and not os.path.lexists(argument):
            yield from _matches(argument, search)
        else:
            yield from _file_or_folder(argument, search)
    if listed is not None:
        yield from _listed(listed, search)


def count_pictures(arguments: Iterable[Path], listed: Path | None = None) -> int | None:
    """How many ``each_picture`` gives; None where that is not known before they have come."""
    arguments = list(arguments)
    if Path(STDIN) in arguments or (listed is not None and not listed.is_file()):
        return None
    return sum(1 for _ in each_picture(arguments, listed))


def known_pictures(arguments: Iterable[Path], listed: Path | None = None) -> Iterator[Path]:
    """The list and those pictures of ``each_picture`` that are known before the work: not those of stdin or a pipe."""
    listed = listed if listed is not None and listed.is_file() else None
    if listed:
        yield listed
    for found in each_picture((argument for argument in arguments if str(argument) != STDIN), listed):
        if isinstance(found, Path):
            yield found


def check_list(path: Path) -> None:
    """Raise InputError unless there is a list of paths at ``path``, or it is stdin."""
    if str(path) != STDIN and (path.is_dir() or not path.exists()):
        advice = "a folder; give it without --list" if path.is_dir() else "nothing; check the name, or - for stdin"
        raise InputError(f"{path}: expected a file of paths, found {advice}")


@dataclass(frozen=True)
class _Search:
    suffixes: frozenset[str] | None  # None: of the pictures that are read on this machine
    passed_over: PassedOver


def walk(folder: Path, suffixes: Collection[str], passed_over: PassedOver) -> Iterator[Path | Failure]:
    """The files in ``folder`` with one of ``suffixes``, at any depth, in sorted order.

    Hidden names are left out, links to folders not followed; ``passed_over`` counts the other files. A folder that
    cannot be read, and a pipe, socket or device with such a name, are a Failure and never opened.
    """
    faults: list[OSError] = []
    for parent, folders, names in os.walk(folder, onerror=faults.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith("."):
                continue
            path = Path(parent, name)
            if path.suffix.lower() not in suffixes:
                passed_over.add(name)
            elif special := _special(path):
                yield special
            else:
                yield path
    for fault in faults:
        yield Failure(str(fault.filename), f"{fault.filename}: the folder cannot be read ({fault.strerror})")


def _special(path: Path) -> Failure | None:
    """Why a path that exists is nothing to open: reading a pipe would wait for ever, a device may do anything."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return None  # a dangling link, gone, or no name at all: reading it says so
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    found = next((name for is_a, name in _SPECIAL if is_a(mode)), "a device")
    return Failure(str(path), f"{path}: expected a picture, found {found}; save it as a file first")


_SPECIAL = ((stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))


def check_picture(path: Path) -> None:
    """Raise InputError where there is something else than a picture, by its suffix or its first bytes; not if nothing.

    A pipe or device is never opened.
    """
    if special := _special(path):
        raise InputError(special.error)
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except IsADirectoryError as error:
        raise InputError(f"{path}: expected a picture, found a folder") from error
    except (OSError, ValueError):
        return  # reading it says what is wrong
    if kind_of(path) is None and container_of(start) == "other":
        raise InputError(f"{path}: not a picture; correct or remove its row")


def _file_or_folder(path: Path, search: _Search) -> Iterator[Path | Failure]:
    if not path.is_dir():
        yield _special(path) or path
        return
    before = PassedOver(Counter(search.passed_over.pictures), search.passed_over.others)
    empty = True
    for found in walk(path, search.suffixes or read_suffixes(), search.passed_over):
        empty = False
        yield found
    if empty:
        yield Failure(str(path), f"{path}: {_nothing(search, search.passed_over.since(before))}")


def _nothing(search: _Search, passed_over: PassedOver) -> str:
    if search.suffixes is not None:
        return f"a folder without tables; expected files that end in {listed(search.suffixes)}"
    if passed_over.pictures:
        return f"no readable pictures ({passed_over})"
    return f"a folder without pictures; expected files that end in one of {listed(PICTURE_SUFFIXES)}"


def _is_pattern(text: str) -> bool:
    return any(sign in text for sign in "*?[")


def _matches(pattern: Path, search: _Search) -> Iterator[Path | Failure]:
    parts = pattern.parts
    while parts[-1] == "**":  # of a folder, all that is below
        parts = parts[:-1] or (".",)
    empty = True
    for path in _expand(Path(), parts):
        if "**" in parts and path.is_dir():
            continue  # what is in it is matched by itself
        empty = False
        yield from _file_or_folder(path, search)
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


def read_list(path: Path) -> Iterator[str]:
    """The names in a list, or in that on standard input for ``-``. Raises InputError for one that cannot be read."""
    if str(path) == STDIN:
        if sys.stdin is None:
            raise InputError("-: expected paths on stdin, which is closed")
        yield from _names_in(cast(io.BufferedIOBase, sys.stdin.buffer), "stdin")
        return
    try:
        with path.open("rb") as file:
            yield from _names_in(file, str(path))
    except OSError as error:
        raise InputError(f"{path}: the list of paths cannot be read ({error.strerror})") from error


def _listed(path: Path, search: _Search) -> Iterator[Path | Failure]:
    for name in read_list(path):
        yield from _file_or_folder(Path(name), search)


def _names_in(file: io.BufferedIOBase, where: str) -> Iterator[str]:
    rest, end = b"", b""
    while block := file.read1(1 << 16):
        rest += block
        if not end and rest.startswith((b"\xff\xfe", b"\xfe\xff")):  # as PowerShell's > writes
            raise InputError(f"{where}: a list of paths in UTF-16; save it as UTF-8")
        end = end or (b"\0" if b"\0" in rest else b"\n" if b"\n" in rest else b"")
        if end:
            *lines, rest = rest.split(end)
            yield from (name for line in lines if (name := _name_in(line)))
    if name := _name_in(rest):
        yield name


def _name_in(line: bytes) -> str:
    text = line.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\r")
    return os.fsdecode(text) if text.strip() else ""
