"""The feature store: what is written is what is read, whatever the shards; unfinished and damaged ones are told."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.datasets.feature_store import About, FeatureWriter, open_features
from earthclip.errors import InputError

ABOUT = About(backbone="clip", fingerprint="f", width=5, views=2, photos=10, shard_rows=4)
IDS = [f"photo {i}" for i in range(10)]
PLACES = np.stack([np.linspace(-80, 80, 10), np.linspace(-170, 170, 10)], axis=1)
FEATURES = np.random.default_rng(0).normal(size=(10, 2, 5)).astype(np.float16)


def fill(folder: Path, shards: list[int], failed: dict[int, str] | None = None) -> None:
    writer = FeatureWriter(folder, ABOUT, IDS, PLACES, resume=True)
    for shard in shards:
        rows = writer.rows_of(shard)
        mine = {row: why for row, why in (failed or {}).items() if row in rows}
        writer.write(shard, FEATURES[rows.start : rows.stop], mine)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 1)), max_size=30))
def test_rows_are_those_written_without_the_unreadable(tmp_path_factory: pytest.TempPathFactory, asked: list) -> None:
    folder = tmp_path_factory.mktemp("store") / "features"
    fill(folder, [2, 0, 1], {5: "cut short"})
    store = open_features(folder)
    assert len(store) == 9 and store.ids == IDS[:5] + IDS[6:] and store.failed == {5: "cut short"}
    np.testing.assert_array_equal(store.coordinates, np.delete(PLACES, 5, axis=0))
    indices, views = (np.array([one[part] for one in asked], np.int64) for part in (0, 1))
    expected = np.delete(FEATURES, 5, axis=0)[indices, views].astype(np.float32).reshape(-1, 5)
    np.testing.assert_array_equal(store.rows(indices, views), expected)
    np.testing.assert_array_equal(store.rows(indices), np.delete(FEATURES, 5, axis=0)[indices, 0].reshape(-1, 5))


def test_an_unfinished_store_goes_on_where_it_was(tmp_path: Path) -> None:
    fill(tmp_path / "store", [1])
    with pytest.raises(InputError, match="2 of 3 shards are missing"):
        open_features(tmp_path / "store")
    writer = FeatureWriter(tmp_path / "store", ABOUT, IDS, PLACES, resume=True)
    assert writer.missing == [0, 2]
    fill(tmp_path / "store", writer.missing)
    assert len(open_features(tmp_path / "store")) == 10


def test_other_features_are_not_mixed_in(tmp_path: Path) -> None:
    fill(tmp_path, [0])
    with pytest.raises(InputError, match="already holds features"):
        FeatureWriter(tmp_path, ABOUT, IDS, PLACES)
    with pytest.raises(InputError, match="another fingerprint"):
        FeatureWriter(tmp_path, dataclasses.replace(ABOUT, fingerprint="g"), IDS, PLACES, resume=True)
    with pytest.raises(InputError, match="of other photos"):
        FeatureWriter(tmp_path, ABOUT, IDS[::-1], PLACES, resume=True)


def test_damage_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no features here"):
        open_features(tmp_path)
    fill(tmp_path, [0, 1, 2])
    whole = (tmp_path / "features-00001.npy").read_bytes()
    (tmp_path / "features-00001.npy").write_bytes(whole[:-40])
    with pytest.raises(InputError, match=r"features-00001\.npy: damaged"):
        open_features(tmp_path)
    (tmp_path / "features-00001.npy").write_bytes(whole)
    (tmp_path / "ids.txt").write_text("one")
    with pytest.raises(InputError, match="do not fit together"):
        open_features(tmp_path)
