"""Accuracy during training, on undisturbed views of imagery the configuration names."""

from __future__ import annotations

import numpy as np
import torch

from earthclip.geo.geodesy import great_circle_km
from earthclip.metrics import Report
from earthclip.nn.geoclip import GeoCLIP
from earthclip.orbit.imagery import land_mask, load_texture
from earthclip.orbit.views import ViewDistribution, land_places, render, sample_cameras
from earthclip.training.config import TrainingConfig
from earthclip.training.pixels import to_tensor

_SEED = 20_230_915  # validation views are the same in every run, whatever its seed


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
        places = model.encode_location(torch.from_numpy(self._places).float())
        reports = {}
        for name, pixels in self._pixels.items():
            best = [
                (model.encode_image(to_tensor(pixels[i : i + self.batch_size])) @ places.T).argmax(dim=1).numpy()
                for i in range(0, len(pixels), self.batch_size)
            ]
            reports[name] = Report.from_errors(great_circle_km(self._places[np.concatenate(best)], self._truths))
        model.train()
        return reports
