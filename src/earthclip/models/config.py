"""``config.json`` of a model folder: what the model is, what its files are, how its scores become probabilities.

Every file it counts on is listed with its size, so that a half-copied folder is found out before it answers.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from earthclip.configuration import from_mapping, to_mapping
from earthclip.errors import ConfigError, ModelError
from earthclip.files import atomic_write
from earthclip.models.calibration import Calibration
from earthclip.runtime.preprocess import Preprocessing

__all__ = ["FORMAT", "RUNNING_FILES", "ModelConfig", "Preprocessing", "read_config", "write_config"]

FORMAT = 1
CONFIG = "config.json"
IMAGE_ENCODER = "image_encoder.onnx"
IMAGE_ENCODER_INT8 = "image_encoder.int8.onnx"
LOCATION_PHASES = "location_phases.onnx"
LOCATION_ENCODER = "location_encoder.onnx"
GALLERY = "gallery.npy"
TEXT_ENCODER = "text_encoder.onnx"
TOKENIZER = "tokenizer.json"
WEIGHTS = "model.safetensors"  # to train on; running needs none of it
RUNNING_FILES = (
    IMAGE_ENCODER,
    IMAGE_ENCODER_INT8,
    TEXT_ENCODER,
    TOKENIZER,
    LOCATION_PHASES,
    LOCATION_ENCODER,
    GALLERY,
)


@dataclass(frozen=True)
class Words:
    """How texts become the token ids of a model's text encoder."""

    length: int  # tokens a text is cut and padded to
    pad_id: int

    def __post_init__(self) -> None:
        if self.length < 3 or self.pad_id < 0:
            raise ConfigError(f"words: length must be at least 3 and pad_id not negative, found {self}")


@dataclass(frozen=True)
class ModelConfig:
    """What a model folder says about itself. Raises ConfigError for values no model can have."""

    name: str
    embedding_size: int
    logit_scale: float  # natural logarithm: logits = exp(logit_scale) * cosine
    preprocessing: Preprocessing | None  # None: a model without an image encoder
    prior: str  # the distribution its probabilities are relative to, in words
    licence: str
    words: Words | None = None  # None: a model without a text encoder
    phases_apart: bool = True  # False: an export of others, whose location encoder takes degrees
    views: tuple[str, ...] = ("none",)  # of a picture that all show the same place, see runtime/views.py
    temperature: float = 1.0  # calibration: probabilities = softmax(logits / temperature)
    calibration: Calibration | None = None  # None: nobody has measured what its probabilities are worth
    caution: str | None = None  # what a user must know before trusting an answer, said once a run
    lacks: dict[str, str] = field(default_factory=dict)  # what it could have but has not -> how to get it
    files: dict[str, int] = field(default_factory=dict)  # name -> size in bytes
    provenance: dict[str, Any] = field(default_factory=dict)
    accuracy: dict[str, Any] = field(default_factory=dict)
    int8: dict[str, float] = field(default_factory=dict)  # what its int8 image encoder was measured to be worth
    format: int = FORMAT

    def __post_init__(self) -> None:
        if not self.name.strip() or any(c in self.name for c in "/\\\0\n"):
            raise ConfigError(f"name must be a plain word, found {self.name!r}")
        if self.embedding_size < 1:
            raise ConfigError(f"embedding_size must be at least 1, found {self.embedding_size}")
        if not math.isfinite(self.logit_scale) or self.logit_scale > 20:
            raise ConfigError(f"logit_scale must be the logarithm of a scale, finite and below 20: {self.logit_scale}")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ConfigError(f"temperature must be above 0, found {self.temperature}")
        for name, size in self.files.items():
            if Path(name).name != name or size < 1:
                raise ConfigError(f"files must name files of this folder and sizes in bytes, found {name!r}: {size}")


def read_config(folder: Path) -> ModelConfig:
    """The ``config.json`` of a model folder. Raises ModelError when it is missing, invalid, or of a newer format."""
    path = folder / CONFIG
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError as error:
        raise ModelError(f"{folder}: no {CONFIG} in it, so not a model folder; check the path") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ModelError(f"{path}: not valid JSON ({error}); copy the folder again") from error
    if not isinstance(mapping, dict):
        raise ModelError(f"{path}: expected a JSON object, found {type(mapping).__name__}; copy the folder again")
    if mapping.get("format") != FORMAT:
        found = mapping.get("format", "none")
        raise ModelError(f"{path}: expected format {FORMAT}, found {found}; install the earthclip that wrote it")
    try:
        return from_mapping(ModelConfig, {"preprocessing": None, **mapping}, CONFIG)
    except ConfigError as error:
        raise ModelError(f"{folder}: {error}") from error


def write_config(folder: Path, config: ModelConfig) -> ModelConfig:
    """Write ``config.json`` last, when the folder's other files stand, and return it as written.

    ``files`` is filled in here with the sizes of the files that running needs, among those in the folder.
    """
    sizes = {name: (folder / name).stat().st_size for name in RUNNING_FILES if (folder / name).is_file()}
    config = dataclasses.replace(config, files=sizes)
    text = json.dumps(to_mapping(config), indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_write(folder / CONFIG, overwrite=True) as file:
        file.write(text.encode() + b"\n")
    return config


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")
