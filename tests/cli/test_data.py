from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from earthclip.cli import cli
from earthclip.datasets.opening import open_photos
from earthclip.datasets.rows import read_places
from earthclip.errors import EarthCLIPError, InputError, OutputError
from earthclip.geo.cells import cell_of
from tests.datasets.making import photo, write_photos, write_table


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["data", *map(str, arguments)], standalone_mode=False)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """120 photos by 12 authors all over the Earth."""
    rng = np.random.default_rng(0)
    rows = [[f"{i}.jpg", rng.uniform(-60, 70), rng.uniform(-180, 180), f"{i % 12}@N00"] for i in range(120)]
    write_photos(tmp_path / "images", [str(row[0]) for row in rows])
    return write_table(tmp_path / "t.csv", rows, "IMG_ID,LAT,LON,AUTHOR")


def test_check_ends_with_what_was_found(table: Path) -> None:
    clean = run("check", table)
    assert (clean.return_value, clean.exit_code) == (0, 0)
    assert clean.stdout.startswith("t.csv: 120 rows, 120 usable photos\n")
    (table.parent / "images" / "7.jpg").write_bytes(photo(7)[:-50])
    found = run("check", table, "--decode", "--format", "json")
    assert found.return_value == 1
    assert json.loads(found.stdout)["files"] == {"not decoded": 1}
    empty = table.parent / "empty"
    empty.mkdir()
    assert run("check", table, "--images", empty).return_value == 2


def test_split_by_place_writes_tables_that_are_read_again(table: Path, tmp_path: Path) -> None:
    result = run("split", table, "--out", tmp_path / "parts", "--seed", 3)
    assert result.exit_code == 0, result.exception
    parts = {name: open_photos(str(tmp_path / "parts" / f"{name}.csv"), images=tmp_path / "images") for name in PARTS}
    assert sum(map(len, parts.values())) == 120
    assert len(parts["train"]) > 80
    blocks = [set(cell_of(part.coordinates, 4).tolist()) for part in parts.values()]
    assert not blocks[0] & blocks[2]
    assert not blocks[0] & blocks[1]
    assert result.stdout.splitlines()[0] == f"{tmp_path}/parts/train.csv: {len(parts['train'])} photos"
    before = (tmp_path / "parts" / "train.csv").read_bytes()
    with pytest.raises(OutputError, match="already exists"):
        raise run("split", table, "--out", tmp_path / "parts").exception or AssertionError
    assert run("split", table, "--out", tmp_path / "parts", "--seed", 3, "--force").exit_code == 0
    assert (tmp_path / "parts" / "train.csv").read_bytes() == before


PARTS = ("train", "validation", "test")


def test_split_by_author_apart_from_others(table: Path, tmp_path: Path) -> None:
    write_photos(tmp_path / "other" / "images", ["x.jpg"])
    other = write_table(tmp_path / "other" / "o.csv", [["x.jpg", 1, 2, "3@N00"]], "IMG_ID,LAT,LON,AUTHOR")
    out = tmp_path / "parts"
    result = run("split", table, "--by", "author", "--shares", "0.5,0.5", "--apart-from", other, "--out", out)
    assert result.exit_code == 0, result.exception
    assert "10 of 120 photos left out, by authors in" in result.stderr
    parts = [open_photos(str(out / name), images=table.parent / "images") for name in ("train.csv", "test.csv")]
    authors = [set(part.authors or []) for part in parts]
    assert not authors[0] & authors[1]
    assert len(authors[0] | authors[1]) == 11


def test_a_fraction_of_train_is_nested(table: Path, tmp_path: Path) -> None:
    ids = {}
    for share in (0.1, 0.5, 1.0):
        out = tmp_path / str(share)
        shares = ["--shares", "0.5,0.2,0.1,0.2", "--fraction", share]
        assert run("split", table, "--by", "random", *shares, "--out", out).exit_code == 0
        ids[share] = set(read_places(out / "part-1.csv").ids)
    assert [len(ids[share]) for share in ids] == [6, 30, 60]
    assert ids[0.1] < ids[0.5] < ids[1.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shares", "a,b"], "--shares a,b: expected numbers separated by commas"),
        (["--shares", "0.5,0.6"], "add up to 1.1"),
        (["--by", "random", "--block-km", "9"], "--block-km 9 works with --by place, found --by random"),
        (["--fraction", "2"], "a fraction of 2"),
    ],
)
def test_wrong_options_say_what_to_type(table: Path, tmp_path: Path, options: list[str], message: str) -> None:
    result = CliRunner().invoke(cli, ["data", "split", str(table), "--out", str(tmp_path / "parts"), *options])
    assert isinstance(result.exception, InputError)
    with pytest.raises(EarthCLIPError, match=message):
        raise result.exception
    assert not (tmp_path / "parts").exists()


def test_help_loads_nothing_heavy() -> None:
    assert run("--help").exit_code == 0
    script = "import sys, earthclip.cli.data; print(sorted({'numpy', 'PIL', 'pyarrow', 'datasets'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
