from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earthclip.datasets.hugging_face import scan_dataset
from earthclip.datasets.opening import open_photos
from earthclip.datasets.rows import NO_PLACE
from earthclip.errors import InputError, MissingExtraError
from tests.datasets.making import PLACES, photo, write_photos

datasets = pytest.importorskip("datasets")


def made(**more: list[Any]) -> Any:
    n = len(PLACES)
    columns: dict[str, list[Any]] = {
        "image": [{"bytes": photo(i), "path": None} for i in range(n)],
        "latitude": [place[0] for place in PLACES],
        "longitude": [place[1] for place in PLACES],
        **more,
    }
    return datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image())


def test_an_in_memory_data_set() -> None:
    table = made(id=["a", "b", "c", "d", "e"], creator_username=["x", "y", "x", None, "y"])
    photos = scan_dataset(table, "made").usable()
    assert photos.ids == ["a", "b", "c", "d", "e"]
    assert photos.authors == ["x", "y", "x", "", "y"]
    np.testing.assert_array_equal(photos.coordinates, PLACES)
    file = photos.take(np.array([3])).open(0)
    assert isinstance(file, io.BytesIO)
    assert file.read() == photo(3)
    assert photos.label(3) == "made, row 3"


def test_a_data_set_on_disk_and_its_splits(tmp_path: Path) -> None:
    made().save_to_disk(tmp_path / "one")
    photos = open_photos(f"hf:{tmp_path / 'one'}")
    assert photos.ids == ["0", "1", "2", "3", "4"]
    assert photos.authors is None
    datasets.DatasetDict(train=made(), test=made(key=list("vwxyz"))).save_to_disk(tmp_path / "two")
    assert open_photos(f"hf:{tmp_path / 'two'}@test").ids == list("vwxyz")
    for source in ("two", "two@validation"):
        with pytest.raises(InputError, match=r"its splits are train, test; type hf:.*@train"):
            open_photos(f"hf:{tmp_path / source}")


def test_photos_that_are_files(tmp_path: Path) -> None:
    write_photos(tmp_path, ["a.jpg"])
    table = datasets.Dataset.from_dict({"photo": [str(tmp_path / "a.jpg")], "lat": [1.0], "lng": [2.0]})
    photos = scan_dataset(table, "made").usable()
    assert photos.open(0) == str(tmp_path / "a.jpg")


def test_rows_without_a_place_are_counted() -> None:
    scan = scan_dataset(made(latitude=[1.0, None, 2.0, 3.0, 4.0]), "made")
    assert scan.photos.ids == ["0", "2", "3", "4"]
    assert dict(scan.photos.skipped.counts) == {NO_PLACE: 1}
    assert scan.rows == 5


def test_columns_that_are_missing() -> None:
    with pytest.raises(InputError, match="made: no column of pictures among 'a, lat, lon'"):
        scan_dataset(datasets.Dataset.from_dict({"a": [1], "lat": [1.0], "lon": [1.0]}), "made")
    with pytest.raises(InputError, match="made: no column of a longitude"):
        scan_dataset(made().remove_columns("longitude"), "made")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"hf:a/b needs datasets, .* 'earthclip\[datasets\]'"):
        open_photos("hf:a/b")


def test_a_name_that_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, split: str | None) -> None:
        raise FileNotFoundError(f"Couldn't find {name}\nanywhere")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(InputError, match=r"hf:a/b: cannot be loaded .Couldn't find a/b anywhere.") as caught:
        open_photos("hf:a/b@train")
    assert "\n" not in str(caught.value)
