from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from earthclip.datasets.folder import NO_GPS, NOT_A_PHOTO, UNREADABLE
from earthclip.datasets.opening import open_photos
from earthclip.datasets.photos import shown
from earthclip.datasets.rows import NULL_ISLAND
from earthclip.errors import InputError
from tests.datasets.making import PLACES, photo
from tests.pictures.photos import LATITUDE, LONGITUDE, jpeg, png


def test_photos_that_know_their_places(tmp_path: Path) -> None:
    (tmp_path / "trip" / "day 2").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    names = ["b.jpg", "a.JPG", "trip/c.jpeg", "trip/day 2/d.webp", "trip/e.png"]
    for number, name in enumerate(names):
        kind = {".webp": "WEBP", ".png": "PNG"}.get(Path(name).suffix, "JPEG")
        (tmp_path / name).write_bytes(photo(number, PLACES[number], kind))
    (tmp_path / ".hidden" / "x.jpg").write_bytes(photo(9, (1.0, 1.0)))
    (tmp_path / "notes.txt").write_text("no photo")
    photos = open_photos(str(tmp_path))
    assert photos.ids == ["a.JPG", "b.jpg", "trip/c.jpeg", "trip/e.png", "trip/day 2/d.webp"]
    assert photos.authors is None
    assert not photos.skipped
    order = [names.index(name) for name in photos.ids]
    np.testing.assert_allclose(photos.coordinates, np.array(PLACES)[order], atol=1e-6)
    assert photos.open(4) == str(tmp_path / "trip/day 2/d.webp")


def test_a_phones_photos_and_their_many_blocks(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    (tmp_path / "b.png").write_bytes(png())
    photos = open_photos(str(tmp_path))
    np.testing.assert_allclose(photos.coordinates, [[LATITUDE, LONGITUDE]] * 2, atol=1e-4)


def test_what_cannot_be_used_is_counted(tmp_path: Path) -> None:
    (tmp_path / "good.jpg").write_bytes(photo(0, PLACES[0]))
    (tmp_path / "null.jpg").write_bytes(photo(1, (0.0, 0.0)))
    (tmp_path / "plain.jpg").write_bytes(photo(2))
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "head only.jpg").write_bytes(photo(3, PLACES[1])[:30])
    photos = open_photos(str(tmp_path))
    assert photos.ids == ["good.jpg"]
    assert dict(photos.skipped.counts) == {NULL_ISLAND: 1, NO_GPS: 2, NOT_A_PHOTO: 2}
    assert photos.skipped.examples[NULL_ISLAND] == ["null.jpg"]
    assert sorted(photos.skipped.examples[NO_GPS]) == ["head only.jpg", "plain.jpg"]


def test_a_folder_that_cannot_be_listed_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "good.jpg").write_bytes(photo(0, PLACES[0]))
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    photos = open_photos(str(tmp_path))
    assert photos.ids == ["good.jpg"]
    assert photos.skipped.examples[UNREADABLE] == [
        shown(f"{tmp_path / 'closed'}: the folder cannot be read (Permission denied)")
    ]


def test_metadata_beyond_the_first_blocks_is_found(tmp_path: Path) -> None:
    data = photo(0, PLACES[0])
    comment = b"\xff\xfe\xff\xff" + bytes(65533)
    (tmp_path / "late.jpg").write_bytes(data[:2] + comment * 5 + data[2:])
    np.testing.assert_allclose(open_photos(str(tmp_path)).coordinates, [PLACES[0]], atol=1e-6)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "a folder without photos; expected files that end in jpg, jpeg, "),
        (["0.tar"], r"without photos; for its shards type '.*\*\.tar'"),
        (["a.jpg"], "no usable photo; 1 left out: 1 not a photo"),
    ],
)
def test_a_folder_of_no_use(tmp_path: Path, names: list[str], message: str) -> None:
    for name in names:
        (tmp_path / name).write_text("x")
    with pytest.raises(InputError, match=message) as caught:
        open_photos(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_what_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: no such data set; expected a folder .* mp16:FOLDER, im2gps:FOLDER"):
        open_photos("nowhere")
    with pytest.raises(InputError, match=r"s3://b/t.csv: only shards can be read from an address"):
        open_photos("s3://b/t.csv")
    with pytest.raises(InputError, match="works with tables only"):
        open_photos(str(tmp_path), images=tmp_path)
