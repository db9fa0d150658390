from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earthclip.datasets.photos import nfc
from earthclip.datasets.rows import read_places
from earthclip.errors import InputError

HEADER = "IMG_ID,LAT,LON\n"


def write(folder: Path, text: str | bytes, name: str = "places.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_columns_in_any_order_among_others(tmp_path: Path) -> None:
    path = write(tmp_path, 'note,LON, LAT ,IMG_ID\n"a, b",2.35,48.86,paris.jpg\n\n,180,-17.5,"fiji, west.jpg"\n')
    places = read_places(path)
    assert places.ids == ["paris.jpg", "fiji, west.jpg"]
    assert places.coordinates.dtype == np.float64
    np.testing.assert_array_equal(places.coordinates, [[48.86, 2.35], [-17.5, -180.0]])
    assert places.name == "places.csv"
    assert len(places) == 2


@pytest.mark.parametrize("text", ["\ufeff" + HEADER + "a,1,2\r\n", HEADER + "a,1,2", HEADER + " a , 1 , 2 ,\n,,\n"])
def test_what_spreadsheets_write(tmp_path: Path, text: str) -> None:
    places = read_places(str(write(tmp_path, text)))
    assert places.ids == ["a"]
    np.testing.assert_array_equal(places.coordinates, [[1.0, 2.0]])


@pytest.mark.parametrize(
    "text",
    [
        "filename,lat,lng\na.jpg,1.5,2\n",
        "id;file;latitude;longitude\n7;a.jpg;1,5;2,0\n",
        "Image\tLatitude\tLong\na.jpg\t1.5\t2\n",
        "path,img_file,lat,lon\nx,a.jpg,1.5,2\n",
    ],
)
def test_any_table_of_names_and_places(tmp_path: Path, text: str) -> None:
    places = read_places(write(tmp_path, text))
    assert places.ids == ["a.jpg"]
    assert places.coordinates.tolist() == [[1.5, 2]]


def test_parquet_is_as_strict(tmp_path: Path) -> None:
    path = tmp_path / "places.parquet"
    columns: dict[str, list[object]] = {"id": [7, 8], "lat": ["1,5", "2"], "lon": [2.0, 359.0], "more": [b"x", b"y"]}
    pq.write_table(pa.table(columns), path)
    places = read_places(path)
    assert places.ids == ["7", "8"]
    assert places.coordinates.tolist() == [[1.5, 2], [2, -1]]
    for name, values, message in (
        ("id", [7, None], r"row 1 \(counted from 0\): id is empty"),
        ("id", [7, 7], r"row 1 \(counted from 0\): id '7' already appeared on row 0 \(counted from 0\)"),
        ("lat", ["1", "x"], r"row 1 \(counted from 0\): lat must be a number of degrees, found 'x'"),
        ("lon", [2.0, None], r"row 1 \(counted from 0\): lon must be a number of degrees, found nothing"),
    ):
        pq.write_table(pa.table({**columns, name: values}), path)
        with pytest.raises(InputError, match=message):
            read_places(path)


ids = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"]), min_size=1, max_size=12)
degrees = st.tuples(st.floats(-90, 90), st.floats(-180, 180, exclude_max=True))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(ids.map(nfc).filter(lambda name: name == name.strip()), degrees, min_size=1, max_size=8))
def test_whatever_is_written_is_read(tmp_path: Path, rows: dict[str, tuple[float, float]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["IMG_ID", "LAT", "LON"])
    writer.writerows([name, repr(lat), repr(lon)] for name, (lat, lon) in rows.items())
    places = read_places(write(tmp_path, text.getvalue()))
    assert places.ids == list(rows)
    np.testing.assert_array_equal(places.coordinates, np.array(list(rows.values())))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=80), st.text('IMG_ID,LAT,LON\n\r"0.19-ae', max_size=60).map(str.encode)))
def test_garbage_is_one_line_or_a_table(tmp_path: Path, garbage: bytes) -> None:
    for content in (garbage, HEADER.encode() + garbage):
        path = write(tmp_path, content)
        try:
            places = read_places(path)
        except InputError as error:
            assert str(error).startswith(str(path))
            assert "\n" not in str(error)
        else:
            assert (np.abs(places.coordinates) <= (90, 180)).all()
            assert len(set(places.ids)) == len(places)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty; expected a header such as filename,latitude,longitude"),
        (
            "what,LAT,LON\na,1,2\n",
            "no column of a file name .* in the header 'what, LAT, LON'; add a header",
        ),
        ("IMG_ID,LAT,LON,LAT\na,1,2,3\n", "ambiguous columns LAT, LAT; keep one"),
        (HEADER, "no rows; expected at least one"),
        (
            HEADER + "a,1,2\nb,139.7,35.7\n",
            "line 3: latitude 139.7, longitude 35.7: .* and longitude swapped",
        ),
        (HEADER + "a,91,120\n", r"line 2: .* must lie in \[-90, 90\]"),
        (HEADER + "a,1,360.5\n", r"line 2: .* must lie in \[-180, 180\) or \[0, 360\)"),
        (HEADER + "a,north,2\n", "line 2: LAT must be a number of degrees, found 'north'"),
        (HEADER + "a,1,1_0\n", "line 2: LON must be a number of degrees, found '1_0'"),
        (HEADER + "a,1,\n", "line 2: LON must be a number of degrees, found nothing"),
        (HEADER + "a,NaN,2\n", "line 2: LAT must be a number of degrees, found 'NaN'"),
        (HEADER + "a,1,-inf\n", "line 2: LON must be a number of degrees, found '-inf'"),
        (HEADER + ",1,2\n", "line 2: IMG_ID is empty"),
        (HEADER + "a,1,2\nb,1,2\na,3,4\n", "line 4: IMG_ID 'a' already appeared on line 2"),
        (HEADER + "caf\u00e9,1,2\ncafe\u0301,3,4\n", "line 3: IMG_ID .* already appeared on line 2"),
        ("IMG_ID,LAT,LON,IMG_ID\na,1,2,b\n", "column IMG_ID appears 2 times"),
        (HEADER + "a,1\n", "line 2: expected 3 values as in the header, found 2"),
        (HEADER + "a,48,85,2,35\n", "line 2: expected 3 values as in the header, found 5"),
        (HEADER + 'a,1,2\n"b,3,4\nc,5,6\n', "not readable as CSV"),
        (HEADER + "café,1,2\n", None),
        ((HEADER + "café,1,2\n").encode("latin-1"), "not UTF-8 text; save the table as CSV in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not UTF-8 text"),
        (b"\x00\x01\x02\n\x00", r"in the header '\\x00\\x01\\x02'"),
    ],
)
def test_bad_tables_are_named_in_one_line(tmp_path: Path, text: str | bytes, message: str | None) -> None:
    path = write(tmp_path, text)
    if message is None:
        assert read_places(path).ids == ["café"]
        return
    with pytest.raises(InputError, match=message) as caught:
        read_places(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_paths_that_are_no_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.csv: no such file"):
        read_places(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"expected a CSV or Parquet file, found a folder"):
        read_places(tmp_path)
    with pytest.raises(InputError, match=r"cannot be read"):
        read_places(tmp_path / ("x" * 300))
