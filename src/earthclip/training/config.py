"""What a training configuration may say: small frozen dataclasses, read from TOML, unknown keys refused."""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from earthclip.configuration import from_mapping
from earthclip.errors import ConfigError
from earthclip.nn.geoclip import GeoCLIPConfig
from earthclip.training.rendering.imagery import IMAGERY
from earthclip.training.rendering.sampler import ViewsConfig


@dataclass(frozen=True)
class LossConfig:
    """The objective."""

    targets: Literal["one-hot", "distance"] = "one-hot"  # as in the paper, or softmax(-distance / tau)
    tau_start_km: float = 1000.0  # of "distance" targets, annealed geometrically
    tau_end_km: float = 50.0
    cells: int = 0  # grid cells a picture that learn their own place too; 0 as in the paper


@dataclass(frozen=True)
class QueueConfig:
    """The dynamic queue of earlier coordinates, and the metre noise of GeoCLIP."""

    size: int = 4096
    queue_noise_m: float = 1000.0  # standard deviation of the distance moved, in a random direction
    batch_noise_m: float = 150.0


@dataclass(frozen=True)
class PhotosConfig:
    """Photos with known places, each seen in a SimCLR view drawn anew."""

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
    """Accuracy measured during training, on views of imagery named here, or on photos kept back."""

    imagery: tuple[str, ...] = ("bmng",)
    views: int = 500  # of each imagery; of photos or features kept back, how many at most
    half_width_km: tuple[float, float] = (300.0, 1500.0)
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
    model: GeoCLIPConfig = field(default_factory=GeoCLIPConfig)
    views: ViewsConfig = field(default_factory=ViewsConfig)
    photos: PhotosConfig | None = None  # instead of views
    features: FeaturesConfig | None = None  # instead of views
    loss: LossConfig = field(default_factory=LossConfig)
    queue: QueueConfig = field(default_factory=QueueConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)


def read_training_config(path: Path) -> TrainingConfig:
    """Read and check a TOML file; ConfigError names the file and the key."""
    try:
        mapping = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; expected a training configuration in TOML") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not readable as TOML ({error})") from error
    config = from_mapping(TrainingConfig, mapping, str(path))
    if len(given := [f"[{name}]" for name in ("views", "photos", "features") if name in mapping]) > 1:
        raise ConfigError(f"{path}: {' and '.join(given)} both say what to train on; keep one")
    return check_training_config(config, str(path))


def check_training_config(config: TrainingConfig, where: str) -> TrainingConfig:
    """The values that types alone cannot check; ConfigError says which is wrong."""
    for message, holds in (_general(config) | _of_networks(config) | _of_data(config)).items():
        if not holds:
            raise ConfigError(f"{where}: {message}")
    return config


def in_steps(config: TrainingConfig, photos: int | None) -> TrainingConfig:
    """``config`` with epochs told in steps, for so many ``photos`` an epoch; None for views, which have no epochs."""
    if photos is None:
        return config
    an_epoch = photos / config.batch_size
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
        "optimizer.step_every must be at least 1": optimizer.step_every >= 1 or _has_epochs(config),
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
        "model.location.sigmas needs at least one, all above 0": len(sigmas) > 0 and all(sigma > 0 for sigma in sigmas),
        "model.location.sigmas must be at most 1e6": all(sigma <= 1e6 for sigma in sigmas),
        "model.image.channels and blocks must be of equal length": len(image.channels) == len(image.blocks),
        "model.image.image_size must be a multiple of the reduction": (
            image.image_size >= reduction and image.image_size % reduction == 0
        ),
        f"loss.cells must be 0 to {image.grid**2}, the cells of the grid": 0 <= config.loss.cells <= image.grid**2,
        "loss.cells is for [views]; photos and features have no grid of known places": (
            config.loss.cells == 0 or not _has_epochs(config)
        ),
        "backbone is for [photos] or [features]; [views] train the compact network": (
            config.backbone is None or _has_epochs(config)
        ),
    }


def _of_data(config: TrainingConfig) -> dict[str, bool]:
    views, validation = config.views, config.validation
    roles = {name: item.role for name, item in IMAGERY.items()}
    trained_on = [name for name, share in views.imagery.items() if share > 0]
    checks = {
        "views.imagery needs at least one picture with a positive share": len(trained_on) > 0,
        "views.imagery may name training imagery only; see python -m recipes.orbit imagery": all(
            roles.get(name) == "training" for name in views.imagery
        ),
        "views.workers must be at least 1": views.workers >= 1,
        "validation.imagery may name training or validation imagery only; see python -m recipes.orbit imagery": all(
            roles.get(name) in ("training", "validation") for name in validation.imagery
        ),
        "validation.views must be at least 1": validation.views >= 1,
        "validation.spacing_km must be 5 to 2000": _has_epochs(config) or 5 <= validation.spacing_km <= 2000,
        "validation.spacing_km must be 0.01 to 2000": 0.01 <= validation.spacing_km <= 2000,
        "epochs are for [photos] and [features]; of [views] there is no end, say steps": (
            not config.epochs or _has_epochs(config)
        ),
        "[photos] and [features] both say what to train on; keep one": not (config.photos and config.features),
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
    return checks


def _has_epochs(config: TrainingConfig) -> bool:
    return config.photos is not None or config.features is not None
