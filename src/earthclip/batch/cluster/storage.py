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

from earthclip.errors import EarthCLIPError, InputError, MissingExtraError, OutputError
from earthclip.files import atomic_write
from earthclip.prediction import Failure

MOST_BYTES = 1 << 30  # of one picture: more than any that decode, and less than a worker's disk
_ATTEMPTS = 4  # of a read that failed for a reason that may pass
_FIRST_PAUSE_S = 0.5  # doubled each time
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters at least: C:\ is a path
_PYARROWS = ("s3://", "gs://", "gcs://", "abfs://", "abfss://")  # fsspec would ask for a package in vain
_QUERY = re.compile(r"\?(\w+=.*)$")  # a question mark alone is a pattern


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
        bare = _QUERY.sub("", base)
        return path if Path(path).is_absolute() else f"{bare.rstrip('/')}/{path}{base[len(bare) :]}"
    return str(Path(local_path(base), local_path(path)))


def folder_of(where: str) -> str:
    """The folder of a file, with what follows its ``?``."""
    if not is_address(where):
        return str(Path(local_path(where)).parent)
    bare = _QUERY.sub("", where)
    return bare.rpartition("/")[0] + where[len(bare) :]


def open_storage(where: str) -> tuple[Any, str]:
    """The pyarrow filesystem of an address or path, and its path there.

    What follows ``?`` is pyarrow's, as in ``s3://bucket/photos?endpoint_override=localhost:9000&scheme=http``.
    Raises InputError for an address of no known kind, and MissingExtraError without pyarrow.
    """
    fs = _filesystems()
    if not is_address(where):
        return fs.LocalFileSystem(), str(Path(local_path(where)).absolute())
    bare = _QUERY.sub("", where)
    query = where[len(bare) :]
    scheme, _, rest = bare.partition("://")
    root, _, inner = rest.partition("/")
    system, base = _open_root(f"{scheme.lower()}://{root}", query)
    return system, base.rstrip("/") + "/" + inner.rstrip("/") if inner else base


def find(address: str, suffixes: Collection[str]) -> Iterator[str | Failure]:
    """The files at an address: itself, those below it that end in ``suffixes``, or what its ``*``, ``?``, ``**`` match.

    In sorted order; a Failure where there is none. Raises InputError when it cannot be listed.
    """
    system, path = open_storage(address)
    bare = _QUERY.sub("", address)
    query = address[len(bare) :]
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
                item.path for item in found if item.is_file and PurePosixPath(item.path).suffix.lower() in suffixes
            ]
        else:
            deep = "/" in path[len(folder) + 1 :]
            found = system.get_file_info(fs.FileSelector(folder, recursive=deep, allow_not_found=True))
            matches = _pattern(path)
            taken = [item.path for item in found if item.is_file and matches.fullmatch(item.path)]
    except OSError as error:
        raise InputError(f"{address}: cannot be listed ({reason(error)}); check the address and the rights") from error
    if not taken:
        yield Failure(address, f"{address}: nothing found there; check the address, or that it ends in a picture's")
    # Names in storage start with the bucket, as they do in the address.
    start = (
        bare[: len(bare.rstrip("/")) - len(path)] if bare.rstrip("/").endswith(path) else bare.split("://")[0] + "://"
    )
    for name in sorted(taken):
        yield start + name.removeprefix("/") + query if start.endswith("://") else start + name + query


def read_bytes(where: str, most: int = MOST_BYTES) -> bytes:
    """What is at an address or path; a fault that may pass is met by trying again.

    Raises InputError when it is not there, may not be read, is larger than ``most`` bytes, or the tries are used up.
    """
    system, path = open_storage(where)
    for attempt in range(_ATTEMPTS):
        try:
            with system.open_input_stream(path) as stream:
                data: bytes = stream.read(most + 1)
        except FileNotFoundError as error:
            raise InputError(f"{where}: no such file; check the address") from error
        except (PermissionError, IsADirectoryError) as error:
            raise InputError(f"{where}: cannot be read ({reason(error)}); check the rights") from error
        except OSError as error:
            if attempt == _ATTEMPTS - 1:
                raise InputError(f"{where}: cannot be read ({reason(error)}); tried {_ATTEMPTS} times") from error
            time.sleep(_FIRST_PAUSE_S * 2**attempt)
            continue
        if len(data) > most:
            raise InputError(f"{where}: more than {most:,} bytes; not a picture that can be read")
        return data
    raise AssertionError("the last attempt returns or raises")


def write_bytes(where: str, data: bytes) -> None:
    """Put ``data`` there, whole or not at all, in the place of what there was. Raises OutputError."""
    if not is_address(where):
        with atomic_write(Path(local_path(where)), overwrite=True) as file:
            file.write(data)
        return
    system, path = open_storage(where)
    try:
        with system.open_output_stream(path) as stream:  # an object appears when it is complete
            stream.write(data)
    except OSError as error:
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


def reason(error: Exception) -> str:
    """The fault alone, in one line: pyarrow's messages may have many, and a path that the reader knows."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())[:160] or type(error).__name__


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
        if root.startswith(_PYARROWS):
            raise InputError(f"{root}{query}: not a whole address ({reason(error)})") from error
        return _open_with_fsspec(root)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{root}: cannot be opened ({reason(error)}); check the address and the rights") from error
    return system, str(base)


def _open_with_fsspec(root: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtraError(root, "ray", "fsspec") from error
    fs = _filesystems()
    try:
        system, base = fsspec.core.url_to_fs(root)
    except ImportError as error:  # of the package for this protocol, which fsspec names
        raise EarthCLIPError(f"{root}: {reason(error)}") from error
    except ValueError as error:
        raise InputError(f"{root}: an address of no known kind; expected s3://, gs://, abfs:// or a path") from error
    return fs.PyFileSystem(fs.FSSpecHandler(system)), str(base)
