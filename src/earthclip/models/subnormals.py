"""Weights too small to matter become 0, since some processors compute with the smallest numbers by a slow path.

Numbers below 1.2e-38, subnormal in float32, cost Intel's vector units some hundred cycles each; the published location
encoder has 97,000 of them. Weights are set to 0 from 1e-30 down, so that their products with activations are not
subnormal either. Files are changed in place, without the library ``onnx``: no size and no offset moves.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from earthclip.errors import OutputError
from earthclip.models.config import WEIGHTS, ModelConfig, read_config, write_config

SMALLEST = 1e-30  # magnitude of the smallest weight that is kept
_BLOCK = 1_000_000  # weights looked at together
_logger = logging.getLogger(__name__)


def flush(path: Path) -> int:
    """Set the tiny float32 and float64 weights of an ONNX graph or a safetensors file to 0, in place.

    Returns how many there were. A file that is neither is left as it is. Raises OSError when it cannot be written.
    """
    with path.open("r+b") as file:
        return _flush(file.fileno(), mmap.ACCESS_WRITE, safetensors=path.suffix == ".safetensors")


def flush_folder(folder: Path) -> None:
    """``flush`` all graphs and weights of a model folder that is being written."""
    for path in _files(folder):
        flush(path)


def mend(folder: Path, config: ModelConfig) -> ModelConfig:
    """``flush`` a model folder that an earlier version wrote, once; returns its configuration as it then is.

    Each file is replaced in one step, and the configuration last, so that an interrupted run leaves a whole model.
    Where that is not possible, a warning says what to do, and the model is used as it is.
    """
    if config.smallest_weight is not None:
        return config
    files = _files(folder)
    if not all(os.access(path, os.W_OK) for path in (folder, *files)):
        return _left(folder, config, "it cannot be written")
    try:
        for path in files:
            with path.open("rb") as file:
                tiny = _flush(file.fileno(), mmap.ACCESS_COPY, safetensors=path.suffix == ".safetensors")
            if tiny:
                _replace_flushed(path)
        return write_config(folder, dataclasses.replace(read_config(folder), smallest_weight=SMALLEST))
    except (OSError, OutputError) as error:
        return _left(folder, config, error.strerror if isinstance(error, OSError) else str(error))


def _left(folder: Path, config: ModelConfig, reason: str | None) -> ModelConfig:
    _logger.warning(
        "warning: %s: may be slow on this processor, since an earlier version wrote its smallest weights as they are "
        "(%s); run earthclip model pull %s --force where it can be written",
        folder,
        reason,
        config.name,
    )
    return config


def _replace_flushed(path: Path) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        shutil.copyfile(path, part)
        shutil.copystat(path, part)
        flush(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix == ".onnx" or path.name == WEIGHTS)


def _flush(file: int, access: int, *, safetensors: bool) -> int:
    """The number of tiny weights, which are 0 afterwards: in the file, or with ACCESS_COPY in memory alone."""
    if os.fstat(file).st_size == 0:
        return 0
    with mmap.mmap(file, 0, access=access) as data:
        tensors = list(_safetensors(data) if safetensors else _onnx(data))
        return sum(_flush_tensor(data, *tensor) for tensor in tensors)


def _flush_tensor(data: mmap.mmap, kind: str, start: int, end: int) -> int:
    tiny = 0
    size = np.dtype(kind).itemsize
    for first in range(start, end - size + 1, _BLOCK * size):
        # A view of its own for each block, let go at once: a map with views cannot be closed.
        values = np.frombuffer(data, kind, min(_BLOCK, (end - first) // size), first)
        small = (np.abs(values) < SMALLEST) & (values != 0)
        if small.any():
            values[small] = 0
            tiny += int(small.sum())
        del values
    return tiny


_KINDS = {1: "<f4", 11: "<f8"}  # of ONNX's TensorProto
_PACKED = {4: "<f4", 10: "<f8"}  # fields of TensorProto that hold numbers of one kind
# What lies where in an ONNX file: (message, number of its field) to the message within.
_WITHIN = {
    ("model", 7): "graph",
    ("model", 25): "function",
    ("graph", 1): "node",
    ("graph", 5): "tensor",
    ("function", 7): "node",
    ("node", 5): "attribute",
    ("attribute", 5): "tensor",
    ("attribute", 6): "graph",
}


def _onnx(data: mmap.mmap) -> Iterator[tuple[str, int, int]]:
    """Kind, start and end of the numbers of each constant of an ONNX graph; nothing for another file."""
    try:
        yield from _constants(data, "model", 0, len(data))
    except (IndexError, ValueError):
        return  # not protobuf: whoever runs the graph says so


def _constants(data: mmap.mmap, message: str, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    kind = None
    raw = None
    for number, value, first, last in _fields(data, start, end):
        if message == "tensor":
            if number == 2:
                kind = _KINDS.get(value)
            elif number == 9:
                raw = first, last
            elif number in _PACKED:
                yield _PACKED[number], first, last
        elif within := _WITHIN.get((message, number)):
            yield from _constants(data, within, first, last)
    if kind and raw:
        yield kind, *raw


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, value (of a varint) and first and last byte (of all others) of a message's fields."""
    at = start
    while at < end:
        tag, at = _varint(data, at)
        value, first = 0, at
        match tag & 7:
            case 0:
                value, at = _varint(data, at)
            case 1:
                at += 8
            case 2:
                size, first = _varint(data, at)
                at = first + size
            case 5:
                at += 4
            case _:
                raise ValueError("not protobuf")
        if at > end:
            raise ValueError("cut short")
        yield tag >> 3, value, first, at


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _safetensors(data: mmap.mmap) -> Iterator[tuple[str, int, int]]:
    begin = 8 + int.from_bytes(data[:8], "little")
    try:
        entries = json.loads(data[8:begin])
    except ValueError:
        return
    for name, entry in entries.items():
        if name != "__metadata__" and (kind := {"F32": "<f4", "F64": "<f8"}.get(entry["dtype"])):
            yield kind, *(begin + offset for offset in entry["data_offsets"])
