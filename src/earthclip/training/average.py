"""The running mean of a model's weights, which is validated and exported instead of the last step's.

Exponential, with a decay that grows with the steps up to the one asked for, so that the random start is forgotten
(Polyak and Juditsky, 1992; the warm-up is TensorFlow's ExponentialMovingAverage).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from earthclip.nn.geoclip import GeoCLIP
from earthclip.training.networks import load_weights, own_weights


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
