"""A trained GeoCLIP as a model folder that runs without torch: ONNX graphs, candidate places, config, weights.

Weights are stored in half precision and computed with in float32: the folder is half as large, and the graphs equal
the rounded torch model to float32 accuracy, since the rounding is done before both.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from earthclip.files import atomic_write
from earthclip.models.config import ModelConfig, write_config
from earthclip.nn.geoclip import GeoCLIP
from earthclip.nn.image_encoder import ImageEncoder

_OPSET = 20
_HALF_FROM = 1024  # elements; smaller tensors (biases, norms, frequencies) gain nothing by rounding


class RotationAveraged(ImageEncoder):
    """The mean embedding of a picture's four quarter turns; from above, any of them could be the one taken."""

    def __init__(self, image_encoder: ImageEncoder) -> None:
        super().__init__()
        self.image_encoder = image_encoder

    def forward(self, pixels: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d"]:
        """Embeddings (not normalised) of square pictures."""
        turned = torch.cat([_quarter_turns(pixels, turns) for turns in range(4)])
        unit = F.normalize(self.image_encoder(turned), dim=1)
        return unit.view(4, -1, unit.shape[1]).mean(dim=0)


class _Unit(nn.Module):
    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.encoder(x), dim=1)


def export_model(
    model: GeoCLIP, config: ModelConfig, places: Float[np.ndarray, "m 2"], folder: Path, *, rotations: bool = False
) -> ModelConfig:
    """Write a model folder and return its config as written.

    ``model`` is changed: its weights are rounded to half precision, and it is left in evaluation mode, so that it can
    be compared with the graphs. ``places`` are degrees. With ``rotations``, pictures are embedded as the mean of
    their quarter turns. Raises OutputError when the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    round_weights(model)
    model.eval().float()
    if config.preprocessing is not None:
        size = config.preprocessing.size
        encoder = RotationAveraged(model.image_encoder) if rotations else model.image_encoder
        pixels = torch.zeros(2, 3, size, size)
        _export(_Unit(encoder), pixels, "pixels", "embedding", folder / "image_encoder.onnx")
    encoder_of_places = model.location_encoder
    position, network = encoder_of_places.position, encoder_of_places.network
    coordinates = torch.zeros(2, 2)
    _export(position, coordinates, "coordinates", "features", folder / "location_phases.onnx")
    _export(_Unit(network), position(coordinates), "features", "embedding", folder / "location_encoder.onnx")
    with atomic_write(folder / "gallery.npy", overwrite=True) as file:
        np.save(file, np.ascontiguousarray(places, np.float64))
    with atomic_write(folder / "model.safetensors", overwrite=True) as file:
        file.write(safetensors.torch.save({name: t.contiguous() for name, t in model.state_dict().items()}))
    return write_config(folder, config)


def round_weights(model: nn.Module) -> None:
    """Round every tensor that export stores in half precision to what half precision holds."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.numel() >= _HALF_FROM:
                parameter.copy_(parameter.half().float())


def _export(module: nn.Module, example: Tensor, given: str, result: str, path: Path) -> None:
    module.eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecated internals
        program = torch.onnx.export(
            module,
            (example,),
            input_names=[given],
            output_names=[result],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            opset_version=_OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:  # only when the exporter is asked to write the file itself
        raise RuntimeError("torch.onnx.export returned no program")
    graph = program.model_proto
    _store_half(graph)
    onnx.checker.check_model(graph)
    with atomic_write(path, overwrite=True) as file:
        file.write(graph.SerializeToString())


def _store_half(model: onnx.ModelProto) -> None:
    """Turn large float32 weights into half precision ones, each cast back before its use."""
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < _HALF_FROM:
            continue
        half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue  # folded by the exporter from several weights: keep what it computed
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
