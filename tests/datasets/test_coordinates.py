from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earthclip.datasets import tables
from earthclip.datasets.tables import open_table
from earthclip.errors import InputError

HEADER = "name,lat,lon\n"


def write(folder: Path, text: str | bytes, name: str = "places.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(path: str | Path) -> np.ndarray:
    with open_table(path) as table:
        return np.concatenate([np.empty((0, 2)), *(chunk.coordinates for chunk in table.chunks())])


def cells(path: Path) -> list[list[str]]:
    with open_table(path) as table:
        return [row for chunk in table.chunks() for row in chunk.cells]


@pytest.fixture
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tables, "_ROWS", 3)
    yield


@pytest.mark.parametrize(
    "names",
    ["lat,lon", "LAT,LON", "Latitude,Longitude", " latitude , lng ", "lat,long", "LAT,Lng", "decimalLatitude,lon"],
)
def test_columns_are_found_by_name(tmp_path: Path, names: str) -> None:
    latitude, longitude = names.split(",")
    swapped = write(tmp_path, f"id,{longitude},{latitude}\na,2.35,48.86\n", "swapped.csv")
    assert read(swapped).tolist() == [[48.86, 2.35]]
    path = write(tmp_path, f"{names},id\n48.86,2.35,a\n")
    with open_table(path) as table:
        assert (table.latitude, table.longitude, table.n_rows) == (0, 1, None)
        assert table.columns == (latitude.strip(), longitude.strip(), "id")
        (chunk,) = table.chunks()
    assert chunk.coordinates.dtype == np.float64
    assert chunk.coordinates.tolist() == [[48.86, 2.35]] and chunk.cells == [["48.86", "2.35", "a"]]


def test_longitudes_are_wrapped_and_cells_kept(tmp_path: Path) -> None:
    path = write(tmp_path, "lat,lon\n90,180\n-90,359.5\n0,-180\n1,179.5\n")
    assert read(path).tolist() == [[90, -180], [-90, -0.5], [0, -180], [1, 179.5]]
    assert [row[1] for row in cells(path)] == ["180", "359.5", "-180", "179.5"]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffname,lat,lon\r\na,1,2\r\n",
        HEADER + "a,1,2",
        "\n" + HEADER + "\n a , 1 , 2 ,\n,,\n\n",
        'name,lat,lon\r"a",1,2\r',
    ],
)
def test_what_spreadsheets_write(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    assert read(path).tolist() == [[1, 2]]
    assert [[cell.strip() for cell in row] for row in cells(path)] == [["a", "1", "2"]]


@pytest.mark.parametrize(
    "text",
    [
        "name\tlat\tlon\na\t48.85\t-2.5\n",
        "name\tlat\tlon\r\na\t48,85\t-2,5\r\n",
        "name;lat;lon\na;48,85;-2,5\n",
        "name;lat;lon\na;48.85;-2.5\n",
        'name,lat,lon\na,"48,85","-2,5"\n',
        ";;\n\nname;lat;lon\na;48,85;-2,5\n;;\n",
        'name;"a, b, c, d";lat;lon\na;x;48,85;-2,5\n',
        'lat,lon,"a;b;c;d;e"\n48.85,-2.5,x\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimiters_decimal_commas_and_encodings(tmp_path: Path, text: str, encoding: str) -> None:
    assert read(write(tmp_path, text.encode(encoding))).tolist() == [[48.85, -2.5]]


def test_utf_16_without_its_mark_and_cut_short(tmp_path: Path) -> None:
    for content in ((HEADER + "a,1,2\n").encode("utf-16-be"), (HEADER + "a,1,2").encode("utf-16")[:-1]):
        with pytest.raises(InputError, match=r"not UTF-8 text|no column of a latitude"):
            read(write(tmp_path, content))


def test_decimal_commas_of_many_rows(tmp_path: Path, short_chunks: None) -> None:
    places = np.random.default_rng(0).uniform((-90, -180), (90, 180), (10, 2))
    rows = [f"{latitude!r};{longitude!r}".replace(".", ",") for latitude, longitude in places.tolist()]
    path = write(tmp_path, "\n".join(["lat;lon", *rows]))
    np.testing.assert_array_equal(read(path), places)
    assert cells(path)[3] == rows[3].split(";")
    for bad in ("1,2,3;1", "1.000,5;1", "1_0;1", "1;x"):
        with pytest.raises(InputError, match=r"line 12: (lat|lon) must be a number of degrees"):
            read(write(tmp_path, "\n".join(["lat;lon", *rows, bad])))


def test_short_rows_are_filled_up(tmp_path: Path) -> None:
    assert cells(write(tmp_path, "lat,lon,name,note\n1,2\n3,4,x\n")) == [["1", "2", "", ""], ["3", "4", "x", ""]]


def test_chunks_join_to_the_table(tmp_path: Path, short_chunks: None) -> None:
    rows = [[str(i), str(i / 4), str(-i)] for i in range(11)]
    path = write(tmp_path, HEADER + "".join(f"{','.join(row)}\n" + "\n" * 4 * (row[0] == "5") for row in rows))
    with open_table(path) as table:
        chunks = list(table.chunks())
    assert all(0 < len(chunk.coordinates) == len(chunk.cells) <= 3 for chunk in chunks)
    assert [row for chunk in chunks for row in chunk.cells] == rows
    assert np.concatenate([chunk.coordinates for chunk in chunks])[:, 0].tolist() == [i / 4 for i in range(11)]


def test_wide_tables_have_fewer_rows_in_a_chunk() -> None:
    assert tables._chunk_rows(2) == 65_536
    assert tables._chunk_rows(1000) == 2000
    assert tables._chunk_rows(10**8) == 1


text_cells = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
pairs = st.tuples(st.floats(-90, 90), st.floats(-180, 360, exclude_max=True))
tolerant = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@tolerant
@given(st.lists(st.tuples(text_cells, pairs), min_size=1, max_size=9))
def test_whatever_is_written_is_read(
    tmp_path: Path, short_chunks: None, rows: list[tuple[str, tuple[float, float]]]
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["note", "Lat", "Lng"])
    written = [[note, repr(latitude), repr(longitude)] for note, (latitude, longitude) in rows]
    writer.writerows(written)
    path = write(tmp_path, text.getvalue())
    found = read(path)
    expected = np.array([pair for _, pair in rows])
    np.testing.assert_array_equal(found[:, 0], expected[:, 0])
    assert ((found[:, 1] >= -180) & (found[:, 1] < 180)).all()
    turns = (expected[:, 1] - found[:, 1]) / 360
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-12)
    assert cells(path) == written


@tolerant
@given(st.one_of(st.binary(max_size=80), st.text('latlon,\n\r"0.19-ae', max_size=60).map(str.encode)))
def test_garbage_is_one_line_or_a_table(tmp_path: Path, garbage: bytes) -> None:
    for content in (garbage, b"lat,lon\n" + garbage):
        path = write(tmp_path, content)
        try:
            found = read(path)
        except InputError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)
        else:
            assert (np.abs(found) <= (90, 180)).all()


@tolerant
@given(st.lists(st.tuples(st.text('ab"\n\r,', max_size=4), st.integers(0, 2)), max_size=9))
def test_the_line_of_a_fault_is_counted_as_editors_do(
    tmp_path: Path, short_chunks: None, rows: list[tuple[str, int]]
) -> None:
    """Whatever line breaks stand quoted or blank before it, and whichever chunk it falls into."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["note", "lat", "lon"])
    for note, blank_lines in rows:
        writer.writerow([note, "1", "2"])
        text.write("\r\n" * blank_lines)
    line = len(io.StringIO(text.getvalue(), newline=None).readlines()) + 1
    text.write("bad,1,east\r\nworse,2,west\r\n")
    path = write(tmp_path, text.getvalue())
    with pytest.raises(InputError, match=rf"line {line}: lon must be a number of degrees, found 'east'"):
        read(path)


BAD_TABLES: list[tuple[str | bytes, str]] = [
    ("", "empty; expected a header such as latitude,longitude"),
    ("\n\n,,\n", "empty; expected a header"),
    (
        "id,x,y\na,1,2\n",
        "no column of a latitude .* and a longitude .* in the header 'id, x, y'; add a",
    ),
    ("lat,x\n1,2\n", "no column of a longitude .lon, lng or longitude. in the header 'lat, x'"),
    ("48.9,2.4\n", r"in the header '48.9, 2.4'; add a header"),
    ("lat,Latitude,lon\n1,2,3\n", "ambiguous columns lat, Latitude; keep one"),
    (HEADER + "a,1,2\nb,139.7,35.7\n", "line 3: latitude 139.7, longitude 35.7: .*are latitude and longitude swapped?"),
    (HEADER + "a,270,45\n", "line 2: .*are latitude and longitude swapped?"),
    (HEADER + "a,91,120\n", r"line 2: latitude 91, longitude 120: latitudes must lie in \[-90, 90\] degrees; cor"),
    (HEADER + "a,90.0000000001,1\n", "line 2: latitude 90.0000000001, .*are latitude and longitude swapped?"),
    (HEADER + "a,400,45\n", r"line 2: .* latitudes must lie in \[-90, 90\] degrees; correct"),
    (HEADER + "a,1,360\n", r"line 2: .* longitudes must lie in \[-180, 180\) or \[0, 360\)"),
    (HEADER + "a,1,-180.5\n", "line 2: .* longitudes must lie"),
    (HEADER + "a,north,2\n", "line 2: lat must be a number of degrees, found 'north'"),
    (HEADER + "a,1,1_0\n", "line 2: lon must be a number of degrees, found '1_0'"),
    (HEADER + "a,1, \n", "line 2: lon must be a number of degrees, found nothing; correct or remove"),
    (HEADER + "a,NaN,2\n", "line 2: lat must be a number of degrees, found 'NaN'"),
    (HEADER + "a,1,-inf\n", "line 2: lon must be a number of degrees, found '-inf'"),
    ("lat;lon\n1;2\n3;4;5\n", "line 3: expected 2 values as in the header, found 3"),
    (HEADER + "a,1\n", "line 2: expected 3 values as in the header, found 2"),
    (HEADER + "a,48,85,2,35\n", "line 2: expected 3 values as in the header, found 5"),
    (HEADER + 'a,1,2\n"b,3,4\nc,5,6\n', "not readable as CSV"),
    ((HEADER + "café,1,2\n").encode("latin-1"), "not UTF-8 text; save the table as CSV in UTF-8"),
    (b"PAR1\x15\x04\x15\xe8\xff", "not UTF-8 text"),
]


@pytest.mark.parametrize(("text", "message"), BAD_TABLES)
def test_bad_tables_are_named_in_one_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_a_late_fault_does_not_take_the_rows_before_it(tmp_path: Path, short_chunks: None) -> None:
    path = write(tmp_path, HEADER + "a,1,2\n" * 4 + "b,1,\n")
    with open_table(path) as table:
        chunks = table.chunks()
        assert len(next(chunks).coordinates) == 3
        with pytest.raises(InputError, match="line 6: lon"):
            next(chunks)


def test_paths_that_are_no_table(tmp_path: Path) -> None:
    for name, message in (("none.csv", "no such file"), ("none.parquet", "no such file"), (".", "found a folder")):
        with pytest.raises(InputError, match=message):
            read(tmp_path / name)
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / ("x" * 300))


@pytest.mark.parametrize("text", ["lat,lon\r\n1,2\r\n", "lat;lon\n1,0;2,0\n"])
def test_standard_input_in_any_form(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text.encode(encoding))))
        assert read("-").tolist() == [[1, 2]]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = SimpleNamespace(buffer=io.BytesIO("\ufefflat,lon\r\n1,2\r\n".encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert read("-").tolist() == [[1, 2]]
    assert not stdin.buffer.closed
    stdin.buffer = io.BytesIO(b"lat,lon\n99,2\n")
    with pytest.raises(InputError, match=r"^standard input, line 2: latitude 99"):
        read("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input is closed"):
        read("-")


@pytest.mark.parametrize("text", [HEADER, HEADER + "\n,,\n"])
def test_a_table_may_have_no_rows(tmp_path: Path, text: str) -> None:
    assert read(write(tmp_path, text)).shape == (0, 2)
