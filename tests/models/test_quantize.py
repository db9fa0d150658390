"""int8 stands beside float32 and is believed only when pictures say that it changes nothing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from earthclip.cli import main
from earthclip.errors import InputError, ModelError
from earthclip.locating.locator import load
from earthclip.models.config import IMAGE_ENCODER, IMAGE_ENCODER_INT8
from earthclip.models.encoders import Encoder
from earthclip.models.folder import open_folder
from earthclip.models.int8 import calibrate, write_int8
from earthclip.models.quantize import quantize_image_encoder
from tests.tiny import SIZE, save_graph, write_picture


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def pictures(n: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(3, SIZE, SIZE)).astype(np.float32) for _ in range(n)]


def places(rows: np.ndarray) -> np.ndarray:
    """A place for each of 8 embeddings' largest numbers, 10 degrees apart."""
    return np.stack([10.0 * rows.argmax(axis=1), np.zeros(len(rows))], axis=1)


def outlying_graph(path: Path, factor: float) -> np.ndarray:
    """A product of which one input column is ``factor`` times as large as the others, and its weights as small."""
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(3 * SIZE * SIZE, 8)).astype(np.float32)
    spread = np.ones(len(weights), np.float32)
    spread[::97] = factor
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"], axis=1),
        helper.make_node("Mul", ["flat", "spread"], ["uneven"]),
        helper.make_node("MatMul", ["uneven", "weights"], ["embedding"], name="product"),
    ]
    constants = [numpy_helper.from_array(v, n) for n, v in (("spread", spread), ("weights", weights / spread[:, None]))]
    given = [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["b", 3, SIZE, SIZE])]
    result = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["b", 8])]
    save_graph(path, helper.make_graph(nodes, "outlying", given, result, constants))
    return weights


def test_both_precisions_stand_side_by_side(model: Path) -> None:
    before = (model / IMAGE_ENCODER).read_bytes()
    told: list[str] = []
    config = quantize_image_encoder(open_folder(model), pictures(400), places, accept_loss=False, say=told.append)
    assert config.int8["pictures"] == 200 and config.int8["products"] == 1
    assert 0.999 <= config.int8["mean_cosine"] <= 1 and config.int8["top_1_agreement"] >= 0.8
    assert config.int8["moved_of"] == 200
    assert config.int8["moved"] == pytest.approx(1 - config.int8["top_1_agreement"], abs=1e-3)
    assert (model / IMAGE_ENCODER).read_bytes() == before and open_folder(model).config == config
    assert "mean cosine with float32 0.99" in told[-1]
    kinds = {node.op_type for node in onnx.load(model / IMAGE_ENCODER_INT8).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear", "MatMul"} <= kinds
    exact, quick = (load(model, precision=p).encode_image([write_picture(model.parent / "p.png")])
                    for p in ("float32", "int8"))  # fmt: skip
    assert 0.999 < (exact * quick).sum() < 1.0


def test_columns_of_other_sizes_are_evened_out(tmp_path: Path) -> None:
    path, out = tmp_path / "graph.onnx", tmp_path / "int8.onnx"
    outlying_graph(path, 300.0)
    (chosen,) = calibrate(path, (one[None] for one in pictures(300)))
    assert chosen.factors.max() / chosen.factors.min() > 50 and chosen.error < 0.02
    assert write_int8(path, out, [chosen]) == 1
    batch = np.stack(pictures(320)[300:])
    exact, quick = (Encoder(graph, 8).encode(batch) for graph in (path, out))
    assert (exact * quick).sum(axis=1).min() > 0.999


def test_the_runtimes_agree_on_int8(tmp_path: Path) -> None:
    path, out = tmp_path / "graph.onnx", tmp_path / "int8.onnx"
    outlying_graph(path, 10.0)
    write_int8(path, out, calibrate(path, (one[None] for one in pictures(300))))
    batch = np.stack(pictures(308)[300:])
    for n in (1, 8):
        first, second = (Encoder(out, 8, runtime=runtime, precision="int8").encode(batch[:n])
                         for runtime in ("onnxruntime", "openvino"))  # fmt: skip
        assert (first * second).sum(axis=1).min() > 0.9995


def test_what_costs_too_much_is_refused_unless_forced(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earthclip.models.quantize.LOWEST_COSINE", 1.1)
    before = sorted(path.name for path in model.iterdir())
    with pytest.raises(ModelError, match=r"mean cosine [01]\.\d+ on 2 pictures, expected 1\.1 or more"):
        quantize_image_encoder(open_folder(model), pictures(2), None, accept_loss=False, say=lambda _: None)
    assert sorted(path.name for path in model.iterdir()) == before
    config = quantize_image_encoder(open_folder(model), pictures(2), None, accept_loss=True, say=lambda _: None)
    assert config.files[IMAGE_ENCODER_INT8] > 0 and "top_1_agreement" not in config.int8
    # Few pictures of the user's are joined by crops of this package's, to see what int8 moves.
    few = quantize_image_encoder(open_folder(model), pictures(2), places, accept_loss=True, say=lambda _: None)
    assert few.int8["pictures"] == 2 and few.int8["moved_of"] == 100


def test_nothing_to_calibrate_on_or_to_quantise(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give a folder with some"):
        quantize_image_encoder(open_folder(model), [], None, accept_loss=False, say=lambda _: None)
    given = [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["b", 3, SIZE, SIZE])]
    result = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["b", 3 * SIZE * SIZE])]
    node = helper.make_node("Flatten", ["pixels"], ["embedding"], axis=1)
    save_graph(tmp_path / "g.onnx", helper.make_graph([node], "flat", given, result))
    with pytest.raises(ModelError, match="nothing to quantize"):
        calibrate(tmp_path / "g.onnx", (one[None] for one in pictures(1)))


def test_the_command(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(150):
        write_picture(photos / f"{i}.png", seed=i)
    (photos / "bad.jpg").write_bytes(b"no picture")
    assert main(["locate", str(photos / "0.png"), "--model", str(model), "--precision", "int8"]) == 2
    assert "has no int8; run earthclip model quantize tiny --pictures DIR" in capsys.readouterr().err
    assert main(["model", "quantize", str(model), "--pictures", str(photos)]) == 0
    captured = capsys.readouterr()
    assert "bad.jpg" in captured.err
    assert re.fullmatch(
        r"Quantized 1 layer to int8. On 75 test pictures: same best guess in \d+ %, cosine with float32 at least "
        r"0\.99\d\d. Used (where it is the fastest|only with --precision int8).*\n",
        captured.out,
    )
    assert main(["locate", str(photos / "0.png"), "--model", str(model), "--precision", "int8"]) == 0


def test_pictures_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_picture(tmp_path / "a.png")
    assert main(["model", "pull", "geoclip", "--quantize", "int8"]) == 2
    assert "give --pictures DIR" in capsys.readouterr().err
