"""OpenVINO against ONNX Runtime and torch, at every batch size, and what is kept of large graphs."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from earthclip.errors import ModelError
from earthclip.models import Precision
from earthclip.models import openvino as intermediate_module
from earthclip.models.encoders import Encoder, LocationEncoder
from earthclip.models.onnx_runtime import Graph
from earthclip.models.openvino import OpenVINOGraph, multiplies
from tests.tiny import SIZE, WIDTH, write_tiny_model


@pytest.fixture
def all_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intermediate_module, "LARGE", 1)


def pixels(n: int) -> np.ndarray:
    return np.random.default_rng(n).normal(size=(n, 3, SIZE, SIZE)).astype(np.float32)


def graph_of(folder: Path) -> Path:
    return folder / "image_encoder.onnx"


@pytest.mark.parametrize(("precision", "cosine"), [("float32", 1 - 1e-6), ("bfloat16", 0.999)])
def test_the_same_rows_at_every_batch_size(tiny_model: Path, precision: Precision, cosine: float) -> None:
    path = graph_of(tiny_model)
    exact = Encoder(path, WIDTH).encode(pixels(8))
    fast = Encoder(path, WIDTH, runtime="openvino", precision=precision)
    whole = fast.encode(pixels(8))
    alone = np.concatenate([fast.encode(one[None]) for one in pixels(8)])
    for rows in (whole, alone, fast.encode(pixels(8))):
        assert (rows * exact).sum(axis=1).min() > cosine


def test_phases_never_see_low_precision(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    initialise = OpenVINOGraph.__init__

    def noted(self: OpenVINOGraph, path: Path, *how: object) -> None:
        opened.append(path.name)
        initialise(self, path, *how)  # type: ignore[arg-type]

    monkeypatch.setattr(OpenVINOGraph, "__init__", noted)
    phases, network = tiny_model / "location_phases.onnx", tiny_model / "location_encoder.onnx"
    encoder = LocationEncoder(phases, network, WIDTH, runtime="openvino", precision="bfloat16")
    assert encoder.runtime == "openvino" and opened == ["location_encoder.onnx"]
    # Two places a metre apart are told apart by their phases, of which bfloat16 would leave nothing.
    here, there = np.array([[48.85837, 2.29448]]), np.array([[48.85838, 2.29448]])
    assert isinstance(encoder._phases, Graph)
    features = [encoder._phases.run(place) for place in (here, there)]
    assert np.abs(features[0] - features[1]).max() > 0
    assert np.abs(features[0] - features[1]).max() < 1e-4


@pytest.mark.usefixtures("all_large")
def test_kept_once_and_read_from_then_on(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = OpenVINOGraph(graph_of(tiny_model), "bfloat16", tmp_path / "graphs").run(pixels(2))
    (kept,) = (tmp_path / "graphs").iterdir()
    assert {path.name for path in kept.iterdir()} == {"graph.xml", "graph.bin", "sums.json"}
    monkeypatch.setattr(intermediate_module, "_make", lambda *_, **__: pytest.fail("made a second time"))
    assert np.array_equal(OpenVINOGraph(graph_of(tiny_model), "bfloat16", tmp_path / "graphs").run(pixels(2)), first)


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_another_model_in_the_same_place_is_converted_anew(tmp_path: Path, precision: Precision) -> None:
    folder = write_tiny_model(tmp_path / "tiny")
    cache = tmp_path / "graphs"
    for seed in (0, 1):
        write_tiny_model(folder, seed=seed)
        exact = Encoder(graph_of(folder), WIDTH).encode(pixels(3))
        fast = Encoder(graph_of(folder), WIDTH, runtime="openvino", precision=precision, cache=cache)
        assert (fast.encode(pixels(3)) * exact).sum(axis=1).min() > 0.999
        assert len(list(cache.iterdir())) == 1  # of what stood there before nothing is left


@pytest.mark.usefixtures("all_large")
def test_what_is_damaged_is_made_again(tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = tmp_path / "graphs"
    first = OpenVINOGraph(graph_of(tiny_model), "float32", cache).run(pixels(2))
    (kept,) = cache.iterdir()
    content = (kept / "graph.bin").read_bytes()
    (kept / "graph.bin").chmod(0o644)
    for damaged in (content[:-8], bytes(len(content)), b""):
        (kept / "graph.bin").write_bytes(damaged)
        caplog.clear()
        assert np.array_equal(OpenVINOGraph(graph_of(tiny_model), "float32", cache).run(pixels(2)), first)
        assert "is damaged and will be made again" in caplog.text
    (kept / "sums.json").write_text(json.dumps({}))
    assert np.array_equal(OpenVINOGraph(graph_of(tiny_model), "float32", cache).run(pixels(2)), first)
    assert json.loads((kept / "sums.json").read_text())


@pytest.mark.usefixtures("all_large")
def test_without_a_place_to_keep_it_runs_all_the_same(
    tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("where a folder should be")
    exact = Encoder(graph_of(tiny_model), WIDTH).encode(pixels(2))
    with caplog.at_level(logging.WARNING):
        found = OpenVINOGraph(graph_of(tiny_model), "float32", tmp_path / "file" / "graphs").run(pixels(2))
    assert (found * exact).sum(axis=1).min() > 0.9999
    assert "converted again in every run until EARTHCLIP_HOME can be written" in caplog.text

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("No space left on device")

    import openvino

    monkeypatch.setattr(openvino, "save_model", full)
    OpenVINOGraph(graph_of(tiny_model), "float32", tmp_path / "graphs").run(pixels(2))
    assert list((tmp_path / "graphs").iterdir()) == []


@pytest.mark.usefixtures("all_large")
def test_graphs_that_cannot_be_run(tiny_model: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no graph")
    for cache in (None, tmp_path / "graphs"):
        with pytest.raises(ModelError, match="not a graph OpenVINO can run"):
            OpenVINOGraph(bad, "bfloat16", cache)
    graph = OpenVINOGraph(graph_of(tiny_model))
    with pytest.raises(ModelError, match="the graph failed"):
        graph.run(np.zeros((1, 3, 99, 99), np.float32))
    with pytest.raises(ModelError, match="not finite"):
        graph.run(np.full((1, 3, SIZE, SIZE), 1e38, np.float32))
    assert isinstance(multiplies("bfloat16"), bool)


def test_the_first_answer_is_not_overwritten_by_the_second(tiny_model: Path) -> None:
    graph = OpenVINOGraph(graph_of(tiny_model), "float32")
    first = graph.run(pixels(2))
    kept = first.copy()
    graph.run(pixels(3))
    assert np.array_equal(first, kept)


def test_a_copy_of_a_model_is_another_graph(tiny_model: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_model, tmp_path / "copy"))
    a, b = (OpenVINOGraph(graph_of(folder), "float32", tmp_path / "graphs") for folder in (tiny_model, copy))
    assert np.array_equal(a.run(pixels(2)), b.run(pixels(2)))
