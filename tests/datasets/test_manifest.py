from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earthclip.datasets.manifest import Manifest, match, read_manifest
from earthclip.errors import InputError

HEADER = "IMG_ID,LAT,LON\n"


def write(folder: Path, text: str | bytes, name: str = "places.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_columns_in_any_order_among_others(tmp_path: Path) -> None:
    path = write(tmp_path, 'note,LON, LAT ,IMG_ID\n"a, b",2.35,48.86,paris.jpg\n\n,180,-17.5,"fiji, west.jpg"\n')
    manifest = read_manifest(path)
    assert manifest.ids == ["paris.jpg", "fiji, west.jpg"]
    assert manifest.coordinates.dtype == np.float64
    np.testing.assert_array_equal(manifest.coordinates, [[48.86, 2.35], [-17.5, -180.0]])
    assert manifest.source == "places.csv"
    assert len(manifest) == 2


@pytest.mark.parametrize("text", ["\ufeff" + HEADER + "a,1,2\r\n", HEADER + "a,1,2", HEADER + " a , 1 , 2 ,\n,,\n"])
def test_what_spreadsheets_write(tmp_path: Path, text: str) -> None:
    manifest = read_manifest(str(write(tmp_path, text)))
    assert manifest.ids == ["a"]
    np.testing.assert_array_equal(manifest.coordinates, [[1.0, 2.0]])


ids = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"]), min_size=1, max_size=12)
degrees = st.tuples(st.floats(-90, 90), st.floats(-180, 180, exclude_max=True))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(ids.filter(lambda name: name == name.strip()), degrees, min_size=1, max_size=8))
def test_whatever_is_written_is_read(tmp_path: Path, rows: dict[str, tuple[float, float]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["IMG_ID", "LAT", "LON"])
    writer.writerows([name, repr(lat), repr(lon)] for name, (lat, lon) in rows.items())
    manifest = read_manifest(write(tmp_path, text.getvalue()))
    assert manifest.ids == list(rows)
    np.testing.assert_array_equal(manifest.coordinates, np.array(list(rows.values())))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=80), st.text('IMG_ID,LAT,LON\n\r"0.19-ae', max_size=60).map(str.encode)))
def test_garbage_is_one_line_or_a_table(tmp_path: Path, garbage: bytes) -> None:
    for content in (garbage, HEADER.encode() + garbage):
        path = write(tmp_path, content)
        try:
            manifest = read_manifest(path)
        except InputError as error:
            assert str(error).startswith(str(path))
            assert "\n" not in str(error)
        else:
            assert (np.abs(manifest.coordinates) <= (90, 180)).all()
            assert len(set(manifest.ids)) == len(manifest)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected a header with .* found an empty file; add or rename IMG_ID, LAT, LON"),
        ("id,LAT,LON\na,1,2\n", "found 'id, LAT, LON'; add or rename IMG_ID"),
        ("IMG_ID;LAT;LON\na;1;2\n", "comma-separated columns .* found 'IMG_ID;LAT;LON'"),
        ("IMG_ID,LAT,LON,LAT\na,1,2,3\n", "column LAT appears 2 times"),
        (HEADER, "no rows; expected at least one"),
        (HEADER + "a,1,2\nb,139.7,35.7\n", "line 3: latitude 139.7, longitude 35.7: .* look swapped"),
        (HEADER + "a,91,120\n", r"line 2: .* must lie in \[-90, 90\]"),
        (HEADER + "a,1,180.5\n", r"line 2: .* must lie in \[-180, 180\]"),
        (HEADER + "a,north,2\n", "line 2: LAT must be a number of degrees, found 'north'"),
        (HEADER + "a,1,1_0\n", "line 2: LON must be a number of degrees, found '1_0'"),
        (HEADER + "a,1,\n", "line 2: LON must be a number of degrees, found nothing"),
        (HEADER + "a,NaN,2\n", "line 2: LAT must be a number of degrees, found 'NaN'"),
        (HEADER + "a,1,-inf\n", "line 2: LON must be a number of degrees, found '-inf'"),
        (HEADER + ",1,2\n", "line 2: IMG_ID is empty"),
        (HEADER + "a,1,2\nb,1,2\na,3,4\n", "line 4: IMG_ID 'a' appeared on line 2 already"),
        (HEADER + "a,1\n", "line 2: expected 3 values as in the header, found 2"),
        (HEADER + "a,48,85,2,35\n", "line 2: expected 3 values as in the header, found 5"),
        (HEADER + 'a,1,2\n"b,3,4\nc,5,6\n', "not readable as CSV"),
        (HEADER + "café,1,2\n", None),
        ((HEADER + "café,1,2\n").encode("latin-1"), "not UTF-8 text; save the table as CSV in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not UTF-8 text"),
        (b"\x00\x01\x02\n\x00", r"found '\\x00\\x01\\x02'"),
    ],
)
def test_bad_tables_are_named_in_one_line(tmp_path: Path, text: str | bytes, message: str | None) -> None:
    path = write(tmp_path, text)
    if message is None:
        assert read_manifest(path).ids == ["café"]
        return
    with pytest.raises(InputError, match=message) as caught:
        read_manifest(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_paths_that_are_no_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.csv: no such file"):
        read_manifest(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"expected a CSV file, found a folder"):
        read_manifest(tmp_path)
    with pytest.raises(InputError, match=r"cannot be read"):
        read_manifest(tmp_path / ("x" * 300))


def manifest(source: str, **rows: float) -> Manifest:
    return Manifest(list(rows), np.array([[latitude, 0.0] for latitude in rows.values()]).reshape(-1, 2), source)


def test_matching_aligns_by_id() -> None:
    truth, predicted = match(manifest("t.csv", a=1, b=2, c=3), manifest("p.csv", c=30, a=10, b=20))
    np.testing.assert_array_equal(truth[:, 0], [1, 2, 3])
    np.testing.assert_array_equal(predicted[:, 0], [10, 20, 30])


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ({"a": 1, "b": 2, "x": 3}, "1 of 3 ids of p.csv are not in t.csv, e.g. 'x'; both tables"),
        ({"b": 2}, "^1 of 2 ids of t.csv have no prediction in p.csv, e.g. 'a'; both tables"),
        ({"x": 1, "y": 2}, "^2 of 2 ids of p.csv are not in t.csv, e.g. 'x'; 2 of 2 ids of t.csv .* e.g. 'a'"),
    ],
)
def test_ids_that_do_not_match_are_counted(predictions: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        match(manifest("t.csv", a=1, b=2), manifest("p.csv", **predictions))
