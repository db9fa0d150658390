"""A trained GeoCLIP as a model folder that runs without torch: ONNX graphs, candidate places, config, weights.

The graphs compute in float32 and equal torch to 1e-4. With ``half``, their weights are stored in half precision,
which makes the folder half as large and moves embeddings by about 1e-3.
"""

from __future__ import annotations

import copy
import itertools
import logging
import warnings
from collections.abc import Callable
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

from earthclip.files import atomic_write
from earthclip.models.config import (
    IMAGE_ENCODER,
    LOCATION_ENCODER,
    LOCATION_PHASES,
    TEXT_ENCODER,
    TOKENIZER,
    WEIGHTS,
    ModelConfig,
)
from earthclip.models.release import write_model_folder
from earthclip.nn.geoclip import GeoCLIP
from earthclip.nn.image_encoder import ImageEncoder
from earthclip.nn.location_encoder import Capsules, LocationEncoder

_OPSET = 20
_GIVEN, _RESULT = "earthclip_given", "earthclip_result"  # while a graph is made
_HALF_FROM = 1024  # elements; smaller tensors (biases, norms, frequencies) gain nothing by rounding


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


class _Texts(nn.Module):
    def __init__(self, encoder: ImageEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, tokens: Tensor) -> Tensor:
        return self.encoder.encode_tokens(tokens)


def export_model(
    model: GeoCLIP,
    config: ModelConfig,
    places: Float[np.ndarray, "m 2"] | None,
    folder: Path,
    *,
    image_encoder: ImageEncoder | None = None,
    tokenizer: bytes | None = None,
    half: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> ModelConfig:
    """Write a model folder and return its config as written; ``model`` keeps its weights and is in eval mode after.

    ``places`` are degrees. The config says which graphs there are: of images where it has preprocessing, of texts where
    it has words, whose ``tokenizer`` (tokenizer.json) then belongs to them. ``image_encoder`` stands in for the model's
    own; with ``half``, weights are stored in half precision. Raises OutputError when the folder cannot be written.
    """

    def write(into: Path) -> None:
        images, location = image_encoder or model.image_encoder, model.location_encoder
        if half or any(isinstance(module, nn.BatchNorm2d) for module in images.modules()):
            images, location = copy.deepcopy(images).float(), copy.deepcopy(location).float()
        images, location = images.eval(), location.eval()
        _fold_norms(images)
        if half:
            round_weights(images)
            round_weights(location)
        say("Exporting the location encoder")
        export_location_encoder(location, into)
        if config.preprocessing is not None:
            say("Exporting the image encoder")
            export_image_encoder(images, config.preprocessing.size, into)
        if config.words is not None and tokenizer is not None:
            say("Exporting the text encoder")
            export_text_encoder(images, config.words.length, into)
            (into / TOKENIZER).write_bytes(tokenizer)
        weights = {name: tensor.contiguous() for name, tensor in model.own_weights().items()}
        (into / WEIGHTS).write_bytes(safetensors.torch.save(weights))

    return write_model_folder(folder, config, places, write)


def export_image_encoder(encoder: ImageEncoder, size: int, folder: Path) -> None:
    """Write the graph from pixels, ``size`` across, to unit embeddings."""
    export_graph(_Unit(encoder), torch.zeros(2, 3, size, size), "pixels", "embedding", folder / IMAGE_ENCODER)


def export_text_encoder(encoder: ImageEncoder, length: int, folder: Path) -> None:
    """Write the graph from token ids, padded to ``length``, to unit embeddings."""
    tokens = torch.zeros(2, length, dtype=torch.int64)
    export_graph(_Unit(_Texts(encoder)), tokens, "tokens", "embedding", folder / TEXT_ENCODER)


def export_location_encoder(encoder: LocationEncoder, folder: Path) -> None:
    """Write the two graphs from degrees over Fourier features to unit embeddings."""
    coordinates = torch.zeros(2, 2)
    export_graph(encoder.position, coordinates, "coordinates", "features", folder / LOCATION_PHASES)
    network = _Unit(_JoinedCapsules(encoder.network))
    export_graph(network, encoder.position(coordinates), "features", "embedding", folder / LOCATION_ENCODER)


def _fold_norms(model: nn.Module) -> None:
    """Fold each batch norm into the convolution declared, and so applied, right before it."""
    for parent in model.modules():
        for (name, layer), (norm_name, norm) in itertools.pairwise(list(parent.named_children())):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(layer, norm))
                setattr(parent, norm_name, nn.Identity())


def round_weights(model: nn.Module) -> None:
    """Round large weights to half precision, in which graphs then store them."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.numel() >= _HALF_FROM:
                parameter.copy_(parameter.half().float())


def export_graph(module: nn.Module, example: Tensor, given: str, result: str, path: Path) -> None:
    """Write the graph of a module from ``given``, of any batch size, to ``result``."""
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
