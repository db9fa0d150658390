"""What OpenVINO makes of a large graph, kept: reading ONNX takes it seconds, reading its own format a fraction.

Weights are kept in float16 where that loses nothing, or nothing beyond the bfloat16 they will be used in; they are
mapped from the file, so that starting again takes neither the time nor the memory of the conversion.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from earthclip.errors import OutputError
from earthclip.files import staging_folder

LARGE = 100_000_000  # bytes of a graph from which keeping pays

_logger = logging.getLogger(__name__)
_SUMS = "sums.json"
_SAMPLES, _SAMPLE = 64, 65536  # blocks of a file that are compared, and the bytes of each


def intermediate(core: Any, path: Path, cache: Path, *, exact: bool) -> Path:
    """The graph at ``path`` in OpenVINO's format, from ``cache`` or put there; ``path`` itself when it is small.

    What is kept is of this very file, by its path, size and time of change. Where it is damaged, it is made again with
    a warning; where it cannot be kept, a warning says so and ``path`` is returned. Raises RuntimeError, as OpenVINO
    does, for what it cannot read.
    """
    status = path.stat()
    if status.st_size < LARGE:
        return path
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    kind = f"{place}-{'float32' if exact else 'float16'}"
    content = f"{status.st_size} {status.st_mtime_ns} {_version()}"
    kept = cache / f"{kind}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    if _intact(kept):
        return kept / "graph.xml"
    if kept.exists():
        _logger.warning("warning: %s is damaged, so it is made again", kept)
    try:
        _make(core, path, kept, exact=exact)
    except (OSError, OutputError) as error:
        if _intact(kept):  # another process was first
            return kept / "graph.xml"
        _logger.warning("warning: %s; the graph is converted anew each run until EARTHCLIP_HOME can be written", error)
        return path
    for former in cache.glob(f"{kind}-*"):  # of what stood at the path before
        if former != kept:
            shutil.rmtree(former, ignore_errors=True)
    return kept / "graph.xml"


def _make(core: Any, path: Path, kept: Path, *, exact: bool) -> None:
    import openvino

    model = core.read_model(path)
    lossless = _unfold_casts(openvino, model)
    with staging_folder(kept) as staging:
        try:
            openvino.save_model(model, staging / "graph.xml", compress_to_fp16=lossless or not exact)
        except RuntimeError as error:  # a full disk
            raise OutputError(f"{kept}: writing failed ({' '.join(str(error).split())[:120]})") from error
        sums = {file.name: _sum(file) for file in sorted(staging.iterdir())}
        (staging / _SUMS).write_text(json.dumps(sums))


def _unfold_casts(openvino: Any, model: Any) -> bool:
    """Make float32 constants of those stored in float16 and cast; returns whether float16 holds all of them exactly.

    OpenVINO takes a constant that the graph itself casts for a computation, and would hold both in memory.
    """
    lossless = True
    for node in model.get_ops():
        if node.get_type_name() == "Convert" and node.input_value(0).get_node().get_type_name() == "Constant":
            stored = node.input_value(0).get_node()
            if node.get_element_type() != openvino.Type.f32 or stored.get_element_type() != openvino.Type.f16:
                continue  # int8 weights among them, which must stay what they are
            values = stored.get_data().astype(np.float32)
            constant = openvino.opset13.constant(values)
            for target in list(node.output(0).get_target_inputs()):
                target.replace_source_output(constant.output(0))
        elif node.get_type_name() == "Constant" and node.get_element_type() == openvino.Type.f32 and lossless:
            values = node.get_data()
            with np.errstate(over="ignore"):
                lossless = bool(np.array_equal(values.astype(np.float16).astype(np.float32), values))
    return lossless


def _intact(folder: Path) -> bool:
    try:
        sums = json.loads((folder / _SUMS).read_text())
        return bool(sums) and all(_sum(folder / name) == found for name, found in sums.items())
    except (OSError, ValueError, TypeError, AttributeError):
        return False


def _sum(path: Path) -> list[int]:
    """Size and CRC-32 of blocks from all over the file: finds what a crash or a bad disk left, in milliseconds."""
    size, crc = path.stat().st_size, 0
    with path.open("rb") as file:
        for start in np.linspace(0, max(0, size - _SAMPLE), _SAMPLES if size > _SAMPLE else 1).astype(int):
            file.seek(int(start))
            crc = zlib.crc32(file.read(_SAMPLE), crc)
    return [size, crc]


def _version() -> str:
    import openvino

    return str(openvino.__version__)
