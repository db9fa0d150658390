"""Encoders on ONNX Runtime: one graph from pixels to embeddings, two from degrees to embeddings.

A session is thread-safe and costs its graph's weights; it is made when an encoder is, not when a model is named.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from earthclip.errors import ModelError

CHUNK = 4096  # rows of coordinates at a time: a few tens of MB of activations in the published encoder

Progress = Callable[[int, int], None]  # rows done, rows in all


class Graph:
    """One ONNX graph with one input and one output, on the processor."""

    def __init__(self, path: Path, input_name: str, output_name: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # faults come as exceptions; nothing is written to stderr
        self.path = path
        self._faults = _runtime_faults()
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except self._faults as error:
            raise ModelError(f"{path}: not a graph this program can run ({_reason(error)}); export it again") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if [item.name for item in inputs] != [input_name] or output_name not in [item.name for item in outputs]:
            found = f"{[item.name for item in inputs]} -> {[item.name for item in outputs]}"
            raise ModelError(f"{path}: expected the input '{input_name}' and output '{output_name}', found {found}")
        self._input, self._output = input_name, output_name
        self._dtype = np.float64 if inputs[0].type == "tensor(double)" else np.float32
        width = next(item.shape for item in outputs if item.name == output_name)[-1]
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


class Encoder:
    """A graph from ``pixels`` to ``embedding``."""

    def __init__(self, path: Path, embedding_size: int) -> None:
        """Raises ModelError when the graph cannot be loaded or its embeddings are not ``embedding_size`` wide."""
        self._graph = Graph(path, "pixels", "embedding")
        self._embedding_size = embedding_size
        if self._graph.width is not None:
            _check_width(self._graph, self._graph.width, embedding_size)

    def encode_image(self, pixels: Float32[np.ndarray, "b 3 h w"]) -> Float32[np.ndarray, "b d"]:
        """Unit embeddings of preprocessed pixels."""
        if len(pixels) == 0:
            return np.empty((0, self._embedding_size), np.float32)
        embeddings = self._graph.run(pixels)
        _check_width(self._graph, embeddings.shape[1], self._embedding_size)
        return embeddings


class LocationEncoder:
    """The two graphs of a model folder from ``coordinates`` over Fourier ``features`` to ``embedding``.

    They are two so that the phases, thousands of radians, keep their precision whatever the second one runs in.
    """

    def __init__(self, phases: Path, encoder: Path, embedding_size: int) -> None:
        """Raises ModelError when a graph cannot be loaded or the widths do not fit each other."""
        self._phases = Graph(phases, "coordinates", "features")
        self._encoder = Graph(encoder, "features", "embedding")
        self._embedding_size = embedding_size
        if self._encoder.width is not None:
            _check_width(self._encoder, self._encoder.width, embedding_size)

    def encode_location(
        self, coordinates: Float[np.ndarray, "n 2"], progress: Progress | None = None
    ) -> Float32[np.ndarray, "n d"]:
        """Unit embeddings of (latitude, longitude) in degrees; ``progress`` hears of rows done and rows in all."""
        embeddings = np.empty((len(coordinates), self._embedding_size), np.float32)
        for start in range(0, len(coordinates), CHUNK):
            rows = self._encoder.run(self._phases.run(coordinates[start : start + CHUNK]))
            _check_width(self._encoder, rows.shape[1], self._embedding_size)
            embeddings[start : start + CHUNK] = rows
            if progress:
                progress(min(start + CHUNK, len(coordinates)), len(coordinates))
        return embeddings


def _check_width(graph: Graph, found: int, expected: int) -> None:
    if found != expected:
        raise ModelError(
            f"{graph.path}: gives embeddings of {found} numbers, config.json says {expected}; "
            "the files are of different models, export them together"
        )


def _runtime_faults() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    # ONNX Runtime's exceptions share no base class.
    kinds: list[Any] = [value for value in vars(state).values() if isinstance(value, type)]
    return (RuntimeError, ValueError, *(kind for kind in kinds if issubclass(kind, Exception)))


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else text[:157] + "..."
