"""Models on photos with known places."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack
from unittest import mock

import numpy as np
import pytest

from earthclip.datasets.photos import FileStore, StoredPhotos
from earthclip.errors import InputError
from earthclip.evaluation.located import locate_photos
from earthclip.evaluation.report import manifest_photos
from earthclip.locating.locator import load
from earthclip.locating.prediction import Prediction
from earthclip.locating.question import Question, QuestionFields
from earthclip.models.config import ModelConfig
from earthclip.models.sources import resolve
from earthclip.pictures.prepare import Failure, Picture, Prepared
from tests.tiny import write_picture

PLACES = {"b.jpg": (0.0, 1.0), "a.png": (10.0, 10.0), "dotted.v2.jpeg": (0.0, 0.0), "c.jpg": (0.0, 0.0)}


@dataclass
class Reader:
    """A model that knows pictures by their names, without probabilities."""

    config: ModelConfig

    def answers(
        self,
        pictures: Iterable[Picture | Prepared | Failure],
        question: Question | None = None,
        *,
        batch_size: int = 16,
        **fields: Unpack[QuestionFields],
    ) -> Iterator[Prediction | Failure]:
        top_k = (question or Question()).with_fields(fields).top_k
        for picture in pictures:
            if isinstance(picture, Failure):
                yield picture
            else:
                assert isinstance(picture, Prepared)
                place = PLACES[Path(str(picture.path)).name]
                yield Prediction(picture.path, "reader", np.array([place] * top_k), np.full(top_k, 1 / top_k))


@pytest.fixture
def benchmark(tmp_path: Path) -> tuple[Path, Path]:
    images = tmp_path / "images"
    (images / "more").mkdir(parents=True)
    for seed, name in enumerate(("b.jpg", "a.png", "dotted.v2.jpeg", "more/c.jpg")):
        write_picture(images / name, seed)
    table = tmp_path / "manifest.csv"
    table.write_text("IMG_ID,LAT,LON\na,10,10\nb.jpg,0,0\ndotted.v2,0,90\nmore/c,0,-180\n")
    return table, images


def test_each_picture_gets_its_own_answer(benchmark: tuple[Path, Path], tiny_model: Path) -> None:
    photos = manifest_photos(*benchmark)
    seen: list[tuple[int, int]] = []
    config = resolve(str(tiny_model)).config
    found = locate_photos(Reader(config), photos, progress=lambda done, n: seen.append((done, n)))
    np.testing.assert_array_equal(found.rows, range(4))
    np.testing.assert_array_equal(
        found.places, [PLACES[name] for name in ("a.png", "b.jpg", "dotted.v2.jpeg", "c.jpg")]
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert found.promises is None
    assert found.failures == []


def test_a_real_model_promises(benchmark: tuple[Path, Path], tiny_model: Path) -> None:
    photos, locator = manifest_photos(benchmark[0]), load(tiny_model)  # images beside the manifest
    found = locate_photos(locator, photos, workers=1)
    expected = [p.coordinates[0] for p in locator.locate([photos.open(i) for i in range(4)], top_k=1)]
    np.testing.assert_array_equal(found.places, expected)
    assert found.name == "tiny"
    assert found.promises is not None
    assert found.promises.covered.shape == (4, 2)


def test_a_picture_that_cannot_be_read_is_left_out_and_the_others_go_on(
    benchmark: tuple[Path, Path], tiny_model: Path
) -> None:
    (benchmark[1] / "b.jpg").write_bytes(b"\xff\xd8\xff")
    found = locate_photos(load(tiny_model), manifest_photos(*benchmark))
    np.testing.assert_array_equal(found.rows, [0, 2, 3])
    assert found.places.shape == (3, 2)
    assert found.promises is not None and len(found.promises.held) == 3
    (failure,) = found.failures
    assert "b.jpg" in failure.error
    for path in benchmark[1].rglob("*.*"):
        path.write_text("no picture")
    with pytest.raises(InputError, match=r"manifest.csv: none of 4 photos could be read; the first: .*a.png"):
        locate_photos(load(tiny_model), manifest_photos(*benchmark))


class Memory(FileStore):
    """Photos as they come out of shards; the last cannot be had any more."""

    def open(self, row: int) -> str | io.BytesIO:  # type: ignore[override]
        if row == len(self.names) - 1:
            raise InputError("shard.tar: gone")
        path = self.folder / self.names[row]
        return str(path) if row == 0 else io.BytesIO(path.read_bytes())


@dataclass(eq=False)
class Elsewhere:
    inner: Memory

    def open(self, row: int) -> str | io.BytesIO:
        return self.inner.open(row)

    def label(self, row: int) -> str:
        return self.inner.names[row]


@pytest.mark.parametrize("views", ["none", "flip"])
def test_photos_in_memory_are_located_as_those_on_disk(
    benchmark: tuple[Path, Path], tmp_path: Path, views: str
) -> None:
    from tests.tiny import write_tiny_model

    locator = load(write_tiny_model(tmp_path / "model", views=("none", "flip")))
    on_disk = manifest_photos(*benchmark)
    assert isinstance(on_disk.store, FileStore)
    store = Elsewhere(Memory(on_disk.store.folder, on_disk.store.names))
    photos = StoredPhotos("shards", on_disk.ids, on_disk.coordinates, on_disk.rows, store)
    expected = locate_photos(locator, on_disk, views=views)
    found = locate_photos(locator, photos, views=views)
    np.testing.assert_array_equal(found.places, expected.places[:3])
    assert [failure.error for failure in found.failures] == ["shard.tar: gone"]
    assert found.failures[0].path == "more/c"


def test_photos_in_memory_are_read_in_workers(tiny_model: Path, tmp_path: Path) -> None:
    for seed in range(12):
        write_picture(tmp_path / f"{seed:02}.png", seed)
    rows = [f"{seed:02},{seed},{seed}" for seed in range(12)]
    (tmp_path / "manifest.csv").write_text("\n".join(["IMG_ID,LAT,LON", *rows, ""]))
    on_disk, locator = manifest_photos(tmp_path / "manifest.csv", tmp_path), load(tiny_model)
    assert isinstance(on_disk.store, FileStore)
    store = Elsewhere(Memory(on_disk.store.folder, on_disk.store.names))
    photos = StoredPhotos("shards", on_disk.ids, on_disk.coordinates, on_disk.rows, store)
    with mock.patch("earthclip.pictures.worker.prepare", side_effect=AssertionError("read in this process")):
        found = locate_photos(locator, photos, workers=1)
    np.testing.assert_array_equal(found.places, locate_photos(locator, on_disk).places[:11])
    assert [(failure.path, failure.error) for failure in found.failures] == [("11", "shard.tar: gone")]
