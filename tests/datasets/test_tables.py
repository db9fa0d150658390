from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earthclip.datasets.opening import open_photos
from earthclip.datasets.rows import (
    NO_FILE,
    NO_ID,
    NO_PLACE,
    NOT_NUMBERS,
    NULL_ISLAND,
    OFF_EARTH,
    SEEN_BEFORE,
    SEEN_ELSEWHERE,
)
from earthclip.datasets.tables import TOO_SHORT, FilesById, read_rows
from earthclip.errors import InputError
from tests.datasets.making import PLACES, rows_of, write_photos, write_table


def test_a_table_and_its_folder(tmp_path: Path) -> None:
    names = ["a.jpg", "b", "sub/c.jpeg", "d.jpg"]
    images = write_photos(tmp_path / "pictures", ["a.jpg", "b.png", "sub/c.jpeg", "d.PNG"])
    table = write_table(tmp_path / "t.csv", [[*row, f"by {i}", ""] for i, row in enumerate(rows_of(names))])
    table.write_text(table.read_text().replace("IMG_ID,LAT,LON", "\ufefffilename,Latitude,LNG,Author,note"))
    photos = open_photos(str(table), images=images)
    assert photos.ids == names
    assert photos.name == "t.csv"
    assert photos.authors == ["by 0", "by 1", "by 2", "by 3"]
    np.testing.assert_array_equal(photos.coordinates, PLACES[:4])
    found = [Path(str(photos.open(i))).relative_to(images).as_posix() for i in range(4)]
    assert found == ["a.jpg", "b.png", "sub/c.jpeg", "d.PNG"]


def test_photos_beside_the_table_are_found_by_themselves(tmp_path: Path) -> None:
    table = write_table(tmp_path / "t.csv", rows_of(["a.jpg"]))
    write_photos(tmp_path, ["a.jpg"])
    assert open_photos(str(table)).open(0) == str(tmp_path / "a.jpg")
    write_photos(tmp_path / "images", ["a.jpg"])
    assert open_photos(str(table)).open(0) == str(tmp_path / "images" / "a.jpg")


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    columns = {"id": [7, 8, None, 9], "lat": [1.5, None, 2.0, 3.0], "lon": [2.5, 1.0, 3.0, float("nan")]}
    parquet.write_table(pyarrow.table({**columns, "more": [0] * 4}), tmp_path / "t.parquet")
    write_photos(tmp_path / "images", ["7.jpg", "8.jpg", "9.jpg"])
    photos = open_photos(str(tmp_path / "t.parquet"))
    assert photos.ids == ["7"]
    np.testing.assert_array_equal(photos.coordinates, [[1.5, 2.5]])
    assert dict(photos.skipped.counts) == {NO_PLACE: 1, NO_ID: 1, NOT_NUMBERS: 1}
    (tmp_path / "t.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(InputError, match="not readable as Parquet"):
        open_photos(str(tmp_path / "t.parquet"))


def test_rows_at_fault_are_counted_and_the_rest_is_used(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        *[["a", 10, 20], ["b", "", 20], ["c", "north", 20], ["d", "nan", "inf"], ["e", 91, 20], ["f", 10, 361]],
        *[["g", 0, 0], ["a", 10, 20], ["a", 11, 20], ["", 1, 1], ["h", 1], ["i", "48", "85", "2", "35"], ["j", 5, 270]],
        *[["k", 10, "1_0"], ["l", 1, 2]],
    ]
    write_photos(tmp_path / "images", ["a.jpg", "j.jpg"])
    photos = open_photos(str(write_table(tmp_path / "t.csv", rows)))
    assert photos.ids == ["a", "j"]
    np.testing.assert_array_equal(photos.coordinates, [[10, 20], [5, -90]])
    counts = {NO_PLACE: 1, NOT_NUMBERS: 3, OFF_EARTH: 2, NULL_ISLAND: 1, SEEN_BEFORE: 1, SEEN_ELSEWHERE: 1}
    assert dict(photos.skipped.counts) == {**counts, NO_ID: 1, TOO_SHORT: 2, NO_FILE: 1}
    assert photos.skipped.total + len(photos) == len(rows)
    assert photos.skipped.examples[OFF_EARTH] == ["e: 91, 20", "f: 10, 361"]
    assert photos.skipped.examples[TOO_SHORT] == ["line 12", "line 13"]


cells = st.one_of(st.text('0123456789.-+naief" ,\n', max_size=6), st.floats().map(str), st.integers(-200, 400).map(str))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(cells, max_size=5), max_size=12))
def test_whatever_the_rows_each_is_kept_or_counted(tmp_path: Path, rows: list[list[str]]) -> None:
    path = tmp_path / "t.csv"
    path.write_text("IMG_ID,LAT,LON\n" + "\n".join(",".join(row) for row in rows))
    try:
        read, kept = read_rows(path)
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert read.count == read.skipped.total + len(kept.ids)
    assert len(set(kept.ids)) == len(kept.ids)
    assert (np.abs(kept.coordinates) <= (90, 180)).all()
    assert kept.coordinates.shape == (len(kept.ids), 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty; expected a header"),
        ("IMG_ID,LAT\na,1\n", "no column LON in its comma-separated header 'IMG_ID, LAT'"),
        ("a,b,c\n", "no column IMG_ID, LAT, LON in its"),
        ("IMG_ID;LAT;LON\na;1;2\n", "no column IMG_ID, LAT, LON"),
        ("IMG_ID,LAT,LON,longitude\na,1,2,3\n", "LON, longitude could all be meant"),
        ('IMG_ID,LAT,LON\na,1,2\n"b,3,4\nc,5,6\n', "line 4: not readable as CSV"),
        ("IMG_ID,LAT,LON\n", "no usable photo; nothing left out"),
        ("IMG_ID,LAT,LON\nx,1,2\n", "no usable photo; 1 left out: 1 without a file"),
    ],
)
def test_tables_of_no_use(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        open_photos(str(path))
    assert "\n" not in str(caught.value)


def test_paths_that_are_no_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.csv: no such file"):
        open_photos(str(tmp_path / "none.csv"))
    table = write_table(tmp_path / "t.csv", rows_of(["a"]))
    with pytest.raises(
        InputError, match=r"expected the folder of the photos of t.csv, found none; give it with --images"
    ):
        open_photos(str(table), images=tmp_path / "nowhere")
    (tmp_path / "latin.csv").write_bytes(b"IMG_ID,LAT,LON\ncaf\xe9,1,2\n")
    with pytest.raises(InputError, match="not UTF-8"):
        open_photos(str(tmp_path / "latin.csv"))


@pytest.mark.parametrize(
    ("identity", "found"),
    [
        ("ab/cd/1.jpg", "ab/cd/1.jpg"),
        ("ab_cd_1.jpg", "ab/cd/1.jpg"),
        ("./ab/cd/1.jpg", "ab/cd/1.jpg"),
        ("1.jpg", "ab/cd/1.jpg"),
        ("1", "ab/cd/1.jpg"),
        ("12/34/2.jpg", "2.jpg"),
        ("12/34/3.jpg", "12_34_3.jpg"),
        ("2.png", "2.jpg"),
        ("both", "both.jpg"),
        ("both.png", "both.png"),
        ("twice.jpg", None),
        ("twice", None),
        ("x/twice.jpg", "x/twice.jpg"),
        ("../outside.jpg", None),
        ("/etc/passwd", None),
        ("nowhere.jpg", None),
        ("", None),
        ("a\0b", None),
    ],
)
def test_files_are_found_as_people_keep_them(tmp_path: Path, identity: str, found: str | None) -> None:
    names = ["ab/cd/1.jpg", "2.jpg", "12_34_3.jpg", "both.png", "both.jpg", "x/twice.jpg", "y/twice.jpg"]
    write_photos(tmp_path / "images", names)
    write_photos(tmp_path, ["outside.jpg"])
    assert FilesById(tmp_path / "images").find(identity) == found
