"""The model folder of a run on photos or features: its candidates are where its training photos were taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from earthclip.configuration import to_mapping
from earthclip.errors import InputError
from earthclip.geo.sphere import thinned
from earthclip.models.config import ModelConfig
from earthclip.nn.backbone import read_preprocessing, read_words
from earthclip.nn.export import export_model
from earthclip.training.checkpoint import Say, load_trained
from earthclip.training.config import TrainingConfig, is_spdx
from earthclip.training.data import compact_preprocessing
from earthclip.training.networks import backbone_folder, build_model
from earthclip.training.run_folder import read_data

_HEAD = "image_encoder.head.0.weight"  # [w, w] over a backbone's features


def export_run(
    run: Path,
    folder: Path,
    *,
    licence: str | None = None,
    spacing_km: float = 1.0,
    backbone: Path | None = None,
    location_only: bool = False,
    say: Say = print,
) -> ModelConfig:
    """Write the model folder of a training run; candidate places lie at least about ``spacing_km`` apart.

    ``licence`` is the SPDX identifier of the model, where the run's configuration does not name one. ``backbone`` is
    the folder of the network that cached features came from; with ``location_only``, the image encoder is left out and
    no backbone is needed. Raises InputError, ConfigError, ModelError and OutputError.
    """
    config, weights, step = load_trained(run, TrainingConfig, say)
    licence = licence_of(config, licence, run)
    coordinates, about = read_data(run)
    places = thinned(coordinates, spacing_km)
    if len(places) < 2:
        raise InputError(f"--spacing-km {spacing_km:g} leaves {len(places)} place to choose among; lower it")
    over_backbone = config.features is not None or config.backbone is not None
    network = None
    if over_backbone and not location_only:
        if backbone is None and config.backbone is None:
            raise InputError(f"{run}: does not name the CLIP model that its features come from; add --clip DIR")
        network = backbone or backbone_folder(config.backbone or "")
    width = int(weights[_HEAD].shape[1]) if over_backbone and network is None else None
    model = build_model(config, width, network)
    fault = f"{run}: its checkpoint does not fit its configuration, or {network} is another CLIP"
    model.load_own_weights(weights, fault)
    words, tokenizer, lacks = None, None, {}
    if location_only:
        lacks = {"image encoder": f"run earthclip model export {run} without --location-only"}
    elif network is not None:
        words, tokenizer = read_words(network)
        if words is None:
            lacks = {"words": f"{network.name} has no tokenizer; export the run again with a --clip DIR that has one"}
    preprocessing = read_preprocessing(network) if network is not None else compact_preprocessing(config)
    described = ModelConfig(
        name=config.name,
        embedding_size=config.model.embedding_size,
        logit_scale=model.scale().log().item(),
        preprocessing=None if location_only else preprocessing,
        prior=f"where the {len(coordinates):,} training photos of {about.get('name', 'its run')} were taken, at most "
        f"one place in each square {spacing_km:g} km wide",
        licence=licence,
        words=words,
        views=("none", "flip", "ten-crop") if network is not None else ("none",),
        lacks=lacks,
        provenance={
            "started_from": Path(config.init).name if config.init else "random weights",
            "trained_on": about,
            "backbone": config.backbone or (network.name if network else "none"),
        }
        | provenance_of(config, step, spacing_km),
    )
    return export_model(model, described, places, folder, tokenizer=tokenizer, say=say)


def licence_of(config: TrainingConfig, given: str | None, run: Path) -> str:
    """The licence of a run's model: the one given, else the configuration's. Raises InputError when there is none."""
    licence = given or config.licence
    if licence is None:
        raise InputError(f"{run}: names no licence for the model; add --licence with an SPDX identifier such as MIT")
    if not is_spdx(licence):
        raise InputError(f"--licence {licence!r}: expected an SPDX identifier such as MIT or CC-BY-4.0")
    return licence


def provenance_of(config: TrainingConfig, step: int, spacing_km: float) -> dict[str, Any]:
    """What every model says of the run it came from."""
    return {
        "loss": to_mapping(config.loss),
        "steps": step,
        "seed": config.seed,
        "sigmas": list(config.model.location.sigmas),
        "spacing_km": spacing_km,
    }
