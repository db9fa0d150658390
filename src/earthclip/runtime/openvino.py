"""Graphs on OpenVINO [extra ``openvino``]: matrix products in bfloat16 where the processor has them.

Only for what stands low precision; Fourier phases never come here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from earthclip.errors import MissingExtraError, ModelError


class OpenVINOGraph:
    """One graph with one input and one output, for the processor; the interface of ``encoders.Graph``."""

    def __init__(self, path: Path) -> None:
        """Raises MissingExtraError without the library, ModelError for a graph it cannot read."""
        try:
            import openvino
        except ModuleNotFoundError as error:
            raise MissingExtraError("running on OpenVINO", "openvino", "openvino") from error
        self.path = path
        core = openvino.Core()
        fast = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        precision = {"INFERENCE_PRECISION_HINT": "bf16" if fast else "f32"}
        try:
            model: Any = core.compile_model(path, "CPU", precision)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:160]
            raise ModelError(f"{path}: not a graph OpenVINO can run ({reason}); use --runtime onnxruntime") from error
        self._request = model.create_infer_request()
        shape = model.output(0).get_partial_shape()
        self.width: int | None = shape[1].get_length() if shape[1].is_static else None

    def run(self, values: np.ndarray) -> Float32[np.ndarray, "n f"]:
        """The output rows of ``values``, whose first axis is the batch, until the next call. Raises ModelError.

        The rows are the request's own memory, which the next call writes over: copy them first, from one thread.
        """
        given = np.ascontiguousarray(values, np.float32)
        rows: np.ndarray = self._request.infer({0: given}, share_inputs=True, share_outputs=True)[0]
        if not np.isfinite(rows).all():
            raise ModelError(f"{self.path}: the graph gave values that are not finite; use --runtime onnxruntime")
        return rows
