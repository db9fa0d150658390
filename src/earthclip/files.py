"""Atomic writes, checksums, and the folder where fetched and computed files are kept."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from earthclip.errors import OutputError


@contextlib.contextmanager
def atomic_write(path: Path, *, overwrite: bool = False) -> Iterator[IO[bytes]]:
    """A binary file that appears at ``path`` only when the block ends without an error.

    A symbolic link stays, and its target is written. A file that is replaced keeps its permissions, a new one has what
    the umask leaves; until then nobody else can read it. Raises OutputError when ``path`` exists and ``overwrite`` is
    false, when it is a folder, a device or a pipe, or when its folder cannot be written.
    """
    if not overwrite:
        refuse_existing(path)
    target = _target(path)
    handle, part = _neighbour(path)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.chmod(mode_of(target))
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"{path}: writing failed ({error.strerror})") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def staging_folder(path: Path) -> Iterator[Path]:
    """An empty folder that replaces ``path`` and its contents when the block ends without an error.

    Raises OutputError when the folder around ``path`` cannot be written. Leftovers of killed processes are removed.
    """
    staging = path.parent / f".{_cut(path.name, _ROOM)}.{os.getpid()}.part"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in _left(path, r"(\d+)(\.former)?"):
            if ".former." in left.name and not path.exists():
                left.rename(path)  # of a process that was killed between the two
            else:
                shutil.rmtree(left)
        staging.mkdir()
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose a folder you can write to") from error
    try:
        yield staging
        former = staging.with_suffix(".former.part")
        if path.exists():
            path.rename(former)
        staging.rename(path)
        shutil.rmtree(former, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise OutputError(f"{error.filename or path}: writing failed ({error.strerror})") from error
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


_LOCK = ".lock"


@contextlib.contextmanager
def locked(folder: Path, program: str) -> Iterator[None]:
    """Hold ``folder``, made if need be, against other processes; ``program`` is what one is called in the message.

    Raises OutputError when one has it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / _LOCK).open("ab")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); choose a folder you may write to") from error
    with file:
        if sys.platform != "win32":  # two processes in one folder are not found out there
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                fault = f"{folder}: another {program} is at work in it; wait for it, or choose another folder"
                raise OutputError(fault) from error
            except OSError:
                pass  # a drive without locks
        yield


def refuse_unwritable(path: Path) -> None:
    """Raise OutputError, before any work is done, where ``atomic_write`` would."""
    handle, part = _neighbour(path)
    os.close(handle)
    part.unlink()


def _neighbour(path: Path) -> tuple[int, Path]:
    """A temporary file, open, that can take the place of what is written to ``path``. Raises OutputError."""
    target = _target(path)
    if target.exists() and not target.is_file():  # to replace a device would take it away from every other program
        found = "a folder; name a file in it" if target.is_dir() else "a device or pipe; leave -o out and redirect"
        raise OutputError(f"{path}: expected a file to write, found {found}")
    prefix = f".{_cut(target.name, _ROOM)}.{os.getpid()}."
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=prefix, suffix=".part")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose a folder you can write to") from error
    return handle, Path(name)


def refuse_existing(path: Path) -> None:
    """Raise OutputError, before any work is done, when ``path`` exists."""
    if path.exists():
        raise OutputError(f"{path}: already exists; choose another name, or add --force to replace it")


def refuse_inputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise OutputError, before any work is done, for an output that is an input, or a file in a folder that is one.

    Nothing replaces what is read, not even --force. ``inputs`` is gone through only where an output exists.
    """
    there = [path for path in outputs if path.exists()]
    for given in inputs if there else ():
        try:
            inside = given.is_dir()
            taken = [path for path in there if (_is_in(path, given) if inside else path.samefile(given))]
        except OSError:
            continue  # there is no such input, which reading it will say
        if taken:
            fault = f"{taken[0]}: is an input of this command ({given})"
            raise OutputError(f"{fault}; choose another name for the output")


def _is_in(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_left(path: Path) -> None:
    """Remove what processes that were killed while they wrote ``path`` with ``atomic_write`` have left beside it."""
    with contextlib.suppress(OSError):  # writing says what is wrong there
        for left in _left(_target(path), r"(\d+)\.[^.]+"):
            left.unlink()


def _left(path: Path, form: str) -> list[Path]:
    """Those beside ``path`` whose names say, in this form, a process that runs no more, or this one, which has none."""
    names = re.compile(rf"\.{re.escape(_cut(path.name, _ROOM))}\.{form}\.part")
    found = ((left, names.fullmatch(left.name)) for left in path.parent.iterdir())
    return [left for left, match in found if match and (int(match[1]) == os.getpid() or not _runs(match[1]))]


def _target(path: Path) -> Path:
    """The file that is written in the place of ``path``: a symbolic link stays."""
    return Path(os.path.realpath(path))


def _runs(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except OSError:
        return True  # another user's
    return True


def with_ending(path: Path, ending: str) -> Path:
    """``path`` with ``ending`` after its name, which is cut where it would be too long for a file's name."""
    return path.with_name(_cut(path.name, len(ending)) + ending)


def mode_of(path: Path) -> int:
    """The permissions of what is written to ``path``: those of the file that is there, or what the umask leaves."""
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        mask = os.umask(0o077)  # which can only be read by setting it: another thread's files are private meanwhile
        os.umask(mask)
        return 0o666 & ~mask


_ROOM = 32  # bytes, the most that is put before and after the name of a file in that of its temporary neighbour
_NAME_BYTES = 120  # a shorter name is never cut, since every file system has room for it with what is added


def _cut(name: str, room: int) -> str:
    """``name``, or its start and a digest if ``room`` more bytes would make it too long for a file system."""
    most = max(len(os.fsencode(name)), _NAME_BYTES) - room
    if len(os.fsencode(name)) <= most:
        return name
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    short = name
    while len(os.fsencode(short)) + len(digest) > most:
        short = short[:-1]
    return short + digest


def home() -> Path:
    """The cache folder; not created here. Set ``EARTHCLIP_HOME`` to move it."""
    chosen = os.environ.get("EARTHCLIP_HOME")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("earthclip")
