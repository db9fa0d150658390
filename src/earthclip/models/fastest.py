"""Chooses what an image encoder runs on: the fastest runtime and precision that keep its embeddings.

Whether embeddings are kept is measured once for each model, on eight pictures; the result is cached.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from earthclip.errors import MissingExtraError, ModelError, OutputError
from earthclip.files import atomic_write, home
from earthclip.models import Precision, Runtime, openvino
from earthclip.models.config import IMAGE_ENCODER, IMAGE_ENCODER_INT8
from earthclip.models.encoders import Encoder
from earthclip.models.folder import ModelFolder
from earthclip.pictures.prepare import prepare

LOWEST_COSINE = 0.999  # of each picture's embedding with float32's, for a precision nobody asked for
PICTURES = Path(__file__).parent / "pictures"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """A graph, what it runs on and how exactly it computes."""

    path: Path
    runtime: Runtime
    precision: Precision

    def __str__(self) -> str:
        """Such as "image_encoder.onnx, run by openvino in bfloat16"."""
        return f"{self.path.name}, run by {self.runtime} in {self.precision}"

    def open(self, embedding_size: int) -> Encoder:
        """The encoder itself. Raises ModelError when it cannot be run."""
        cache = home() / "graphs"
        return Encoder(self.path, embedding_size, runtime=self.runtime, precision=self.precision, cache=cache)


def choose(folder: ModelFolder, runtime: Runtime = "auto", precision: Precision = "auto") -> Choice:
    """The runtime and precision of a model's image encoder; "auto" chooses the fastest that keeps the embeddings.

    OpenVINO is taken where it is installed and the graph is large enough to make up for its start; int8 where the model
    has it and its pictures allowed it; bfloat16 where the processor multiplies in it and the embeddings' cosine with
    float32's stays 0.999 or more. Raises ModelError for what the model or the runtime has not, MissingExtraError
    without OpenVINO where it is asked for.
    """
    path = folder.file(IMAGE_ENCODER)
    lowest = folder.config.int8.get("lowest_cosine", 0.0)
    if precision == "int8" or (precision == "auto" and folder.has(IMAGE_ENCODER_INT8) and lowest >= LOWEST_COSINE):
        if not folder.has(IMAGE_ENCODER_INT8):
            name = folder.config.name
            raise ModelError(f"model '{name}' has no int8; run earthclip model quantize {name} --pictures DIR")
        path = folder.file(IMAGE_ENCODER_INT8)
        if runtime == "auto":
            runtime = "openvino" if openvino.pays(path) else "onnxruntime"
        return Choice(path, runtime, "int8")
    if precision == "bfloat16" and runtime == "onnxruntime":
        raise ModelError("ONNX Runtime does not support bfloat16; leave out --runtime, or use --precision float32")
    asked = runtime == "openvino" or precision == "bfloat16"
    if asked and not openvino.here():
        raise MissingExtraError("running on OpenVINO", "openvino", "openvino")
    if runtime == "onnxruntime" or not (asked or openvino.pays(path)):
        return Choice(path, "onnxruntime", "float32")
    if precision == "bfloat16" and not openvino.multiplies_bfloat16():
        raise ModelError("this processor does not support bfloat16; leave --precision out")
    fast = Choice(path, "openvino", "bfloat16")
    if precision == "auto":
        faithful = openvino.multiplies_bfloat16() and _cosine(folder, fast) >= LOWEST_COSINE
        precision = "bfloat16" if faithful else "float32"
    return dataclasses.replace(fast, precision=precision)


def _cosine(folder: ModelFolder, fast: Choice) -> float:
    """The lowest cosine of embeddings by ``fast`` with those in float32, on ``PICTURES``."""
    status = fast.path.stat()
    of = [str(fast.path.resolve()), status.st_size, status.st_mtime_ns, fast.precision, version("openvino")]
    kept = home() / "measured" / f"{hashlib.sha256(json.dumps(of).encode()).hexdigest()[:16]}.json"
    try:
        return float(json.loads(kept.read_text())["lowest_cosine"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    preprocessing = folder.config.preprocessing
    assert preprocessing is not None  # open_folder has checked it
    names = sorted(PICTURES.glob("*.jpg"))
    pixels = [prepare(path, preprocessing).pixels for path in names]
    size = folder.config.embedding_size
    exact, quick = (
        np.concatenate([encoder.encode(one) for one in pixels])
        for encoder in (Encoder(fast.path, size), fast.open(size))
    )
    cosines = (exact * quick).sum(axis=1)
    found = {"model": folder.config.name, "of": of, "pictures": len(names)}
    found |= {"lowest_cosine": float(cosines.min()), "mean_cosine": float(cosines.mean())}
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(kept, overwrite=True) as file:
            file.write(json.dumps(found, indent=2).encode())
    except (OSError, OutputError) as error:
        _logger.warning("warning: %s; %s is measured again in every run", error, fast.precision)
    return float(cosines.min())
