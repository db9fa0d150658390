"""Validation of a run, and the candidate places it is measured with."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earthclip.geo.sphere import EARTH_RADIUS_KM, great_circle_km
from earthclip.metrics import Report
from earthclip.nn.backbone import BackboneEncoder
from earthclip.nn.geoclip import GeoCLIP
from earthclip.pictures.preprocess import Preprocessing
from earthclip.training.config import TrainingConfig
from earthclip.training.data import TrainingData
from earthclip.training.networks import in_training
from earthclip.training.pixels import to_tensor
from earthclip.training.rendering.imagery import land_mask, load_texture
from earthclip.training.rendering.views import ViewDistribution, land_places, render, sample_cameras


def thinned(coordinates: Float[np.ndarray, "n 2"], spacing_km: float) -> Float[np.ndarray, "m 2"]:
    """One coordinate (degrees) of each square ``spacing_km`` wide that has any: the one nearest its centre.

    The squares lie in rows of equal latitude, as many in each as its circle is long.
    """
    latitude, longitude = np.asarray(coordinates, np.float64).T
    height = np.degrees(spacing_km / EARTH_RADIUS_KM)
    row = np.floor((latitude + 90) / height)
    middle = np.clip((row + 0.5) * height - 90, -90, 90)
    columns = np.maximum(1, np.rint(360 * np.cos(np.radians(middle)) / height))
    column = np.minimum(np.floor((longitude + 180) / 360 * columns), columns - 1)
    east = ((longitude + 180) / 360 * columns - column - 0.5) * spacing_km
    north = (latitude - middle) / height * spacing_km
    order = np.lexsort((np.hypot(east, north), column, row))
    rows, cells = row[order], column[order]
    first = np.ones(len(order), bool)
    first[1:] = (rows[1:] != rows[:-1]) | (cells[1:] != cells[:-1])
    return np.stack([latitude, longitude], axis=1)[order[first]]


_SEED = 20_230_915  # validation views are the same in every run, whatever its seed
_AT_ONCE = 8192  # places encoded together


class Validation:
    """Fixed views of one or more pictures of the Earth, and the places to choose among."""

    def __init__(self, config: TrainingConfig) -> None:
        wanted = config.validation
        self.batch_size = config.batch_size
        distribution = ViewDistribution(half_width_km=wanted.half_width_km)
        cameras = sample_cameras(wanted.views, land_mask(), np.random.default_rng(_SEED), distribution)
        self._truths = cameras.targets
        self._places = land_places(land_mask(), wanted.spacing_km)
        self._pixels = {}
        for name in wanted.imagery:
            views = render(cameras, load_texture(name, config.views.texture_width), config.model.image.image_size)
            self._pixels[name] = (views[..., :3] * 255 + 0.5).astype(np.uint8)

    @torch.no_grad()
    def __call__(self, model: GeoCLIP) -> dict[str, Report]:
        """A report for each picture of the Earth; the model is left in training mode."""
        model.eval()
        candidates = _candidates(model, self._places)
        reports = {}
        for name, pixels in self._pixels.items():
            parts = (pixels[i : i + self.batch_size] for i in range(0, len(pixels), self.batch_size))
            best = _best(model, (to_tensor(part) for part in parts), candidates)
            reports[name] = Report.from_errors(great_circle_km(self._places[best], self._truths))
        in_training(model)
        return reports


class PhotoValidation:
    """Photos or features kept back, located among the places of the training photos.

    Of pictures under a frozen backbone only its features are kept, computed once.
    """

    @torch.no_grad()
    def __init__(
        self, config: TrainingConfig, data: TrainingData, model: GeoCLIP, preprocessing: Preprocessing | None
    ) -> None:
        self._places = thinned(data.coordinates, config.validation.spacing_km)
        device = model.logit_scale.device
        self._given, truths = [], []
        model.eval()
        for given, places in data.kept_back(config.validation.views, preprocessing, min(config.batch_size, 64)):
            tensor = torch.from_numpy(given)
            if isinstance(model.image_encoder, BackboneEncoder):
                tensor = model.image_encoder.backbone.image_features(tensor.to(device)).cpu()
            self._given.append(tensor)
            truths.append(places)
        self._truths = np.concatenate(truths) if truths else np.empty((0, 2))
        in_training(model)

    @torch.no_grad()
    def __call__(self, model: GeoCLIP) -> dict[str, Report]:
        """A report of what is kept back, none when nothing is; the model is left in training mode."""
        if not len(self._truths):
            return {}
        model.eval()
        best = _best(model, self._given, _candidates(model, self._places))
        in_training(model)
        return {"held out": Report.from_errors(great_circle_km(self._places[best], self._truths))}


def _candidates(model: GeoCLIP, places: Float[np.ndarray, "m 2"]) -> Float[Tensor, "m d"]:
    """Embeddings of places."""
    coordinates = torch.from_numpy(places)
    device = model.logit_scale.device
    parts = torch.split(coordinates, _AT_ONCE)
    return torch.cat([model.encode_location(part.to(device, torch.float32)) for part in parts])


def _best(model: GeoCLIP, given: Iterable[Tensor], candidates: Float[Tensor, "m d"]) -> np.ndarray:
    encoder = model.image_encoder
    best = []
    for part in given:
        own = part.to(candidates.device)
        if isinstance(encoder, BackboneEncoder) and own.ndim == 2:
            images = torch.nn.functional.normalize(encoder.head(own).float(), dim=1)
        else:
            images = model.encode_image(own)
        best.append((images @ candidates.T).argmax(dim=1).cpu().numpy())
    return np.concatenate(best)
