"""Graphs on OpenVINO [extra ``openvino``], in bfloat16 or int8 where the processor multiplies in them.

Only for what stands low precision; Fourier phases never come here.
"""

from __future__ import annotations

import contextlib
import importlib.util
import threading
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from earthclip.errors import MissingExtraError, ModelError
from earthclip.processors import encoder_threads
from earthclip.runtime.choice import Precision
from earthclip.runtime.graph import has_gpu
from earthclip.runtime.intermediate import intermediate
from earthclip.runtime.mapped import mapping_let_go

HEAVY = 16_000_000  # bytes of a graph from which this runtime is worth its start


class OpenVINOGraph:
    """One graph with one input and one output, for the processor; the interface of ``graph.Graph``."""

    def __init__(self, path: Path, precision: Precision = "bfloat16", cache: Path | None = None) -> None:
        """``cache`` is a folder to keep what is made of a large graph in, so that the next start is quick.

        Raises MissingExtraError without the library, ModelError for a graph it cannot read.
        """
        core = _openvino().Core()
        self.path = path
        fast = precision != "float32" and multiplies_bfloat16()
        hint: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "bf16" if fast else "f32"}
        if threads := encoder_threads():
            hint["INFERENCE_NUM_THREADS"] = threads
        try:
            self._source = intermediate(core, path, cache, exact=precision == "float32") if cache else path
            with mapping_let_go(self._source.with_suffix(".bin")):
                model: Any = core.compile_model(self._source, "CPU", hint)
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


def pays(path: Path) -> bool:
    """Whether OpenVINO is here, the graph at ``path`` large enough to make up for its start, and no GPU quicker."""
    return path.stat().st_size >= HEAVY and here() and not has_gpu()


def multiplies_bfloat16() -> bool:
    """Whether this processor has products of bfloat16, of which OpenVINO then makes use."""
    return "BF16" in _openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _openvino() -> Any:
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise MissingExtraError("running on OpenVINO", "openvino", "openvino") from error
    return openvino
