"""Weights too small to matter become 0 in whatever is written, and in what an earlier version wrote."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy
from onnx import TensorProto, helper, numpy_helper

from earthclip.models.config import LOCATION_ENCODER, WEIGHTS, read_config, write_config
from earthclip.models.encoders import Encoder
from earthclip.models.onnx_runtime import Graph
from earthclip.models.openvino import OpenVINOGraph
from earthclip.models.release import write_model_folder
from earthclip.models.sources import resolve
from earthclip.models.subnormals import SMALLEST, flush
from earthclip.outputs.journal import header
from tests.tiny import SIZE, WIDTH, save_graph, write_tiny_model

TINY = np.array([1e-40, -1e-38, 9.9e-31, -1e-45], np.float32)


def spoiled(path: Path) -> np.ndarray:
    """Put subnormals into the weights of a tiny location encoder, in one column; returns the weights they become."""
    model = onnx.load(path)
    (weight,) = model.graph.initializer
    values = np.array(numpy_helper.to_array(weight))
    values[:4, 0], values[5, 1] = TINY, SMALLEST
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, path)
    values[:4, 0] = 0
    return values


def weights_of(path: Path) -> np.ndarray:
    return np.array(numpy_helper.to_array(onnx.load(path).graph.initializer[0]))


def test_only_tiny_weights_of_a_graph_change(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "tiny") / LOCATION_ENCODER
    expected, size = spoiled(path), path.stat().st_size
    assert flush(path) == 4 and flush(path) == 0
    assert np.array_equal(weights_of(path), expected) and path.stat().st_size == size


def test_wherever_in_a_graph_they_are(tmp_path: Path) -> None:
    packed = helper.make_tensor("packed", TensorProto.FLOAT, [4], TINY.tolist())
    inside = helper.make_node("Constant", [], ["constant"], value=numpy_helper.from_array(TINY.astype(np.float64)))
    half = numpy_helper.from_array(np.full(3, 6e-8, np.float16), "half")  # a float16 subnormal is normal in float32
    nodes = [inside, helper.make_node("Identity", ["packed"], ["copy"])]
    output = helper.make_tensor_value_info("copy", TensorProto.FLOAT, [4])
    save_graph(tmp_path / "graph.onnx", helper.make_graph(nodes, "g", [], [output], [packed, half]))
    assert flush(tmp_path / "graph.onnx") == 8
    graph = onnx.load(tmp_path / "graph.onnx").graph
    assert not numpy_helper.to_array(graph.initializer[0]).any()
    assert not numpy_helper.to_array(graph.node[0].attribute[0].t).any()
    assert numpy_helper.to_array(graph.initializer[1]).all()


def test_safetensors_and_files_of_other_kinds(tmp_path: Path) -> None:
    path = tmp_path / WEIGHTS
    values = {"a": np.append(TINY, np.float32(2)), "b": np.arange(3), "c": np.full(2, 6e-8, np.float16)}
    path.write_bytes(safetensors.numpy.save(values))
    assert flush(path) == 4
    found = safetensors.numpy.load(path.read_bytes())
    assert found["a"].tolist() == [0, 0, 0, 0, 2]
    assert all(np.array_equal(found[name], values[name]) for name in "bc")
    for name, content in (("a.onnx", b"not a graph"), ("b.onnx", b""), ("c.safetensors", b"x")):
        (tmp_path / name).write_bytes(content)
        assert flush(tmp_path / name) == 0 and (tmp_path / name).read_bytes() == content


def test_every_model_that_is_written_is_flushed_and_says_so(tmp_path: Path) -> None:
    source = write_tiny_model(tmp_path / "source")
    expected = spoiled(source / LOCATION_ENCODER)

    def write(into: Path) -> None:
        for name in (LOCATION_ENCODER, "location_phases.onnx"):
            (into / name).write_bytes((source / name).read_bytes())

    before = read_config(source)
    config = write_model_folder(tmp_path / "out", before, None, write)
    assert np.array_equal(weights_of(tmp_path / "out" / LOCATION_ENCODER), expected)
    assert config.smallest_weight == SMALLEST == read_config(tmp_path / "out").smallest_weight
    # Runs that were begun before are resumed.
    assert header([dataclasses.replace(before, smallest_weight=SMALLEST)], {}) == header([before], {})


def test_a_model_pulled_earlier_is_mended_once(earthclip_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_tiny_model(earthclip_home / "models" / "geoclip", name="geoclip")
    expected = spoiled(folder / LOCATION_ENCODER)
    write_config(folder, read_config(folder))
    untouched = (folder / "image_encoder.onnx").stat()
    assert resolve("geoclip").config.smallest_weight == SMALLEST
    assert np.array_equal(weights_of(folder / LOCATION_ENCODER), expected)
    assert (folder / "image_encoder.onnx").stat() == untouched
    monkeypatch.setattr("earthclip.models.subnormals._files", lambda folder: pytest.fail("looked at again"))
    assert resolve("geoclip").config.smallest_weight == SMALLEST
    assert not [path for path in folder.iterdir() if path.name.endswith(".part")]


@pytest.mark.parametrize("fault", ["access", "disk"])
def test_one_that_cannot_be_mended_is_used_with_advice(
    earthclip_home: Path, fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_tiny_model(earthclip_home / "models" / "geoclip", name="geoclip")
    spoiled(folder / LOCATION_ENCODER)
    write_config(folder, read_config(folder))
    content = (folder / LOCATION_ENCODER).read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if fault == "access":
        monkeypatch.setattr("os.access", lambda *_: False)
    else:
        monkeypatch.setattr("shutil.copyfile", full)
    with caplog.at_level(logging.WARNING):
        assert resolve("geoclip").config.smallest_weight is None
    (record,) = caplog.records
    assert "run earthclip model pull geoclip --force" in record.getMessage() and "\n" not in record.getMessage()
    assert (folder / LOCATION_ENCODER).read_bytes() == content
    assert json.loads((folder / "config.json").read_text()).get("smallest_weight") is None
    assert sorted(folder.glob(".*")) == []


def test_a_model_of_the_users_own_is_not_changed(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "mine")
    spoiled(folder / LOCATION_ENCODER)
    content = (folder / LOCATION_ENCODER).read_bytes()
    assert resolve(folder).config.smallest_weight is None
    assert (folder / LOCATION_ENCODER).read_bytes() == content


def test_running_a_graph_leaves_the_callers_arithmetic_alone(tiny_model: Path) -> None:
    path, pixels = tiny_model / "image_encoder.onnx", np.zeros((1, 3, SIZE, SIZE), np.float32)
    pixels[0, 0, 0, 0] = 1
    Encoder(path, WIDTH).encode(pixels)
    Graph(path, "pixels", "embedding").run(pixels)
    OpenVINOGraph(path, "float32").run(pixels)
    assert (np.full(64, 1e-40, np.float32) * np.float32(0.5)).all()
