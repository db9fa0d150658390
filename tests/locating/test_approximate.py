"""The file that makes a large index fast to search: what it finds, when it is made again, and what is done without."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from earthclip.locating import approximate
from earthclip.locating.approximate import keep_approximate
from earthclip.locating.index_files import About, append
from earthclip.locating.photo_index import PhotoIndex, open_index
from tests.locating.records import record

N, WIDTH = 1500, 16


def rows_of(n: int, seed: int) -> np.ndarray:
    """Unit rows around 50 centres, as photos of 50 places."""
    centres = np.random.default_rng(0).normal(size=(50, WIDTH))
    rng = np.random.default_rng(seed)
    rows = centres[rng.integers(0, 50, n)] + 0.5 * rng.normal(size=(n, WIDTH))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def places_of(n: int) -> np.ndarray:
    return np.stack([np.linspace(-50, 50, n), np.linspace(-170, 170, n)], axis=1)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PhotoIndex:
    """An index of many photos, for which 1,000 are many, without its file."""
    pytest.importorskip("faiss")
    monkeypatch.setattr(approximate, "EXACT", 1000)
    monkeypatch.setattr(approximate, "_PROBED", 16)
    about = About("made", "0", WIDTH, complete=True)
    append(tmp_path, about, [record(row) for row in range(N)], rows_of(N, 1), places_of(N))
    return open_index(tmp_path)


def added(index: PhotoIndex, n: int) -> PhotoIndex:
    photos = [record(len(index) + row) for row in range(n)]
    append(index.folder, index.about, photos, rows_of(n, 2), places_of(n))
    return open_index(index.folder)


def keep(index: PhotoIndex) -> bool:
    """Whether the file was written."""
    path = index.folder / "search-0.faiss"
    before = path.stat().st_ino if path.exists() else 0
    keep_approximate(index.folder, index.about, index.embeddings)
    return path.exists() and path.stat().st_ino != before


def test_it_finds_what_comparing_all_finds_with_the_same_similarities(
    index: PhotoIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = rows_of(50, 3)
    whole = index.nearest(asked, 10)
    assert keep(index) and not keep(index)
    found = open_index(index.folder).nearest(asked, 10)
    assert np.mean([np.isin(one.rows, all_.rows).mean() for one, all_ in zip(found, whole, strict=True)]) > 0.98
    rows = np.asarray(index.embeddings, np.float32)
    for one, query in zip(found, asked, strict=True):
        np.testing.assert_allclose(one.similarities, rows[one.rows] @ query, atol=1e-6)
    monkeypatch.setattr(approximate, "EXACT", N)
    for one, all_ in zip(open_index(index.folder).nearest(asked, 10), whole, strict=True):
        np.testing.assert_array_equal(one.rows, all_.rows)


def test_rows_left_out_are_never_found_however_many_they_are(index: PhotoIndex) -> None:
    keep(index)
    left_out = np.arange(20, N)
    (found,) = open_index(index.folder).nearest(rows_of(1, 3), 10, [left_out])
    assert len(found.rows) == 10 and found.rows.max() < 20


def test_photos_that_were_added_since_are_found_and_many_make_it_again(index: PhotoIndex) -> None:
    keep(index)
    larger = added(index, 100)
    (found,) = larger.nearest(rows_of(100, 2)[[70]], 1)
    assert found.rows.tolist() == [N + 70] and not keep(larger)
    assert keep(added(larger, 200))


def test_a_damaged_file_is_not_used_and_made_again(index: PhotoIndex, caplog: pytest.LogCaptureFixture) -> None:
    asked, path = rows_of(5, 3), index.folder / "search-0.faiss"
    whole = index.nearest(asked, 10)
    assert "search compares all 1,500 photos; earthclip index build SOURCE -o" in caplog.text
    keep(index)
    for damage in (path.read_bytes()[: path.stat().st_size // 2], b"", b"no such file" * 100):
        path.write_bytes(damage)
        caplog.clear()
        for one, all_ in zip(open_index(index.folder).nearest(asked, 10), whole, strict=True):
            np.testing.assert_array_equal(one.rows, all_.rows)
        assert "makes it fast" in caplog.text
        assert keep(index)


def test_without_faiss_all_photos_are_compared(
    index: PhotoIndex, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keep(index)
    monkeypatch.setattr(approximate, "_installed", lambda: False)
    with caplog.at_level(logging.WARNING):
        assert open_index(index.folder).nearest(rows_of(1, 3), 10)[0].rows.tolist()
    assert "pip install 'earthclip[index]' makes it fast" in caplog.text
    assert not keep(added(index, 500))
