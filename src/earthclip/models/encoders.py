"""Encoders of a model folder, on ONNX Runtime or OpenVINO; texts to tokens for the text encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np
from jaxtyping import Float, Float32, Int64

from earthclip.errors import InputError, MissingExtraError, ModelError
from earthclip.models import Precision, Runtime
from earthclip.models.onnx_runtime import Graph
from earthclip.models.openvino import OpenVINOGraph


class Tokenizer:
    """A model folder's ``tokenizer.json``; every text becomes ``length`` ids, padded with ``pad_id``."""

    def __init__(self, path: Path, length: int, pad_id: int) -> None:
        """Raises MissingExtraError without the library ``tokenizers``, ModelError for a file it cannot read."""
        try:
            import tokenizers
        except ModuleNotFoundError as error:
            raise MissingExtraError("locating texts", "text", "tokenizers") from error
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # the library raises bare Exception
            reason = " ".join(str(error).split())[:160]
            raise ModelError(f"{path}: not a tokenizer ({reason}); copy the model again") from error
        self._tokenizer.enable_truncation(length)
        pad = self._tokenizer.id_to_token(pad_id)
        if pad is None:
            raise ModelError(f"{path}: has no token {pad_id}, the padding token in config.json; copy the model again")
        self._tokenizer.enable_padding(length=length, pad_id=pad_id, pad_token=pad)

    def __call__(self, texts: Sequence[str]) -> Int64[np.ndarray, "n t"]:
        """Token ids; a longer text is cut, its end mark kept. Raises InputError for an empty text."""
        for index, text in enumerate(texts):
            if not isinstance(text, str) or not text.strip():
                raise InputError(f"text {index}: expected a description of a place, found {text!r}")
        return np.array([encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))], np.int64)


CHUNK = 1024  # rows of coordinates at a time: what the caches hold of the published encoder's activations

Progress = Callable[[int, int], None]  # rows done, rows in all


def open_graph(
    path: Path,
    takes: str,
    *,
    runtime: Runtime = "onnxruntime",
    precision: Precision = "float32",
    cache: Path | None = None,
    threads: int | None = None,
    gpu: bool = False,
    spins: bool = False,
) -> Graph | OpenVINOGraph:
    """The graph at ``path`` from ``takes`` to ``embedding``, run as the arguments say. Raises ModelError."""
    if runtime == "openvino":
        return OpenVINOGraph(path, precision, cache, threads)
    return Graph(path, takes, "embedding", spins=spins, gpu=gpu, threads=threads)


class ScopeHead:
    """The graph ``scope.onnx`` from ``pixels`` to how likely a picture is of the model's kind, in [0, 1]."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError when the graph cannot be loaded."""
        self._graph = Graph(path, "pixels", "scope", spins=False)

    def scopes(self, pixels: Float32[np.ndarray, "b v 3 h w"]) -> Float32[np.ndarray, " b"]:
        """The probability of each picture, the mean over its views."""
        pictures, views = pixels.shape[:2]
        rows = self._graph.run(pixels.reshape(-1, *pixels.shape[2:]))
        _check_width(self._graph, rows.shape[1], 1)
        means: Float32[np.ndarray, " b"] = rows.reshape(pictures, views).mean(axis=1)
        return means


class _How(TypedDict, total=False):
    runtime: Runtime
    precision: Precision
    cache: Path | None
    threads: int | None
    gpu: bool


class Encoder:
    """A graph from ``pixels``, or from the ``tokens`` of words, to ``embedding``."""

    def __init__(
        self,
        path: Path,
        embedding_size: int,
        takes: str = "pixels",
        **how: Unpack[_How],
    ) -> None:
        """``how`` are keywords of ``open_graph``; ONNX Runtime computes as the graph is written.

        Raises ModelError when the graph cannot be loaded or its embeddings are not ``embedding_size`` wide.
        """
        # Threads that wait by spinning would take the processor from those who read the next pictures.
        self._graph = open_graph(path, takes, **how)
        self._embedding_size = embedding_size
        if self._graph.width is not None:
            _check_width(self._graph, self._graph.width, embedding_size)

    def encode(self, values: np.ndarray) -> Float32[np.ndarray, "b d"]:
        """Unit embeddings of preprocessed pixels [b,3,h,w], or of token ids [b,t]."""
        if len(values) == 0:
            return np.empty((0, self._embedding_size), np.float32)
        embeddings = self._graph.run(values)
        _check_width(self._graph, embeddings.shape[1], self._embedding_size)
        return unit(embeddings)

    def encode_views(self, pixels: Float32[np.ndarray, "b v 3 h w"]) -> Float32[np.ndarray, "b d"]:
        """The mean of each picture's unit embeddings over its views, which is itself one where there is one view."""
        pictures, views = pixels.shape[:2]
        rows = self.encode(pixels.reshape(-1, *pixels.shape[2:]))
        return rows.reshape(pictures, views, -1).mean(axis=1) if views > 1 else rows


class LocationEncoder:
    """The two graphs of a model folder from ``coordinates`` over Fourier ``features`` to ``embedding``.

    They are two so that the phases, thousands of radians, keep their precision whatever the second one runs in. An
    export of others may be one graph from ``coordinates``; then ``phases`` is None, and it is run in float32.
    """

    def __init__(
        self,
        phases: Path | None,
        encoder: Path,
        embedding_size: int,
        **how: Unpack[_How],
    ) -> None:
        """``how`` are keywords of ``open_graph`` for the second graph. Raises ModelError when a graph cannot be loaded
        or the widths do not fit each other.
        """
        # The phases see no precision and no runtime but this one: bfloat16 has 8 bits for thousands of radians.
        self._phases = Graph(phases, "coordinates", "features", spins=False) if phases else None
        self._encoder = open_graph(encoder, "features" if phases else "coordinates", spins=True, **how)
        self._embedding_size = embedding_size
        self.runtime: Runtime = how.get("runtime", "onnxruntime")
        self.precision: Precision = how.get("precision", "float32")
        if self._encoder.width is not None:
            _check_width(self._encoder, self._encoder.width, embedding_size)

    def __str__(self) -> str:
        """Such as "location_encoder.onnx, run by openvino in bfloat16"."""
        return f"{self._encoder.path.name}, run by {self.runtime} in {self.precision}"

    def encode_location(
        self, coordinates: Float[np.ndarray, "n 2"], progress: Progress | None = None
    ) -> Float32[np.ndarray, "n d"]:
        """Unit embeddings of (latitude, longitude) in degrees; ``progress`` is called with rows done and total."""
        embeddings = np.empty((len(coordinates), self._embedding_size), np.float32)
        for start in range(0, len(coordinates), CHUNK):
            chunk = coordinates[start : start + CHUNK]
            rows = self._encoder.run(self._phases.run(chunk) if self._phases else chunk)
            _check_width(self._encoder, rows.shape[1], self._embedding_size)
            embeddings[start : start + CHUNK] = unit(rows)
            if progress:
                progress(min(start + CHUNK, len(coordinates)), len(coordinates))
        return embeddings


def unit(rows: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    """Rows of length 1; our graphs give them so, to a last bit, those of others may not."""
    lengths = np.sqrt(np.vecdot(rows, rows))[:, None]  # linalg.norm takes 4 times as long
    return rows if np.abs(lengths - 1).max(initial=0.0) < 1e-5 else rows / np.maximum(lengths, 1e-12)


def _check_width(graph: Graph | OpenVINOGraph, found: int, expected: int) -> None:
    if found != expected:
        raise ModelError(
            f"{graph.path}: gives embeddings of {found} numbers, but config.json has {expected}; "
            "the files are of different models, export them together"
        )
