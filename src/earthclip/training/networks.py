"""The networks of a run, built as its configuration says."""

from __future__ import annotations

from pathlib import Path

import torch

from earthclip.errors import MissingExtraError, ModelError
from earthclip.models.sources import snapshot
from earthclip.nn.backbone import HubBackbone
from earthclip.nn.geoclip import GeoCLIP
from earthclip.nn.image_encoder import HeadEncoder
from earthclip.training.config import TrainingConfig

_HUB_FILES = ("*.json", "merges.txt", "model.safetensors")


def build_model(config: TrainingConfig, width: int | None = None, backbone: Path | None = None) -> GeoCLIP:
    """A model with fresh weights drawn from the seed; the global generator is left as it was.

    With ``width``, the head takes cached features of that many numbers; with ``backbone``, a folder, over that
    network, frozen; with neither, the image encoder is the compact network.
    """
    model = GeoCLIP.from_config(config.model, config.seed)
    network = HubBackbone.from_folder(backbone) if backbone is not None else None
    if network is not None:
        width = network.width
    if width is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model.image_encoder = HeadEncoder(width, config.model.embedding_size, network)
    return model


def backbone_folder(source: str) -> Path:
    """The Hugging Face folder that ``source`` is or, as a name on the Hub, stands for; the Hub's cache comes first.

    Raises ModelError, with the ways to get it, when it is not on this machine and cannot be downloaded.
    """
    folder = Path(source).expanduser()
    if folder.exists():
        return folder
    if source.startswith((".", "~", "/")) or source.count("/") != 1:
        raise ModelError(
            f"{source}: no such folder. Give a folder with CLIP in Hugging Face's format, or OWNER/NAME on the Hub."
        )
    try:
        return snapshot(source, _HUB_FILES, ("config.json", "model.safetensors"))
    except (MissingExtraError, ModelError) as error:
        ways = "or set backbone (--backbone) to a folder that contains it"
        raise ModelError(f"{error}. Go online, {ways}.") from error
