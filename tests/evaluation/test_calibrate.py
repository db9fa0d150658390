"""``earthclip model calibrate`` on a tiny model: what it writes is read back, its figures of pictures not fitted on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from earthclip.cli import cli
from earthclip.errors import InputError
from earthclip.locating.locator import load
from earthclip.models.config import read_config
from tests.tiny import write_picture, write_tiny_model

N = 32


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A manifest of pictures, each taken where the tiny model thinks it was, or near there."""
    model = load(write_tiny_model(tmp_path / "tiny"))
    folder = tmp_path / "photos"
    folder.mkdir()
    files = [write_picture(folder / f"{index}.png", seed=index) for index in range(N)]
    rows = ["IMG_ID,LAT,LON"]
    for file, answer in zip(files, model.locate(files, top_k=3), strict=True):
        latitude, longitude = answer.coordinates[len(rows) % 3]
        rows.append(f"{file.name},{latitude:.4f},{longitude:.4f}")
    (folder / "manifest.csv").write_text("\n".join(rows))
    return folder / "manifest.csv"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["model", "calibrate", *map(str, arguments)])


def test_a_calibration_is_fitted_written_and_used(pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    tried = run(folder, pictures, "--dry-run")
    assert tried.exit_code == 0, tried.exception
    assert read_config(folder).calibration is None
    done = run(folder, pictures, "--images", pictures.parent)
    assert done.exit_code == 0, done.exception
    assert done.stdout == tried.stdout
    config = read_config(folder)
    assert config.calibration is not None
    assert 0.1 <= config.temperature < 1.0  # it knew better than it said
    assert done.stdout.startswith(f"temperature {config.temperature:g}; probability that a region must hold: ")
    assert sorted(config.calibration.conformal) == ["0.5", "0.9"]
    measured = config.calibration.measured
    assert measured["pictures"] == f"{N} of manifest.csv"
    assert measured["before"]["n"] == measured["after"]["n"] == N
    assert measured["after"]["loss"] <= measured["before"]["loss"]
    assert json.loads((folder / "config.json").read_text())["calibration"]["measured"] == measured
    (answer,) = load(folder).locate([pictures.parent / "0.png"], top_k=1)
    assert answer.probabilities[0] <= 1.0 and np.isfinite(answer.probabilities).all()


def test_too_few_pictures_are_refused(pictures: Path, tmp_path: Path) -> None:
    few = pictures.with_name("few.csv")
    few.write_text("\n".join(pictures.read_text().splitlines()[:11]))
    result = run(tmp_path / "tiny", few)
    assert isinstance(result.exception, InputError)
    assert "10 pictures are too few to calibrate on; give at least 30, better 500" in str(result.exception)


def test_missing_pictures_are_counted(pictures: Path, tmp_path: Path) -> None:
    (pictures.parent / "3.png").unlink()
    result = run(tmp_path / "tiny", pictures)
    assert isinstance(result.exception, InputError)
    assert f"1 of {N} pictures" in str(result.exception)
