"""Files on disks and at addresses (s3://, gs://, abfs://, whatever fsspec knows): found, read and written whole.

pyarrow's own filesystems come first, since they need no further package; fsspec stands in for what they do not know.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from earthclip.datasets.shards import open_with_fsspec, reason
from earthclip.errors import InputError, MissingExtraError, OutputError
from earthclip.files import atomic_write
from earthclip.pictures.prepare import Failure

MOST_BYTES = 1 << 30  # of one picture: more than any that decode, and less than a worker's disk
_ATTEMPTS = 4  # of a read that failed for a reason that may pass
_FIRST_PAUSE_S = 0.5  # doubled each time
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters at least: C:\ is a path
_OBJECTS = ("s3://", "gs://", "gcs://", "abfs://", "abfss://")  # pyarrow's; an object appears when it is complete
_QUERIED = (*_OBJECTS, "hdfs://", "viewfs://")  # what follows ? is for pyarrow, and no part of the name as on the web
_WEB = ("http://", "https://")
_QUERY = re.compile(r"\?(\w+=.*)$")  # a question mark alone is a pattern
_FAULTS = (OSError, ValueError)  # pyarrow's errors are one or the other


def is_address(text: str) -> bool:
    """Whether ``text`` is an address such as ``s3://bucket/key`` and not the path of a file; file:// is a path."""
    return bool(_ADDRESS.match(text)) and not text.lower().startswith("file://")


def local_path(text: str) -> str:
    """``text`` without the ``file://`` that it may start with."""
    return text[len("file://") :] if text.lower().startswith("file://") else text


def below(base: str, path: str) -> str:
    """A relative path below a folder or address, before what follows the latter's ``?``; any other as it is."""
    if is_address(path):
        return path
    if is_address(base):
        root, inner, query = _parts(base)
        return path if Path(path).is_absolute() else f"{root}/{_joined(inner, path)}{query}"
    return str(Path(local_path(base), local_path(path)))


def folder_of(where: str) -> str:
    """The folder of a file, with what follows its ``?``."""
    if not is_address(where):
        return str(Path(local_path(where)).parent)
    root, inner, query = _parts(where)
    return f"{root}/{inner.rpartition('/')[0]}{query}"


def open_storage(where: str) -> tuple[Any, str]:
    """The pyarrow filesystem of an address or path, and its path there.

    What follows ``?`` is pyarrow's, as in ``s3://bucket/photos?endpoint_override=localhost:9000&scheme=http``.
    Raises InputError for an address of no known kind, and MissingExtraError without pyarrow.
    """
    fs = _filesystems()
    if not is_address(where):
        return fs.LocalFileSystem(), str(Path(local_path(where)).absolute())
    root, inner, query = _parts(where)
    system, base = _open_root(root, query)
    return system, _joined(base, inner)


def find(address: str, suffixes: Collection[str]) -> Iterator[str | Failure]:
    """The files at an address: itself, those below it that end in ``suffixes``, or what its ``*``, ``?``, ``**`` match.

    In sorted order, without hidden ones; a Failure where there is none. What is on the web is taken as it is, since it
    cannot be listed. Raises InputError when it cannot be listed.
    """
    if address.lower().startswith(_WEB):
        yield address
        return
    system, path = open_storage(address)
    root, _, query = _parts(address)
    _, base = _open_root(root, query)
    fs = _filesystems()
    folder = _before_pattern(path)
    try:
        if folder == path:
            info = system.get_file_info(path)
            if info.type == fs.FileType.File:
                yield address
                return
            found = system.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
            taken = [
                item.path
                for item in found
                if item.is_file and PurePosixPath(item.path).suffix.lower() in suffixes and _is_shown(item.path, path)
            ]
        else:
            deep = "/" in path[len(folder) + 1 :]
            found = system.get_file_info(fs.FileSelector(folder, recursive=deep, allow_not_found=True))
            matches = _pattern(path)
            taken = [item.path for item in found if item.is_file and matches.fullmatch(item.path)]
    except _FAULTS as error:
        raise InputError(f"{address}: cannot be listed ({reason(error)}); check the address and the rights") from error
    if not taken:
        yield Failure(address, f"{address}: nothing found there; check the address, or that it ends in a picture's")
    for name in sorted(taken):
        yield f"{root}/{name.removeprefix(base).lstrip('/')}{query}"


def read_bytes(where: str, most: int = MOST_BYTES) -> bytes:
    """What is at an address or path; a fault that may pass is met by trying again.

    Raises InputError when it is not there, may not be read, is larger than ``most`` bytes, or the tries are used up.
    """
    system, path = open_storage(where)
    on_the_web = where.lower().startswith(_WEB)  # where a server that is busy is told as a file that is missing
    for attempt in range(_ATTEMPTS):
        last = attempt == _ATTEMPTS - 1
        try:
            with system.open_input_stream(path) as stream:
                data: bytes = stream.read(most + 1)
        except FileNotFoundError as error:
            if last or not on_the_web:
                raise InputError(f"{where}: no such file; check the address") from error
        except (PermissionError, IsADirectoryError) as error:
            raise InputError(f"{where}: cannot be read ({reason(error)}); check the rights") from error
        except ValueError as error:
            raise InputError(f"{where}: cannot be read ({reason(error)}); check the address") from error
        except Exception as error:  # OSError, and whatever the package behind fsspec has of its own
            if last:
                raise InputError(f"{where}: cannot be read ({reason(error)}); tried {_ATTEMPTS} times") from error
        else:
            if len(data) > most:
                raise InputError(f"{where}: more than {most:,} bytes; not a picture that can be read")
            return data
        time.sleep(_FIRST_PAUSE_S * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


def write_bytes(where: str, data: bytes) -> None:
    """Put ``data`` there, whole or not at all, in the place of what there was. Raises OutputError."""
    if not is_address(where):
        with atomic_write(Path(local_path(where)), overwrite=True) as file:
            file.write(data)
        return
    system, path = open_storage(where)
    under_way = path if where.lower().startswith(_OBJECTS) else f"{path}.part"
    try:
        with system.open_output_stream(under_way) as stream:
            stream.write(data)
        if under_way != path:
            system.move(under_way, path)
    except _FAULTS as error:
        raise OutputError(f"{where}: writing failed ({reason(error)}); check the address and the rights") from error


def remove_left(prefix: str) -> None:
    """Remove the temporary folders called ``prefix``, a process and a rest, whose process was killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}[0-9]*-*"):
        try:
            os.kill(int(folder.name.removeprefix(prefix).split("-")[0]), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except (ValueError, OSError):
            continue  # another user's


def _parts(address: str) -> tuple[str, str, str]:
    """``scheme://authority``, the path without the slash that it starts with, and the query where that is pyarrow's."""
    bare = _QUERY.sub("", address) if address.lower().startswith(_QUERIED) else address
    scheme, _, rest = bare.partition("://")
    authority, _, inner = rest.partition("/")
    return f"{scheme.lower()}://{authority}", inner.rstrip("/"), address[len(bare) :]


def _joined(base: str, inner: str) -> str:
    """One path below another, either of which may be empty: not every filesystem's paths start with a slash."""
    return f"{base.rstrip('/')}/{inner}" if base and inner else base or inner


def _is_shown(path: str, folder: str) -> bool:
    return not any(part.startswith(".") for part in PurePosixPath(path.removeprefix(folder)).parts)


def _before_pattern(path: str) -> str:
    parts = path.split("/")
    for position, part in enumerate(parts):
        if any(sign in part for sign in "*?["):
            return "/".join(parts[:position])
    return path


def _pattern(path: str) -> re.Pattern[str]:
    text, position = "", 0
    while position < len(path):
        sign = path[position]
        if path.startswith("**/", position):
            text, position = text + "(?:.*/)?", position + 3
            continue
        if path.startswith("**", position):
            text, position = text + ".*", position + 2
            continue
        closed = path.find("]", position + 2) if sign == "[" else -1
        if closed > 0:
            inside = path[position + 1 : closed].replace("\\", "\\\\")
            text, position = text + f"[{'^' + inside[1:] if inside.startswith('!') else inside}]", closed + 1
            continue
        text += {"*": "[^/]*", "?": "[^/]"}.get(sign, re.escape(sign))
        position += 1
    try:
        return re.compile(text)
    except re.error as error:
        raise InputError(f"{path}: not a pattern ({error}); use *, ?, [abc] and **") from error


def _filesystems() -> Any:
    try:
        import pyarrow.fs
    except ImportError as error:
        raise MissingExtraError("reading and writing on a cluster", "ray", "pyarrow") from error
    return pyarrow.fs


@functools.lru_cache(maxsize=64)
def _open_root(root: str, query: str) -> tuple[Any, str]:
    import pyarrow

    fs = _filesystems()
    try:
        system, base = fs.FileSystem.from_uri(root + query)
    except pyarrow.ArrowInvalid as error:
        if root.startswith(_QUERIED):  # fsspec would ask for a package in vain
            raise InputError(f"{root}{query}: not a whole address ({reason(error)})") from error
        remote, base = open_with_fsspec(root, "ray")
        return fs.PyFileSystem(fs.FSSpecHandler(remote)), str(base)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{root}: cannot be opened ({reason(error)}); check the address and the rights") from error
    return system, str(base)
