"""What a training configuration may say: small frozen dataclasses, read from TOML, unknown keys refused."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from earthclip.configuration import from_mapping
from earthclip.errors import ConfigError
from earthclip.nn.geoclip import GeoCLIPConfig
from earthclip.nn.location_encoder import POSITIONS


@dataclass(frozen=True)
class LossConfig:
    """The objective."""

    targets: Literal["one-hot", "distance"] = "one-hot"  # as in the paper, or softmax(-distance / tau)
    tau_start_km: float = 1000.0  # of "distance" targets, annealed geometrically
    tau_end_km: float = 50.0


@dataclass(frozen=True)
class QueueConfig:
    """The dynamic queue of earlier coordinates, and the metre noise of GeoCLIP."""

    size: int = 4096
    queue_noise_m: float = 1000.0  # standard deviation of the distance moved, in a random direction
    batch_noise_m: float = 150.0


@dataclass(frozen=True)
class PhotosConfig:
    """Photos with known places, each seen in a new SimCLR view."""

    source: str  # a folder, a table, shards, a benchmark: whatever ``open_photos`` takes
    images: str | None = None  # the folder of a table's pictures
    split: Literal["random", "blocked", "author"] = "random"  # how photos are kept back for validation
    held_out: float = 0.02  # share that is kept back; 0: none, and no validation
    split_seed: int = 0
    fraction: float = 1.0  # of the others, what is trained on; smaller ones are part of larger ones
    workers: int = 1  # processes that decode ahead of the training


@dataclass(frozen=True)
class FeaturesConfig:
    """Features of a frozen backbone, extracted before by ``earthclip features``."""

    folder: str
    split: Literal["random", "blocked"] = "random"
    held_out: float = 0.02
    split_seed: int = 0
    fraction: float = 1.0
    workers: int = 0  # processes that read ahead of the training, for slow drives; 0: read between steps


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimiser and its schedule."""

    kind: Literal["adamw", "adam"] = "adamw"  # adam: weight decay as a part of the gradient, on every parameter
    learning_rate: float = 3e-5
    weight_decay: float = 1e-6
    schedule: Literal["cosine", "step"] = "cosine"
    warmup_steps: int = 0
    step_every: int = 1000  # steps of the "step" schedule; 0: an epoch of the photos or features
    step_gamma: float = 0.87
    clip_norm: float = 0.0  # largest gradient norm; 0 leaves gradients alone


@dataclass(frozen=True)
class ValidationConfig:
    """Accuracy measured during training, on samples held out."""

    views: int = 500  # how many at most
    spacing_km: float = 100.0  # of the candidate places
    every_steps: int = 1000


@dataclass(frozen=True)
class TrainingConfig:
    """A whole run."""

    name: str
    steps: int = 0
    epochs: float = 0.0  # of photos or features, instead of steps
    init: str | None = None  # the run, model folder, published release or named model whose weights it starts from
    init_location: bool = True  # its location encoder too; false: this run's may be of another size or position
    backbone: str | None = None  # under a head, frozen: a folder in Hugging Face's format, or a name on the Hub
    batch_size: int = 256  # of all processes together
    seed: int = 0
    threads: int = 0  # of torch; 0 leaves its own choice
    device: Literal["auto", "cpu", "cuda"] = "auto"
    backend: Literal["auto", "gloo", "nccl"] = "auto"  # between processes; auto: nccl on cuda
    ema_decay: float = 0.0  # of the running mean of weights that is validated and exported; 0: the weights themselves
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # of matrix products; auto looks at the processor
    log_every_steps: int = 50
    checkpoint_every_steps: int = 500
    licence: str | None = None  # of the finished model, an SPDX identifier
    model: GeoCLIPConfig = field(default_factory=GeoCLIPConfig)
    photos: PhotosConfig | None = None
    features: FeaturesConfig | None = None
    loss: LossConfig = field(default_factory=LossConfig)
    queue: QueueConfig = field(default_factory=QueueConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)


Config = TypeVar("Config", bound=TrainingConfig)

_OF_VIEWS = {"loss": ("cells",), "validation": ("imagery", "half_width_km")}  # keys that runs on photos once had too


def read_training_config(path: str | Path) -> TrainingConfig:
    """Read and check a TOML file; ConfigError names the file and the key."""
    return read_config_of(TrainingConfig, Path(path))


def read_config_of(kind: type[Config], path: Path) -> Config:
    """As ``read_training_config``, for a kind of configuration of your own."""
    try:
        mapping = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; expected a training configuration in TOML") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not readable as TOML ({error})") from error
    if len(given := [f"[{name}]" for name in ("views", "photos", "features") if name in mapping]) > 1:
        raise ConfigError(f"{path}: {' and '.join(given)} both say what to train on; keep one")
    return check_training_config(from_kept(kind, mapping, str(path)), str(path))


def from_kept(kind: type[Config], mapping: dict[str, Any], where: str) -> Config:
    """A configuration as a TOML file or a run's folder has it; older forms are read too. Raises ConfigError."""
    names = {field.name for field in fields(kind)}
    if "views" in names:
        return from_mapping(kind, mapping, where)
    if "views" in mapping and not mapping.keys() & {"photos", "features"}:
        raise ConfigError(f"{where}: [views] is for the recipe orbit; use python -m recipes.orbit train, and export")
    mapping = {key: value for key, value in mapping.items() if key != "views"}
    for table, keys in _OF_VIEWS.items():
        given = mapping.get(table)
        if isinstance(given, dict):
            if given.get("cells"):
                raise ConfigError(f"{where}: loss.cells is for [views]; photos and features have no grid of places")
            mapping[table] = {key: value for key, value in given.items() if key not in keys}
    return from_mapping(kind, mapping, where)


def check_training_config(config: Config, where: str) -> Config:
    """The values that types alone cannot check; ConfigError says which is wrong."""
    check(_general(config) | _of_networks(config) | _of_data(config), where)
    return config


def check(conditions: Mapping[str, bool], where: str) -> None:
    """Raise ConfigError with the first message whose condition does not hold."""
    for message, holds in conditions.items():
        if not holds:
            raise ConfigError(f"{where}: {message}")


def in_steps(config: Config, samples: int | None) -> Config:
    """``config`` with epochs converted to steps of ``samples`` an epoch; None where there are no epochs."""
    if samples is None:
        check({"epochs are for sources that have an end; say steps": not config.epochs}, config.name)
        check({"optimizer.step_every must be at least 1": config.optimizer.step_every >= 1}, config.name)
        return config
    an_epoch = samples / config.batch_size
    optimizer = config.optimizer
    if optimizer.step_every == 0:
        optimizer = replace(optimizer, step_every=max(1, math.ceil(an_epoch)))
    steps = max(1, math.ceil(config.epochs * an_epoch)) if config.epochs else config.steps
    return replace(config, steps=steps, epochs=0.0, optimizer=optimizer)


def _general(config: TrainingConfig) -> dict[str, bool]:
    optimizer, queue = config.optimizer, config.queue
    intervals = (config.log_every_steps, config.checkpoint_every_steps, config.validation.every_steps)
    noise = (queue.queue_noise_m, queue.batch_noise_m)
    taus = (config.loss.tau_start_km, config.loss.tau_end_km)
    return {
        "name must be a plain word": re.fullmatch(r"[\w.-]+", config.name) is not None,
        "steps must be at least 1": config.steps >= 1 or config.epochs != 0,
        "epochs must be above 0 and at most 10000, or left out": 0 <= config.epochs <= 10_000,
        "steps and epochs both say how long to train; keep one": not (config.steps and config.epochs),
        "init_location = false is for a run with init": config.init_location or config.init is not None,
        "batch_size must be at least 2": config.batch_size >= 2,
        "seed must not be negative": config.seed >= 0,
        "threads must not be negative": config.threads >= 0,
        "ema_decay must be at least 0 and below 1": 0 <= config.ema_decay < 1,
        "backend nccl is for device cuda": config.backend != "nccl" or config.device != "cpu",
        "log_every_steps, checkpoint_every_steps and validation.every_steps must be at least 1": min(intervals) >= 1,
        "optimizer.step_every must not be negative": optimizer.step_every >= 0,
        "optimizer.learning_rate must be above 0": optimizer.learning_rate > 0,
        "optimizer.learning_rate must be at most 10": optimizer.learning_rate <= 10,
        "optimizer.weight_decay must be 0 to 10": 0 <= optimizer.weight_decay <= 10,
        "optimizer.step_gamma must be above 0 and at most 1": 0 < optimizer.step_gamma <= 1,
        "optimizer.warmup_steps must not be negative": optimizer.warmup_steps >= 0,
        "optimizer.clip_norm must not be negative": 0 <= optimizer.clip_norm < math.inf,
        "queue.size must not be negative": queue.size >= 0,
        "queue.batch_noise_m and queue_noise_m must be 0 to 1000000": all(0 <= metres <= 1e6 for metres in noise),
        "loss.tau_start_km and tau_end_km must be positive": all(0 < tau < math.inf for tau in taus),
    }


def _of_networks(config: TrainingConfig) -> dict[str, bool]:
    image, location = config.model.image, config.model.location
    reduction = 2 ** (1 + len(image.channels))
    sigmas = location.sigmas
    sizes = (config.model.embedding_size, location.frequencies, location.width, location.depth)
    return {
        "model.embedding_size, location.frequencies, width and depth must be at least 1": min(sizes) >= 1,
        f"model.location.position must be one of {', '.join(POSITIONS)}": location.position in POSITIONS,
        "model.location.sigmas needs at least one, all above 0": len(sigmas) > 0 and all(sigma > 0 for sigma in sigmas),
        "model.location.sigmas must be at most 1e6": all(sigma <= 1e6 for sigma in sigmas),
        "model.image.channels and blocks must be of equal length": len(image.channels) == len(image.blocks),
        "model.image.image_size must be a multiple of the reduction": (
            image.image_size >= reduction and image.image_size % reduction == 0
        ),
    }


def _of_data(config: TrainingConfig) -> dict[str, bool]:
    validation = config.validation
    checks = {
        "validation.views must be at least 1": validation.views >= 1,
        "validation.spacing_km must be 0.01 to 2000": 0.01 <= validation.spacing_km <= 2000,
        "[photos] and [features] both say what to train on; keep one": not (config.photos and config.features),
        "licence must be an SPDX identifier such as MIT or CC-BY-4.0": (
            config.licence is None or is_spdx(config.licence)
        ),
    }
    for name, source in (("photos", config.photos), ("features", config.features)):
        if source is not None:
            checks |= {
                f"{name}.held_out must be at least 0 and at most 0.9": 0 <= source.held_out <= 0.9,
                f"{name}.fraction must be above 0 and at most 1": 0 < source.fraction <= 1,
                f"{name}.split_seed must not be negative": source.split_seed >= 0,
            }
    if config.photos is not None:
        checks["photos.workers must be at least 1"] = config.photos.workers >= 1
    if config.features is not None:
        checks["features.workers must not be negative"] = config.features.workers >= 0
    return checks


def is_spdx(licence: str) -> bool:
    """Whether ``licence`` has the form of an SPDX expression, such as MIT or Apache-2.0 OR CC-BY-4.0."""
    name = r"\(*[A-Za-z0-9][A-Za-z0-9.+-]*\)*"
    return re.fullmatch(rf"{name}( (AND|OR|WITH) {name})*", licence) is not None
