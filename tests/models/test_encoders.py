"""Encoders against the same arithmetic in NumPy, and graphs that do not fit."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from earthclip.errors import ModelError
from earthclip.models import encoders
from earthclip.models.encoders import Encoder, LocationEncoder
from tests.tiny import SIZE, WIDTH, image_graph, phases_graph, save_graph


def weights(path: Path) -> dict[str, np.ndarray]:
    return {item.name: numpy_helper.to_array(item) for item in onnx.load(path).graph.initializer}


def location_encoder(folder: Path, width: int = WIDTH) -> LocationEncoder:
    return LocationEncoder(folder / "location_phases.onnx", folder / "location_encoder.onnx", width)


def places(n: int) -> np.ndarray:
    return np.random.default_rng(n).uniform((-90, -180), (90, 180), (n, 2))


def test_image_encoder_equals_numpy(tiny_model: Path) -> None:
    path = tiny_model / "image_encoder.onnx"
    pixels = np.random.default_rng(0).normal(size=(3, 3, SIZE, SIZE)).astype(np.float32)
    kernel = weights(path)["kernel16"].astype(np.float32)
    patches = pixels.reshape(3, 3, SIZE // 4, 4, SIZE // 4, 4)
    maps = np.maximum(np.einsum("bcyixj,ocij->boyx", patches, kernel), 0)
    expected = maps.reshape(3, -1) @ weights(path)["weight"]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = Encoder(path, WIDTH).encode(pixels)
    assert found.dtype == np.float32 and np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize("kind", [TensorProto.DOUBLE, TensorProto.FLOAT])
def test_location_encoder_takes_the_graphs_precision(tiny_model: Path, tmp_path: Path, kind: int) -> None:
    phases = tmp_path / "location_phases.onnx"
    save_graph(phases, phases_graph(np.random.default_rng(5), kind))
    coordinates = places(7)
    angles = coordinates @ weights(phases)["frequencies"]
    projected = np.hstack([np.cos(angles), np.sin(angles)]) @ weights(tiny_model / "location_encoder.onnx")["weight"]
    expected = projected / np.linalg.norm(projected, axis=1, keepdims=True)
    found = LocationEncoder(phases, tiny_model / "location_encoder.onnx", WIDTH).encode_location(coordinates)
    assert found.dtype == np.float32 and np.abs(found - expected).max() < 1e-5


def test_chunks_are_seamless_and_progress_is_told(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, coordinates = location_encoder(tiny_model), places(10)
    whole = encoder.encode_location(coordinates)
    monkeypatch.setattr(encoders, "CHUNK", 4)
    told: list[tuple[int, int]] = []
    found = encoder.encode_location(coordinates, lambda done, n: told.append((done, n)))
    assert np.abs(found - whole).max() < 1e-6
    assert told == [(4, 10), (8, 10), (10, 10)]


def test_nothing_in_nothing_out(tiny_model: Path) -> None:
    assert location_encoder(tiny_model).encode_location(np.empty((0, 2))).shape == (0, WIDTH)
    empty = np.empty((0, 3, SIZE, SIZE), np.float32)
    assert Encoder(tiny_model / "image_encoder.onnx", WIDTH).encode(empty).shape == (0, WIDTH)


def test_threads_share_an_encoder(tiny_model: Path) -> None:
    encoder = location_encoder(tiny_model)
    inputs = [places(n) for n in range(50, 58)]
    expected = [encoder.encode_location(item) for item in inputs]
    found: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda i=i, item=item: found.update({i: encoder.encode_location(item)}))
        for i, item in enumerate(inputs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[i], expected[i]) for i in range(len(inputs)))


def test_width_other_than_the_config_says(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match=r"image_encoder\.onnx: gives embeddings of 8 numbers, but config.json has 9"):
        Encoder(tiny_model / "image_encoder.onnx", 9)
    with pytest.raises(ModelError, match=r"8 numbers, but config\.json has 9"):
        location_encoder(tiny_model, 9)


def test_graphs_that_cannot_be_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "image_encoder.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(ModelError, match="not a graph"):
        Encoder(path, WIDTH)
    save_graph(path, image_graph(np.random.default_rng(0), WIDTH, input_name="images"))
    with pytest.raises(ModelError, match=r"expected the input 'pixels'.*found \['images'\]"):
        Encoder(path, WIDTH)
    save_graph(path, image_graph(np.random.default_rng(0), WIDTH))
    with pytest.raises(ModelError, match="the graph failed"):
        Encoder(path, WIDTH).encode(np.zeros((1, 3, 99, 99), np.float32))
    with pytest.raises(ModelError, match="not finite"):
        Encoder(path, WIDTH).encode(np.full((1, 3, SIZE, SIZE), np.nan, np.float32))
    assert capfd.readouterr().err == ""


def test_openvino_gives_the_same_embeddings(tiny_model: Path) -> None:
    phases, encoder = tiny_model / "location_phases.onnx", tiny_model / "location_encoder.onnx"
    spots = np.array([[10.0, 20.0], [-45.0, 170.0], [80.0, -100.0]])
    expected = LocationEncoder(phases, encoder, WIDTH).encode_location(spots)
    fast = LocationEncoder(phases, encoder, WIDTH, runtime="openvino", threads=1)
    assert fast.runtime == "openvino"
    found = fast.encode_location(np.tile(spots, (1000, 1)))
    assert (found * np.tile(expected, (1000, 1))).sum(axis=1).min() > 0.9999
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_the_users_own_subnormals_stay_numbers(tiny_model: Path) -> None:
    # In a process of its own, since only the first session of a process sets the mode.
    code = (
        "import sys; from pathlib import Path; import numpy as np; from earthclip.models.encoders import Encoder; "
        f"Encoder(Path(sys.argv[1]), {WIDTH}, 'pixels'); print((np.float32([1e-38] * 64) * np.float32(0.01) > 0).all())"
    )
    command = [sys.executable, "-c", code, str(tiny_model / "image_encoder.onnx")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True\n"
