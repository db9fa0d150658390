"""Heat maps as GDAL reads them, and as a picture."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from earthclip.errors import InputError, MissingExtraError, OutputError
from earthclip.outputs.heat_map import check_heat_map, write_heat_map
from tests.locating.posteriors import hill, lattice, predicted
from tests.outputs.answers import full

ANSWER = predicted(hill(lattice(200.0), (40.0, -100.0), 500.0), "photo.jpg")


def test_gdal_opens_a_cloud_optimised_grid_that_sums_to_1(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    path = tmp_path / "out.tif"
    write_heat_map(ANSWER, path, 1200)
    with rasterio.open(path) as file:
        assert (file.width, file.height, file.count) == (1200, 600, 1) and file.dtypes == ("float32",)
        assert file.crs.to_epsg() == 4326 and file.bounds == (-180.0, -90.0, 180.0, 90.0)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG" and file.overviews(1)
        grid = file.read(1).astype(np.float64)
        assert grid.sum() == pytest.approx(1, abs=0.01)
        row, column = file.index(-100.0, 40.0)
        assert grid[row, column] > 0.7 * grid.max() and grid[0, 0] == 0.0
    assert [left.name for left in tmp_path.iterdir()] == ["out.tif"]


def test_a_picture_is_coloured_where_it_is_likely_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    write_heat_map(ANSWER, path, 720)
    with Image.open(path) as image:
        assert image.width == 720 and image.height > 360  # the legend is below
        red, green, blue = np.asarray(image.convert("RGB"), np.int64).transpose(2, 0, 1)
    warm = (red > green + 30) & (red > blue + 30)
    assert warm[100, 160] and warm[100, 150:170].all()
    assert not warm[:360, 300:].any() and not warm[200:360].any()
    assert warm[360:].any()


@pytest.mark.parametrize(
    ("name", "width", "error", "says"),
    [
        ("out.tif", 44_722, InputError, "is 1,000,028,642 pixels; choose a width of up to 31,622"),
        ("out.png", 12_000, InputError, "a PNG may be 10,000 pixels wide, found 12,000"),
        ("out.tif", 7, InputError, "is 7 pixels wide; expected an even number"),
        ("out.jpg", 100, OutputError, "expected a name that ends in .tif, .tiff, .png"),
        ("there.tif", 100, OutputError, "already exists"),
    ],
)
def test_what_cannot_be_written_is_one_line(
    tmp_path: Path, name: str, width: int, error: type[Exception], says: str
) -> None:
    (tmp_path / "there.tif").touch()
    with pytest.raises(error) as raised:
        write_heat_map(ANSWER, tmp_path / name, width)
    assert says in str(raised.value) and "\n" not in str(raised.value)
    assert [left.name for left in tmp_path.iterdir()] == ["there.tif"]


def test_an_answer_that_was_read_back_has_no_heat_map(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="locate the picture again"):
        write_heat_map(full(scorer=None), tmp_path / "out.png")


def test_without_rasterio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'earthclip\[geo\]'"):
        check_heat_map(tmp_path / "out.tif")
    check_heat_map(tmp_path / "out.png")
