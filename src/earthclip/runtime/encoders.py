"""Encoders on ONNX Runtime: a graph from pixels or from words to embeddings, two from degrees to embeddings.

A session is thread-safe and costs its graph's weights; it is made when an encoder is, not when a model is named.
"""

from __future__ import annotations

import contextlib
import importlib.util
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from earthclip.errors import ModelError
from earthclip.runtime.choice import Runtime
from earthclip.runtime.openvino import OpenVINOGraph

CHUNK = 1024  # rows of coordinates at a time: what the caches hold of the published encoder's activations

Progress = Callable[[int, int], None]  # rows done, rows in all

LOWEST_COSINE = 0.9999  # of embeddings in low precision with those in float32, below which low precision is not used
_PROBES = np.stack([np.linspace(-85, 85, 64), np.linspace(-180, 179, 64)[np.arange(64) * 23 % 64]], axis=1)

# What others call the same inputs and outputs, so that their exports run as they are.
_ALIASES = {
    "pixels": ("pixel_values",),
    "tokens": ("input_ids",),
    "coordinates": ("location",),
    "embedding": ("image_embeds", "location_embeds", "text_embeds"),
}
_DTYPES = {"tensor(double)": np.float64, "tensor(int64)": np.int64}


class Graph:
    """One ONNX graph with one input and one output, on the processor."""

    def __init__(self, path: Path, input_name: str, output_name: str, *, spins: bool = True) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # faults come as exceptions; nothing is written to stderr
        if not spins:  # threads that wait by spinning would take the processor from the graph whose turn it is
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.path = path
        self._faults = _runtime_faults()
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except self._faults as error:
            raise ModelError(f"{path}: not a graph this program can run ({_reason(error)}); export it again") from error
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


class Encoder:
    """A graph from ``pixels``, or from the ``tokens`` of words, to ``embedding``."""

    def __init__(self, path: Path, embedding_size: int, takes: str = "pixels") -> None:
        """Raises ModelError when the graph cannot be loaded or its embeddings are not ``embedding_size`` wide."""
        self._graph = Graph(path, takes, "embedding")
        self._embedding_size = embedding_size
        if self._graph.width is not None:
            _check_width(self._graph, self._graph.width, embedding_size)

    def encode(self, values: np.ndarray) -> Float32[np.ndarray, "b d"]:
        """Unit embeddings of preprocessed pixels [b,3,h,w], or of token ids [b,t]."""
        if len(values) == 0:
            return np.empty((0, self._embedding_size), np.float32)
        embeddings = self._graph.run(values)
        _check_width(self._graph, embeddings.shape[1], self._embedding_size)
        return _unit(embeddings)


class LocationEncoder:
    """The two graphs of a model folder from ``coordinates`` over Fourier ``features`` to ``embedding``.

    They are two so that the phases, thousands of radians, keep their precision whatever the second one runs in. An
    export of others may be one graph from ``coordinates``; then ``phases`` is None, and it is run in float32.
    """

    def __init__(
        self, phases: Path | None, encoder: Path, embedding_size: int, runtime: Runtime = "onnxruntime"
    ) -> None:
        """``runtime`` is where the second graph runs; "auto" is OpenVINO where it is installed and faithful.

        Raises ModelError when a graph cannot be loaded or the widths do not fit each other.
        """
        self._phases = Graph(phases, "coordinates", "features", spins=False) if phases else None
        self._encoder: Graph | OpenVINOGraph = Graph(encoder, "features" if phases else "coordinates", "embedding")
        self._embedding_size = embedding_size
        self._lock = threading.Lock()
        self.runtime: Runtime = "onnxruntime"
        if phases and (runtime == "openvino" or (runtime == "auto" and importlib.util.find_spec("openvino"))):
            self._use_openvino(encoder, insist=runtime == "openvino")
        if self._encoder.width is not None:
            _check_width(self._encoder, self._encoder.width, embedding_size)

    def encode_location(
        self, coordinates: Float[np.ndarray, "n 2"], progress: Progress | None = None
    ) -> Float32[np.ndarray, "n d"]:
        """Unit embeddings of (latitude, longitude) in degrees; ``progress`` hears of rows done and rows in all."""
        embeddings = np.empty((len(coordinates), self._embedding_size), np.float32)
        for start in range(0, len(coordinates), CHUNK):
            chunk = coordinates[start : start + CHUNK]
            values = self._phases.run(chunk) if self._phases else chunk
            with self._lock if self.runtime == "openvino" else contextlib.nullcontext():
                rows = self._encoder.run(values)
                _check_width(self._encoder, rows.shape[1], self._embedding_size)
                embeddings[start : start + CHUNK] = _unit(rows)
            if progress:
                progress(min(start + CHUNK, len(coordinates)), len(coordinates))
        return embeddings

    def _use_openvino(self, encoder: Path, *, insist: bool) -> None:
        """Take OpenVINO's graph, unless on some places its embeddings are not those of float32."""
        assert self._phases is not None
        fast = OpenVINOGraph(encoder)
        features = self._phases.run(_PROBES)
        faithful = (_unit(fast.run(features)) * _unit(self._encoder.run(features))).sum(axis=1).min()
        if faithful < LOWEST_COSINE and insist:
            raise ModelError(
                f"{encoder}: on OpenVINO its embeddings have a cosine of {faithful:.5f} with float32's, expected "
                f"{LOWEST_COSINE} or more; use --runtime onnxruntime"
            )
        if faithful >= LOWEST_COSINE:
            self._encoder, self.runtime = fast, "openvino"


def _named(name: str, found: list[str]) -> str | None:
    return next((known for known in (name, *_ALIASES.get(name, ())) if known in found), None)


def _unit(rows: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    """Rows of length 1; our graphs give them so, to a last bit, those of others may not."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows if np.allclose(lengths, 1.0, atol=1e-5) else rows / np.maximum(lengths, 1e-12)


def _check_width(graph: Graph | OpenVINOGraph, found: int, expected: int) -> None:
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
