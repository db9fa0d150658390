"""A model folder of the true format, small enough to build in milliseconds, and pictures to ask it about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from earthclip.models.config import ModelConfig, write_config
from earthclip.pictures.preprocess import Preprocessing

SIZE, WIDTH, PLACES = 16, 8, 50
PREPROCESSING = Preprocessing(size=SIZE, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def write_tiny_model(
    folder: Path, name: str = "tiny", seed: int = 0, width: int = WIDTH, size: int = SIZE, **config: object
) -> Path:
    """Random weights; picture and location embeddings are unit rows. ``size`` is that of pictures, in pixels."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    save_graph(folder / "image_encoder.onnx", image_graph(rng, width, size=size))
    save_graph(folder / "location_phases.onnx", phases_graph(rng))
    save_graph(folder / "location_encoder.onnx", encoder_graph(rng, width))
    z = rng.uniform(-1, 1, PLACES)
    places = np.stack([np.degrees(np.arcsin(z)), rng.uniform(-180, 180, PLACES)], axis=1)
    np.save(folder / "gallery.npy", places)
    values: dict[str, object] = {
        "name": name,
        "embedding_size": width,
        "logit_scale": 2.0,
        "preprocessing": replace(PREPROCESSING, size=size),
        "prior": "uniform over the sphere",
        "licence": "MIT",
    }
    if config.get("scope"):
        save_graph(folder / "scope.onnx", scope_graph())
    write_config(folder, ModelConfig(**{**values, **config}))  # type: ignore[arg-type]
    return folder


def write_picture(path: Path, seed: int = 0, size: tuple[int, int] = (40, 30)) -> Path:
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(path)
    return path


def save_graph(path: Path, graph: onnx.GraphProto) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def image_graph(rng: np.random.Generator, width: int, input_name: str = "pixels", size: int = SIZE) -> onnx.GraphProto:
    """Convolution, flatten, product, unit rows; the weights are float16 with a Cast, as in shipped models."""
    nodes = [
        helper.make_node("Cast", ["kernel16"], ["kernel"], to=TensorProto.FLOAT),
        helper.make_node("Conv", [input_name, "kernel"], ["maps"], strides=[4, 4]),
        helper.make_node("Relu", ["maps"], ["active"]),
        helper.make_node("Flatten", ["active"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weight"], ["projected"]),
        helper.make_node("LpNormalization", ["projected"], ["embedding"], axis=1, p=2),
    ]
    weights = [
        numpy_helper.from_array(rng.normal(size=(4, 3, 4, 4)).astype(np.float16), "kernel16"),
        numpy_helper.from_array(rng.normal(size=(4 * (size // 4) ** 2, width)).astype(np.float32), "weight"),
    ]
    inputs = [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, ["b", 3, size, size])]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["b", width])]
    return helper.make_graph(nodes, "image_encoder", inputs, outputs, weights)


def scope_graph() -> onnx.GraphProto:
    """The brighter the pixels, the more likely the picture is of the model's kind."""
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"], axis=1),
        helper.make_node("ReduceMean", ["flat"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Sigmoid", ["mean"], ["scope"]),
    ]
    inputs = [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["b", 3, SIZE, SIZE])]
    outputs = [helper.make_tensor_value_info("scope", TensorProto.FLOAT, ["b", 1])]
    return helper.make_graph(nodes, "scope", inputs, outputs, [])


def phases_graph(rng: np.random.Generator, kind: int = TensorProto.DOUBLE) -> onnx.GraphProto:
    """cos and sin of random phases of degrees, computed in the input's precision."""
    numbers = np.float64 if kind == TensorProto.DOUBLE else np.float32
    nodes = [
        helper.make_node("MatMul", ["coordinates", "frequencies"], ["phases"]),
        helper.make_node("Cast", ["phases"], ["phases32"], to=TensorProto.FLOAT),
        helper.make_node("Cos", ["phases32"], ["cos"]),
        helper.make_node("Sin", ["phases32"], ["sin"]),
        helper.make_node("Concat", ["cos", "sin"], ["features"], axis=1),
    ]
    weights = [numpy_helper.from_array((rng.normal(size=(2, 6)) / 30).astype(numbers), "frequencies")]
    inputs = [helper.make_tensor_value_info("coordinates", kind, ["n", 2])]
    outputs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 12])]
    return helper.make_graph(nodes, "location_phases", inputs, outputs, weights)


def encoder_graph(rng: np.random.Generator, width: int) -> onnx.GraphProto:
    nodes = [
        helper.make_node("MatMul", ["features", "weight"], ["projected"]),
        helper.make_node("LpNormalization", ["projected"], ["embedding"], axis=1, p=2),
    ]
    weights = [numpy_helper.from_array(rng.normal(size=(12, width)).astype(np.float32), "weight")]
    inputs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 12])]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", width])]
    return helper.make_graph(nodes, "location_encoder", inputs, outputs, weights)
