from __future__ import annotations

import gzip
import io
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from earthclip.datasets import shards
from earthclip.datasets.opening import open_photos
from earthclip.datasets.rows import NO_PLACE, NOT_NUMBERS, SEEN_BEFORE
from earthclip.datasets.shards import CUT_SHORT, NO_PHOTO, UNREADABLE, expand, scan_shards
from earthclip.errors import InputError, MissingExtraError
from tests.datasets.making import PLACES, photo, sample, write_shard


def content(photos: object, index: int) -> bytes:
    file = photos.open(index)  # type: ignore[attr-defined]
    assert isinstance(file, io.BytesIO)
    return file.read()


def test_photos_of_shards(tmp_path: Path) -> None:
    write_shard(tmp_path / "00000.tar", [sample(i) for i in range(3)])
    write_shard(tmp_path / "00001.tar", [sample(i) for i in range(3, 5)])
    for pattern in ("{00000..00001}.tar", "*.tar", "0000{0,1}.tar"):
        photos = open_photos(str(tmp_path / pattern))
        assert photos.ids == ["00000", "00001", "00002", "00003", "00004"]
        np.testing.assert_array_equal(photos.coordinates, PLACES)
        assert photos.authors == ["author 0", "author 1", "author 0", "author 1", "author 0"]
        assert [content(photos, i) for i in range(5)] == [photo(i) for i in range(5)]
    assert photos.label(4) == f"{tmp_path}/00001.tar/00004.jpg"
    assert Image.open(photos.open(3)).size == (8, 8)
    copy = pickle.loads(pickle.dumps(photos.take(np.array([4]))))
    assert content(copy, 0) == photo(4)


def test_degrees_are_found_however_they_are_called(tmp_path: Path) -> None:
    spellings = [
        {"lat": 1, "lng": 2},
        {"LAT": "1", "LON": "2"},
        {"gps": {"Latitude": 1, "Longitude": 2}},
        {"location": {"lat": 1.0, "long": 2.0}, "user_nsid": "someone"},
    ]
    write_shard(
        tmp_path / "a.tar",
        [
            *(sample(i, **spelling) for i, spelling in enumerate(spellings)),
            ("with.dots/text", {"png": photo(kind="PNG"), "txt": b"1, 2\n"}),
        ],
    )
    photos = open_photos(str(tmp_path / "a.tar"))
    assert photos.ids == ["00000", "00001", "00002", "00003", "with.dots/text"]
    np.testing.assert_array_equal(photos.coordinates, [[1, 2]] * 5)
    assert photos.authors == ["", "", "", "someone", ""]


def test_what_cannot_be_used_is_counted(tmp_path: Path) -> None:
    samples = [
        sample(0),
        ("00001", {"jpg": photo(1)}),
        ("00002", {"json": b'{"lat": 1, "lon": 2}'}),
        ("00003", {"jpg": photo(3), "json": b"{broken"}),
        ("00004", {"jpg": photo(3), "json": b"[1, 2]"}),
        sample(5, lat=float("nan"), lon=1.0),
        sample(0),
    ]
    write_shard(tmp_path / "a.tar", samples)
    (tmp_path / "b.tar").write_bytes(b"no tar" * 500)
    (tmp_path / "c.tar").touch()
    photos = open_photos(str(tmp_path / "*.tar"))
    assert photos.ids == ["00000"]
    counts = {NO_PLACE: 3, NO_PHOTO: 1, NOT_NUMBERS: 1, SEEN_BEFORE: 1, UNREADABLE: 2}
    assert dict(photos.skipped.counts) == counts


def test_a_key_in_two_shards_is_two_photos(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", [sample(0)])
    write_shard(tmp_path / "b.tar", [sample(0), sample(1)])
    photos = open_photos(str(tmp_path / "{a,b}.tar"))
    assert photos.ids == ["00000", "b/00000", "00001"]
    assert not photos.skipped


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0.0, 1.0))
def test_of_a_shard_cut_short_what_is_whole_is_used(tmp_path: Path, share: float) -> None:
    whole = write_shard(tmp_path / "whole.tar", [sample(i) for i in range(5)])
    size = whole.stat().st_size
    used = 5 * 7 * 512  # of each sample three headers, two blocks of the photo, one of each other
    length = int(share * used)
    (tmp_path / "cut.tar").write_bytes(whole.read_bytes()[:length])
    assert length < size
    try:
        scan = scan_shards(str(tmp_path / "cut.tar"))
    except InputError as error:
        assert length < 512
        assert "no readable shard" in str(error)
        return
    ids = scan.photos.ids
    assert ids == [f"{i:05d}" for i in range(len(ids))]
    assert len(ids) >= length // (7 * 512)
    assert all(content(scan.photos, i) == photo(i) for i in range(len(ids)))
    assert scan.photos.skipped.counts[CUT_SHORT] == 1


def test_a_remote_shard(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    write_shard(tmp_path / "a.tar", [sample(i) for i in range(3)])
    memory = fsspec.filesystem("memory")
    for name in ("00", "01"):
        memory.pipe(f"/bucket/{name}.tar", (tmp_path / "a.tar").read_bytes())
    try:
        for pattern in ("memory://bucket/{00..01}.tar", "memory://bucket/*.tar"):
            photos = open_photos(pattern)
            assert photos.ids == ["00000", "00001", "00002", "01/00000", "01/00001", "01/00002"]
            assert content(photos, 4) == photo(1)
        memory.rm("/bucket/01.tar")
        with pytest.raises(InputError, match=r"cannot be read .* is the shard still there"):
            photos.open(4)
        assert open_photos("memory://bucket/{00..02}.tar").skipped.counts[UNREADABLE] == 2
    finally:
        memory.rm("/bucket", recursive=True)
    with pytest.raises(InputError, match=r"noprotocol://x/a.tar: .*expected a path or an address"):
        open_photos("noprotocol://x/a.tar")


def test_addresses_need_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingExtraError, match=r"s3://bucket/\*.tar needs fsspec, .* 'earthclip\[remote\]'"):
        open_photos("s3://bucket/*.tar")


def test_a_protocol_that_needs_a_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec")

    def refuse(url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", refuse)
    with pytest.raises(InputError, match=r"s3://b/0.tar: Install s3fs to access S3, by pip"):
        open_photos("s3://b/0.tar")


def test_a_shard_that_changed_is_noticed(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a.tar", [sample(i) for i in range(3)])
    photos = open_photos(str(shard))
    shard.write_bytes(shard.read_bytes()[: 7 * 512 + 9])
    with pytest.raises(InputError, match="has become shorter"):
        photos.open(2)
    shard.unlink()
    with pytest.raises(InputError, match="No such file"):
        photos.open(0)


def test_an_index_outlives_the_process_and_not_its_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard, cache = write_shard(tmp_path / "a.tar", [sample(i) for i in range(3)]), tmp_path / "cache"
    first = open_photos(str(shard), cache=cache)
    (stored,) = cache.iterdir()

    def refuse(file: object) -> None:
        raise AssertionError("read again")

    with monkeypatch.context() as patch:
        patch.setattr(shards, "read_shard", refuse)
        again = open_photos(str(shard), cache=cache)
        assert again.ids == first.ids
        assert again.authors == first.authors
        np.testing.assert_array_equal(again.coordinates, first.coordinates)
        assert [content(again, i) for i in range(3)] == [photo(i) for i in range(3)]
    for damage in (
        stored.read_bytes()[:-9],
        stored.read_bytes()[:12] + bytes(40),
        b"",
        gzip.compress(b'{"format": 1}'),
    ):
        stored.write_bytes(damage)
        assert open_photos(str(shard), cache=cache).ids == first.ids
        assert len(stored.read_bytes()) > 50
    write_shard(shard, [sample(i) for i in range(4)])
    assert len(open_photos(str(shard), cache=cache)) == 4
    cut = shard.read_bytes()[: 8 * 512]
    shard.write_bytes(cut)
    for _ in range(2):
        assert open_photos(str(shard), cache=cache).skipped.counts[CUT_SHORT] == 1
    assert len(open_photos(str(shard), cache=tmp_path / "a.tar" / "no folder")) == 1


def test_patterns(tmp_path: Path) -> None:
    assert expand("s3://b/{0008..0011}.tar") == [f"s3://b/{i:04d}.tar" for i in range(8, 12)]
    assert expand("{a,b}-{1..2}.tar") == ["a-1.tar", "a-2.tar", "b-1.tar", "b-2.tar"]
    for pattern, message in (
        ("{5..2}.tar", "must count upwards"),
        ("{0..9999999}.tar", "must count upwards, to fewer"),
        ("{0..999}{0..999}.tar", "more than 100,000 shards"),
        (str(tmp_path / "*.tar"), "no such shards"),
        ("a.tar.gz", "compressed shards cannot be read at an offset"),
    ):
        with pytest.raises(InputError, match=message):
            expand(pattern)
    with pytest.raises(InputError, match="no readable shard"):
        open_photos(str(tmp_path / "none.tar"))
