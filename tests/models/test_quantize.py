"""int8 takes the place of float32 only when pictures say that it changes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from earthclip.cli import main
from earthclip.errors import ModelError
from earthclip.locator import load
from earthclip.models.folder import open_folder
from earthclip.models.quantize import quantize_image_encoder
from tests.tiny import write_picture


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def rows(cosine: float) -> np.ndarray:
    return np.array([[cosine, np.sqrt(1 - cosine**2)], [1.0, 0.0]], np.float32)


def test_a_faithful_graph_is_kept(model: Path) -> None:
    size = (model / "image_encoder.onnx").stat().st_size
    told: list[str] = []
    config = quantize_image_encoder(open_folder(model), lambda _: rows(1.0), None, force=False, say=told.append)
    assert config.provenance["int8"] == {"pictures": 2, "mean_cosine": 1.0, "lowest_cosine": 1.0}
    assert (model / "image_encoder.onnx").stat().st_size != size
    assert open_folder(model).config == config
    assert told == ["int8: pictures 2, mean_cosine 1.0, lowest_cosine 1.0"]


def test_another_is_refused_unless_forced(model: Path) -> None:
    before = (model / "image_encoder.onnx").read_bytes()
    answers = [rows(1.0), rows(0.9)]
    with pytest.raises(ModelError, match=r"mean cosine 0\.95 on 2 pictures, expected 0\.999 or more"):
        quantize_image_encoder(
            open_folder(model), lambda _: answers.pop(0), lambda r: [0, 1], force=False, say=lambda _: None
        )
    assert (model / "image_encoder.onnx").read_bytes() == before
    assert {path.name for path in model.parent.iterdir()} == {"model"}
    answers = [rows(1.0), rows(0.9)]
    config = quantize_image_encoder(
        open_folder(model), lambda _: answers.pop(0), lambda r: [int(r[0, 0] < 1), 1], force=True, say=lambda _: None
    )
    assert config.provenance["int8"]["top_1_agreement"] == 0.5
    load(model).encode_image([])


def test_pictures_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_picture(tmp_path / "a.png")
    assert main(["pull", "geoclip", "--quantize", "int8"]) == 2
    assert "give --pictures DIR" in capsys.readouterr().err
