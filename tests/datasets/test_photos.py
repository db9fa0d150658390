from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from earthclip.datasets.photos import FileStore, PhotoSet, Skipped, StoredPhotos, shown
from earthclip.datasets.rows import read_places
from earthclip.datasets.splits import write_manifest
from earthclip.errors import OutputError


def photos(n: int = 4) -> StoredPhotos:
    ids = [f"{i}.jpg" for i in range(n)]
    places = np.stack([np.linspace(-80, 80, n), np.linspace(-180, 170, n)], axis=1)
    rows, store = np.arange(n)[::-1].copy(), FileStore(Path("folder"), [f"file-{i}" for i in range(n)])
    return StoredPhotos("made", ids, places, rows, store, [f"author {i % 2}" for i in range(n)])


def test_stored_photos_are_a_photo_set() -> None:
    made = photos()
    assert isinstance(made, PhotoSet)
    assert len(made) == 4
    assert made.open(0) == str(Path("folder/file-3"))
    assert made.label(3) == str(Path("folder/file-0"))


def test_what_is_taken_keeps_its_files_and_order() -> None:
    taken = photos().take(np.array([2, 0]))
    assert taken.ids == ["2.jpg", "0.jpg"]
    assert taken.authors == ["author 0", "author 0"]
    assert taken.open(0) == str(Path("folder/file-1"))
    np.testing.assert_array_equal(taken.coordinates, photos().coordinates[[2, 0]])
    again = taken.take(np.array([1]))
    assert (again.ids, again.open(0)) == (["0.jpg"], str(Path("folder/file-3")))
    assert len(photos().take(np.array([], np.int64))) == 0


def test_they_go_to_another_process() -> None:
    copy = pickle.loads(pickle.dumps(photos()))
    assert copy.ids == photos().ids
    assert copy.open(1) == photos().open(1)


def test_reasons_are_counted_with_examples() -> None:
    skipped = Skipped()
    assert not skipped
    assert str(skipped) == "nothing left out"
    for number in range(5):
        skipped.add("without GPS", f"{number}.jpg")
    skipped.add("out of range", "a\nb", 7)
    assert skipped
    assert skipped.total == 12
    assert str(skipped) == "12 left out: 7 out of range (e.g. a?b); 5 without GPS (e.g. 0.jpg, 1.jpg, 2.jpg)"
    assert len(shown("x" * 500)) == 80


def test_a_written_table_is_read_again_to_the_last_bit(tmp_path: Path) -> None:
    made = photos(7)
    write_manifest(made, tmp_path / "made.csv")
    again = read_places(tmp_path / "made.csv")
    assert again.ids == made.ids
    np.testing.assert_array_equal(again.coordinates, made.coordinates)
    assert "AUTHOR" in (tmp_path / "made.csv").read_text().splitlines()[0]
    with pytest.raises(OutputError, match="already exists"):
        write_manifest(made, tmp_path / "made.csv")
