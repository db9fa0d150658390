"""The choice of runtime and precision: what was measured here, else a rule by processor, or what was asked for."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from earthclip.errors import MissingExtraError, ModelError
from earthclip.models import Precision, fastest, measured, openvino
from earthclip.models.config import IMAGE_ENCODER, IMAGE_ENCODER_INT8, read_config, write_config
from earthclip.models.fastest import Choice, choose, files_of, read_choice
from earthclip.models.folder import ModelFolder, open_folder
from earthclip.models.measured import Record, Row, read_record, this_machine, weights_of, write_record
from tests.tiny import write_tiny_model

ALLOWED = {"mean_cosine": 0.9999, "lowest_cosine": 0.9995, "moved_of": 120.0, "moved": 0.0}


@pytest.fixture
def heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "SMALL", 1)
    monkeypatch.setattr(openvino, "HEAVY", 1)
    monkeypatch.setattr(openvino, "multiplies", lambda precision: precision == "bfloat16")


@pytest.fixture
def folder(tiny_model: Path) -> ModelFolder:
    return open_folder(tiny_model)


def kind(choice: Choice) -> tuple[str, str, str]:
    return choice.path.name, choice.runtime, choice.precision


def row(runtime: str, precision: str, ms: int, cosine: float = 1.0, **fields: object) -> Row:
    file = IMAGE_ENCODER_INT8 if precision == "int8" else IMAGE_ENCODER
    return Row(file, runtime, precision, alone_ms=float(ms), lowest_cosine=cosine, **fields)  # type: ignore[arg-type]


def keep(folder: ModelFolder, *rows: Row, chosen: int = 0) -> Record:
    weights = weights_of(files_of(folder, "image"))
    record = Record(folder.config.name, "image", weights, this_machine(), rows, chosen)
    write_record(record)
    return record


def with_int8(path: Path, found: dict[str, float]) -> ModelFolder:
    model = write_tiny_model(path)
    (model / IMAGE_ENCODER_INT8).write_bytes((model / IMAGE_ENCODER).read_bytes())
    write_config(model, dataclasses.replace(read_config(model), int8=found))
    return open_folder(model)


def test_small_graphs_stay_on_onnx_runtime(folder: ModelFolder) -> None:
    assert kind(choose(folder)) == (IMAGE_ENCODER, "onnxruntime", "float32")
    assert kind(choose(folder, "openvino", "float32")) == (IMAGE_ENCODER, "openvino", "float32")


@pytest.mark.usefixtures("heavy")
def test_graphs_of_middle_size_leave_onnx_runtime_where_many_inputs_come(
    folder: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "HEAVY", 10**9)
    rows = row("onnxruntime", "float32", 9), row("openvino", "float32", 7), row("openvino", "bfloat16", 3, 0.9995)
    keep(folder, *rows, chosen=2)
    assert (
        kind(choose(folder)) == kind(choose(folder, precision="float32")) == (IMAGE_ENCODER, "onnxruntime", "float32")
    )
    with monkeypatch.context() as few:
        few.setattr(openvino, "multiplies", lambda precision: pytest.fail("OpenVINO was started for a few inputs"))
        choose(folder)
    assert kind(choose(folder, many=True)) == (IMAGE_ENCODER, "openvino", "bfloat16")
    assert kind(choose(folder, precision="bfloat16")) == (IMAGE_ENCODER, "openvino", "bfloat16")
    assert kind(choose(folder, "openvino")) == (IMAGE_ENCODER, "openvino", "bfloat16")


@pytest.mark.usefixtures("heavy")
def test_what_was_measured_decides(folder: ModelFolder) -> None:
    rows = row("onnxruntime", "float32", 9), row("openvino", "float32", 7), row("openvino", "bfloat16", 3, 0.9995)
    keep(folder, *rows, row("onnxruntime", "float32", 8, threads=1), chosen=3)
    assert choose(folder) == Choice(folder.path / IMAGE_ENCODER, "onnxruntime", "float32", threads=1)
    assert kind(choose(folder, "openvino")) == (IMAGE_ENCODER, "openvino", "bfloat16")
    assert kind(choose(folder, "openvino", "float32")) == (IMAGE_ENCODER, "openvino", "float32")
    assert kind(choose(folder, precision="bfloat16")) == (IMAGE_ENCODER, "openvino", "bfloat16")
    keep(folder, *rows[:2], row("openvino", "bfloat16", 3, 0.998), chosen=1)
    assert kind(choose(folder, "openvino")) == (IMAGE_ENCODER, "openvino", "float32")
    assert kind(choose(folder, precision="bfloat16")) == (IMAGE_ENCODER, "openvino", "bfloat16")


@pytest.mark.usefixtures("heavy")
def test_without_measurements_only_what_is_known_to_keep_embeddings(
    folder: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kind(choose(folder)) == (IMAGE_ENCODER, "openvino", "float32")
    keep(folder, row("openvino", "bfloat16", 3, 0.9995))
    monkeypatch.setattr(measured, "_CPUINFO", Path("/no/cpuinfo"))  # another machine, for which only cosines hold
    monkeypatch.setattr("platform.processor", lambda: "another")
    assert read_record("image", files_of(folder, "image")) is None
    assert kind(choose(folder)) == (IMAGE_ENCODER, "openvino", "bfloat16")


@pytest.mark.usefixtures("heavy")
@pytest.mark.parametrize("fault", ["damaged", "chosen", "runtime"])
def test_a_damaged_record_is_not_used(
    folder: ModelFolder, earthclip_home: Path, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    keep(folder, row("onnxruntime", "float32", 9))
    (path,) = (earthclip_home / "measured").iterdir()
    content = json.loads(path.read_text())
    if fault == "chosen":
        content["chosen"] = 7
    elif fault == "runtime":
        content["rows"][0]["runtime"] = "abacus"
    path.write_text("damaged" if fault == "damaged" else json.dumps(content))
    assert kind(choose(folder)) == (IMAGE_ENCODER, "openvino", "float32")
    assert read_record("image", files_of(folder, "image"), told=True) is None
    assert "is damaged, so the speed of the model is measured again" in caplog.text


@pytest.mark.usefixtures("heavy")
def test_a_record_of_another_machine_or_other_weights_is_not_used(
    folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keep(folder, row("onnxruntime", "float32", 9))
    assert read_record("image", files_of(folder, "image")) is not None
    other = open_folder(write_tiny_model(tmp_path / "other", seed=1))
    assert read_record("image", files_of(other, "image"), told=True) is None and not caplog.records
    monkeypatch.setenv("EARTHCLIP_THREADS", "7")
    assert read_record("image", files_of(folder, "image"), told=True) is None
    assert "cores; measuring it on" in caplog.records[0].getMessage()


@pytest.mark.usefixtures("heavy")
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_what_the_processor_or_the_runtime_has_not(
    folder: ModelFolder, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "multiplies", lambda precision: False)
    with pytest.raises(ModelError, match=f"does not support {precision}; .* or use one of float32"):
        choose(folder, precision=precision)
    with pytest.raises(ModelError, match=f"ONNX Runtime does not support {precision}"):
        choose(folder, "onnxruntime", precision)
    monkeypatch.setattr(openvino, "here", lambda: False)
    assert kind(choose(folder)) == (IMAGE_ENCODER, "onnxruntime", "float32")
    with pytest.raises(MissingExtraError, match=r"earthclip\[openvino\]"):
        choose(folder, runtime="openvino")
    with pytest.raises(MissingExtraError, match=r"earthclip\[openvino\]"):
        choose(folder, precision=precision)


@pytest.mark.usefixtures("heavy")
def test_a_gpu_is_preferred_until_measured(folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (fastest, openvino):
        monkeypatch.setattr(module, "has_gpu", lambda: True)
    assert str(choose(folder)) == "image_encoder.onnx, run by onnxruntime in float32 on CUDA"
    keep(folder, row("onnxruntime", "float32", 9, gpu=True), row("openvino", "float32", 3), chosen=1)
    assert kind(choose(folder)) == (IMAGE_ENCODER, "openvino", "float32")


@pytest.mark.parametrize(
    ("change", "taken"),
    [({}, True), ({"lowest_cosine": 0.998}, False), ({"moved": 0.02}, False), ({"moved_of": 99.0}, False)],
)
def test_int8_is_taken_where_its_pictures_and_the_processor_allow_it(
    tmp_path: Path, change: dict[str, float], taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = with_int8(tmp_path / "tiny", ALLOWED | change)
    monkeypatch.setattr(fastest, "has_flag", lambda *flags: True)
    assert choose(folder).path.name == (IMAGE_ENCODER_INT8 if taken else IMAGE_ENCODER)
    assert kind(choose(folder, precision="int8")) == (IMAGE_ENCODER_INT8, "onnxruntime", "int8")
    assert kind(choose(folder, "openvino", "int8")) == (IMAGE_ENCODER_INT8, "openvino", "int8")
    assert choose(folder, precision="float32").path.name == IMAGE_ENCODER
    monkeypatch.setattr(fastest, "has_flag", lambda *flags: False)  # its sums overflow there
    assert choose(folder).path.name == IMAGE_ENCODER
    keep(folder, row("onnxruntime", "float32", 9), row("onnxruntime", "int8", 3, 0.9995), chosen=1)
    assert choose(folder).path.name == (IMAGE_ENCODER_INT8 if taken else IMAGE_ENCODER)
    with pytest.raises(ModelError, match="has no int8; run earthclip model quantize"):
        choose(open_folder(write_tiny_model(tmp_path / "without")), precision="int8")
    assert choose(folder, precision="int8", encoder="places").precision == "float32"


def test_a_run_goes_on_as_it_was_begun(folder: ModelFolder) -> None:
    begun = str(choose(folder))
    keep(folder, row("onnxruntime", "float32", 9), row("openvino", "float32", 3), chosen=1)
    found = read_choice(begun, folder)
    assert found is not None and str(found) == begun
    assert read_choice("image_encoder.onnx, run by abacus in float32", folder) is None


def test_cosines_of_no_measurement(folder: ModelFolder, earthclip_home: Path) -> None:
    files = files_of(folder, "image")
    assert measured.known_cosine("image", files, "bfloat16") == 0
    keep(folder, row("openvino", "bfloat16", 3, 0.9995), row("openvino", "float16", 3, fault="broken"))
    assert measured.known_cosine("image", files, "bfloat16") == 0.9995
    assert np.isinf(row("openvino", "float16", 3, fault="broken").ms)
