"""How good a run is on the way: held-out samples, located among candidate places."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earthclip.geo.sphere import great_circle_km
from earthclip.metrics import Report
from earthclip.nn.geoclip import GeoCLIP
from earthclip.training.config import TrainingConfig
from earthclip.training.source import Source, to_tensor

_AT_ONCE = 8192  # places encoded together


class Validation:
    """The held-out sets of a source, after the part of the image encoder that no training changes."""

    @torch.no_grad()
    def __init__(self, source: Source, config: TrainingConfig, model: GeoCLIP) -> None:
        device = model.logit_scale.device
        self._sets: dict[str, tuple[list[Tensor], Float[np.ndarray, "n 2"]]] = {}
        model.eval()
        for name, batches in source.held_out().items():
            given, truths = [], []
            for batch in batches:
                pictures = to_tensor(batch.given, source.preprocessing).to(device)
                given.append(model.image_encoder.frozen(pictures).cpu())
                truths.append(batch.coordinates)
            if truths:
                self._sets[name] = given, np.concatenate(truths)
        self._places = source.candidates(config.validation.spacing_km) if self._sets else np.empty((0, 2))

    @torch.no_grad()
    def __call__(self, model: GeoCLIP) -> dict[str, Report]:
        """A report for each set; the model is left in training mode."""
        if not self._sets:
            return {}
        model.eval()
        device = model.logit_scale.device
        parts = torch.split(torch.from_numpy(self._places), _AT_ONCE)
        candidates = torch.cat([model.encode_location(part.to(device, torch.float32)) for part in parts])  # [m, d]
        reports = {}
        for name, (given, truths) in self._sets.items():
            images = (model.encode_image(part.to(device)) for part in given)  # [b, d] each
            best = np.concatenate([(rows @ candidates.T).argmax(dim=1).cpu().numpy() for rows in images])
            reports[name] = Report.from_errors(great_circle_km(self._places[best], truths))
        model.train()
        return reports
