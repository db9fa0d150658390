"""Indices of photos: the same bytes whatever happened on the way, exact search, faults told with what to do."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earthclip import load
from earthclip.cli import main
from earthclip.datasets import feature_store
from earthclip.datasets.feature_store import FeatureWriter
from earthclip.datasets.opening import open_photos
from earthclip.errors import InputError
from earthclip.locating import index_building, photo_index
from earthclip.locating.index_building import Changes, build, extend, remove
from earthclip.locating.index_files import About
from earthclip.locating.photo_index import PhotoIndex, open_index
from tests.datasets.making import PLACES, photo
from tests.pictures.photos import jpeg
from tests.tiny import write_tiny_model

N = 40


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(N):
        (folder / f"{number:02}.jpg").write_bytes(photo(number, PLACES[number % 5]))
        os.utime(folder / f"{number:02}.jpg", ns=(10**18, 10**18))
    return folder


@pytest.fixture(autouse=True)
def small_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_building, "COMMIT_PHOTOS", 16)


def made(folder: Path, photos: Path, model: Path, **options: Any) -> Changes:
    locator = load(model)
    build(folder, locator, resume=True)
    return extend(folder, open_photos(str(photos)), str(photos), locator, **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_index_holds_unit_embeddings_places_and_names(photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    (photos / "zz.jpg").write_bytes(jpeg())
    assert made(tmp_path / "index", photos, tiny_model) == Changes(encoded=N + 1)
    index = open_index(tmp_path / "index")
    locator = load(tiny_model)
    expected = locator.encode_image([photos / "00.jpg", photos / "39.jpg"])
    np.testing.assert_allclose(np.asarray(index.embeddings[[0, 39]], np.float32), expected, atol=1e-3)
    np.testing.assert_allclose(index.coordinates[:5], PLACES, atol=1e-4)
    assert [record.id for record in index.records()] == sorted(path.name for path in photos.iterdir())
    assert index.record(3).path == str(photos / "03.jpg") and index.record(3).taken is None
    assert index.record(N).taken == "2024:01:02 03:04:05"
    assert np.load(tmp_path / "index" / "embeddings-0.npy").shape == (N + 1, 8)


def test_what_was_killed_is_continued_to_the_same_bytes(
    photos: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "whole", photos, tiny_model)

    class KilledError(BaseException):
        pass

    real = index_building.write_about
    for commits in (0, 3):  # the rows of another commit are on disk each time, and do not count
        made_before = tmp_path / f"ended-{commits}"
        locator = load(tiny_model)
        build(made_before, locator)
        writes = iter(range(commits))

        def write(folder: Path, about: About, writes: Any = writes) -> None:
            if next(writes, None) is None:
                raise KilledError
            real(folder, about)

        with monkeypatch.context() as patched, pytest.raises(KilledError):
            patched.setattr("earthclip.locating.index_files.write_about", write)
            patched.setattr("earthclip.locating.index_building.write_about", write)
            extend(made_before, open_photos(str(photos)), str(photos), locator)
        with pytest.raises(InputError, match=r"unfinished index.*--resume"):
            open_index(made_before)
        made(made_before, photos, tiny_model)
        assert contents(made_before) == contents(tmp_path / "whole")


def test_a_build_that_was_killed_is_resumed_to_the_same_bytes(photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    program = f"""
import os, signal
from earthclip.cli import main
from earthclip.locating import index_building, index_files

def write(folder, about, real=index_files.write_about):
    os.kill(os.getpid(), signal.SIGKILL) if about.photos == 32 else real(folder, about)

index_building.COMMIT_PHOTOS, index_files.write_about = 16, write
main(["index", "build", {str(photos)!r}, "-o", "killed", "--model", {str(tiny_model)!r}, "--workers", "1"])
"""
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True).returncode == -9
    killed = tmp_path / "killed"
    assert json.loads((killed / "index.json").read_text())["photos"] == 16
    assert (killed / "embeddings-0.npy").stat().st_size == 128 + 32 * 16  # the rows of the commit that was cut off
    command = ["index", "build", str(photos), "--model", str(tiny_model), "--workers", "0"]
    assert main([*command, "-o", str(killed), "--resume"]) == 0
    assert main([*command, "-o", str(tmp_path / "whole")]) == 0
    assert contents(killed) == contents(tmp_path / "whole")


def test_features_of_a_backbone_are_not_taken_for_photos(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = tmp_path / "features"
    FeatureWriter(features, feature_store.About("clip", "0", 768, 1, 1), ["a.jpg"], np.zeros((1, 2)))
    build = ["index", "build", str(features), "-o", str(tmp_path / "index"), "--model", str(tiny_model)]
    assert main(build) == 2
    assert "features of the backbone 'clip'" in capsys.readouterr().err and not (tmp_path / "index").exists()


def test_only_new_and_changed_photos_are_encoded(photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    made(folder, photos, tiny_model)
    before = contents(folder)
    assert made(folder, photos, tiny_model) == Changes(unchanged=N)
    assert contents(folder) == before
    (photos / "05.jpg").touch()  # another time, the same bytes
    (photos / "06.jpg").write_bytes(photo(600, PLACES[1]))
    (photos / "07.jpg").write_bytes((photos / "08.jpg").read_bytes())
    (photos / "new.jpg").write_bytes(photo(700, PLACES[2]))
    (photos / "torn.jpg").write_bytes(photo(800, PLACES[2])[:-200])
    changes = made(folder, photos, tiny_model)
    assert dataclasses.replace(changes, failed=[]) == Changes(encoded=2, changed=2, repeated=1, unchanged=N - 2)
    assert [failure.error.split(":")[0] for failure in changes.failed] == ["torn.jpg"]
    index = open_index(folder)
    assert [record.id for record in index.records()][-2:] == ["06.jpg", "new.jpg"] and len(index) == N
    assert sorted(path.name for path in folder.iterdir() if path.suffix == ".npy") == [
        "coordinates-1.npy",
        "embeddings-1.npy",
    ]


def test_photos_are_removed_by_name_and_when_their_file_is_gone(photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    made(folder, photos, tiny_model)
    embeddings = np.array(open_index(folder).embeddings)
    assert remove(folder, ["01.jpg", "1*.jpg"]) == 11
    (photos / "00.jpg").unlink()
    assert remove(folder, [], gone=True) == 1
    index = open_index(folder)
    kept = [number for number in range(N) if number not in (0, 1, *range(10, 20))]
    np.testing.assert_array_equal(index.embeddings, embeddings[kept])
    with pytest.raises(InputError, match=r"no photo is called 'none\.jpg'"):
        remove(folder, ["none.jpg"])


def cut_short(folder: Path) -> None:
    os.truncate(folder / "embeddings-0.npy", 128 + 30 * 16 + 5)


def shorter_record(folder: Path) -> None:
    lines = (folder / "photos-0.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "photos-0.jsonl").write_bytes(b"".join([lines[0], b"null\n", *lines[2:]]))


def lost_records(folder: Path) -> None:
    os.truncate(folder / "photos-0.jsonl", (folder / "photos-0.jsonl").stat().st_size - 3)


def lost_page(folder: Path) -> None:
    with (folder / "embeddings-0.npy").open("r+b") as file:
        file.seek(128 + 10 * 16)
        file.write(bytes(10 * 16))


def spoilt_record(folder: Path) -> None:
    with (folder / "photos-0.jsonl").open("r+b") as file:
        file.write(b"!" * 20)


@pytest.mark.parametrize(
    ("damage", "lost"), [(cut_short, 10), (lost_records, 1), (shorter_record, 2), (lost_page, 10), (spoilt_record, 1)]
)
def test_what_is_lost_is_told_and_encoded_again(
    photos: Path, tiny_model: Path, tmp_path: Path, damage: Any, lost: int
) -> None:
    folder = tmp_path / "index"
    made(folder, photos, tiny_model)
    whole = open_index(folder)
    expected = {
        record.id: embedding for record, embedding in zip(whole.records(), np.array(whole.embeddings), strict=True)
    }
    damage(folder)
    with pytest.raises(InputError, match=r"damaged .*--resume"):
        open_index(folder).records()
    changes = made(folder, photos, tiny_model)
    assert (changes.lost, changes.encoded, changes.unchanged) == (lost, lost, N - lost)
    index = open_index(folder)
    found = {record.id: row for record, row in zip(index.records(), np.array(index.embeddings), strict=True)}
    assert found.keys() == expected.keys()
    np.testing.assert_allclose(
        np.stack([found[name] for name in expected]), np.stack(list(expected.values())), atol=1e-3
    )


def test_faults_say_what_to_do(photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    with pytest.raises(InputError, match=r"no index of photos .* earthclip index build SOURCE -o"):
        open_index(folder)
    made(folder, photos, tiny_model)
    with pytest.raises(InputError, match="already holds an index"):
        build(folder, load(tiny_model))
    other = load(write_tiny_model(tmp_path / "other", "other", seed=1))
    with pytest.raises(
        InputError, match=r"of the model 'tiny', not of this 'other'; use the model that made it, or rebuild it: ea"
    ):
        extend(folder, open_photos(str(photos)), str(photos), other)
    with pytest.raises(InputError, match="another version of 'tiny'"):
        open_index(folder).check_model(load(write_tiny_model(tmp_path / "newer", seed=1)).folder)
    about = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(about | {"format": 9}))
    with pytest.raises(InputError, match="expected format 1, found 9"):
        open_index(folder)
    (folder / "index.json").write_text("{")
    with pytest.raises(InputError, match=r"damaged .* earthclip index build SOURCE -o .* --force"):
        open_index(folder)


def index_of(embeddings: np.ndarray) -> PhotoIndex:
    rows = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float16)
    places = np.stack([np.linspace(-50, 50, len(rows)), np.linspace(-170, 170, len(rows))], axis=1)
    about = About("made", "0", rows.shape[1], photos=len(rows), complete=True)
    return PhotoIndex(Path("made"), about, places, rows)


@pytest.mark.parametrize("queries", [1, 5])
def test_the_search_in_blocks_is_exact(queries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    index, asked = index_of(rng.normal(size=(1000, 8))), rng.normal(size=(queries, 8)).astype(np.float32)
    monkeypatch.setattr(photo_index, "_BLOCK", 128)
    similarities = asked / np.linalg.norm(asked, axis=1, keepdims=True) @ index.embeddings.astype(np.float32).T
    for found, row in zip(index.nearest(asked, 10), similarities, strict=True):
        np.testing.assert_array_equal(found.rows, np.argsort(-row, kind="stable")[:10])
        np.testing.assert_allclose(found.similarities, np.sort(row)[::-1][:10], atol=1e-6)


def test_rows_left_out_are_not_found_and_a_small_index_gives_what_it_has() -> None:
    index = index_of(np.eye(4))
    (found,) = index.nearest(np.array([[4.0, 3.0, 2.0, 1.0]], np.float32), 10, [np.array([0, 2])])
    assert found.rows.tolist() == [1, 3]
    assert len(index_of(np.empty((0, 4))).nearest(np.ones((1, 4), np.float32), 3)[0].rows) == 0
    with pytest.raises(InputError, match="embeddings of 5 numbers, those of made have 4"):
        index.nearest(np.ones((1, 5), np.float32), 3)
