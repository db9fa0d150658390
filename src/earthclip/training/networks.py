"""The networks of a run: what is trained, and the running average of its weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earthclip.errors import InputError, MissingExtraError, ModelError
from earthclip.models.sources import snapshot
from earthclip.nn.backbone import BackboneEncoder, HubBackbone, read_preprocessing
from earthclip.nn.geoclip import GeoCLIP
from earthclip.nn.image_encoder import ImageEncoder
from earthclip.pictures.preprocess import Preprocessing
from earthclip.training.config import TrainingConfig
from earthclip.training.pixels import MEAN, STD

FROZEN = "image_encoder.backbone."  # how the names of weights begin that no run changes or keeps
_HUB_FILES = ("*.json", "merges.txt", "model.safetensors")


class HeadEncoder(ImageEncoder):
    """GeoCLIP's head over features computed before; its weights have the names of ``BackboneEncoder``'s."""

    def __init__(self, width: int, embedding_size: int) -> None:
        super().__init__()
        self.image_size = 0
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, embedding_size))

    def forward(self, features: Float[Tensor, "b w"]) -> Float[Tensor, "b d"]:
        """Embeddings (not normalised) of a backbone's features."""
        embeddings: Tensor = self.head(features)
        return embeddings


def build_model(config: TrainingConfig, width: int | None = None, backbone: Path | None = None) -> GeoCLIP:
    """A model with fresh weights drawn from the seed; the global generator is left as it was.

    With ``width``, over cached features of that many numbers; with ``backbone``, a folder, over that network, frozen.
    """
    model = GeoCLIP.from_config(config.model, config.seed)
    if width is None and backbone is None:
        return model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        if backbone is None:
            model.image_encoder = HeadEncoder(width or 0, config.model.embedding_size)
        else:
            network = HubBackbone.from_folder(backbone)
            torch.manual_seed(config.seed)  # the same head, whatever loading the backbone drew
            model.image_encoder = BackboneEncoder(network, config.model.embedding_size)
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


def preprocessing_of(config: TrainingConfig, backbone: Path | None) -> Preprocessing:
    """What the run's pictures go through, in training and ever after."""
    if backbone is None:
        return Preprocessing(config.model.image.image_size, (MEAN,) * 3, (STD,) * 3, "bicubic")
    return read_preprocessing(backbone, HubBackbone.from_folder(backbone).image_size)


def own_weights(model: GeoCLIP) -> dict[str, Tensor]:
    """The weights and buffers that training changes or a model folder needs; without a frozen backbone's."""
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(FROZEN)}


def load_weights(model: GeoCLIP, weights: dict[str, Tensor], fault: str) -> None:
    """Give ``model`` all its own weights; InputError saying ``fault`` when they are another model's."""
    try:
        differ = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise InputError(fault) from error
    if differ.unexpected_keys or any(not name.startswith(FROZEN) for name in differ.missing_keys):
        raise InputError(fault)


def in_training(model: GeoCLIP) -> GeoCLIP:
    """``model`` in training mode, but for a frozen backbone."""
    model.train()
    if isinstance(model.image_encoder, BackboneEncoder):
        model.image_encoder.backbone.eval()
    return model


class WeightAverage:
    """Averages of the floating weights; whole numbers and norms' statistics are the model's own."""

    def __init__(self, model: GeoCLIP, decay: float) -> None:
        self._decay = decay
        learned = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        self.weights = {name: tensor.clone() for name, tensor in own_weights(model).items() if name in learned}

    @torch.no_grad()
    def update(self, model: GeoCLIP, step: int) -> None:
        """Take in the weights after ``step`` steps."""
        decay = min(self._decay, (1 + step) / (10 + step))
        own = own_weights(model)
        torch._foreach_lerp_(list(self.weights.values()), [own[name] for name in self.weights], 1 - decay)

    def restore(self, weights: dict[str, Tensor]) -> None:
        """Take back what was kept; KeyError when some are missing."""
        for name, tensor in self.weights.items():
            tensor.copy_(weights[name])

    @contextlib.contextmanager
    def in_use(self, model: GeoCLIP) -> Iterator[None]:
        """``model`` with the averages, and with its own weights again afterwards."""
        own = {name: tensor.clone() for name, tensor in own_weights(model).items() if name in self.weights}
        everything = own_weights(model)
        load_weights(model, everything | self.weights, "the averages are another model's")
        try:
            yield
        finally:
            load_weights(model, everything | own, "the weights are another model's")
