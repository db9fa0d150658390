from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from earthclip.errors import InputError
from earthclip.evaluation.report import evaluate_model, evaluate_predictions, format_report
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


@dataclass(frozen=True)
class Answer:
    coordinates: np.ndarray


class Reader:
    """A locator whose pictures say in words where they are."""

    def locate(self, pictures: Iterable[str | Path], top_k: int = 5) -> Iterator[Answer]:
        for picture in pictures:
            place = [float(number) for number in Path(picture).read_text().split()]
            yield Answer(np.array([place] * top_k))


@pytest.fixture
def benchmark(tmp_path: Path) -> tuple[Path, Path]:
    images = tmp_path / "images"
    (images / "more").mkdir(parents=True)
    for name, place in {"b.jpg": "0 1", "a.png": "10 10", "dotted.v2.jpeg": "0 0", "more/c.jpg": "0 0"}.items():
        (images / name).write_text(place)
    table = tmp_path / "manifest.csv"
    table.write_text("IMG_ID,LAT,LON\na,10,10\nb.jpg,0,0\ndotted.v2,0,90\nmore/c,0,-180\n")
    return table, images


def test_each_picture_is_compared_with_its_own_place(benchmark: tuple[Path, Path]) -> None:
    report = evaluate_model(Reader(), *benchmark)
    assert report.n == 4
    assert report.accuracy == {"1": 0.25, "25": 0.25, "200": 0.5, "750": 0.5, "2500": 0.5}
    assert report.mean_km == pytest.approx((0 + 1 + 90 + 180) / 180 * np.pi * 6371.0088 / 4)


def test_missing_pictures_are_counted_together(benchmark: tuple[Path, Path]) -> None:
    table, images = benchmark
    (images / "b.jpg").unlink()
    (images / "a.png").unlink()
    with pytest.raises(InputError, match=r"2 of 4 pictures of manifest.csv are not in .*images, e.g. 'a'; --images"):
        evaluate_model(Reader(), table, images)
    with pytest.raises(InputError, match=r"nowhere: expected the folder of the pictures that manifest.csv names"):
        evaluate_model(Reader(), table, images / "nowhere")


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
