"""What a configuration of this recipe may say: a run of earthclip on rendered views instead of photos."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from earthclip.training import TrainingConfig
from earthclip.training.config import LossConfig, ValidationConfig, check, read_config_of
from recipes.orbit.imagery import IMAGERY
from recipes.orbit.views import ViewDistribution


@dataclass(frozen=True)
class ViewsConfig:
    """Rendered views of the Earth from above; none is rendered twice."""

    distribution: ViewDistribution = field(default_factory=ViewDistribution)
    imagery: dict[str, float] = field(default_factory=lambda: {"bmng": 0.5, "shadedrelief": 0.3, "etopo1": 0.2})
    texture_width: int = 5400  # pixels around the equator; smaller takes less memory
    blend: float = 0.25  # share of views that mix two of the pictures
    clean: float = 0.15  # share of views left undisturbed
    augmentation: float = 1.0  # strength of the disturbances; 0 turns them off
    mottled: float = 0.0  # share of the disturbed views whose land is painted over in patches
    silhouettes: float = 0.0  # share of the disturbed views that are two flat colours, land and sea
    seasons: float = 0.0  # share of the disturbed views with snow, sea ice, night or the sun's glint
    workers: int = 1  # processes that render ahead of the training


@dataclass(frozen=True)
class OrbitLossConfig(LossConfig):
    """The objective."""

    cells: int = 0  # grid cells a picture that learn their own place too; 0 as in the paper


@dataclass(frozen=True)
class OrbitValidationConfig(ValidationConfig):
    """Accuracy measured during training, on views of each imagery named."""

    imagery: tuple[str, ...] = ("bmng",)
    half_width_km: tuple[float, float] = (300.0, 1500.0)


@dataclass(frozen=True)
class OrbitConfig(TrainingConfig):
    """A whole run."""

    views: ViewsConfig = field(default_factory=ViewsConfig)
    loss: OrbitLossConfig = field(default_factory=OrbitLossConfig)
    validation: OrbitValidationConfig = field(default_factory=OrbitValidationConfig)


def read_orbit_config(path: Path) -> OrbitConfig:
    """Read and check a TOML file; ConfigError names the file and the key."""
    return check_orbit_config(read_config_of(OrbitConfig, path), str(path))


def check_orbit_config(config: OrbitConfig, where: str) -> OrbitConfig:
    """The values that types alone cannot check; ConfigError says which is wrong."""
    views, image = config.views, config.model.image
    roles = {name: item.role for name, item in IMAGERY.items()}
    conditions = {
        "[photos] and [features] are trained on by earthclip train": config.photos is None and config.features is None,
        "backbone is for photos and features; views train the compact network": config.backbone is None,
        "epochs are for photos and features; of views there is no end, say steps": not config.epochs,
        "optimizer.step_every must be at least 1": config.optimizer.step_every >= 1,
        f"loss.cells must be 0 to {image.grid**2}, the cells of the grid": 0 <= config.loss.cells <= image.grid**2,
        "views.imagery needs at least one picture with a positive share": any(
            share > 0 for share in views.imagery.values()
        ),
        "views.imagery may name training imagery only; see python -m recipes.orbit imagery": all(
            roles.get(name) == "training" for name in views.imagery
        ),
        "views.workers must be at least 1": views.workers >= 1,
        "validation.imagery may name training or validation imagery only; see python -m recipes.orbit imagery": all(
            roles.get(name) in ("training", "validation") for name in config.validation.imagery
        ),
        "validation.spacing_km must be 5 to 2000": 5 <= config.validation.spacing_km <= 2000,
    }
    check(conditions, where)
    return config
