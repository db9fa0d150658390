"""Trained networks as torch modules, out of model folders and the published package's releases."""

from __future__ import annotations

import json
from pathlib import Path

import safetensors
import safetensors.torch

from earthclip.errors import ModelError
from earthclip.models.config import WEIGHTS
from earthclip.models.sources import resolve
from earthclip.nn.location_encoder import LocationEncoder
from earthclip.nn.published import build_location_encoder, read_published

_PREFIX = "location_encoder."


def load_location_encoder(source: str | Path) -> LocationEncoder:
    """What ``LocationEncoder.from_pretrained`` promises."""
    path = Path(source).expanduser()
    if _is_release(path):
        return read_published(path).location_encoder()
    folder = resolve(source)
    weights = folder.path / WEIGHTS
    try:
        tensors = safetensors.torch.load_file(weights)
    except FileNotFoundError as error:
        name = folder.config.name
        raise ModelError(f"{weights}: model '{name}' was shipped without the weights to train on; train it anew, or "
                         "use a model that was exported or pulled here") from error  # fmt: skip
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{weights}: damaged or cut short ({error}); make the model again") from error
    own = {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items() if name.startswith(_PREFIX)}
    sigmas = folder.config.provenance.get("sigmas")
    return build_location_encoder(own, tuple(sigmas) if sigmas else None, str(weights))


def _is_release(path: Path) -> bool:
    try:
        return "model_type" in json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False
