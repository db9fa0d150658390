"""``earthclip model calibrate`` on a tiny model: what it writes is read back, its figures of pictures not fitted on."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from earthclip.cli import cli
from earthclip.errors import InputError, OutputError
from earthclip.locating.locator import load
from earthclip.models.config import Calibration, read_config, write_config
from tests.tiny import write_picture, write_tiny_model

N = 32


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A manifest of pictures, each taken where the tiny model thinks it was, or near there."""
    model = load(write_tiny_model(tmp_path / "tiny"))
    folder = tmp_path / "photos"
    folder.mkdir()
    files = [write_picture(folder / f"{index}.png", seed=index) for index in range(N)]
    rows = ["IMG_ID,LAT,LON,KIND,SIZE,AUTHOR"]
    for index, (file, answer) in enumerate(zip(files, model.locate(files, top_k=3), strict=True)):
        latitude, longitude = answer.coordinates[len(rows) % 3]
        rows.append(f"{file.name},{latitude:.4f},{longitude:.4f},{'ab'[index % 2]},{index},x{index % 5}")
    (folder / "manifest.csv").write_text("\n".join(rows))
    return folder / "manifest.csv"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["model", "calibrate", *map(str, arguments)])


def test_a_calibration_is_fitted_written_and_used(pictures: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "tiny", tmp_path / "calibrated"
    tried = run(folder, pictures, "--dry-run", "--by", "KIND")
    assert tried.exit_code == 0, tried.exception
    done = run(folder, pictures, "--images", pictures.parent, "--out", out, "--by", "KIND")
    assert done.exit_code == 0, done.exception
    assert done.stdout == tried.stdout
    assert read_config(folder).calibration is None  # the model itself stays as it was
    config = read_config(out)
    assert config.files == read_config(folder).files
    assert config.calibration is not None
    assert 0.1 <= config.temperature < 1.0  # it knew better than it said
    assert done.stdout.startswith(f"temperature {config.temperature:g}; 1 bin of confidence\n")
    assert [line.split()[:2] for line in done.stdout.splitlines()[-2:]] == [["a", "16"], ["b", "16"]]
    assert sorted(config.calibration.conformal) == ["0.5", "0.9"] and config.calibration.bins is None
    measured = config.calibration.measured
    assert measured["pictures"] == f"{N} of manifest.csv"
    assert measured["before"]["n"] == measured["after"]["n"] == N
    assert measured["after"]["loss"] <= measured["before"]["loss"]
    assert set(measured["by KIND"]) == {"a", "b"}
    assert json.loads((out / "config.json").read_text())["calibration"]["measured"] == measured
    (answer,) = load(out).locate([pictures.parent / "0.png"], top_k=1)
    assert answer.probabilities[0] <= 1.0 and np.isfinite(answer.probabilities).all()


def test_what_is_written_where(pictures: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "tiny", tmp_path / "out"
    missing = run(folder, pictures)
    assert isinstance(missing.exception, InputError) and "--out DIR, or --dry-run" in str(missing.exception)
    itself = run(folder, pictures, "--out", folder, "--force")
    assert isinstance(itself.exception, InputError) and "is the folder of the model itself" in str(itself.exception)
    assert run(folder, pictures, "--out", out).exit_code == 0
    assert isinstance(run(folder, pictures, "--out", out).exception, OutputError)
    again = run(folder, pictures, pictures, "--out", out, "--force")
    assert again.exit_code == 0, again.exception
    assert re.search(
        r"^photos/manifest.csv +64 ", again.stdout, re.MULTILINE
    )  # reported by manifest, without the whole path
    assert (
        read_config(out).calibration.measured["pictures"]
        == f"{N} of photos/manifest.csv and {N} of photos/manifest.csv"
    )  # type: ignore[union-attr]


def test_numbers_are_reported_in_ranges(pictures: Path, tmp_path: Path) -> None:
    done = run(tmp_path / "tiny", pictures, "--dry-run", "--by", "SIZE")
    assert done.exit_code == 0, done.exception
    names = [line.split("  ")[0] for line in done.stdout.splitlines()[-4:]]
    assert names == ["0 to 7.75", "7.75 to 15.5", "15.5 to 23.25", "23.25 to 31"]
    assert "different values; expected numbers" in str(
        run(tmp_path / "tiny", pictures, "--by", "IMG_ID", "--dry-run").exception
    )
    lacking = run(tmp_path / "tiny", pictures, "--by", "WIDTH", "--dry-run")
    assert isinstance(lacking.exception, InputError) and "no column 'WIDTH'" in str(lacking.exception)


def test_a_fit_that_makes_it_worse_is_refused(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from earthclip.evaluation import fitting

    monkeypatch.setattr(fitting, "conformal_masses", lambda before: {"0.5": 1.0, "0.9": 1.0})
    folder = tmp_path / "tiny"
    good = Calibration({"0.5": 0.5, "0.9": 0.9})
    write_config(folder, dataclasses.replace(read_config(folder), calibration=good))
    done = run(folder, pictures, "--out", tmp_path / "out")
    assert isinstance(done.exception, InputError)
    assert "not written: the fit makes the regions worse" in str(done.exception)
    assert not (tmp_path / "out").exists()
    assert "regions off their promise" in done.stdout


def test_one_author_is_told(pictures: Path, tmp_path: Path) -> None:
    text = pictures.read_text()
    pictures.write_text(
        "\n".join(line.rpartition(",")[0] + ",x" if index else line for index, line in enumerate(text.splitlines()))
    )
    done = run(tmp_path / "tiny", pictures, "--dry-run")
    assert done.exit_code == 0, done.exception
    assert "warning: all pictures are by one author" in done.stderr


def test_too_few_pictures_are_refused(pictures: Path, tmp_path: Path) -> None:
    few = pictures.with_name("few.csv")
    few.write_text("\n".join(pictures.read_text().splitlines()[:11]))
    result = run(tmp_path / "tiny", few, "--dry-run")
    assert isinstance(result.exception, InputError)
    assert "10 pictures are too few to calibrate on; give at least 30, better 500" in str(result.exception)


def test_missing_pictures_are_counted(pictures: Path, tmp_path: Path) -> None:
    (pictures.parent / "3.png").unlink()
    result = run(tmp_path / "tiny", pictures, "--dry-run")
    assert isinstance(result.exception, InputError)
    assert f"1 of {N} pictures" in str(result.exception)
