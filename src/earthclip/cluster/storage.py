"""Files on disks and at addresses (s3://, gs://, abfs://, whatever fsspec knows): found, read and written whole.

pyarrow's own file systems come first, since they need no further package. fsspec opens what they do not know.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from earthclip.datasets.shards import open_with_fsspec, reason
from earthclip.errors import InputError, OutputError
from earthclip.files import atomic_write
from earthclip.outputs.geoparquet import import_pyarrow
from earthclip.pictures.kinds import PassedOver
from earthclip.pictures.prepare import Failure

MOST_BYTES = 1 << 30  # of one picture: more than any that decode
_ATTEMPTS = 4  # to read what may be there at the next try
_FIRST_PAUSE_S = 0.5  # doubled each time
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters at least: C:\ is a path
_OBJECTS = ("s3://", "gs://", "gcs://", "abfs://", "abfss://")  # pyarrow's; an object appears when it is complete
_QUERIED = (*_OBJECTS, "hdfs://", "viewfs://")  # what follows ? is for pyarrow, and part of the name on the web
_WEB = ("http://", "https://")
_QUERY = re.compile(r"\?\w+=.*$")  # a question mark alone is a pattern
FAULTS = (OSError, ValueError)  # pyarrow's errors are one or the other


def is_address(text: str) -> bool:
    """Whether ``text`` is an address such as ``s3://bucket/key`` and not the path of a file; file:// is a path."""
    return bool(_ADDRESS.match(text)) and not text.lower().startswith("file://")


def local_path(text: str) -> str:
    """``text`` without the ``file://`` that it may start with."""
    return text[len("file://") :] if text.lower().startswith("file://") else text


def below(base: str, path: str) -> str:
    """A relative path below a folder or address, before what follows the latter's ``?``; any other as it is."""
    if is_address(path) or (is_address(base) and Path(path).is_absolute()):
        return path
    if not is_address(base):
        return str(Path(local_path(base), local_path(path)))
    root, inner, query = _parts(base)
    return f"{root}/{_joined(inner, path)}{query}"


def folder_of(where: str) -> str:
    """The folder of a file, with what follows its ``?``."""
    if not is_address(where):
        return str(Path(local_path(where)).parent)
    root, inner, query = _parts(where)
    return f"{root}/{inner.rpartition('/')[0]}{query}"


def open_storage(where: str) -> tuple[Any, str]:
    """The pyarrow file system of an address or path, and its path there.

    What follows ``?`` is pyarrow's, as in ``s3://bucket/photos?endpoint_override=localhost:9000&scheme=http``.
    Raises InputError for an address of no known kind, and MissingExtraError without pyarrow.
    """
    if not is_address(where):
        return import_pyarrow().fs.LocalFileSystem(), str(Path(local_path(where)).absolute())
    root, inner, query = _parts(where)
    system, base = _open_root(root, query)
    return system, _joined(base, inner)


def find(address: str, suffixes: Collection[str], passed_over: PassedOver) -> Iterator[str | Failure]:
    """The files at an address: itself, those below it that end in ``suffixes``, or what its ``*``, ``?``, ``**`` match.

    In sorted order, without hidden ones; ``passed_over`` counts the other files below it. A Failure where there is
    none. What is on the web is taken as it is, since it cannot be listed. Raises InputError when it cannot be listed.
    """
    if address.lower().startswith(_WEB):
        yield address
        return
    from fsspec.utils import glob_translate

    system, path = open_storage(address)
    root, _, query = _parts(address)
    _, base = _open_root(root, query)
    fs = import_pyarrow().fs
    folder = re.split(r"/[^/]*[*?\[]", path, maxsplit=1)[0]
    try:
        if folder == path and system.get_file_info(path).type == fs.FileType.File:
            yield address
            return
        deep = folder == path or "/" in path[len(folder) + 1 :]
        listed = system.get_file_info(fs.FileSelector(folder, recursive=deep, allow_not_found=True))
        files = sorted(item.path for item in listed if item.is_file)
        if folder == path:
            shown = [name for name in files if not any(part[:1] == "." for part in name[len(path) :].split("/"))]
            files = [name for name in shown if PurePosixPath(name).suffix.lower() in suffixes]
            for name in set(shown).difference(files):
                passed_over.add(name)
        else:
            files = [name for name in files if re.fullmatch(glob_translate(path), name)]
    except (*FAULTS, re.error) as error:
        advice = "check the address and the permissions"
        raise InputError(f"{address}: cannot be listed ({reason(error)}); {advice}") from error
    if not files:
        yield Failure(address, f"{address}: nothing found; check the address and the suffixes of the files")
    for name in files:
        yield f"{root}/{name.removeprefix(base).lstrip('/')}{query}"


def read_bytes(where: str, most: int = MOST_BYTES) -> bytes:
    """What is at an address or path. A fault that may pass is met by trying again.

    Raises InputError when it is not there, may not be read, is larger than ``most`` bytes, or the tries are used up.
    """
    system, path = open_storage(where)
    on_the_web = where.lower().startswith(_WEB)  # where a busy server looks like a missing file
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with system.open_input_stream(path) as stream:
                data: bytes = stream.read(most + 1)
        except FileNotFoundError as error:
            if attempt == _ATTEMPTS or not on_the_web:
                raise InputError(f"{where}: no such file; check the address") from error
        except (PermissionError, IsADirectoryError) as error:
            raise InputError(f"{where}: cannot be read ({reason(error)}); check the permissions") from error
        except ValueError as error:
            raise InputError(f"{where}: cannot be read ({reason(error)}); check the address") from error
        except Exception as error:  # OSError, and whatever the package behind fsspec has of its own
            if attempt == _ATTEMPTS:
                raise InputError(f"{where}: cannot be read ({reason(error)}); tried {_ATTEMPTS} times") from error
        else:
            if len(data) > most:
                raise InputError(f"{where}: larger than {most:,} bytes; give a smaller picture")
            return data
        time.sleep(_FIRST_PAUSE_S * 2 ** (attempt - 1))
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
    except FAULTS as error:
        advice = "check the address and the permissions"
        raise OutputError(f"{where}: writing failed ({reason(error)}); {advice}") from error


def _parts(address: str) -> tuple[str, str, str]:
    """``scheme://authority``, the path without the slash that it starts with, and the query where that is pyarrow's."""
    bare = _QUERY.sub("", address) if address.lower().startswith(_QUERIED) else address
    scheme, _, rest = bare.partition("://")
    authority, _, inner = rest.partition("/")
    return f"{scheme.lower()}://{authority}", inner.rstrip("/"), address[len(bare) :]


def _joined(base: str, inner: str) -> str:
    """One path below another, either of which may be empty: not every file system's paths start with a slash."""
    return f"{base.rstrip('/')}/{inner}" if base and inner else base or inner


@functools.lru_cache(maxsize=64)
def _open_root(root: str, query: str) -> tuple[Any, str]:
    pyarrow = import_pyarrow()
    fs = pyarrow.fs
    try:
        system, base = fs.FileSystem.from_uri(root + query)
    except pyarrow.ArrowInvalid as error:
        if root.startswith(_QUERIED):  # fsspec would ask for a package in vain
            expected = "expected one such as s3://bucket/photos"
            raise InputError(f"{root}{query}: incomplete address ({reason(error)}); {expected}") from error
        remote, base = open_with_fsspec(root, "ray")
        return fs.PyFileSystem(fs.FSSpecHandler(remote)), str(base)
    except (pyarrow.ArrowException, OSError) as error:
        advice = "check the address and the permissions"
        raise InputError(f"{root}: cannot be opened ({reason(error)}); {advice}") from error
    return system, str(base)
