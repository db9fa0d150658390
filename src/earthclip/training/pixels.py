"""From uint8 pictures to the network's input, exactly as the exported model's preprocessing does it."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

MEAN, STD = 0.4, 0.25  # of rendered views, about; the same for the three colours

Colours = tuple[float, float, float]


def to_tensor(
    pictures: UInt8[np.ndarray, "b h w 3"], mean: Colours = (MEAN,) * 3, std: Colours = (STD,) * 3
) -> Float[Tensor, "b 3 h w"]:
    """Normalised float32, in the memory layout that convolutions on CPUs prefer."""
    scaled = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    centre, spread = (torch.tensor(values).view(1, 3, 1, 1) for values in (mean, std))
    return ((scaled - centre) / spread).contiguous(memory_format=torch.channels_last)
