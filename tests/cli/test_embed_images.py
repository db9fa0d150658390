"""``earthclip embed images``: a row for each picture, in order, also for one that cannot be read."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from earthclip.cli import main
from earthclip.locating.locator import load
from tests.tiny import WIDTH, write_picture

EXACT = ["--runtime", "onnxruntime"]


def embed(*arguments: str | Path) -> int:
    return main(["embed", "images", *map(str, arguments), *EXACT])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 pictures, more than a batch, of which the fourth is cut short."""
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(20):
        write_picture(folder / f"{i:02}.png", seed=i)
    (folder / "03.png").write_bytes((folder / "03.png").read_bytes()[:300])
    return folder


@pytest.fixture(scope="module")
def expected(tiny_model: Path, pictures: Path) -> np.ndarray:
    """Rows of the pictures that can be read."""
    files = [path for path in sorted(pictures.iterdir()) if path.name != "03.png"]
    return load(tiny_model, runtime="onnxruntime").encode_image(files)


READ = np.arange(20) != 3


def test_an_array_and_the_names_of_its_rows(
    tiny_model: Path, pictures: Path, expected: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "e.npy"
    assert embed(pictures, "--model", tiny_model, "-o", target) == 1
    captured = capsys.readouterr()
    first, fault, last = captured.err.splitlines()
    assert captured.out == "" and first == "model: tiny" and last == f"{target}: 19 embedded, 1 failed"
    assert fault.startswith(f"error: {pictures / '03.png'}: ")
    found = np.load(target)
    assert found.dtype == np.float32 and found.shape == (20, WIDTH) and np.isnan(found[3]).all()
    np.testing.assert_allclose(found[READ], expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found[READ], axis=1), 1, atol=1e-6)
    rows = list(csv.DictReader((tmp_path / "e.npy.csv").read_text().splitlines()))
    assert [Path(row["path"]).name for row in rows] == [f"{i:02}.png" for i in range(20)]
    assert [bool(row["error"]) for row in rows] == [i == 3 for i in range(20)]
    assert f"error: {rows[3]['error']}" == fault


def test_tables(tiny_model: Path, pictures: Path, expected: np.ndarray, tmp_path: Path) -> None:
    names = ["path", "error", *(f"feature_00{i}" for i in range(WIDTH))]
    assert embed(pictures, "--model", tiny_model, "-o", tmp_path / "e.parquet") == 1
    table = pq.read_table(tmp_path / "e.parquet")
    assert table.schema.names == names and str(table.schema.field("feature_000").type) == "float"
    assert [value is None for value in table.column("error").to_pylist()] == READ.tolist()
    columns = [column.to_pylist() for column in table.columns[2:]]
    assert [value is None for value in columns[0]] == (~READ).tolist()
    np.testing.assert_allclose(np.array(columns, float).T[READ], expected, atol=1e-6)
    assert embed(pictures, "--model", tiny_model, "-o", tmp_path / "e.csv") == 1
    header, *rows = csv.reader((tmp_path / "e.csv").read_text().splitlines())
    assert header == names and rows[3][2:] == [""] * WIDTH and rows[3][1] == table.column("error")[3].as_py()
    found = [list(map(float, row[2:])) for row in rows if not row[1]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_standard_output(tiny_model: Path, pictures: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert embed(pictures / "00.png", "--model", tiny_model, "-o", "-") == 0
    out, err = capfdbinary.readouterr()
    (row,) = csv.DictReader(io.StringIO(out.decode()))
    assert row["path"] == str(pictures / "00.png") and float(row["feature_000"])
    assert err == b"model: tiny\nstandard output: 1 embedded, 0 failed\n"


def test_one_whole_pictures_of_views_and_of_full_size(
    tiny_model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [pictures / "00.png", pictures / "01.png"]
    listed = tmp_path / "list"
    listed.write_text("\n".join(map(str, files)))
    assert embed("--list", listed, "--full-size", "--model", tiny_model, "-o", tmp_path / "e.npy") == 0
    expected = load(tiny_model, runtime="onnxruntime").encode_image(files)
    np.testing.assert_allclose(np.load(tmp_path / "e.npy"), expected, atol=1e-6)
    assert embed(*files, "--views", "flip", "--model", tiny_model, "-o", tmp_path / "f.npy") == 2
    assert "takes views none, found 'flip'" in capsys.readouterr().err


def test_nothing_is_left_when_nothing_can_be_read(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("e.npy", "e.csv"):
        assert embed(tmp_path / "gone.jpg", "--model", tiny_model, "-o", tmp_path / name) == 2
        assert "gone.jpg: no such file" in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_what_stands_in_the_way_is_told_first(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there.npy").touch()
    (tmp_path / "e.npy.csv").touch()
    for arguments, says in (
        ([pictures, "-o", tmp_path / "there.npy"], "there.npy: already exists"),
        ([pictures, "-o", tmp_path / "e.npy"], "e.npy.csv: already exists"),
        ([pictures, "-o", tmp_path / "e.json"], "ends in .npy, .csv, .parquet"),
        ([pictures], "Missing option '-o'"),
        (["-o", tmp_path / "x.npy"], "give a PICTURE"),
        (["s3://bucket/a.jpg", "-o", tmp_path / "x.npy"], "save the file first"),
    ):
        assert embed(*arguments, "--model", "obrit") == 2
        assert says in capsys.readouterr().err


@pytest.mark.parametrize("name", ["e.npy", "e.csv", "e.parquet"])
def test_an_empty_list_is_said_and_gives_an_empty_output(
    tiny_model: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    listed, target = tmp_path / "list.txt", tmp_path / name
    listed.write_text("\n")
    assert embed("--list", listed, "--model", tiny_model, "-o", target) == 0
    assert f"no pictures: {listed} lists none" in capsys.readouterr().err
    if name == "e.npy":
        assert np.load(target).shape == (0, WIDTH)
        target = tmp_path / "e.npy.csv"
    names = pq.read_table(target).schema.names if name == "e.parquet" else target.read_text().strip().split(",")
    assert names[:2] == ["path", "error"]


def test_what_a_killed_run_left_is_removed_and_never_read(tiny_model: Path, pictures: Path, tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", seed=1)
    program = f"""
import os, signal
from earthclip.cli import main
from earthclip.locating.locator import Locator
Locator.encode_image = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
main(["embed", "images", "a.png", "--model", {str(tiny_model)!r}, "-o", "e.npy", "--workers", "0"])
"""
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True).returncode == -9
    left = [path.name for path in tmp_path.iterdir() if path.name != "a.png"]
    assert len(left) == 2 and all(name.startswith(".e.npy.") and name.endswith(".part") for name in left)
    (tmp_path / f".e.npy.{os.getppid()}.x.part").touch()  # of a run that goes on
    (tmp_path / ".e.npy.mine.part").touch()
    assert embed(tmp_path, "--model", tiny_model, "-o", tmp_path / "e.npy") == 0
    assert np.load(tmp_path / "e.npy").shape == (1, WIDTH)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"a.png", "e.npy", "e.npy.csv", f".e.npy.{os.getppid()}.x.part", ".e.npy.mine.part"}
