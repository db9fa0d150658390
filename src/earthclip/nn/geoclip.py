"""GeoCLIP (Vivanco Cepeda, Nayak and Shah, NeurIPS 2023, arXiv 2309.16020): pictures and places in one embedding space.

An image encoder (``image_encoder.py``), a location encoder (``location_encoder.py``), and the temperature under which
their cosines are compared. The loss and the queue of earlier places are in ``earthclip/training/losses.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from earthclip.errors import InputError
from earthclip.nn.image_encoder import CompactEncoder, CompactEncoderConfig, ImageEncoder
from earthclip.nn.location_encoder import LocationEncoder, LocationEncoderConfig

_FROZEN = "image_encoder.backbone."  # how the names of weights begin that no run changes or keeps
_MAX_LOGIT_SCALE = math.log(100)  # CLIP's bound; beyond it the softmax saturates and training diverges


@dataclass(frozen=True)
class GeoCLIPConfig:
    """The networks of a model that is trained from scratch."""

    embedding_size: int = 512
    image: CompactEncoderConfig = field(default_factory=CompactEncoderConfig)
    location: LocationEncoderConfig = field(default_factory=LocationEncoderConfig)


class GeoCLIP(nn.Module):
    """An image encoder, a location encoder and the temperature between them."""

    def __init__(
        self,
        image_encoder: ImageEncoder,
        location_encoder: LocationEncoder,
        logit_scale: float = math.log(1 / 0.07),
    ) -> None:
        super().__init__()
        self.image_encoder: ImageEncoder = image_encoder
        self.location_encoder: LocationEncoder = location_encoder
        self.logit_scale = nn.Parameter(torch.tensor(logit_scale))

    @classmethod
    def from_config(cls, config: GeoCLIPConfig, seed: int = 0) -> GeoCLIP:
        """A model with fresh weights drawn from ``seed``; the global generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(
                CompactEncoder(config.image, config.embedding_size),
                LocationEncoder(config.location, config.embedding_size, seed),
            )

    def encode_image(self, pixels: Float[Tensor, "b ..."]) -> Float[Tensor, "b d"]:
        """Unit float32 embeddings of preprocessed pixels, or of features where the image encoder takes them."""
        return F.normalize(self.image_encoder(pixels).float(), dim=1)  # [b, 3, h, w] -> [b, d]

    def encode_text(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b d"]:
        """Unit float32 embeddings of token ids; ModelError when the image encoder has no text encoder beside it."""
        return F.normalize(self.image_encoder.encode_tokens(tokens).float(), dim=1)  # [b, t] -> [b, d]

    def encode_location(self, coordinates: Float[Tensor, "n 2"]) -> Float[Tensor, "n d"]:
        """Unit float32 embeddings of coordinates (latitude, longitude) in degrees."""
        return F.normalize(self.location_encoder(coordinates).float(), dim=1)  # [n, 2] -> [n, d]

    def scale(self) -> Float[Tensor, ""]:
        """exp(logit_scale), bounded as in CLIP."""
        return self.logit_scale.clamp(max=_MAX_LOGIT_SCALE).exp()

    def logits(self, images: Float[Tensor, "b d"], places: Float[Tensor, "n d"]) -> Float[Tensor, "b n"]:
        """exp(logit_scale) times the cosines of unit embeddings.

        Always in float32: bfloat16 would round logits to an eighth, which is what tells neighbouring places apart.
        """
        with torch.autocast(images.device.type, enabled=False):
            return self.scale() * images.float() @ places.float().T  # [b, d] @ [d, n] -> [b, n]

    def forward(self, pixels: Float[Tensor, "b ..."], coordinates: Float[Tensor, "n 2"]) -> Float[Tensor, "b n"]:
        """Logits of every picture with every place; coordinates in degrees."""
        return self.logits(self.encode_image(pixels), self.encode_location(coordinates))

    def own_weights(self) -> dict[str, Tensor]:
        """The weights and buffers that training changes or a model folder needs; without a frozen backbone's."""
        return {name: tensor for name, tensor in self.state_dict().items() if not name.startswith(_FROZEN)}

    def load_own_weights(self, weights: dict[str, Tensor], fault: str) -> None:
        """Take all that ``own_weights`` gave; InputError saying ``fault`` when they are another model's."""
        try:
            differ = self.load_state_dict(weights, strict=False)
        except RuntimeError as error:
            raise InputError(fault) from error
        if differ.unexpected_keys or any(not name.startswith(_FROZEN) for name in differ.missing_keys):
            raise InputError(fault)
