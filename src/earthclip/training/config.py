"""What a training configuration may say: small frozen dataclasses, read from TOML, unknown keys refused."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from earthclip.configuration import from_mapping
from earthclip.errors import ConfigError
from earthclip.nn.geoclip import GeoCLIPConfig
from earthclip.orbit.views import ViewDistribution


@dataclass(frozen=True)
class ViewsConfig:
    """Rendered views of the Earth from above, each made anew."""

    distribution: ViewDistribution = field(default_factory=ViewDistribution)
    imagery: dict[str, float] = field(default_factory=lambda: {"bmng": 0.5, "shadedrelief": 0.3, "etopo1": 0.2})
    texture_width: int = 5400  # pixels around the equator; smaller takes less memory
    blend: float = 0.25  # share of views that mix two of the pictures
    clean: float = 0.15  # share of views left undisturbed
    augmentation: float = 1.0  # strength of the disturbances; 0 turns them off
    workers: int = 1  # processes that render ahead of the training


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
    image = config.model.image
    reduction = 2 ** (1 + len(image.channels))
    checks = {
        "steps must be at least 1": config.steps >= 1,
        "batch_size must be at least 2": config.batch_size >= 2,
        "queue.size must not be negative": config.queue.size >= 0,
        "model.image.channels and blocks must be of equal length": len(image.channels) == len(image.blocks),
        "model.image.image_size must be a multiple of the reduction": image.image_size % reduction == 0,
        "views.imagery needs at least one picture with a positive share": any(
            share > 0 for share in config.views.imagery.values()
        ),
        "views.workers must be at least 1": config.views.workers >= 1,
        "loss.tau_start_km and tau_end_km must be positive": min(config.loss.tau_start_km, config.loss.tau_end_km) > 0,
    }
    for message, holds in checks.items():
        if not holds:
            raise ConfigError(f"{where}: {message}")
    return config
