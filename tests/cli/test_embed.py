"""``earthclip embed places``: what it writes, what it says, and that bad input leaves nothing behind."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from earthclip.cli.embed import places
from earthclip.errors import EarthCLIPError, InputError, MissingExtraError, ModelError, OutputError
from earthclip.locating.locator import load
from tests.tiny import WIDTH, write_tiny_model

PLACES = np.array([[48.86, 2.35], [-17.5, 359.5], [90.0, -180.0]])
TABLE = "place,Latitude,LNG\nParis,48.86,2.35\nFiji,-17.5,359.5\npole,90,180\n"


def run(*arguments: str | Path, stdin: str | None = None) -> Result:
    # Values are compared with float32's; tests/runtime compares OpenVINO's with them.
    exact = ["--runtime", "onnxruntime"]
    return CliRunner().invoke(places, [*(str(argument) for argument in arguments), *exact], input=stdin)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "places.csv"
    path.write_text(TABLE)
    return path


@pytest.fixture
def expected(tiny_model: Path) -> np.ndarray:
    return load(tiny_model).encode_location(np.where(PLACES >= 180, PLACES - 360, PLACES))


def test_npy(table: Path, tiny_model: Path, tmp_path: Path, expected: np.ndarray) -> None:
    target = tmp_path / "features.npy"
    result = run(table, "--model", tiny_model, "-o", target)
    assert result.exit_code == 0 and result.stdout == ""
    assert result.stderr == f"model: tiny\n{target}: 3 rows, {WIDTH} features\n"
    found = np.load(target)
    assert found.dtype == np.float32 and found.shape == (3, WIDTH)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_from_csv_to_parquet_to_csv(table: Path, tiny_model: Path, tmp_path: Path, expected: np.ndarray) -> None:
    assert run(table, "--model", tiny_model, "-o", tmp_path / "a.parquet").exit_code == 0
    stored = pq.read_table(tmp_path / "a.parquet")
    assert stored.schema.names == ["place", "Latitude", "LNG", *(f"feature_00{i}" for i in range(WIDTH))]
    np.testing.assert_allclose(np.stack(stored.columns[3:], axis=1), expected, atol=1e-6)
    pq.write_table(stored.select(["place", "Latitude", "LNG"]), tmp_path / "b.parquet")
    assert run(tmp_path / "b.parquet", "--model", tiny_model, "-o", tmp_path / "b.csv").exit_code == 0
    header, *lines = (tmp_path / "b.csv").read_text().splitlines()
    assert header.split(",") == stored.schema.names
    assert [line.split(",")[0] for line in lines] == ["Paris", "Fiji", "pole"]
    np.testing.assert_allclose([list(map(float, line.split(",")[3:])) for line in lines], expected, atol=1e-6)


def test_standard_input_to_standard_output(tiny_model: Path, expected: np.ndarray) -> None:
    result = run("-", "--model", tiny_model, "-o", "-", stdin=TABLE)
    assert result.exit_code == 0 and result.stderr == f"model: tiny\nstandard output: 3 rows, {WIDTH} features\n"
    header, *lines = result.stdout.splitlines()
    assert header.startswith("place,Latitude,LNG,feature_000,")
    np.testing.assert_allclose([list(map(float, line.split(",")[3:])) for line in lines], expected, atol=1e-6)


def test_standard_input(tiny_model: Path, tmp_path: Path, expected: np.ndarray) -> None:
    assert run("-", "--model", tiny_model, "-o", tmp_path / "f.npy", stdin=TABLE).exit_code == 0
    np.testing.assert_allclose(np.load(tmp_path / "f.npy"), expected, atol=1e-6)


def test_more_rows_than_a_batch(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earthclip.cli.embed._BATCH", 7)
    monkeypatch.setattr("earthclip.datasets.tables._ROWS", 50)
    places = np.random.default_rng(0).uniform((-90, -180), (90, 180), (123, 2))
    pq.write_table(pa.table({"lon": places[:, 1], "lat": places[:, 0]}), tmp_path / "places.parquet")
    assert run(tmp_path / "places.parquet", "--model", tiny_model, "-o", tmp_path / "f.npy").exit_code == 0
    np.testing.assert_allclose(np.load(tmp_path / "f.npy"), load(tiny_model).encode_location(places), atol=1e-6)


def test_default_model_is_geoclip_once_it_is_there(table: Path, earthclip_home: Path, tmp_path: Path) -> None:
    result = run(table, "-o", tmp_path / "orbit.npy")
    assert result.exit_code == 0 and result.stderr.startswith(
        "model: orbit (the built-in default; choose another with --model)\n"
    )
    write_tiny_model(earthclip_home / "models" / "geoclip", name="geoclip")
    result = run(table, "-o", tmp_path / "geoclip.npy")
    assert result.exit_code == 0 and result.stderr.startswith(
        "model: geoclip (the default once it is pulled; choose another with --model)\n"
    )
    assert np.load(tmp_path / "orbit.npy").shape != np.load(tmp_path / "geoclip.npy").shape == (3, WIDTH)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("name", "says"), [("t.csv", "3 rows, "), ("t.parquet", "3 of 3 rows, ")])
def test_progress_on_a_terminal(
    table: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    pq.write_table(pa.table({"lat": PLACES[:, 0], "lon": PLACES[:, 1]}), tmp_path / "t.parquet")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    arguments = [str(tmp_path / name), "--model", str(tiny_model), "-o", str(tmp_path / "f.npy")]
    places.main(arguments, standalone_mode=False)
    shown = terminal.getvalue()
    assert f"\r\033[K{says}" in shown and " a second\r\033[K" in shown


BAD: list[tuple[str, type[EarthCLIPError], str]] = [
    ("lat,lon\n1,2\n139.7,35.7\n", InputError, "line 3: .*are latitude and longitude swapped"),
    ("lat,lon\n1,nan\n", InputError, "line 2: lon must be a number of degrees, found 'nan'"),
    ("", InputError, "empty; expected a header"),
    ("a,b\n1,2\n", InputError, "in the header 'a, b'"),
    ("lat,lon,feature_003\n1,2,3\n", OutputError, "already has a column feature_003"),
]


@pytest.mark.parametrize(("text", "kind", "message"), BAD)
def test_bad_tables(tmp_path: Path, tiny_model: Path, text: str, kind: type[EarthCLIPError], message: str) -> None:
    path = tmp_path / "places.csv"
    path.write_text(text)
    result = run(path, "--model", tiny_model, "-o", tmp_path / "out.csv")
    assert isinstance(result.exception, kind)
    with pytest.raises(kind, match=message):
        raise result.exception
    assert str(path) in str(result.exception) and result.stdout == ""
    assert [left.name for left in tmp_path.iterdir()] == ["places.csv"]


def test_output_is_checked_before_the_rest(tmp_path: Path) -> None:
    (tmp_path / "there.npy").write_text("old")
    for name, message in (("there.npy", "already exists"), ("f.json", "ends in .npy, .csv, .parquet")):
        result = run(tmp_path / "no-table.csv", "--model", "no-model", "-o", tmp_path / name)
        assert isinstance(result.exception, OutputError) and message in str(result.exception)
    assert run(tmp_path / "no-table.csv").exit_code == 2  # usage: -o is missing


def test_force(table: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "f.npy").write_text("old")
    assert run(table, "--model", tiny_model, "-o", tmp_path / "f.npy", "--force").exit_code == 0
    assert np.load(tmp_path / "f.npy").shape == (3, WIDTH)


def test_faults_of_models(table: Path, tmp_path: Path) -> None:
    result = run(table, "--model", "obrit", "-o", tmp_path / "f.npy")
    assert isinstance(result.exception, ModelError) and "did you mean 'orbit'" in str(result.exception)


def test_parquet_needs_its_extra(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for arguments in ([table, "-o", tmp_path / "f.parquet"], [tmp_path / "x.parquet", "-o", tmp_path / "f.npy"]):
        (tmp_path / "x.parquet").touch()
        result = run(*arguments)
        assert isinstance(result.exception, MissingExtraError) and "earthclip[parquet]" in str(result.exception)


def test_neither_help_nor_csv_load_what_they_do_not_need(table: Path, tiny_model: Path, tmp_path: Path) -> None:
    heavy = ["numpy", "onnxruntime"]
    script = f"import sys, earthclip.cli.embed; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    arguments = [str(table), "--model", str(tiny_model), "-o", str(tmp_path / "f.csv")]
    heavy = ["torch", "transformers", "pyarrow", "pandas", "sklearn"]
    script = (
        f"import sys; from earthclip.cli.embed import places; places.main({arguments}, standalone_mode=False); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("source", ["t.csv", "t.parquet"])
@pytest.mark.parametrize("target", ["e.npy", "e.csv", "e.parquet"])
def test_a_table_without_rows_gives_one_without_rows(
    tmp_path: Path, tiny_model: Path, source: str, target: str
) -> None:
    (tmp_path / "t.csv").write_text("id,lat,lon\n")
    pq.write_table(
        pa.table({name: pa.array([], pa.float64()) for name in ("id", "lat", "lon")}), tmp_path / "t.parquet"
    )
    result = run(tmp_path / source, "--model", tiny_model, "-o", tmp_path / target)
    assert result.exit_code == 0 and f"no places: {tmp_path / source} has no rows" in result.stderr
    if target == "e.npy":
        assert np.load(tmp_path / target).shape == (0, WIDTH)
    elif target == "e.csv":
        assert (tmp_path / target).read_text().startswith("id,lat,lon,feature_000,")
    else:
        table = pq.read_table(tmp_path / target)
        assert table.num_rows == 0 and table.schema.names[:4] == ["id", "lat", "lon", "feature_000"]
