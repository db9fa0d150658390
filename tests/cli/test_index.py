"""``earthclip index`` and ``--index``: from a folder of photos to answers that name the photos they are near to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from earthclip.cli import cli
from tests.datasets.making import PLACES, photo
from tests.tiny import write_tiny_model


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.jpg").write_bytes(photo(number, PLACES[number % 5] if number else (0.0, 0.0)))
    (folder / "plain.jpg").write_bytes(photo(7))
    return folder


@pytest.fixture
def index(photos: Path, tiny_model: Path, tmp_path: Path) -> Path:
    built = run("index", "build", photos, "-o", tmp_path / "index", "--model", tiny_model, "--workers", 0)
    assert built.exit_code == 0, built.output
    assert "2 left out: 1 at (0, 0) (e.g. 0.jpg); 1 without GPS (e.g. plain.jpg)" in built.stderr
    assert "5 photos encoded, 0 unchanged" in built.stderr
    return tmp_path / "index"


def test_a_library_is_indexed_extended_described_and_shrunk(index: Path, photos: Path, tiny_model: Path) -> None:
    (photos / "more.jpg").write_bytes(photo(8, PLACES[0]))
    added = run("index", "add", photos, "-o", index, "--model", tiny_model, "--workers", 0)
    assert "1 photos encoded, 5 unchanged" in added.stderr
    assert run("index", "remove", index, "1.jpg").output == f"{index}: 1 photos removed\n"
    told = json.loads(run("index", "info", index, "--format", "json").stdout)
    assert (told["photos"], told["model"], told["weights"]["weight"]) == (5, "tiny", 3.0)
    assert "5 photos" in run("index", "info", index).output


def test_answers_name_their_nearest_photos(index: Path, photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    where = tmp_path / "answers.json"
    asked = ("locate", photos / "3.jpg", "--model", tiny_model, "--index", index)
    done = run(*asked, "-o", where, "--map", tmp_path / "map.html")
    assert done.exit_code == 0, done.output
    ((answer),) = json.loads(where.read_text())
    first = answer["references"][0]
    assert (first["id"], first["path"], first["index"]) == ("3.jpg", str(photos / "3.jpg"), str(index))
    assert first["similarity"] == pytest.approx(1.0, abs=1e-3) and first["share"] > 0.2
    assert (first["latitude"], first["longitude"]) == pytest.approx(PLACES[3], abs=1e-4)
    page = (tmp_path / "map.html").read_text()
    assert '"references": [{"index": "index", "id": "3.jpg", "similarity"' in page and str(index) not in page
    without = json.loads(run(*asked[:-2], "--format", "json").stdout)[0]
    assert "references" not in without


def test_faults_are_one_line_that_says_what_to_do(index: Path, photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    again = run("index", "build", photos, "-o", index, "--model", tiny_model)
    assert isinstance(again.exception, Exception) and "already holds an index" in str(again.exception)
    other = write_tiny_model(tmp_path / "other", "other", seed=3)
    refused = run("locate", photos / "3.jpg", "--model", other, "--index", index)
    assert "rebuild it: earthclip index build SOURCE" in str(refused.exception)
    assert "give a NAME, or --gone" in run("index", "remove", index).output


def test_force_replaces_an_index_only_when_the_new_one_is_complete(
    index: Path, photos: Path, tiny_model: Path, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in index.iterdir()}
    (index / "mine.txt").write_text("not of the index")
    bad = tmp_path / "bad.csv"
    bad.write_text("filename,lat,lon\nnone.jpg,10,20\n")
    (tmp_path / "none.jpg").write_bytes(b"no picture")
    command = ("index", "build", bad, "--images", tmp_path, "-o", index, "--model", tiny_model, "--workers", 0)
    refused = run(*command, "--force")
    assert "none of its photos can be read" in str(refused.exception)
    assert {path.name: path.read_bytes() for path in index.iterdir() if path.name in before} == before
    (photos / "5.jpg").unlink()
    replaced = run("index", "build", photos, "-o", index, "--model", tiny_model, "--workers", 0, "--force")
    assert replaced.exit_code == 0 and "4 photos" in run("index", "info", index).output
    assert (index / "mine.txt").exists() and not (index / "new").exists()


def test_nothing_of_the_users_is_lost(index: Path, photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    photos.rename(tmp_path / "unplugged")
    assert "connect its disk" in str(run("index", "remove", index, "--gone").exception)
    own = tmp_path / "own"
    own.mkdir()
    (own / "embeddings-0.npy").write_bytes(b"mine")
    refused = run("index", "build", tmp_path / "unplugged", "-o", own, "--model", tiny_model)
    assert "files of an index without index.json" in str(refused.exception)
    assert (own / "embeddings-0.npy").read_bytes() == b"mine"
