"""The choice of runtime and precision: the fastest that is here and faithful, or what was asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from earthclip.errors import MissingExtraError, ModelError
from earthclip.models import fastest, openvino
from earthclip.models.config import IMAGE_ENCODER, IMAGE_ENCODER_INT8, read_config, write_config
from earthclip.models.fastest import PICTURES, Choice, choose
from earthclip.models.folder import ModelFolder, open_folder
from tests.tiny import WIDTH, write_tiny_model


@pytest.fixture
def heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "HEAVY", 1)
    monkeypatch.setattr(openvino, "multiplies_bfloat16", lambda: True)


@pytest.fixture
def folder(tiny_model: Path) -> ModelFolder:
    return open_folder(tiny_model)


def kind(choice: Choice) -> tuple[str, str, str]:
    return choice.path.name, choice.runtime, choice.precision


def test_small_graphs_stay_on_onnx_runtime(folder: ModelFolder) -> None:
    assert kind(choose(folder)) == (IMAGE_ENCODER, "onnxruntime", "float32")
    assert kind(choose(folder, "openvino", "float32")) == (IMAGE_ENCODER, "openvino", "float32")


@pytest.mark.usefixtures("heavy")
def test_large_ones_take_the_fastest_that_is_faithful(folder: ModelFolder, earthclip_home: Path) -> None:
    assert kind(choose(folder)) == (IMAGE_ENCODER, "openvino", "bfloat16")
    (record,) = (earthclip_home / "measured").iterdir()
    found = json.loads(record.read_text())
    assert found["pictures"] == len(list(PICTURES.glob("*.jpg"))) == 8
    assert fastest.LOWEST_COSINE <= found["lowest_cosine"] <= found["mean_cosine"]
    record.write_text(json.dumps(found | {"lowest_cosine": 0.99}))  # as if these weights did not stand it
    assert kind(choose(folder)) == (IMAGE_ENCODER, "openvino", "float32")
    assert kind(choose(folder, precision="bfloat16")) == (IMAGE_ENCODER, "openvino", "bfloat16")
    assert kind(choose(folder, precision="float32")) == (IMAGE_ENCODER, "openvino", "float32")
    assert kind(choose(folder, "onnxruntime")) == (IMAGE_ENCODER, "onnxruntime", "float32")
    record.write_text("damaged")
    assert kind(choose(folder)) == (IMAGE_ENCODER, "openvino", "bfloat16")


@pytest.mark.usefixtures("heavy")
def test_weights_that_bfloat16_spoils_are_run_in_float32(folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.eye(WIDTH, dtype=np.float32)[[0]]
    monkeypatch.setattr("earthclip.models.openvino.OpenVINOGraph.run", lambda self, values: rows)
    assert kind(choose(folder)) == (IMAGE_ENCODER, "openvino", "float32")


@pytest.mark.usefixtures("heavy")
def test_processors_without_bfloat16(folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "multiplies_bfloat16", lambda: False)
    assert kind(choose(folder)) == (IMAGE_ENCODER, "openvino", "float32")
    with pytest.raises(ModelError, match="does not support bfloat16"):
        choose(folder, precision="bfloat16")


@pytest.mark.usefixtures("heavy")
def test_without_openvino(folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "here", lambda: False)
    assert kind(choose(folder)) == (IMAGE_ENCODER, "onnxruntime", "float32")
    with pytest.raises(MissingExtraError, match=r"earthclip\[openvino\]"):
        choose(folder, runtime="openvino")
    with pytest.raises(MissingExtraError, match=r"earthclip\[openvino\]"):
        choose(folder, precision="bfloat16")
    with pytest.raises(ModelError, match="ONNX Runtime does not support bfloat16"):
        choose(folder, "onnxruntime", "bfloat16")


@pytest.mark.usefixtures("heavy")
def test_a_gpu_is_left_to_onnx_runtime(folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "has_gpu", lambda: True)
    assert kind(choose(folder)) == (IMAGE_ENCODER, "onnxruntime", "float32")


@pytest.mark.parametrize(("lowest", "taken"), [(0.9995, IMAGE_ENCODER_INT8), (0.998, IMAGE_ENCODER)])
def test_int8_is_taken_where_its_pictures_allowed_it(tmp_path: Path, lowest: float, taken: str) -> None:
    model = write_tiny_model(tmp_path / "tiny")
    (model / IMAGE_ENCODER_INT8).write_bytes((model / IMAGE_ENCODER).read_bytes())
    values = {**read_config(model).__dict__, "int8": {"mean_cosine": 0.9999, "lowest_cosine": lowest}}
    write_config(model, type(read_config(model))(**values))
    assert choose(open_folder(model)).path.name == taken
    assert kind(choose(open_folder(model), precision="int8")) == (IMAGE_ENCODER_INT8, "onnxruntime", "int8")
    assert kind(choose(open_folder(model), "openvino", "int8")) == (IMAGE_ENCODER_INT8, "openvino", "int8")
    assert choose(open_folder(model), precision="float32").path.name == IMAGE_ENCODER
