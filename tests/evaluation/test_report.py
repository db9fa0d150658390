from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from earthclip.datasets.opening import open_photos
from earthclip.datasets.photos import StoredPhotos
from earthclip.errors import InputError
from earthclip.evaluation.report import evaluate_predictions, format_report
from earthclip.metrics import Report

IM2GPS3K = Path(__file__).parents[1] / "data" / "im2gps3k"


def test_isns_on_im2gps3k_as_published() -> None:
    report = evaluate_predictions(IM2GPS3K / "isns_predictions.csv", IM2GPS3K / "im2gps3k_coordinates.csv")
    assert report.n == 2997
    assert [round(100 * share, 1) for share in report.accuracy.values()] == [10.5, 28.0, 36.6, 49.7, 66.0]
    assert round(report.median_km, 1) == 785.5
    assert round(report.mean_km) == 3223
    assert round(report.geoscore) == 2656


def test_a_truncated_table_of_predictions_is_counted(tmp_path: Path) -> None:
    lines = (IM2GPS3K / "isns_predictions.csv").read_text().splitlines()
    short = tmp_path / "short.csv"
    short.write_text("\n".join(lines[:-12]))
    with pytest.raises(InputError, match=r"12 of 2997 ids of im2gps3k_coordinates.csv have no prediction in short.csv"):
        evaluate_predictions(short, IM2GPS3K / "im2gps3k_coordinates.csv")


def strict(table: Path, images: Path | None = None) -> StoredPhotos:
    return open_photos(str(table), images=images, strict=True)


@pytest.fixture
def benchmark(tmp_path: Path) -> tuple[Path, Path]:
    images = tmp_path / "pictures"
    (images / "more").mkdir(parents=True)
    for name in ("b.jpg", "a.png", "dotted.v2.jpeg", "more/c.jpg"):
        (images / name).touch()
    table = tmp_path / "manifest.csv"
    table.write_text("IMG_ID,LAT,LON\na,10,10\nb.jpg,0,0\ndotted.v2,0,90\nmore/c,0,-180\n")
    return table, images


def test_pictures_of_a_manifest_are_found_by_their_ids(benchmark: tuple[Path, Path]) -> None:
    photos = strict(*benchmark)
    names = ["a.png", "b.jpg", "dotted.v2.jpeg", "more/c.jpg"]
    assert [Path(str(photos.open(i))) for i in range(4)] == [benchmark[1] / name for name in names]
    assert photos.ids == ["a", "b.jpg", "dotted.v2", "more/c"]
    assert photos.coordinates.tolist() == [[10, 10], [0, 0], [0, 90], [0, -180]]
    assert photos.name == "manifest.csv"


def test_where_pictures_are_without_a_folder_named(benchmark: tuple[Path, Path]) -> None:
    table, images = benchmark
    with pytest.raises(InputError, match=r"4 of 4 pictures of manifest.csv are not in"):
        strict(table)
    images.rename(table.parent / "images")
    assert Path(str(strict(table).open(0))) == table.parent / "images" / "a.png"


def test_missing_pictures_are_counted_together(benchmark: tuple[Path, Path]) -> None:
    table, images = benchmark
    (images / "b.jpg").unlink()
    (images / "a.png").unlink()
    with pytest.raises(InputError, match=r"2 of 4 pictures of manifest.csv are not in .*pictures, e.g. 'a'; --images"):
        strict(table, images)
    with pytest.raises(InputError, match=r"nowhere: expected the folder of the photos of manifest.csv, found none"):
        strict(table, images / "nowhere")


def test_formats() -> None:
    report = Report.from_errors(np.array([0.5, 12.0, 1800.0, 9000.0]))
    assert format_report(report, "table").splitlines() == [
        "pictures              4",
        "within 1 km        25.0 %",
        "within 25 km       50.0 %",
        "within 200 km      50.0 %",
        "within 750 km      50.0 %",
        "within 2,500 km    75.0 %",
        "median            906.0 km",
        "mean            2,703.1 km",
        "GeoScore          2,867 of 5,000",
    ]
    assert json.loads(format_report(report, "json"))["accuracy"]["2500"] == 0.75
