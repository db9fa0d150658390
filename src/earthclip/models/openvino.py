"""A graph on OpenVINO: bfloat16 and int8, compiled once and kept as memory-mapped files."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import importlib.util
import json
import logging
import shutil
import sys
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from earthclip.configuration import encoder_threads
from earthclip.errors import MissingExtraError, ModelError, OutputError
from earthclip.files import staging_folder
from earthclip.models import Precision
from earthclip.models.onnx_runtime import has_gpu

_EVERY_SECONDS = 0.01
_MAPS = Path("/proc/self/maps")


@contextlib.contextmanager
def mapping_let_go(path: Path) -> Iterator[None]:
    """Inside, pages of ``path`` that the process has mapped and read do not stay in its memory.

    A runtime that brings weights into a form of its own would otherwise hold them twice for as long as it lives. The
    pages are clean, so letting go loses nothing: whoever reads them again gets them from the file. Linux only;
    elsewhere nothing happens.
    """
    if not sys.platform.startswith("linux") or not path.is_file():
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_let_go_until, args=(str(path.resolve()), ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _let_go_until(path: str, ended: threading.Event) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    dont_need = 4  # MADV_DONTNEED, the same on every Linux
    while True:
        last = ended.wait(_EVERY_SECONDS)
        for line in _MAPS.read_text(encoding="utf-8", errors="replace").splitlines():
            # The path comes sixth and may have spaces in it; only mappings nobody can have written to are let go.
            fields = line.split(maxsplit=5)
            if len(fields) == 6 and fields[5] == path and "w" not in fields[1]:
                start, end = (int(edge, 16) for edge in fields[0].split("-"))
                library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), dont_need)
        if last:
            return


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
        _logger.warning("warning: %s is damaged and will be made again", kept)
    try:
        _make(core, path, kept, exact=exact)
    except (OSError, OutputError) as error:
        if _intact(kept):  # another process was first
            return kept / "graph.xml"
        _logger.warning(
            "warning: %s; the graph is converted again in every run until EARTHCLIP_HOME can be written", error
        )
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
        sums = {file.name: sum_of(file) for file in sorted(staging.iterdir())}
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
        return bool(sums) and all(sum_of(folder / name) == found for name, found in sums.items())
    except (OSError, ValueError, TypeError, AttributeError):
        return False


def sum_of(path: Path) -> list[int]:
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


SMALL = 1_000_000  # bytes of a graph below which this runtime gains nothing
HEAVY = 16_000_000  # bytes of a graph from which this runtime is worth its start for a few pictures


class OpenVINOGraph:
    """One graph with one input and one output, for the processor; the interface of ``graph.Graph``."""

    def __init__(
        self,
        path: Path,
        precision: Precision = "bfloat16",
        cache: Path | None = None,
        threads: int | None = None,
    ) -> None:
        """``cache`` is a folder to keep what is made of a large graph in, so that the next start is quick.

        int8 graphs compute in bfloat16 between their products, where the processor has it.

        Raises MissingExtraError without the library, ModelError for a graph it cannot read.
        """
        core = _openvino().Core()
        self.path = path
        wanted: Precision = "bfloat16" if precision == "int8" else precision
        numbers = _HINTS[wanted] if wanted in _HINTS and multiplies(wanted) else "f32"
        hint: dict[str, Any] = {"INFERENCE_PRECISION_HINT": numbers, "CPU_DENORMALS_OPTIMIZATION": True}
        if threads := encoder_threads() or threads:
            hint["INFERENCE_NUM_THREADS"] = threads
        try:
            self._source = intermediate(core, path, cache, exact=precision == "float32") if cache else path
            # In a thread of its own, whose mode for subnormals OpenVINO changes, and not the user's.
            with mapping_let_go(self._source.with_suffix(".bin")), ThreadPoolExecutor(1) as aside:
                model: Any = aside.submit(core.compile_model, self._source, "CPU", hint).result()
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:160]
            raise ModelError(f"{path}: not a graph OpenVINO can run ({reason}); use --runtime onnxruntime") from error
        self._request = model.create_infer_request()
        self._lock = threading.Lock()
        self._ran = False
        shape = model.output(0).get_partial_shape()
        width = shape[len(shape) - 1]
        self.width: int | None = width.get_length() if width.is_static else None

    def run(self, values: np.ndarray) -> Float32[np.ndarray, "n f"]:
        """The output rows of ``values``, whose first axis is the batch. Raises ModelError."""
        given = np.ascontiguousarray(values, np.float32)
        # The weights are brought into their final form by the first run.
        first = contextlib.nullcontext() if self._ran else mapping_let_go(self._source.with_suffix(".bin"))
        with self._lock, first:
            try:
                found = self._request.infer({0: given}, share_inputs=True, share_outputs=True)[0]
            except RuntimeError as error:
                reason = " ".join(str(error).split())[-160:]
                raise ModelError(f"{self.path}: the graph failed ({reason}); use --runtime onnxruntime") from error
            rows = np.array(found, np.float32)  # a copy: the next run writes over the request's own memory
            self._ran = True
        if rows.ndim != 2 or len(rows) != len(values):
            raise ModelError(f"{self.path}: expected {len(values)} rows of output, found shape {list(rows.shape)}")
        if not np.isfinite(rows).all():
            raise ModelError(f"{self.path}: the graph gave values that are not finite; use --runtime onnxruntime")
        return rows


def here() -> bool:
    """Whether OpenVINO is installed; it is not imported."""
    return importlib.util.find_spec("openvino") is not None


def heavy(path: Path) -> bool:
    """Whether a graph is so large that this runtime makes up for its start with a few pictures."""
    return path.stat().st_size >= HEAVY


def pays(path: Path) -> bool:
    """Whether OpenVINO is installed, the graph at ``path`` is worth its start-up time, and there is no GPU."""
    return heavy(path) and here() and not has_gpu()


_HINTS = {"bfloat16": "bf16", "float16": "f16"}
_CAPABILITIES = {"bfloat16": "BF16", "float16": "FP16"}


@functools.cache
def multiplies(precision: Precision) -> bool:
    """Whether this processor has instructions for products in "bfloat16" or "float16", which OpenVINO then uses."""
    return _CAPABILITIES[precision] in _openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _openvino() -> Any:
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise MissingExtraError("running on OpenVINO", "openvino", "openvino") from error
    return openvino
