"""The model folder of a run on photos or features: its candidates are where its training photos were taken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from earthclip.configuration import to_mapping
from earthclip.errors import InputError
from earthclip.files import staging_folder
from earthclip.models.config import TOKENIZER, ModelConfig, Words, write_config
from earthclip.nn.backbone import BackboneEncoder, read_tokenizer
from earthclip.nn.export import (
    export_image_encoder,
    export_location_encoder,
    export_text_encoder,
    save_gallery,
    save_weights,
)
from earthclip.nn.geoclip import GeoCLIP
from earthclip.training.checkpoint import Say, load_trained
from earthclip.training.data import read_data
from earthclip.training.networks import backbone_folder, build_model, load_weights, own_weights, preprocessing_of
from earthclip.training.validation import thinned

_HEAD = "image_encoder.head.0.weight"  # [w, w] over a backbone's features


def export_photo_run(
    run: Path, folder: Path, *, spacing_km: float, backbone: Path | None, location_only: bool, say: Say
) -> ModelConfig:
    """As ``export_run``; the folder appears when it is complete."""
    config, weights, step = load_trained(run, say)
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
    model = build_model(config, width, network).eval()
    load_weights(model, weights, f"{run}: its checkpoint does not fit its configuration, or {network} is another CLIP")
    described = ModelConfig(
        name=config.name,
        embedding_size=config.model.embedding_size,
        logit_scale=model.scale().log().item(),
        preprocessing=None if location_only else preprocessing_of(config, network),
        prior=f"where the {len(coordinates):,} training photos of {about.get('name', 'its run')} were taken, at most "
        f"one place in each square {spacing_km:g} km wide",
        licence="MIT",
        views=("none", "flip", "ten-crop") if network is not None else ("none",),
        lacks={"image encoder": f"run earthclip model export {run} without --location-only"} if location_only else {},
        provenance={
            "started_from": Path(config.init).name if config.init else "random weights",
            "trained_on": about,
            "backbone": config.backbone or (network.name if network else "none"),
            "loss": to_mapping(config.loss),
            "steps": step,
            "seed": config.seed,
            "sigmas": list(config.model.location.sigmas),
            "spacing_km": spacing_km,
        },
    )
    with staging_folder(folder) as staging:
        return _write(model, described, places, network, staging, say)


def _write(
    model: GeoCLIP, config: ModelConfig, places: Float[np.ndarray, "m 2"], backbone: Path | None, folder: Path, say: Say
) -> ModelConfig:
    say("Exporting the location encoder")
    export_location_encoder(model.location_encoder, folder)
    encoder, lacks = model.image_encoder, dict(config.lacks)
    words = None
    if config.preprocessing is not None:
        say("Exporting the image encoder (about a minute for ViT-L/14)")
        export_image_encoder(encoder, encoder.image_size, folder)
    if backbone is not None and isinstance(encoder, BackboneEncoder):
        tokenizer = read_tokenizer(backbone)
        if tokenizer is None:
            lacks["words"] = f"{backbone.name} has no tokenizer; export the run again with a --clip DIR that has one"
        else:
            say("Exporting the text encoder")
            words = Words(encoder.backbone.text_length, tokenizer[1])
            export_text_encoder(encoder, encoder.backbone.text_length, folder)
            (folder / TOKENIZER).write_bytes(tokenizer[0])
    save_gallery(places, folder)
    save_weights(own_weights(model), folder)
    return write_config(folder, replace(config, words=words, lacks=lacks))
