"""The published GeoCLIP as a model folder: find its weights and CLIP, join them, export what running needs.

The folder is made beside its final place and renamed into it when complete, so that a kill leaves nothing that loads;
downloads are kept and go on where they stopped.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from earthclip.errors import MissingExtraError, ModelError
from earthclip.files import home, sha256_of, staging_folder
from earthclip.models.config import TOKENIZER, ModelConfig, Words, write_config
from earthclip.models.sources import snapshot
from earthclip.nn.backbone import BackboneEncoder, HubBackbone, read_preprocessing, read_tokenizer
from earthclip.nn.export import (
    export_image_encoder,
    export_location_encoder,
    export_text_encoder,
    save_gallery,
    save_weights,
)
from earthclip.nn.geoclip import GeoCLIP
from earthclip.nn.location_encoder import LocationEncoder
from earthclip.nn.published import WHEEL, WHEEL_SHA256, PublishedWeights, read_published

RELEASE = "VicenteVivanco/geoclip-geolocation"
REBUILD = "run earthclip model pull geoclip --force"
PRIOR = "the photos of MP-16, of which the gallery is a sample"
_RELEASE_FILES = ("config.json", "model.safetensors", "*.csv")
_CLIP_FILES = ("*.json", "merges.txt", "model.safetensors")

Say = Callable[[str], None]


def pull_geoclip(
    out: Path,
    *,
    source: Path | None = None,
    clip: Path | None = None,
    location_only: bool = False,
    say: Say = print,
) -> ModelConfig:
    """Make the model folder ``out`` of the published weights and CLIP; what stood there is replaced at the end.

    ``source`` holds the published weights, ``clip`` CLIP in Hugging Face's format; without them the Hub is asked, and
    for the weights also the published wheel. Raises ModelError naming what is missing and the ways to get it.
    """
    weights = read_published(source) if source else _fetch_weights(say)
    if not location_only and weights.head is None:
        raise ModelError(
            f"{source}: a release of the location encoder only; add --location-only, or give the whole release"
        )
    folder = None if location_only else clip or _fetch_clip(weights, say)
    with staging_folder(out) as staging:
        return _build(weights, folder, staging, say)


def _build(weights: PublishedWeights, clip: Path | None, folder: Path, say: Say) -> ModelConfig:
    location = LocationEncoder.from_weights(weights.location, weights.sigmas, weights.origin)
    say("Exporting the location encoder")
    export_location_encoder(location, folder)
    preprocessing = words = None
    lacks = {"image encoder": f"{REBUILD}, or add --clip DIR", "words": REBUILD}
    if clip is None:
        save_weights({f"location_encoder.{name}": t for name, t in weights.location.items()}, folder)
    else:
        backbone = HubBackbone.from_folder(clip)
        model = _join(weights, backbone, clip)
        preprocessing = read_preprocessing(clip, backbone.image_size)
        say("Exporting the image encoder (about a minute for ViT-L/14)")
        encoder = model.image_encoder
        assert isinstance(encoder, BackboneEncoder)
        export_image_encoder(encoder, backbone.image_size, folder)
        tokenizer = read_tokenizer(clip)
        lacks = {"words": f"{clip.name} has no tokenizer; {REBUILD} --clip DIR with a folder that has one"}
        if tokenizer:
            lacks = {}
            say("Exporting the text encoder")
            words = Words(backbone.text_length, tokenizer[1])
            export_text_encoder(encoder, backbone.text_length, folder)
            (folder / TOKENIZER).write_bytes(tokenizer[0])
        own = {name: t for name, t in model.state_dict().items() if not name.startswith("image_encoder.backbone.")}
        save_weights(own, folder)
    if weights.gallery is not None:
        save_gallery(weights.gallery, folder)
    config = ModelConfig(
        name="geoclip",
        embedding_size=512 if weights.head is None else len(weights.head["2.bias"]),
        logit_scale=weights.logit_scale,
        preprocessing=preprocessing,
        words=words,
        views=("none", "flip", "ten-crop"),
        prior=PRIOR,
        licence="MIT",
        lacks=lacks,
        provenance={
            "weights": weights.origin,
            "sigmas": list(weights.sigmas),
            "backbone": weights.backbone if clip is None else f"{weights.backbone}, from {clip.name}",
            "paper": "Vivanco Cepeda, Nayak and Shah, NeurIPS 2023, arXiv 2309.16020",
        },
    )
    return write_config(folder, config)


def _join(weights: PublishedWeights, backbone: HubBackbone, clip: Path) -> GeoCLIP:
    assert weights.head is not None
    encoder = BackboneEncoder(backbone, len(weights.head["2.bias"]))
    wanted = weights.head["0.weight"].shape[1]
    if backbone.width != wanted:
        raise ModelError(
            f"{clip}: CLIP with features of {backbone.width} numbers, but GeoCLIP's head takes {wanted}; expected "
            f"{weights.backbone}"
        )
    encoder.head.load_state_dict(weights.head)
    location = LocationEncoder.from_weights(weights.location, weights.sigmas, weights.origin)
    return GeoCLIP(encoder, location, weights.logit_scale).eval()


def _fetch_weights(say: Say) -> PublishedWeights:
    """From the Hub, its cache first; where it is out of reach, from the published wheel."""
    if importlib.util.find_spec("huggingface_hub"):
        try:
            return read_published(snapshot(RELEASE, _RELEASE_FILES, ("config.json", "model.safetensors")))
        except ModelError as error:
            say(f"{error}; using the published wheel instead")
    return read_published(_fetch_wheel(say))


def _fetch_wheel(say: Say) -> Path:
    kept = home() / "downloads" / WHEEL
    if kept.is_file() and sha256_of(kept) == WHEEL_SHA256:
        return kept
    say(f"Downloading {WHEEL} (40 MB)")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".wheel.") as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        done = subprocess.run([*command, "--dest", folder, "geoclip==1.3.0"], capture_output=True, check=False)
        if done.returncode:
            last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            raise ModelError(
                f"cannot download GeoCLIP's weights ({last}). Go online, or give --from DIR, a folder that contains "
                f"{WHEEL} or a release."
            )
        (Path(folder) / WHEEL).rename(kept)
    return kept


def _fetch_clip(weights: PublishedWeights, say: Say) -> Path:
    ways = "give --clip DIR with CLIP in Hugging Face's format, or --location-only."
    say(f"Looking for {weights.backbone} (1.7 GB)")
    try:
        needed = ("config.json", "model.safetensors")
        return snapshot(weights.backbone, _CLIP_FILES, needed, revision=weights.backbone_revision)
    except MissingExtraError as error:
        raise ModelError(f"{error}; or {ways}") from error
    except ModelError as error:
        raise ModelError(f"{error}. Go online, or {ways}") from error
