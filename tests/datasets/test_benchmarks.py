"""Every benchmark in the layouts it is found in, small."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from earthclip.datasets.benchmarks import BENCHMARKS, find_benchmark
from earthclip.datasets.opening import open_photos, scan
from earthclip.datasets.rows import NO_FILE
from earthclip.errors import InputError
from tests.datasets.making import PLACES, rows_of, write_photos, write_table

IM2GPS3K = Path(__file__).parents[1] / "data" / "im2gps3k" / "im2gps3k_coordinates.csv"
DOCS = Path(__file__).parents[2] / "docs" / "data.md"
SCENES = "S3_Label,S16_Label,S365_Label,Prob_indoor,Prob_natural,Prob_urban"
OSV = (
    "id,latitude,longitude,thumb_original_url,country,sequence,captured_at,lon_bin,lat_bin,region,city,creator_username"
)


def geo_estimation(path: Path, names: list[str], header: str = "IMG_ID,AUTHOR,LAT,LON") -> Path:
    """A table as TIBHannover/GeoEstimation publishes them."""
    rows = [
        [name, f"{i % 2}@N00", latitude, longitude, 2, 12, 353, 0.25, 0.05, 0.7]
        for i, (name, latitude, longitude) in enumerate(rows_of(names))
    ]
    return write_table(path, rows, f"{header},{SCENES}")


def osv(path: Path, ids: list[str]) -> Path:
    rows = [[*row, "", "NO", "x", 0, 3, 4, "Oslo", "Oslo", f"user{i}"] for i, row in enumerate(rows_of(ids))]
    return write_table(path, rows, OSV)


MP16_IDS = ["34/8d/905.jpg", "ab/cd/12.jpg"]
FLICKR_IDS = ["1000_e6_1125_788@N00.jpg", "Tokyo_00070_4@N00.jpg"]


@pytest.mark.parametrize(
    ("name", "table", "ids", "place"),
    [
        ("mp16", "mp16_places365.csv", MP16_IDS, "images/mp16/{path}"),
        ("mp16", "mp16_places365.csv", MP16_IDS, "images/{flattened}"),
        ("mp16", "mp16_places365.csv", MP16_IDS, "{last}"),
        ("mp16", "MP16_Pro_places365.csv", ["34_8d_905.jpg", "ab_cd_12.jpg"], "mp16/{path}"),
        ("im2gps", "im2gps_places365.csv", FLICKR_IDS, "images/im2gps/{last}"),
        ("im2gps", "im2gps_places365.csv", FLICKR_IDS, "gps_query_imgs/{last}"),
        ("im2gps3k", "im2gps3k_places365.csv", FLICKR_IDS, "im2gps3ktest/{last}"),
        ("im2gps3k", "im2gps3k_places365.csv", FLICKR_IDS, "{last}"),
        ("yfcc26k", "yfcc25600_places365.csv", MP16_IDS, "images/yfcc25600/{path}"),
        ("yfcc4k", "yfcc4k_places365.csv", ["10201275523.jpg", "3.jpg"], "yfcc4k/{last}"),
    ],
)
def test_tables_of_geo_estimation(tmp_path: Path, name: str, table: str, ids: list[str], place: str) -> None:
    files = []
    for identity in ids:
        path = re.sub("^(..)_(..)_", r"\1/\2/", identity)
        files.append(place.format(path=path, flattened=path.replace("/", "_"), last=path.rpartition("/")[2]))
    geo_estimation(tmp_path / table, ids)
    write_photos(tmp_path, files)
    photos = open_photos(f"{name}:{tmp_path}")
    assert photos.ids == ids
    assert photos.authors == [f"{i % 2}@N00" for i in range(len(ids))]
    np.testing.assert_array_equal(photos.coordinates, PLACES[: len(ids)])
    assert [Path(str(photos.open(i))).relative_to(tmp_path).as_posix() for i in range(len(ids))] == files
    assert scan(f"{name}:{tmp_path}").expected == BENCHMARKS[name].photos


def test_yfcc4k_with_the_columns_of_yfcc100m(tmp_path: Path) -> None:
    rows = [["10201275523.jpg", "7@N00", "x", 48.5, 2.5], ["3.jpg", "8@N00", "y", -3.5, 100.5]]
    write_table(tmp_path / "yfcc4k.csv", rows, "IMG_ID,OwnerNSID,Title,LAT,LON")
    write_photos(tmp_path / "images", ["10201275523.jpg", "3.jpg"])
    photos = open_photos(f"yfcc4k:{tmp_path}")
    assert photos.authors == ["7@N00", "8@N00"]
    np.testing.assert_array_equal(photos.coordinates, [[48.5, 2.5], [-3.5, 100.5]])


def test_gws15k_with_and_without_its_photos(tmp_path: Path) -> None:
    write_table(tmp_path / "gws15k.csv", rows_of(["gsv_0.jpg", "gsv_2.jpg"]), "path,lat,lon")
    with pytest.raises(InputError, match="no usable photo; 2 left out: 2 without a file"):
        open_photos(f"gws15k:{tmp_path}")
    assert scan(f"gws15k:{tmp_path}").rows == 2
    write_photos(tmp_path / "gws15k", ["gsv_0.jpg"])
    photos = open_photos(f"gws15k:{tmp_path}")
    assert photos.ids == ["gsv_0.jpg"]
    assert dict(photos.skipped.counts) == {NO_FILE: 1}


@pytest.mark.parametrize(
    ("split", "table", "files"),
    [
        ("", "test.csv", ["images/test/00/385.jpg", "images/test/04/123.jpg"]),
        ("", "test/test.csv", ["test/test/385.jpg", "test/test/123.jpg"]),
        ("@train", "train.csv", ["images/train/00/385.jpg", "images/train/97/123.jpg"]),
    ],
)
def test_osv5m(tmp_path: Path, split: str, table: str, files: list[str]) -> None:
    osv(tmp_path / table, ["385", "123"])
    write_photos(tmp_path, [*files, "images/elsewhere/00/9.jpg"])
    photos = open_photos(f"osv5m:{tmp_path}{split}")
    assert photos.ids == ["385", "123"]
    assert photos.authors == ["user0", "user1"]
    assert [Path(str(photos.open(i))).relative_to(tmp_path).as_posix() for i in range(2)] == files
    assert scan(f"osv5m:{tmp_path}{split}").expected == (4_894_685 if split else 210_122)


def test_photos_may_be_elsewhere(tmp_path: Path) -> None:
    geo_estimation(tmp_path / "meta" / "im2gps_places365.csv", ["a.jpg"])
    write_photos(tmp_path / "photos", ["a.jpg"])
    photos = open_photos(f"im2gps:{tmp_path / 'meta'}", images=tmp_path / "photos")
    assert photos.open(0) == str(tmp_path / "photos" / "a.jpg")


def test_the_real_coordinates_of_im2gps3k(tmp_path: Path) -> None:
    text = IM2GPS3K.read_text()
    (tmp_path / "im2gps3k_places365.csv").write_text(text)
    ids = [row["IMG_ID"] for row in csv.DictReader(text.splitlines())]
    (tmp_path / "images").mkdir()
    for name in ids:
        (tmp_path / "images" / name).touch()
    found = scan(f"im2gps3k:{tmp_path}")
    assert found.rows == found.expected == len(found.photos) == 2997
    assert found.swapped is None
    assert not found.photos.skipped
    assert found.photos.ids == ids


def test_the_swapped_copy_of_im2gps3k_is_refused(tmp_path: Path) -> None:
    text = IM2GPS3K.read_text().replace("LAT,LON", "LON,LAT", 1)
    (tmp_path / "im2gps3k_places365.csv").write_text(text)
    with pytest.raises(InputError, match=r"latitude and longitude are swapped .* swap the two names in the header"):
        open_photos(f"im2gps3k:{tmp_path}")


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_what_is_missing_says_where_it_comes_from(tmp_path: Path, name: str) -> None:
    benchmark, at, split = BENCHMARKS[name], *name.partition("@")[1:]
    source = f"{name.partition('@')[0]}:{{}}{at}{split}"
    with pytest.raises(InputError, match="no such folder; expected") as caught:
        open_photos(source.format(tmp_path / "nowhere"))
    assert benchmark.address in str(caught.value)
    with pytest.raises(InputError, match=f"expected {benchmark.tables[0]} or {benchmark.tables[1]} of"):
        open_photos(source.format(tmp_path))


def test_the_documentation_has_every_benchmark() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for name, benchmark in BENCHMARKS.items():
        assert f"`{name.replace('@', ':DIR@') if '@' in name else f'{name}:DIR'}`" in text
        assert benchmark.tables[0] in text
        assert benchmark.photos is None or f"{benchmark.photos:,}" in text
        for address in re.findall(r"https?://[^ ]+", benchmark.address):
            assert address in text


def test_names_that_are_no_benchmark() -> None:
    assert find_benchmark("C:\\photos") is None
    assert find_benchmark("mp16:") is None
    assert find_benchmark("mp16") is None
    assert find_benchmark("osv5m:data@train") == (BENCHMARKS["osv5m@train"], Path("data"))
    assert find_benchmark("im2gps:data@train") == (BENCHMARKS["im2gps"], Path("data@train"))
