"""A model's config.json: encoders, preprocessing, calibration; older formats are read too."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from earthclip.configuration import from_mapping, to_mapping
from earthclip.errors import ConfigError, ModelError
from earthclip.files import atomic_write
from earthclip.pictures.preprocess import Preprocessing


@dataclass(frozen=True)
class ConfidenceBin:
    """What pictures of like confidence take: those whose posterior has an entropy ``below_nats``; None for the rest."""

    conformal: dict[str, float]
    below_nats: float | None = None


@dataclass(frozen=True)
class Calibration:
    """How much probability a region has to hold to contain the true place as often as claimed.

    ``conformal`` maps a promise ("0.5", "0.9": the share of truths inside) to the mass, in [0, 1], whose smallest
    region kept it on validation pictures; ``measured`` says on what, and the figures before and after. ``bins`` have
    masses of their own for pictures of each confidence, from sure to unsure; None where all pictures take the same.
    Raises ConfigError for promises or masses outside their range, masses that fall as the promises rise, and bins whose
    bounds do not rise to a last one without a bound.
    """

    conformal: dict[str, float] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    bins: tuple[ConfidenceBin, ...] | None = None

    def at(self, entropy: float) -> Calibration:
        """The calibration of pictures whose posterior has this entropy in nats: itself where there are no bins."""
        for confidence in self.bins or ():
            if confidence.below_nats is None or entropy < confidence.below_nats:
                return Calibration(confidence.conformal, self.measured)
        return self

    def __post_init__(self) -> None:
        if self.bins is not None:
            for confidence in self.bins:
                Calibration(confidence.conformal)  # checks it
            *bounds, last = [confidence.below_nats for confidence in self.bins] or [0.0]
            finite = [bound for bound in bounds if bound is not None and math.isfinite(bound)]
            if last is not None or len(finite) < len(bounds) or finite != sorted(set(finite)):
                raise ConfigError(f"below_nats of bins must rise, and be left out in the last, found {self.bins}")
        for promise, mass in self.conformal.items():
            if not (_fraction(promise) and 0 <= mass <= 1):
                raise ConfigError(f"conformal maps shares in (0, 1) to masses in [0, 1], found {promise!r}: {mass}")
        masses = [mass for _, mass in self._points()]
        if masses != sorted(masses):
            raise ConfigError(f"conformal masses must rise with the shares, found {self.conformal}")

    def mass_for(self, promise: float) -> float:
        """The mass that a region must hold to keep ``promise``; between those fitted it is interpolated."""
        points = [(0.0, 0.0), *self._points(), (1.0, 1.0)]
        for (low, mass_low), (high, mass_high) in itertools.pairwise(points):
            if low <= promise <= high:
                return mass_low + (mass_high - mass_low) * (promise - low) / (high - low)
        return 1.0

    def _points(self) -> list[tuple[float, float]]:
        return sorted((float(promise), mass) for promise, mass in self.conformal.items())


@dataclass(frozen=True)
class Scope:
    """What a model's pictures are, and how likely a picture must be one to be located.

    Its file ``scope.onnx`` gives the probability that a picture is of the kind ``of``; one below ``threshold`` is out
    of scope. ``measured`` says on which pictures that was measured. Raises ConfigError for impossible values.
    """

    of: str  # in words that follow "This does not look like"
    threshold: float
    instead: str = ""  # what to do with another picture, such as "use --model geoclip"
    measured: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.of.strip() or not 0 < self.threshold < 1:
            raise ConfigError(f"scope must say of what, with a threshold between 0 and 1, found {self.threshold}")


def _fraction(text: str) -> bool:
    try:
        value = float(text)
    except ValueError:
        return False
    return math.isfinite(value) and 0 < value < 1


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
SCOPE = "scope.onnx"
WEIGHTS = "model.safetensors"  # to train on; running needs none of it
RUNNING_FILES = (
    IMAGE_ENCODER,
    IMAGE_ENCODER_INT8,
    TEXT_ENCODER,
    TOKENIZER,
    LOCATION_PHASES,
    LOCATION_ENCODER,
    GALLERY,
    SCOPE,
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
    """The contents of a model's config.json. Raises ConfigError for impossible values."""

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
    scope: Scope | None = None  # None: it cannot tell a picture that is not of its kind
    caution: str | None = None  # what a user must know before trusting an answer, said once a run
    lacks: dict[str, str] = field(default_factory=dict)  # what it could have but has not -> how to get it
    files: dict[str, int] = field(default_factory=dict)  # name -> size in bytes
    provenance: dict[str, Any] = field(default_factory=dict)
    accuracy: dict[str, Any] = field(default_factory=dict)
    int8: dict[str, float] = field(default_factory=dict)  # what its int8 image encoder was measured to be worth
    smallest_weight: float | None = None  # all below it are 0, see models/subnormals.py; None: nobody has looked
    format: int = FORMAT

    def __post_init__(self) -> None:
        if not self.name.strip() or any(c in self.name for c in "/\\\0\n"):
            raise ConfigError(f"name must not be empty or have slashes or line breaks, found {self.name!r}")
        if self.embedding_size < 1:
            raise ConfigError(f"embedding_size must be at least 1, found {self.embedding_size}")
        if not math.isfinite(self.logit_scale) or self.logit_scale > 20:
            raise ConfigError(f"logit_scale must be the logarithm of a scale, finite and below 20: {self.logit_scale}")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ConfigError(f"temperature must be above 0, found {self.temperature}")
        for name, size in self.files.items():
            if Path(name).name != name or size < 1:
                raise ConfigError(
                    f"files must map names of files in this folder to sizes in bytes, found {name!r}: {size}"
                )


def read_config(folder: Path) -> ModelConfig:
    """The ``config.json`` of a model folder. Raises ModelError when it is missing, invalid, or of a newer format."""
    path = folder / CONFIG
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError as error:
        raise ModelError(f"{folder}: not a model folder ({CONFIG} is missing); check the path") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ModelError(f"{path}: not valid JSON ({error}); copy the folder again") from error
    if not isinstance(mapping, dict):
        raise ModelError(f"{path}: expected a JSON object, found {type(mapping).__name__}; copy the folder again")
    if mapping.get("format") != FORMAT:
        found = mapping.get("format", "none")
        raise ModelError(
            f"{path}: expected format {FORMAT}, found {found}; install the version of earthclip that wrote it"
        )
    try:
        return from_mapping(ModelConfig, {"preprocessing": None, **mapping}, CONFIG)
    except ConfigError as error:
        raise ModelError(f"{folder}: {error}") from error


def write_config(folder: Path, config: ModelConfig) -> ModelConfig:
    """Write ``config.json`` last, when the folder's other files are complete, and return it as written.

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
