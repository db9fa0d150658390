"""A trained GeoCLIP as a model folder that runs without torch: ONNX graphs, candidate places, config, weights.

The graphs compute in float32 and equal torch to 1e-4. With ``half``, their weights are stored in half precision,
which makes the folder half as large and moves embeddings by about 1e-3.
"""

from __future__ import annotations

import copy
import itertools
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from earthclip.errors import OutputError
from earthclip.files import atomic_write
from earthclip.models.config import (
    CONFIG,
    GALLERY,
    IMAGE_ENCODER,
    LOCATION_ENCODER,
    LOCATION_PHASES,
    TEXT_ENCODER,
    WEIGHTS,
    ModelConfig,
    write_config,
)
from earthclip.nn.backbone import BackboneEncoder
from earthclip.nn.geoclip import GeoCLIP
from earthclip.nn.image_encoder import ImageEncoder
from earthclip.nn.location_encoder import Capsules, LocationEncoder

_OPSET = 20
_GIVEN, _RESULT = "earthclip_given", "earthclip_result"  # while a graph is made
_HALF_FROM = 1024  # elements; smaller tensors (biases, norms, frequencies) gain nothing by rounding


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


class _Unit(nn.Module):
    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.encoder(x), dim=1)


class _JoinedCapsules(nn.Module):
    """Capsules whose last layers are one product over all scales: nothing is rounded before the scales are summed."""

    def __init__(self, network: Capsules) -> None:
        super().__init__()
        capsules: list[Any] = list(network.capsules)
        self.features_per_scale = network.features_per_scale
        self.hidden = nn.ModuleList(capsule[:-1] for capsule in capsules)
        last = [capsule[-1] for capsule in capsules]
        self.joined = nn.Linear(last[0].in_features * len(last), last[0].out_features)
        self.joined.weight = nn.Parameter(torch.cat([layer.weight for layer in last], dim=1))
        self.joined.bias = nn.Parameter(torch.stack([layer.bias for layer in last]).sum(dim=0))

    def forward(self, features: Tensor) -> Tensor:
        parts = torch.split(features, self.features_per_scale, dim=1)
        hidden = [capsule(part) for capsule, part in zip(self.hidden, parts, strict=True)]
        embeddings: Tensor = self.joined(torch.cat(hidden, dim=1))
        return embeddings


class _Words(nn.Module):
    def __init__(self, encoder: BackboneEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, tokens: Tensor) -> Tensor:
        return self.encoder.encode_tokens(tokens)


def export_model(
    model: GeoCLIP,
    config: ModelConfig,
    places: Float[np.ndarray, "m 2"],
    folder: Path,
    *,
    turns: bool = False,
    half: bool = False,
) -> ModelConfig:
    """Write a model folder and return its config as written; ``model`` is left as it was.

    ``places`` are degrees. With ``turns``, or when the preprocessing's pictures are larger than the network's, pictures
    are embedded as ViewAveraged does; with ``half``, weights are stored in half precision. Raises OutputError when the
    folder cannot be written.
    """
    make_folder(folder)
    exported = copy.deepcopy(model).float().eval()
    _fold_norms(exported)
    if half:
        _round_weights(exported)
    if config.preprocessing is not None:
        size, encoder = config.preprocessing.size, exported.image_encoder
        if turns or size != encoder.image_size:
            encoder = ViewAveraged(encoder, turns)
        export_image_encoder(encoder, size, folder)
    export_location_encoder(exported.location_encoder, folder)
    save_gallery(places, folder)
    save_weights(model.state_dict(), folder)
    return write_config(folder, config)


def make_folder(folder: Path) -> None:
    """Make a model's folder, or of one that stands there something that does not load until it is complete."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); choose a folder you may write to") from error
    (folder / CONFIG).unlink(missing_ok=True)  # written again last


def export_image_encoder(encoder: ImageEncoder, size: int, folder: Path) -> None:
    """Write the graph from pixels, ``size`` across, to unit embeddings."""
    _export(_Unit(encoder), torch.zeros(2, 3, size, size), "pixels", "embedding", folder / IMAGE_ENCODER)


def export_text_encoder(encoder: BackboneEncoder, length: int, folder: Path) -> None:
    """Write the graph from token ids, padded to ``length``, to unit embeddings."""
    tokens = torch.zeros(2, length, dtype=torch.int64)
    _export(_Unit(_Words(encoder)), tokens, "tokens", "embedding", folder / TEXT_ENCODER)


def export_location_encoder(encoder: LocationEncoder, folder: Path) -> None:
    """Write the two graphs from degrees over Fourier features to unit embeddings."""
    coordinates = torch.zeros(2, 2)
    _export(encoder.position, coordinates, "coordinates", "features", folder / LOCATION_PHASES)
    network = _Unit(_JoinedCapsules(encoder.network))
    _export(network, encoder.position(coordinates), "features", "embedding", folder / LOCATION_ENCODER)


def save_gallery(places: Float[np.ndarray, "m 2"], folder: Path) -> None:
    """Write the candidate places, in degrees."""
    with atomic_write(folder / GALLERY, overwrite=True) as file:
        np.save(file, np.ascontiguousarray(places, np.float64))


def save_weights(weights: Mapping[str, Tensor], folder: Path) -> None:
    """Write the weights to train on."""
    with atomic_write(folder / WEIGHTS, overwrite=True) as file:
        file.write(safetensors.torch.save({name: tensor.contiguous() for name, tensor in weights.items()}))


def _fold_norms(model: nn.Module) -> None:
    """Fold each batch norm into the convolution declared, and so applied, right before it."""
    for parent in model.modules():
        for (name, layer), (norm_name, norm) in itertools.pairwise(list(parent.named_children())):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(layer, norm))
                setattr(parent, norm_name, nn.Identity())


def _round_weights(model: nn.Module) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.numel() >= _HALF_FROM:
                parameter.copy_(parameter.half().float())


def _export(module: nn.Module, example: Tensor, given: str, result: str, path: Path) -> None:
    module.eval()
    # They would say, several times a graph, that torchvision is not installed and what was not folded.
    for name in ("torch.onnx._internal.exporter._registration", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecated internals
        program = torch.onnx.export(
            module,
            (example,),
            input_names=[_GIVEN],
            output_names=[_RESULT],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            opset_version=_OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:  # only when the exporter is asked to write the file itself
        raise RuntimeError("torch.onnx.export returned no program")
    graph = program.model_proto
    # Networks have values of our names inside; exported under them, ours would be taken twice.
    _rename(graph.graph, {given: f"{given}_inside", result: f"{result}_inside", _GIVEN: given, _RESULT: result})
    _halve(graph)
    onnx.checker.check_model(graph)
    with atomic_write(path, overwrite=True) as file:
        file.write(graph.SerializeToString())


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def _halve(model: onnx.ModelProto) -> None:
    """Store each large weight that half precision holds exactly as such, cast back before its use."""
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < _HALF_FROM:
            continue
        half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(half, name + "_half"))
        casts.append(onnx.helper.make_node("Cast", [name + "_half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _quarter_turns(pixels: Tensor, turns: int) -> Tensor:
    """torch.rot90 in operations every ONNX runtime has."""
    if turns == 0:
        return pixels
    if turns == 2:
        return pixels.flip(2, 3)
    return pixels.transpose(2, 3).flip(2 if turns == 1 else 3)
