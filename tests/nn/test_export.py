"""Exported graphs against torch, at several batch sizes, and the model folder they stand in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from earthclip.errors import OutputError
from earthclip.locating.locator import load
from earthclip.models.config import ModelConfig, Preprocessing
from earthclip.nn.export import export_model
from earthclip.nn.geoclip import GeoCLIP, GeoCLIPConfig
from earthclip.nn.image_encoder import CompactEncoderConfig
from earthclip.nn.location_encoder import LocationEncoderConfig

PLACES = np.array([[0.0, 0.0], [48.85, 2.35], [-33.9, 151.2], [71.0, -179.9], [-59.0, 179.9]])
CONFIG = ModelConfig(
    name="tiny",
    embedding_size=12,
    logit_scale=2.0,
    preprocessing=Preprocessing(16, (0.4,) * 3, (0.25,) * 3),
    prior="five places",
    licence="MIT",
)


def test_features_of_the_sphere_are_exported_too(tmp_path):
    location = LocationEncoderConfig((1.0, 16.0), 8, 12, 2, position="sphere")
    image = CompactEncoderConfig(image_size=16, stem=4, channels=(4, 6), blocks=(1, 1), reduced=4)
    model = GeoCLIP.from_config(GeoCLIPConfig(12, image, location)).eval()
    export_model(model, CONFIG, PLACES, tmp_path / "sphere")
    with torch.no_grad():
        expected = model.encode_location(torch.from_numpy(PLACES).float()).numpy()
    np.testing.assert_allclose(load(tmp_path / "sphere").encode_location(PLACES), expected, atol=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the exporter's own making
def test_graphs_equal_torch_at_any_batch_size(tiny, tmp_path):
    export_model(tiny, CONFIG, PLACES, tmp_path / "tiny")
    check_graphs(tiny, tiny.image_encoder, tmp_path / "tiny", 16)


def check_graphs(model: GeoCLIP, encoder: torch.nn.Module, folder: Path, size: int) -> None:
    image = onnxruntime.InferenceSession(folder / "image_encoder.onnx", providers=["CPUExecutionProvider"])
    for n in (1, 3, 8):
        pixels = torch.randn(n, 3, size, size)
        with torch.no_grad():
            expected = torch.nn.functional.normalize(encoder(pixels), dim=1).numpy()
        found = image.run(["embedding"], {"pixels": pixels.numpy()})[0]
        np.testing.assert_allclose(found, expected, atol=1e-4)
    locator = load(folder)
    with torch.no_grad():
        expected = model.encode_location(torch.from_numpy(PLACES).float()).numpy()
    for n in (1, 5):
        np.testing.assert_allclose(locator.encode_location(PLACES[:n]), expected[:n], atol=1e-4)


def test_a_folder_of_other_things_is_not_replaced(tiny, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds other files than a model's; choose another folder"):
        export_model(tiny, CONFIG, PLACES, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_model_that_is_replaced_keeps_its_card_alone(tiny, tmp_path):
    folder = tmp_path / "tiny"
    export_model(tiny, CONFIG, PLACES, folder)
    (folder / "README.md").write_text("card")
    (folder / "image_encoder.int8.onnx").write_bytes(b"of the model before")
    export_model(tiny, CONFIG, PLACES, folder)
    assert (folder / "README.md").read_text() == "card"
    assert not (folder / "image_encoder.int8.onnx").exists()


def test_half_precision_halves_the_file_and_hardly_moves_embeddings(tiny, tmp_path):
    pixels = np.random.default_rng(0).random((4, 3, 16, 16), dtype=np.float32)
    before = {name: tensor.clone() for name, tensor in tiny.state_dict().items()}
    export_model(tiny, CONFIG, PLACES, tmp_path / "half", half=True)
    export_model(tiny, CONFIG, PLACES, tmp_path / "full")
    assert all(torch.equal(tensor, before[name]) for name, tensor in tiny.state_dict().items())
    graph = onnx.load(tmp_path / "half" / "location_encoder.onnx").graph
    kinds = [tensor.data_type for tensor in graph.initializer if np.prod(tensor.dims) >= 1024]
    assert set(kinds) == {onnx.TensorProto.FLOAT16}
    half, full = (
        onnxruntime.InferenceSession(tmp_path / name / "image_encoder.onnx").run(None, {"pixels": pixels})[0]
        for name in ("half", "full")
    )
    assert (half * full).sum(axis=1).min() > 0.99999
