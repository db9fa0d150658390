"""GeoCLIP without torch: the ready ONNX export on the Hub, made into a model folder as it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from earthclip.datasets.manifest import read_places
from earthclip.errors import ModelError
from earthclip.files import staging_folder
from earthclip.models.config import GALLERY, IMAGE_ENCODER, LOCATION_ENCODER, ModelConfig, write_config
from earthclip.models.sources import snapshot
from earthclip.pictures.preprocess import Preprocessing

REPOSITORY = "Xenova/geoclip-large-patch14"
_VISION, _LOCATION = "onnx/vision_model.onnx", "onnx/location_model.onnx"
_PLACES = "gps_gallery/coordinates_100K.csv"
_LOGIT_SCALE = 3.681034803390503  # of the published weights, which the export leaves out
# CLIP's own, as published with it.
_CLIP = Preprocessing(224, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711), "bicubic")


def pull_ready(folder: Path, *, location_only: bool, say: Callable[[str], None]) -> ModelConfig:
    """Download the export and write the model folder; it has no words. Raises ModelError, saying the ways out."""
    wanted = [_LOCATION, _PLACES] + ([] if location_only else [_VISION])
    say(f"Looking for {REPOSITORY} ({'40 MB' if location_only else '1.3 GB'})")
    try:
        source = snapshot(REPOSITORY, wanted, wanted)
    except ModelError as error:
        ways = "pip install 'earthclip[train]' and give --from DIR and --clip DIR."
        raise ModelError(f"{error}. Go online, or {ways}") from error
    with staging_folder(folder) as staging:
        shutil.copyfile(source / _LOCATION, staging / LOCATION_ENCODER)
        if not location_only:
            shutil.copyfile(source / _VISION, staging / IMAGE_ENCODER)
        np.save(staging / GALLERY, read_places((source / _PLACES).read_bytes(), _PLACES))
        config = ModelConfig(
            name="geoclip",
            embedding_size=512,
            logit_scale=_LOGIT_SCALE,
            preprocessing=None if location_only else _CLIP,
            phases_apart=False,
            views=("none", "flip", "ten-crop"),
            prior="the photos of MP-16, of which the gallery is a sample",
            licence="MIT",
            lacks={
                "words": "pip install 'earthclip[train]', then run earthclip model pull geoclip --force",
                "image encoder": "run earthclip model pull geoclip --force",
            },
            provenance={"weights": f"{REPOSITORY} on the Hugging Face Hub, an export by others"},
        )
        return write_config(staging, config)
