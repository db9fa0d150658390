"""The published weights of GeoCLIP, from wherever they were got, under the names our networks have.

Read here: the wheel ``geoclip`` 1.3.0 and the folder it installs (pickles, opened only when their SHA-256 is the
published one, and only as tensors), and the release folders on the Hub (safetensors).
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from jaxtyping import Float64
from torch import Tensor

from earthclip.errors import ModelError
from earthclip.models.config import WEIGHTS
from earthclip.models.folder import gallery_of
from earthclip.models.sources import resolve

WHEEL = "geoclip-1.3.0-py3-none-any.whl"
WHEEL_SHA256 = "08a93791166a279d52b95c466a952c75f17f654cc61bdf6ab20355325b564dec"
RELEASE_FORMAT = 1  # of the config.json in release folders

_HEAD = "image_encoder_mlp_weights.pth"
_LOCATION = "location_encoder_weights.pth"
_SCALE = "logit_scale_weights.pth"
_GALLERY = "coordinates_100K.csv"
_SHA256 = {
    _HEAD: "5342c391eec961796d04d02f2bd670bfa97b34ce32c656d0e0676581103c2c14",
    _LOCATION: "94b80ae3af89fca78539e129dd2929d321247f5ceeeb0a31bc2c31041a253394",
    _SCALE: "9568e2e09dd19083082bf285b2c0c126867e40dbd275a8ee8c621888b861904e",
    _GALLERY: "3a00b1ba58f13443db726533b6399b39609e292df09d4e58792fa5949d1838b1",
}
_SIGMAS = (1.0, 16.0, 256.0)
_LAYERS = {"capsule.1": "0", "capsule.3": "2", "capsule.5": "4", "head.0": "6"}  # theirs -> ours
_BACKBONE = "openai/clip-vit-large-patch14"


@dataclass(frozen=True, eq=False)
class PublishedWeights:
    """The trained parts of a GeoCLIP that are not CLIP, under the names our networks have."""

    location: dict[str, Tensor]
    head: dict[str, Tensor] | None  # None: a release of the location encoder alone
    logit_scale: float
    gallery: Float64[np.ndarray, "m 2"] | None
    sigmas: tuple[float, ...]
    backbone: str  # the Hub's name of the CLIP it was trained on
    backbone_revision: str | None
    origin: str  # where it came from, for the model's config


@dataclass(frozen=True, eq=False)
class TrainedWeights:
    """Weights under the names of ``GeoCLIP.own_weights``; ``sigmas`` are None where their source does not say them."""

    tensors: dict[str, Tensor]
    sigmas: tuple[float, ...] | None
    origin: str


def read_weights(source: str | Path) -> TrainedWeights:
    """The weights to train on of a model folder, by name or path, or of a published release or its wheel.

    Raises ModelError when the source is not on this machine or has no such weights.
    """
    path = Path(source).expanduser()
    if path.suffix == ".whl" or _is_release(path):
        return _of_release(read_published(path))
    folder = resolve(source)
    weights = folder.path / WEIGHTS
    try:
        tensors = safetensors.torch.load_file(weights)
    except FileNotFoundError as error:
        raise ModelError(
            f"{weights}: model '{folder.config.name}' was shipped without the weights to train on; use a model that "
            "was exported or pulled here, or train one"
        ) from error
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{weights}: damaged or cut short ({error}); make the model again") from error
    tensors.setdefault("logit_scale", torch.tensor(folder.config.logit_scale))
    sigmas = folder.config.provenance.get("sigmas")
    return TrainedWeights(tensors, tuple(float(sigma) for sigma in sigmas) if sigmas else None, str(weights))


def _of_release(published: PublishedWeights) -> TrainedWeights:
    tensors = {f"location_encoder.{name}": tensor for name, tensor in published.location.items()}
    if published.head is not None:
        tensors |= {f"image_encoder.head.{name}": tensor for name, tensor in published.head.items()}
        tensors["logit_scale"] = torch.tensor(published.logit_scale)
    return TrainedWeights(tensors, published.sigmas, published.origin)


def _is_release(path: Path) -> bool:
    try:
        return "model_type" in json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def read_published(source: Path) -> PublishedWeights:
    """From a wheel, a folder that holds one or is the installed package, or a release folder.

    Raises ModelError naming the file, what was expected and what to do, with nothing unpickled on the way.
    """
    if source.is_file():
        return _from_wheel(source)
    if not source.is_dir():
        raise ModelError(f"{source}: no such folder; expected the geoclip wheel, or a folder with GeoCLIP's weights")
    if (source / "model.safetensors").is_file():
        return _from_release(source)
    for folder in (source, source / "model", source / "geoclip" / "model", source.parent):
        if (folder / "weights" / _LOCATION).is_file() or (folder / _LOCATION).is_file():
            return _from_package(folder)
    if (source / WHEEL).is_file():
        return _from_wheel(source / WHEEL)
    raise ModelError(
        f"{source}: no GeoCLIP weights in it; expected model.safetensors with config.json, the installed package "
        f"geoclip 1.3.0, or {WHEEL}"
    )


def _from_wheel(path: Path) -> PublishedWeights:
    content = path.read_bytes()
    _check_sha256(content, WHEEL_SHA256, path)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {Path(name).name: name for name in archive.namelist()}
        return _from_files({name: archive.read(files[name]) for name in _SHA256}, path.name)


def _from_package(folder: Path) -> PublishedWeights:
    files = {}
    for name in _SHA256:
        places = (folder / "weights" / name, folder / "gps_gallery" / name, folder / name)
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            raise ModelError(f"{folder}: {name} is missing; copy the whole package geoclip 1.3.0")
        files[name] = path.read_bytes()
        _check_sha256(files[name], _SHA256[name], path)
    return _from_files(files, "the package geoclip 1.3.0")


def _from_files(files: dict[str, bytes], origin: str) -> PublishedWeights:
    head, location, scale = (_unpickle(files[name]) for name in (_HEAD, _LOCATION, _SCALE))
    return PublishedWeights(
        location=_our_names(location, len(_SIGMAS), origin),
        head=head,
        logit_scale=float(scale),
        gallery=gallery_of(files[_GALLERY], _GALLERY),
        sigmas=_SIGMAS,
        backbone=_BACKBONE,
        backbone_revision=None,
        origin=origin,
    )


def _from_release(folder: Path) -> PublishedWeights:
    path = folder / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kind, version = config.get("model_type"), config.get("format_version")
        sigmas = tuple(float(sigma) for sigma in config["sigma"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: not the config.json of a GeoCLIP release ({error}); copy it again") from error
    if kind not in ("geoclip-geolocation", "geoclip-location-encoder"):
        raise ModelError(f"{path}: expected a GeoCLIP release, found model_type {kind!r}; give another folder")
    if version != RELEASE_FORMAT:
        raise ModelError(
            f"{path}: expected format_version {RELEASE_FORMAT}, found {version!r}; install a newer earthclip"
        )
    try:
        weights = safetensors.torch.load_file(folder / "model.safetensors")
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise ModelError(f"{folder / 'model.safetensors'}: damaged or cut short ({error}); copy it again") from error
    if kind == "geoclip-location-encoder":
        location = _our_names(weights, len(sigmas), str(folder))
        return PublishedWeights(location, None, 0.0, None, sigmas, _BACKBONE, None, str(folder))
    parts = {prefix: _under(weights, prefix) for prefix in ("location_encoder.", "image_encoder.mlp.")}
    backbone = config.get("backbone") or {}
    gallery_name = str(config.get("gallery_file", _GALLERY))
    if Path(gallery_name).name != gallery_name or not (folder / gallery_name).is_file():
        raise ModelError(f"{path}: gallery_file {gallery_name!r} is not a file of {folder}; copy the whole release")
    if "logit_scale" not in weights:
        raise ModelError(f"{folder / 'model.safetensors'}: has no logit_scale; copy the release again")
    return PublishedWeights(
        location=_our_names(parts["location_encoder."], len(sigmas), str(folder)),
        head=parts["image_encoder.mlp."],
        logit_scale=float(weights["logit_scale"]),
        gallery=gallery_of((folder / gallery_name).read_bytes(), gallery_name),
        sigmas=sigmas,
        backbone=str(backbone.get("repo_id", _BACKBONE)),
        backbone_revision=backbone.get("revision"),
        origin=str(config.get("name", "a GeoCLIP release")),
    )


def _our_names(theirs: dict[str, Tensor], scales: int, where: str) -> dict[str, Tensor]:
    try:
        ours = {"position.frequencies": torch.stack([theirs[f"LocEnc{i}.capsule.0.b"] for i in range(scales)])}
        for scale in range(scales):
            for layer, ours_layer in _LAYERS.items():
                for kind in ("weight", "bias"):
                    name = f"network.capsules.{scale}.{ours_layer}.{kind}"
                    ours[name] = theirs[f"LocEnc{scale}.{layer}.{kind}"]
    except (KeyError, RuntimeError) as error:
        raise ModelError(f"{where}: its location encoder is not GeoCLIP's (lacks {error}); get it again") from error
    return ours


def _under(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}


def _unpickle(content: bytes) -> Any:
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _check_sha256(content: bytes, expected: str, path: Path) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ModelError(
            f"{path}: SHA-256 is {found[:12]}..., the published file's {expected[:12]}...; it was cut short or "
            "changed, and was not opened; get it again"
        )
