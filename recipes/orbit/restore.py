"""Weights to train on, out of a finished model folder: its graphs keep all but what training alone needs.

A finished model has its batch norms folded into the convolutions. Here each norm gets the mean and the variance of
what it sees in views, and a scale and a shift that undo them: it changes nothing in those views, in training or after.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import safetensors.torch
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from earthclip.errors import InputError
from earthclip.files import staging_folder
from earthclip.models.config import IMAGE_ENCODER, LOCATION_ENCODER, WEIGHTS
from earthclip.models.folder import open_folder
from earthclip.nn.geoclip import GeoCLIP
from earthclip.nn.image_encoder import MEAN, STD
from earthclip.training.networks import build_model
from recipes.orbit.config import OrbitConfig
from recipes.orbit.source import ViewSource

_VIEWS = 1024  # that the norms see
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_NOT_KEPT = ("image_encoder.cell_head.", "location_encoder.position.")  # the positions are drawn from the seed


def restore(folder: Path, config: OrbitConfig, out: Path) -> None:
    """Write a copy of the model ``folder`` to ``out`` with the weights that ``init`` of another run starts from.

    ``config`` is that of the run it was trained by: sizes, seed and views. The heads of grid cells are not in a
    finished model; a run that uses them starts with fresh ones. Raises ModelError and InputError.
    """
    source = open_folder(folder)
    model = build_model(config)
    weights = _location(source.file(LOCATION_ENCODER), len(config.model.location.sigmas))
    image, shifts = _image(source.file(IMAGE_ENCODER), model)
    norms = {f"{norm}.{part}" for norm in shifts for part in _NORM}
    weights |= image | {"logit_scale": torch.tensor(source.config.logit_scale)}
    own = model.own_weights()
    missing = {name for name in own.keys() - weights.keys() if not name.startswith(_NOT_KEPT)} - norms
    if missing or any(name not in own or own[name].shape != tensor.shape for name, tensor in weights.items()):
        raise InputError(f"{folder}: its graphs have other sizes than the configuration; give that of its own training")
    model.load_state_dict(weights, strict=False)
    _undo_norms(model, shifts, _views(config))
    kept = {name: tensor.contiguous() for name, tensor in model.own_weights().items() if ".cell_head." not in name}
    with staging_folder(out) as staging:
        shutil.copytree(folder, staging, dirs_exist_ok=True)
        safetensors.torch.save_file(kept, staging / WEIGHTS)


def _tensors(path: Path) -> dict[str, Tensor]:
    """A graph's weights under the names of its network, in float32."""
    found = {item.name: numpy_helper.to_array(item) for item in onnx.load(path).graph.initializer}
    named = {name.removeprefix("encoder.").removesuffix("_half"): value for name, value in found.items()}
    return {name: torch.from_numpy(value.astype(np.float32)) for name, value in named.items() if "." in name}


def _location(path: Path, scales: int) -> dict[str, Tensor]:
    tensors, prefix = _tensors(path), "location_encoder.network.capsules."
    weights = {f"{prefix}{name.removeprefix('hidden.')}": t for name, t in tensors.items() if "hidden." in name}
    # A capsule numbers the ReLU after each layer too; the export joins the last layers, whose sum is the output.
    last = max(int(name.split(".")[-2]) for name in weights) + 2
    for scale, part in enumerate(tensors["joined.weight"].chunk(scales, dim=1)):
        weights[f"{prefix}{scale}.{last}.weight"] = part
        weights[f"{prefix}{scale}.{last}.bias"] = tensors["joined.bias"] * (scale == 0)
    return weights


def _image(path: Path, model: GeoCLIP) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights of the image encoder, and the shift of each norm by its name."""
    own, weights, shifts = model.own_weights(), {}, {}
    for name, tensor in _tensors(path).items():
        if name in own:
            weights[name] = tensor
        else:  # the bias of a convolution, which has none beside its norm
            layer = name.removesuffix(".bias")
            norm = layer.replace(".second", ".norm") if layer.endswith(".second") else f"{layer.removesuffix('.0')}.1"
            shifts[norm] = tensor
    return weights, shifts


def _undo_norms(model: GeoCLIP, shifts: dict[str, Tensor], pixels: Tensor) -> None:
    """Set each norm when the views come to it, the earlier ones being set already."""
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):

            def seen(norm: nn.BatchNorm2d, given: tuple[Tensor], shift: Tensor = shifts[name]) -> None:
                variance, mean = torch.var_mean(given[0], (0, 2, 3))
                norm.running_mean, norm.running_var = mean, variance
                norm.weight.data, norm.bias.data = (variance + norm.eps).sqrt(), mean + shift

            hooks.append(module.register_forward_pre_hook(seen))
    with torch.no_grad():
        model.eval().image_encoder(pixels)
    for hook in hooks:
        hook.remove()


def _views(config: OrbitConfig) -> Tensor:
    source, batches = ViewSource(config), -(-_VIEWS // config.batch_size)
    given = np.concatenate([source.batch(step, 0, 1).given for step in range(batches)])[:_VIEWS]
    return ((torch.from_numpy(given).permute(0, 3, 1, 2).float() / 255) - MEAN) / STD
