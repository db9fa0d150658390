"""GeoCLIP's ready export on the Hub, in its true file names and graph names, becomes a model folder without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from earthclip.errors import ModelError
from earthclip.locating.locator import load
from earthclip.models import ready
from earthclip.models import sources as hub
from tests.tiny import save_graph, write_picture


def write_export(folder: Path) -> Path:
    (folder / "onnx").mkdir(parents=True)
    (folder / "gps_gallery").mkdir()
    rng = np.random.default_rng(0)
    weights = numpy_helper.from_array(rng.normal(size=(3, 512)).astype(np.float32), "weight")
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixel_values"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["image_embeds"]),
    ]
    inputs = [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["b", 3, "h", "w"])]
    outputs = [helper.make_tensor_value_info("image_embeds", TensorProto.FLOAT, ["b", 512])]
    save_graph(folder / ready._VISION, helper.make_graph(nodes, "vision", inputs, outputs, [weights]))
    weights = numpy_helper.from_array(rng.normal(size=(2, 512)).astype(np.float32), "weight")
    nodes = [helper.make_node("MatMul", ["location", "weight"], ["location_embeds"])]
    inputs = [helper.make_tensor_value_info("location", TensorProto.FLOAT, ["n", 2])]
    outputs = [helper.make_tensor_value_info("location_embeds", TensorProto.FLOAT, ["n", 512])]
    save_graph(folder / ready._LOCATION, helper.make_graph(nodes, "location", inputs, outputs, [weights]))
    (folder / ready._PLACES).write_text("LAT,LON\n10.5,20.25\n-30,150\n60,-100\n")
    return folder


def test_the_export_runs_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export = write_export(tmp_path / "hub")
    monkeypatch.setattr(ready, "snapshot", lambda *_, **__: export)
    config = ready.pull_ready(tmp_path / "m", location_only=False, say=lambda _: None)
    assert config.logit_scale == pytest.approx(3.681034803390503)
    locator = load(tmp_path / "m")
    (answer,) = locator.locate([write_picture(tmp_path / "a.png")], top_k=3, views="flip")
    assert sorted(answer.coordinates[:, 0].tolist()) == [-30.0, 10.5, 60.0]
    rows = locator.encode_location([[10, 20], [1, 1]])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    graph = onnx.load(export / ready._LOCATION)
    weight = numpy_helper.to_array(graph.graph.initializer[0])
    raw = np.array([[10, 20], [1, 1]], np.float32) @ weight
    np.testing.assert_allclose(rows, raw / np.linalg.norm(raw, axis=1, keepdims=True), atol=1e-6)
    with pytest.raises(ModelError, match="has no words"):
        locator.locate_text(["snow"])


def test_location_only_takes_no_image_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export = write_export(tmp_path / "hub")
    (export / ready._VISION).unlink()
    monkeypatch.setattr(ready, "snapshot", lambda *_, **__: export)
    ready.pull_ready(tmp_path / "m", location_only=True, say=lambda _: None)
    assert load(tmp_path / "m").encode_location([[0, 0], [1, 2]]).shape == (2, 512)


class _Library:
    """Stands in for huggingface_hub: its cache holds ``cached``, its network ``online``."""

    def __init__(self, cached: Path | None, online: Path | None) -> None:
        self.cached, self.online = cached, online
        self.asked: list[bool] = []

    def snapshot_download(self, repository: str, *, local_files_only: bool, **_: object) -> str:
        self.asked.append(local_files_only)
        found = self.cached if local_files_only else self.online
        if found is None:
            raise OSError(f"cannot reach {repository}")
        return str(found)


def test_the_cache_is_asked_before_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "config.json").touch()
    (tmp_path / "part").mkdir()
    for cached, online, asked in [
        (tmp_path / "whole", None, [True]),
        (tmp_path / "part", tmp_path / "whole", [True, False]),
        (None, tmp_path / "whole", [True, False]),
    ]:
        library = _Library(cached, online)
        monkeypatch.setattr(hub, "_library", lambda library=library: library)
        assert hub.snapshot("a/b", ["*"], ["config.json"]) == tmp_path / "whole"
        assert library.asked == asked
    for online in (None, tmp_path / "part"):
        library = _Library(tmp_path / "part", online)
        monkeypatch.setattr(hub, "_library", lambda library=library: library)
        with pytest.raises(ModelError, match="cannot download a/b"):
            hub.snapshot("a/b", ["*"], ["config.json"])


def test_why_the_hub_cannot_be_reached_is_said_without_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    class Offline:
        def snapshot_download(self, *_: object, **__: object) -> str:
            raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(hub, "_library", Offline)
    with pytest.raises(
        ModelError, match=r"^cannot download a/b from the Hugging Face Hub \(Name or service not known\)$"
    ):
        hub.snapshot("a/b", ["*"], ["config.json"])
