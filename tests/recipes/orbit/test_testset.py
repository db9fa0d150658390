"""Test sets on disk: pictures, a manifest that evaluate reads, and nothing of the user's lost."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from earthclip.datasets.rows import read_places
from earthclip.errors import InputError, OutputError
from recipes.orbit.commands import orbit
from recipes.orbit.imagery import imagery, imagery_path
from recipes.orbit.testset import test_cameras as cameras_of  # not a test, whatever its name
from recipes.orbit.testset import write_test_set

SMALL = {"n": 3, "source": "etopo1", "size": 32, "seed": 4, "half_width_km": (300.0, 900.0)}


def test_pictures_and_manifest(tmp_path):
    manifest = read_places(write_test_set(tmp_path / "set", **SMALL))
    assert manifest.ids == ["etopo1_00000.png", "etopo1_00001.png", "etopo1_00002.png"]
    np.testing.assert_allclose(manifest.coordinates, cameras_of(3, 4, (300.0, 900.0)).targets, atol=1e-5)
    with Image.open(tmp_path / "set" / "etopo1_00002.png") as picture:
        assert picture.size == (32, 32)
        assert picture.mode == "RGB"
        assert np.asarray(picture).std() > 3


def test_a_test_set_is_not_overwritten_without_force(tmp_path):
    write_test_set(tmp_path, **SMALL)
    with pytest.raises(OutputError, match="already exists"):
        write_test_set(tmp_path, **SMALL)
    write_test_set(tmp_path, **SMALL, force=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "at least 1, found 0"),
        ({"size": 8}, "16 to 4096"),
        ({"half_width_km": (900.0, 300.0)}, "must rise"),
        ({"source": "bing"}, "unknown imagery 'bing'; known: bmng"),
        ({"source": "stellarium"}, "python -m recipes.orbit fetch stellarium"),
    ],
)
def test_impossible_wishes_are_one_line(tmp_path, monkeypatch, change, message):
    monkeypatch.setenv("EARTHCLIP_HOME", str(tmp_path / "home"))
    with pytest.raises(InputError, match=message):
        write_test_set(tmp_path / "set", **(SMALL | change))
    assert not (tmp_path / "set").exists()


def test_training_imagery_is_found_and_checked():
    assert imagery_path("bmng").name == "bmng.jpg"
    assert imagery("stellarium").role == "test"


def test_the_command_renders(tmp_path):
    result = CliRunner().invoke(orbit, ["render", "--out", str(tmp_path), "-n", "1", "--size", "16"])
    assert result.exit_code == 0, result.output
    assert "1 views of bmng" in result.output
