"""Graphs on ONNX Runtime, which runs them wherever this package does; a session costs its graph's weights."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from earthclip.configuration import encoder_threads
from earthclip.errors import ModelError

# What others call the same inputs and outputs, so that their exports run as they are.
_ALIASES = {
    "pixels": ("pixel_values",),
    "tokens": ("input_ids",),
    "coordinates": ("location",),
    "embedding": ("image_embeds", "location_embeds", "text_embeds"),
}
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
_DTYPES = {"tensor(double)": np.float64, "tensor(int64)": np.int64}


class Graph:
    """One ONNX graph with one input and one output, on the processor, or with ``gpu`` on an NVIDIA GPU."""

    def __init__(
        self,
        path: Path,
        input_name: str,
        output_name: str,
        *,
        spins: bool = True,
        gpu: bool = False,
        threads: int | None = None,
    ) -> None:
        import onnxruntime

        providers = list(_PROVIDERS[not gpu :])
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # faults come as exceptions; nothing is written to stderr
        options.intra_op_num_threads = encoder_threads() or threads or 0  # 0: one a processor
        if not spins:  # threads that wait by spinning would take the processor from the graph whose turn it is
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        # On x86 without VNNI, sums of int8 products would overflow 16 bits: unsigned weights are exact, and slower.
        options.add_session_config_entry("session.x64quantprecision", "1")
        self.path = path
        self._faults = _runtime_faults()
        try:
            _first_session()
            self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except self._faults as error:
            raise ModelError(f"{path}: not a graph ONNX Runtime can run ({_reason(error)}); export it again") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        self._input = _named(input_name, [item.name for item in inputs])
        self._output = _named(output_name, [item.name for item in outputs])
        if self._input is None or self._output is None or len(inputs) != 1:
            found = f"{[item.name for item in inputs]} -> {[item.name for item in outputs]}"
            raise ModelError(f"{path}: expected the input '{input_name}' and output '{output_name}', found {found}")
        self._dtype = _DTYPES.get(inputs[0].type, np.float32)
        width = next(item.shape for item in outputs if item.name == self._output)[-1]
        self.width: int | None = width if isinstance(width, int) else None

    def run(self, values: np.ndarray) -> Float32[np.ndarray, "n f"]:
        """The output rows of ``values``, whose first axis is the batch. Raises ModelError."""
        feed = {self._input: np.ascontiguousarray(values, dtype=self._dtype)}
        try:
            (result,) = self._session.run([self._output], feed)
        except self._faults as error:
            raise ModelError(f"{self.path}: the graph failed ({_reason(error)}); export it again") from error
        rows = np.asarray(result, dtype=np.float32)
        if rows.ndim != 2 or len(rows) != len(values):
            raise ModelError(f"{self.path}: expected {len(values)} rows of output, found shape {list(rows.shape)}")
        if not np.isfinite(rows).all():
            raise ModelError(f"{self.path}: the graph gave values that are not finite; export it again")
        return rows


@cache
def _first_session() -> None:
    """Make the process's first session in a thread of its own.

    It sets the processor's mode for subnormal numbers in the thread that makes it, which would change what the user's
    own computations give. It has no graph, and fails after that. Real sessions are made by the thread that asks:
    what another thread frees stays with the process, 40 MB for ``orbit``.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    with ThreadPoolExecutor(1) as aside, suppress(*_runtime_faults()):
        aside.submit(onnxruntime.InferenceSession, b"", options, providers=["CPUExecutionProvider"]).result()


def has_gpu() -> bool:
    """Whether this ONNX Runtime has an NVIDIA GPU to run graphs on."""
    import onnxruntime

    return _PROVIDERS[0] in onnxruntime.get_available_providers()


def _named(name: str, found: list[str]) -> str | None:
    return next((known for known in (name, *_ALIASES.get(name, ())) if known in found), None)


def _runtime_faults() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    # ONNX Runtime's exceptions share no base class.
    kinds: list[Any] = [value for value in vars(state).values() if isinstance(value, type)]
    return (RuntimeError, ValueError, *(kind for kind in kinds if issubclass(kind, Exception)))


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else text[:157] + "..."
