"""What a training configuration may say: small frozen dataclasses, read from TOML, unknown keys refused."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from earthclip.configuration import from_mapping
from earthclip.errors import ConfigError
from earthclip.nn.geoclip import GeoCLIPConfig
from earthclip.orbit.imagery import IMAGERY
from earthclip.orbit.sampler import ViewsConfig


@dataclass(frozen=True)
class LossConfig:
    """The objective."""

    targets: Literal["one-hot", "distance", "mixed"] = "one-hot"  # as in the paper, softmax(-distance / tau), or half each
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
class OptimizerConfig:
    """AdamW and its schedule."""

    learning_rate: float = 3e-5
    weight_decay: float = 1e-6
    schedule: Literal["cosine", "step"] = "cosine"
    warmup_steps: int = 0
    step_every: int = 1000  # of the "step" schedule
    step_gamma: float = 0.87
    clip_norm: float = 0.0  # largest gradient norm; 0 leaves gradients alone


@dataclass(frozen=True)
class ValidationConfig:
    """Accuracy measured during training, on views of imagery named here."""

    imagery: tuple[str, ...] = ("bmng",)
    views: int = 500
    half_width_km: tuple[float, float] = (300.0, 1500.0)
    spacing_km: float = 100.0  # of the candidate places
    every_steps: int = 1000


@dataclass(frozen=True)
class TrainingConfig:
    """A whole run."""

    name: str
    steps: int
    init: str | None = None  # the folder of a run whose weights this one starts from
    batch_size: int = 256
    seed: int = 0
    threads: int = 0  # of torch; 0 leaves its own choice
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # of matrix products; auto looks at the processor
    log_every_steps: int = 50
    checkpoint_every_steps: int = 500
    model: GeoCLIPConfig = field(default_factory=GeoCLIPConfig)
    views: ViewsConfig = field(default_factory=ViewsConfig)
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
    return check_training_config(from_mapping(TrainingConfig, mapping, str(path)), str(path))


def check_training_config(config: TrainingConfig, where: str) -> TrainingConfig:
    """The values that types alone cannot check; ConfigError says which is wrong."""
    image, views, validation = config.model.image, config.views, config.validation
    reduction = 2 ** (1 + len(image.channels))
    roles = {name: item.role for name, item in IMAGERY.items()}
    trained_on = [name for name, share in views.imagery.items() if share > 0]
    intervals = (config.log_every_steps, config.checkpoint_every_steps, validation.every_steps)
    checks = {
        "name must be a plain word": re.fullmatch(r"[\w.-]+", config.name) is not None,
        "steps must be at least 1": config.steps >= 1,
        "batch_size must be at least 2": config.batch_size >= 2,
        "seed must not be negative": config.seed >= 0,
        "threads must not be negative": config.threads >= 0,
        "log_every_steps, checkpoint_every_steps and validation.every_steps must be at least 1": min(intervals) >= 1,
        "optimizer.step_every must be at least 1": config.optimizer.step_every >= 1,
        "optimizer.learning_rate must be above 0": config.optimizer.learning_rate > 0,
        "queue.size must not be negative": config.queue.size >= 0,
        "model.image.channels and blocks must be of equal length": len(image.channels) == len(image.blocks),
        "model.image.image_size must be a multiple of the reduction": image.image_size % reduction == 0,
        f"loss.cells must be 0 to {image.grid**2}, the cells of the grid": 0 <= config.loss.cells <= image.grid**2,
        "loss.tau_start_km and tau_end_km must be positive": min(config.loss.tau_start_km, config.loss.tau_end_km) > 0,
        "views.imagery needs at least one picture with a positive share": len(trained_on) > 0,
        "views.imagery may name training imagery only; see earthclip orbit imagery": all(
            roles.get(name) == "training" for name in views.imagery
        ),
        "views.workers must be at least 1": views.workers >= 1,
        "validation.imagery may name training or validation imagery only; see earthclip orbit imagery": all(
            roles.get(name) in ("training", "validation") for name in validation.imagery
        ),
        "validation.views must be at least 1": validation.views >= 1,
        "validation.spacing_km must be 5 to 2000": 5 <= validation.spacing_km <= 2000,
    }
    for message, holds in checks.items():
        if not holds:
            raise ConfigError(f"{where}: {message}")
    return config
