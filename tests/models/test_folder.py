"""A model folder that lacks something, or has something of another model's, is found out when it is opened."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest

from earthclip.errors import ModelError
from earthclip.models.config import read_config, write_config
from earthclip.models.folder import gallery_of, open_folder
from tests.tiny import PLACES


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def fault(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        open_folder(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_whole_folder_opens(model: Path) -> None:
    folder = open_folder(model)
    assert folder.config.name == "tiny"
    assert folder.gallery_coordinates().shape == (PLACES, 2)
    assert folder.file("image_encoder.onnx") == model / "image_encoder.onnx"
    with pytest.raises(ModelError, match=r"model 'tiny' has no words \(text_encoder.onnx\)"):
        folder.file("text_encoder.onnx")


@pytest.mark.parametrize("name", ["image_encoder.onnx", "location_phases.onnx", "location_encoder.onnx", "gallery.npy"])
def test_missing_and_truncated_files(model: Path, name: str) -> None:
    size = (model / name).stat().st_size
    (model / name).write_bytes((model / name).read_bytes()[:-1])
    assert f"{name}: expected {size:,} bytes, found {size - 1:,}" in fault(model)
    (model / name).unlink()
    assert f"{name}: missing from the model (expected {size:,} bytes)" in fault(model)


def test_files_that_belong_together(model: Path) -> None:
    (model / "text_encoder.onnx").write_bytes(b"x")
    assert "text_encoder.onnx: not listed in config.json" in fault(model)
    (model / "text_encoder.onnx").unlink()
    phases = (model / "location_phases.onnx").read_bytes()
    (model / "location_phases.onnx").unlink()
    write_config(model, read_config(model))
    assert "needs location_phases.onnx and location_encoder.onnx together" in fault(model)
    (model / "location_phases.onnx").write_bytes(phases)
    (model / "tokenizer.json").write_bytes(b"x")
    write_config(model, read_config(model))
    assert "locating texts needs text_encoder.onnx, tokenizer.json and words in config.json" in fault(model)


def test_not_a_folder(tmp_path: Path) -> None:
    assert "found nothing" in fault(tmp_path / "nope")
    (tmp_path / "file").touch()
    assert "found a file" in fault(tmp_path / "file")
    assert "config.json" in fault(tmp_path)


@pytest.mark.parametrize(
    ("gallery", "expected"),
    [
        (np.zeros((3, 2), np.float32), "expected float64 [m, 2] with m at least 1, found float32 [3, 2]"),
        (np.zeros((3, 3)), "found float64 [3, 3]"),
        (np.zeros((0, 2)), "found float64 [0, 2]"),
        (np.array([[0.0, 0.0], [120.0, 30.0]]), "row 1"),
        (np.array([[np.nan, 0.0]]), "row 0"),
        (np.array([["a", "b"]], dtype=object), "not a NumPy array"),
        (b"no array", "not a NumPy array"),
    ],
)
def test_galleries_that_are_none(model: Path, gallery: np.ndarray | bytes, expected: str) -> None:
    if isinstance(gallery, bytes):
        (model / "gallery.npy").write_bytes(gallery)
    else:
        buffer = io.BytesIO()
        np.save(buffer, gallery, allow_pickle=True)
        (model / "gallery.npy").write_bytes(buffer.getvalue())
    write_config(model, read_config(model))
    text = fault(model)
    assert "gallery.npy" in text and expected in text


def test_a_published_gallery_is_a_table_of_places() -> None:
    assert gallery_of(b"\xef\xbb\xbfLAT,LON\r\n1,2\r\n-90,180\r\n", "g.csv").tolist() == [[1.0, 2.0], [-90.0, -180.0]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"LAT,LON\n", "g.csv: no rows; expected at least one place"),
        (b"", "g.csv: empty; expected a header"),
        (b"LAT,X\n1,2\n", "g.csv: no column of a longitude"),
        (b"LAT,LON\n1,north\n", "g.csv, line 2: LON must be a number of degrees, found 'north'"),
        (b"LAT,LON\n1\n", "g.csv, line 2: expected 2 values as in the header, found 1"),
        (b"LAT,LON\n91,2\n", "g.csv, line 2: latitude 91, longitude 2: "),
        (b"LAT,LON\n\xff,2\n", "g.csv: not UTF-8 text"),
    ],
)
def test_a_published_gallery_at_fault_is_told(content: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=r"; or download the table again$") as caught:
        gallery_of(content, "g.csv")
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)
