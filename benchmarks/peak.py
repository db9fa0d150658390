"""The highest matrix rate this processor reaches in each precision, by the best library at hand.

python benchmarks/peak.py [--seconds 60]   (nothing else should compute meanwhile)

Each library multiplies in a process of its own, with all cores, over shapes from a few hundred rows to thousands;
the fastest call counts, since a peak is what the machine can do. A library that is not installed is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

VIT_L_14_FLOP = 162e9  # one picture of 224 x 224: 257 tokens through 24 layers of width 1024, two FLOP a multiply-add
LAYERS = 4  # products in a row in one OpenVINO graph, so that converting its input weighs little
SHAPES = tuple(
    (rows, inner, outer) for rows in (256, 1024, 4096) for inner, outer in ((1024, 1024), (1024, 4096), (2048, 2048))
)
SMALL = ((256, 512, 512),)
PRECISIONS = ("float32", "bfloat16", "float16", "int8")

Product = Callable[[], object]


@dataclass(frozen=True)
class Peak:
    """``rate`` is in operations a second, a multiply-add being two."""

    precision: str
    rate: float
    library: str
    shape: tuple[int, int, int]  # rows x inner by inner x outer

    def __str__(self) -> str:
        rows, inner, outer = self.shape
        return f"{self.rate / 1e9:,.0f} G/s ({self.library}, {rows} x {inner} by {inner} x {outer})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="for all of it, about")
    parser.add_argument("--inside", choices=LIBRARIES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        for precision, rate, shape in measured(args.inside, args.seconds):
            print(json.dumps(asdict(Peak(precision, rate, args.inside, shape))), flush=True)
        return
    for peak in peaks(args.seconds).values():
        milliseconds = VIT_L_14_FLOP / peak.rate * 1000
        print(f"{peak.precision}: {peak}; ViT-L/14 at that rate: {milliseconds:.0f} ms a picture")


def peaks(seconds: float = 60) -> dict[str, Peak]:
    """The highest rate found for each precision that any library here multiplies in."""
    best: dict[str, Peak] = {}
    present = [name for name in LIBRARIES if importlib.util.find_spec(name)]
    for library in present:
        command = [sys.executable, __file__, "--inside", library, "--seconds", str(seconds / len(present))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            print(f"{library}: left out of the peak rate ({reason[0]})", file=sys.stderr)
        for line in done.stdout.splitlines():
            found = json.loads(line)
            peak = Peak(found["precision"], found["rate"], found["library"], tuple(found["shape"]))
            if peak.precision not in best or peak.rate > best[peak.precision].rate:
                best[peak.precision] = peak
    return {precision: best[precision] for precision in PRECISIONS if precision in best}


def measured(library: str, seconds: float) -> Iterator[tuple[str, float, tuple[int, int, int]]]:
    shapes = SMALL if seconds < 5 else SHAPES
    each = seconds / len(shapes) / len(PRECISIONS)
    for shape in shapes:
        for precision, layers, product in LIBRARIES[library](*shape):
            taken = fastest(product, each)
            yield precision, 2.0 * np.prod(shape) * layers / taken, shape


def fastest(product: Product, seconds: float) -> float:
    """Of the calls that fit into so many seconds, but no fewer than five after a first."""
    product()
    end, times = time.perf_counter() + seconds, []
    while len(times) < 5 or time.perf_counter() < end:
        started = time.perf_counter()
        product()
        times.append(time.perf_counter() - started)
    return min(times)


def by_torch(rows: int, inner: int, outer: int) -> Iterator[tuple[str, int, Product]]:
    import torch

    left, right = torch.randn(rows, inner), torch.randn(outer, inner)
    for precision, kind in (("float32", torch.float32), ("bfloat16", torch.bfloat16), ("float16", torch.float16)):
        a, b = left.to(kind), right.to(kind)
        yield precision, 1, lambda a=a, b=b: torch.nn.functional.linear(a, b)


def by_openvino(rows: int, inner: int, outer: int) -> Iterator[tuple[str, int, Product]]:
    """Graphs with constant weights, which OpenVINO packs once for its kernels."""
    import openvino
    from openvino import opset13 as ops

    rng = np.random.default_rng(0)
    widths = [inner if n % 2 == 0 else outer for n in range(LAYERS + 1)]
    values = rng.uniform(-1, 1, (rows, inner)).astype(np.float32)

    def graph(int8: bool) -> Any:
        given = ops.parameter([rows, inner], np.float32)
        node: Any = given
        for width, following in itertools.pairwise(widths):
            if int8:
                node = ops.fake_quantize(node, *(np.float32(edge) for edge in (-1, 127 / 128, -1, 127 / 128)), 256)
                stored = ops.constant(rng.integers(-127, 128, (following, width), dtype=np.int8))
                weights: Any = ops.multiply(ops.convert(stored, "f32"), np.float32(1 / 127 / width**0.5))
            else:
                weights = ops.constant(rng.normal(0, width**-0.5, (following, width)).astype(np.float32))
            node = ops.matmul(node, weights, False, True)
        return openvino.Model([node], [given])

    core = openvino.Core()
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    hints = ("f32", "FP32"), ("bf16", "BF16"), ("f16", "FP16"), ("f32", "INT8")
    for precision, (hint, needs) in zip(PRECISIONS, hints, strict=True):
        if needs in able:
            options = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
            request = core.compile_model(graph(precision == "int8"), "CPU", options).create_infer_request()
            run = {"share_inputs": True, "share_outputs": True}
            yield precision, LAYERS, lambda request=request, run=run: request.infer({0: values}, **run)


def by_onnxruntime(rows: int, inner: int, outer: int) -> Iterator[tuple[str, int, Product]]:
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    cases: tuple[tuple[str, str, np.dtype, int, int], ...] = (
        ("float32", "MatMul", np.dtype(np.float32), TensorProto.FLOAT, TensorProto.FLOAT),
        ("int8", "MatMulInteger", np.dtype(np.uint8), TensorProto.UINT8, TensorProto.INT32),
    )
    for precision, operator, kind, takes, gives in cases:
        numbers = np.float32 if precision == "float32" else np.int8
        weights = numpy_helper.from_array(rng.uniform(-50, 50, (inner, outer)).astype(numbers), "weights")
        graph = helper.make_graph(
            [helper.make_node(operator, ["left", "weights"], ["product"])],
            "product",
            [helper.make_tensor_value_info("left", takes, [rows, inner])],
            [helper.make_tensor_value_info("product", gives, [rows, outer])],
            [weights],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        feed = {"left": rng.uniform(0, 100, (rows, inner)).astype(kind)}
        yield precision, 1, lambda session=session, feed=feed: session.run(None, feed)


LIBRARIES = {"torch": by_torch, "openvino": by_openvino, "onnxruntime": by_onnxruntime}


if __name__ == "__main__":
    main()
