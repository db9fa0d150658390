"""Matrix products of a graph in int8, calibrated on pictures, as an ONNX graph that every runtime can read.

Weights are scaled by output column, activations by tensor. Networks such as CLIP have a few input columns a hundred
times larger than the rest, which one scale would serve at the cost of all others: each column is divided by a factor
that its weights are multiplied by (SmoothQuant, Xiao et al., ICML 2023, arXiv 2211.10438), with the exponent that the
calibration pictures like best, input by input.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from earthclip.errors import MissingExtraError, ModelError

_EXPONENTS = (None, 0.5, 0.65, 0.8)  # None: columns as they are
_ROWS, _ROWS_A_PICTURE = 512, 64  # of activations, kept to choose the exponent with
_LEVELS = 127


@dataclass
class _Input:
    """A tensor that enters matrix products with constant weights, and what calibration saw of it."""

    name: str
    products: list[str]  # what the products are called
    weights: list[Float32[np.ndarray, "k n"]]
    largest: Float32[np.ndarray, " k"]
    rows: list[Float32[np.ndarray, "r k"]] = field(default_factory=list)


@dataclass(frozen=True)
class Calibrated:
    """How one input is quantised: ``factors`` [k] it is divided by, then one ``scale``; the ``error`` that makes."""

    name: str
    factors: Float32[np.ndarray, " k"]
    scale: float
    error: float  # root mean square of the products' error over that of the products


def calibrate(path: Path, pictures: Iterable[Float32[np.ndarray, "1 3 h w"]]) -> list[Calibrated]:
    """Scales for the matrix products of the graph at ``path``, from the activations of preprocessed pictures.

    Raises ModelError when the graph has no products to quantise, and MissingExtraError without ``onnx``.
    """
    import onnxruntime

    onnx = import_onnx()
    model = onnx.load(path)
    inputs = _inputs(model, str(path))
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in inputs)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    del model
    given = session.get_inputs()[0].name
    random = np.random.default_rng(0)
    seen = 0
    for pixels in pictures:
        seen += 1
        for entry, values in zip(inputs.values(), session.run(list(inputs), {given: pixels}), strict=True):
            rows = np.asarray(values, np.float32).reshape(-1, len(entry.largest))
            np.maximum(entry.largest, np.abs(rows).max(axis=0), out=entry.largest)
            if sum(map(len, entry.rows)) < _ROWS:
                entry.rows.append(rows[random.permutation(len(rows))[:_ROWS_A_PICTURE]])
    if not seen:
        raise ModelError(f"{path}: no pictures to calibrate on; give a folder with some")
    return [_best(entry) for entry in inputs.values()]


def write_int8(path: Path, out: Path, scales: Iterable[Calibrated]) -> int:
    """Write the graph at ``path`` to ``out`` with the inputs in ``scales`` quantised; returns their number of products.

    Products of inputs that are not in ``scales`` stay as they are.
    """
    onnx = import_onnx()
    model = onnx.load(path)
    graph = model.graph
    inputs = _inputs(model, str(path))
    products = {
        output: (scale, weights)
        for scale in scales
        for output, weights in zip(inputs[scale.name].products, inputs[scale.name].weights, strict=True)
    }
    nodes: list[Any] = []
    quantised: set[str] = set()
    for node in graph.node:
        if node.output[0] in products:
            scale, weights = products[node.output[0]]
            if scale.name not in quantised:
                nodes += _quantise_input(onnx, graph, scale)
                quantised.add(scale.name)
            nodes.append(_quantise_weights(onnx, graph, weights * scale.factors[:, None], node.output[0]))
            node.input[0], node.input[1] = f"{scale.name}_int8_scaled", nodes[-1].output[0]
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(_needed(nodes, {output.name for output in graph.output}))
    used = {name for node in graph.node for name in node.input}
    initializers = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(initializers)
    onnx.checker.check_model(model)
    out.write_bytes(model.SerializeToString())
    return len(products)


def _inputs(model: Any, where: str) -> dict[str, _Input]:
    """The inputs of MatMul nodes whose other operand is a constant matrix, by name, in the order of the graph."""
    onnx = import_onnx()
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    made = {output: node for node in model.graph.node for output in node.output}

    def constant(name: str) -> np.ndarray | None:
        if name in constants:
            return np.asarray(onnx.numpy_helper.to_array(constants[name]))
        node = made.get(name)
        if node is None or node.op_type not in ("Cast", "Transpose", "Identity"):
            return None
        value = constant(node.input[0])
        if value is None or node.op_type != "Transpose":
            return value  # a Cast between float types is undone below
        return value.transpose(next((list(a.ints) for a in node.attribute if a.name == "perm"), None))

    inputs: dict[str, _Input] = {}
    for node in model.graph.node:
        weights = constant(node.input[1]) if node.op_type == "MatMul" else None
        if weights is None or weights.ndim != 2:
            continue
        weights = np.ascontiguousarray(weights, np.float32)
        empty = np.zeros(len(weights), np.float32)
        entry = inputs.setdefault(node.input[0], _Input(node.input[0], [], [], empty))
        entry.products.append(node.output[0])
        entry.weights.append(weights)
    if not inputs:
        raise ModelError(f"{where}: nothing to quantize, since no layer has a constant matrix; use float32")
    return inputs


def _best(entry: _Input) -> Calibrated:
    rows = np.concatenate(entry.rows)
    exact = [rows @ weights for weights in entry.weights]
    power = sum(float((product**2).sum()) for product in exact)
    reach = np.maximum(np.max([np.abs(weights).max(axis=1) for weights in entry.weights], axis=0), 1e-6)
    largest = np.maximum(entry.largest, 1e-6)
    tried = []
    for exponent in _EXPONENTS:
        factors = np.ones_like(reach) if exponent is None else largest**exponent / reach ** (1 - exponent)
        factors = (factors / np.exp(np.log(factors).mean())).astype(np.float32)
        scale = float((largest / factors).max()) / _LEVELS
        levels = np.clip(np.rint(rows / (factors * scale)), -_LEVELS - 1, _LEVELS) * np.float32(scale)
        off = 0.0
        for weights, product in zip(entry.weights, exact, strict=True):
            quantised, steps = _levels(weights * factors[:, None])
            off += float(((levels @ (quantised * steps) - product) ** 2).sum())
        tried.append(Calibrated(entry.name, factors, scale, (off / max(power, 1e-30)) ** 0.5))
    return min(tried, key=lambda found: found.error)


def _levels(weights: Float32[np.ndarray, "k n"]) -> tuple[np.ndarray, np.ndarray]:
    """Weights as whole numbers, and the step of each output column."""
    steps = np.maximum(np.abs(weights).max(axis=0), 1e-12).astype(np.float32) / np.float32(_LEVELS)
    return np.rint(weights / steps), steps


def _quantise_input(onnx: Any, graph: Any, chosen: Calibrated) -> list[Any]:
    """x / factors / scale to whole numbers, and back by the scale alone."""
    name, helper = chosen.name, onnx.helper
    values = {
        f"{name}_int8_factors": (1 / chosen.factors).astype(np.float32),
        f"{name}_int8_scale": np.array(chosen.scale, np.float32),
        f"{name}_int8_zero": np.array(128, np.uint8),
    }
    graph.initializer.extend(onnx.numpy_helper.from_array(value, key) for key, value in values.items())
    factors, *steps = values
    even, whole, back = f"{name}_even", f"{name}_int8", f"{name}_int8_scaled"
    return [
        # One step for all columns, since OpenVINO has no other; whole numbers from 0 to 255 around 128, since ONNX
        # Runtime multiplies those by signed weights 2.2 times as fast as signed ones.
        helper.make_node("Mul", [name, factors], [even]),
        helper.make_node("QuantizeLinear", [even, *steps], [whole]),
        helper.make_node("DequantizeLinear", [whole, *steps], [back]),
    ]


def _quantise_weights(onnx: Any, graph: Any, weights: Float32[np.ndarray, "k n"], name: str) -> Any:
    levels, steps = _levels(weights)
    values = {
        f"{name}_weights_int8": levels.astype(np.int8),
        f"{name}_weights_steps": steps,
        f"{name}_weights_zeros": np.zeros(len(steps), np.int8),
    }
    graph.initializer.extend(onnx.numpy_helper.from_array(value, key) for key, value in values.items())
    return onnx.helper.make_node("DequantizeLinear", list(values), [f"{name}_weights_scaled"], axis=1)


def _needed(nodes: list[Any], wanted: set[str]) -> list[Any]:
    kept = []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    return kept[::-1]


def import_onnx() -> Any:
    """The library ``onnx``. Raises MissingExtraError when it is not installed."""
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise MissingExtraError("quantizing", "train", "onnx") from error
    return onnx
