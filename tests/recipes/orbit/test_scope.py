"""The head that tells views from above: crops of photos, the layers it takes over, and its graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from earthclip.errors import ModelError
from earthclip.models.config import IMAGE_ENCODER
from earthclip.models.encoders import ScopeHead as Running
from earthclip.models.sources import resolve
from earthclip.nn.export import export_graph
from recipes.orbit.photos import Photos, _unpack_resources, photo_crops, read_photos
from recipes.orbit.scope import ScopeHead, start_from
from tests.tiny import write_tiny_model


def test_packages_have_a_role_and_a_licence() -> None:
    packages = read_photos()
    assert {photos.role for photos in packages} == {"training", "validation", "test"}
    assert all(photos.licence and photos.version and photos.folders for photos in packages)
    assert len({photos.package for photos in packages}) == len(packages)


def test_crops_leave_out_what_may_be_the_earth_and_follow_the_seed(tmp_path: Path) -> None:
    folder = tmp_path / "usr" / "photos"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("cat.png", "dog.png", "earth.png"):
        Image.fromarray(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)).save(folder / name)
    (folder / "broken.png").write_bytes(b"x" * 9000)
    photos = Photos("some", "1", "test", "photos", "MIT", ("usr/photos",), most=10, crops=3)
    crops, again = (photo_crops(photos, tmp_path, 32, np.random.default_rng(1)) for _ in range(2))
    assert crops.shape == (6, 32, 32, 3) and np.array_equal(crops, again)


def test_pictures_inside_qt_resources_are_unpacked(tmp_path: Path) -> None:
    png, text = b"\x89PNG and so on", b"no picture"
    data = b"".join(len(part).to_bytes(4) + part for part in (text, png))
    header = b"qres" + b"".join(number.to_bytes(4) for number in (3, 24 + len(data), 24, 24 + len(data), 0))
    (tmp_path / "some.rcc").write_bytes(header + data + b"names and tree")
    _unpack_resources(tmp_path / "some.rcc")
    (picture,) = tmp_path.glob("*.png")
    assert picture.read_bytes() == png and len(list(tmp_path.iterdir())) == 2


def test_the_graph_gives_what_the_head_gives(tmp_path: Path) -> None:
    torch.manual_seed(0)
    head = ScopeHead()
    encoder = onnx.load(resolve("orbit").file(IMAGE_ENCODER))
    start_from(head, encoder)
    head.eval()
    export_graph(head, torch.zeros(2, 3, 80, 80), "pixels", "scope", tmp_path / "scope.onnx")
    pixels = np.random.default_rng(0).normal(size=(3, 1, 3, 80, 80)).astype(np.float32)
    with torch.no_grad():
        expected = head(torch.tensor(pixels[:, 0]))[:, 0].numpy()
    np.testing.assert_allclose(Running(tmp_path / "scope.onnx").scopes(pixels), expected, atol=1e-4)


def test_another_network_is_refused(tmp_path: Path) -> None:
    encoder = onnx.load(write_tiny_model(tmp_path / "tiny") / "image_encoder.onnx")
    with pytest.raises(ModelError, match="not orbit's compact network"):
        start_from(ScopeHead(), encoder)
