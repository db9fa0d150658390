"""Small inputs that people have and that were not read once: tests/data/cases."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from earthclip.datasets.check import NO_PHOTO, check
from earthclip.datasets.folder import NO_GPS, NOT_A_PHOTO
from earthclip.datasets.opening import open_photos
from earthclip.datasets.shards import OF_MACOS
from earthclip.evaluation.report import evaluate_predictions
from earthclip.outputs.privacy import examine
from earthclip.pictures.decode import decode_reduced
from earthclip.pictures.metadata import read_metadata
from tests.datasets.making import rows_of, write_table

CASES = Path(__file__).parents[1] / "data" / "cases"


def test_a_shard_packed_on_macos(tmp_path: Path) -> None:
    source = str(CASES / "18-macos-tar-shard" / "apple.tar")
    for cache in (None, tmp_path, tmp_path):
        photos = open_photos(source, cache=cache)
        assert photos.ids == ["a"]
        file = photos.open(0)
        assert isinstance(file, io.BytesIO)
        assert Image.open(file).format == "JPEG"
        assert dict(photos.skipped.counts) == {OF_MACOS: 2}
        assert photos.skipped.examples[OF_MACOS][0].endswith("apple.tar/./._a.jpg")
    report = check(source)
    assert (report.rows, report.usable, report.files) == (1, 1, {})


def test_a_file_name_beside_an_id() -> None:
    table = CASES / "20-id-beside-filename" / "t.csv"
    report = check(str(table))
    assert (report.rows, report.usable, report.exit_code) == (2, 2, 0)
    for strict in (False, True):
        photos = open_photos(str(table), strict=strict)
        assert photos.ids == ["A.jpg", "B.jpg"]
        np.testing.assert_array_equal(photos.coordinates, [[48.85, 2.35], [-33.9, 18.4]])
        assert photos.open(1) == str(table.parent / "images" / "B.jpg")
    assert evaluate_predictions(table, table).mean_km == 0


@pytest.mark.parametrize("decode", [False, True])
def test_bigtiff_is_a_photo(tmp_path: Path, decode: bool) -> None:
    folder = CASES / "25-bigtiff-no-photo"
    assert decode_reduced(folder / "big.tif", None).size == (16, 16)
    assert NOT_A_PHOTO not in check(str(folder)).left_out
    assert check(str(folder)).left_out == {NO_GPS: 1}
    table = write_table(tmp_path / "t.csv", rows_of(["big"]))
    report = check(str(table), images=folder, decode=decode)
    assert (report.usable, report.exit_code, report.files) == (1, 0, {})
    assert NO_PHOTO not in report.files


def test_not_all_metadata_of_bigtiff_is_known() -> None:
    """So that nobody takes it for empty."""
    path = CASES / "25-bigtiff-no-photo" / "big.tif"
    assert read_metadata(path).container == "BigTIFF"
    assert "this program does not know all metadata of this format" in "\n".join(examine(path).lines())
