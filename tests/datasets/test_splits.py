from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.datasets.photos import FileStore, StoredPhotos
from earthclip.datasets.splits import (
    author_split,
    blocked_split,
    fraction,
    grouped_split,
    random_split,
    without_authors_of,
)
from earthclip.errors import InputError
from earthclip.geo.cells import cell_of
from earthclip.geo.sphere import from_unit_vectors


def photos(n: int, seed: int = 0, authors: int | None = 50) -> StoredPhotos:
    rng = np.random.default_rng(seed)
    places = from_unit_vectors(rng.normal(size=(n, 3)))
    names = None if authors is None else [f"{number}@N00" for number in rng.integers(0, authors, n)]
    ids = [f"{seed}-{i}.jpg" for i in range(n)]
    return StoredPhotos("made", ids, places, np.arange(n), FileStore(Path(), ids), names)


shares = st.lists(st.integers(1, 20), min_size=2, max_size=5).map(lambda parts: [part / sum(parts) for part in parts])
kinds = {"random": random_split, "place": blocked_split, "author": author_split}


@pytest.mark.parametrize("kind", kinds)
@settings(max_examples=15, deadline=None)
@given(st.integers(150, 400), shares, st.integers(0, 2**40))
def test_parts_are_disjoint_complete_and_the_same_each_time(kind: str, n: int, wanted: list[float], seed: int) -> None:
    made = photos(n)
    try:
        parts = kinds[kind](made, wanted, seed)
    except InputError as error:
        assert "would be empty" in str(error)
        return
    assert len(parts) == len(wanted)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(n))
    assert all((np.diff(part) > 0).all() for part in parts)
    again = kinds[kind](made, wanted, seed)
    assert all((a == b).all() for a, b in zip(parts, again, strict=True))


@pytest.mark.parametrize("kind", kinds)
def test_the_order_of_the_photos_does_not_matter(kind: str) -> None:
    made = photos(300)
    order = np.random.default_rng(3).permutation(300)
    turned = made.take(order)
    for part, other in zip(kinds[kind](made, [0.6, 0.4], 5), kinds[kind](turned, [0.6, 0.4], 5), strict=True):
        assert {made.ids[i] for i in part} == {turned.ids[i] for i in other}


@pytest.mark.parametrize("kind", kinds)
def test_another_seed_is_another_split_of_the_same_sizes(kind: str) -> None:
    made = photos(2000, authors=400)
    first, second = (kinds[kind](made, [0.8, 0.1, 0.1], seed) for seed in (0, 1))
    assert set(first[2]) != set(second[2])
    for parts in (first, second):
        np.testing.assert_allclose([len(part) / 2000 for part in parts], [0.8, 0.1, 0.1], atol=0.01)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5), st.integers(0, 1000))
def test_blocks_are_in_one_part(level: int, seed: int) -> None:
    made = photos(200)
    parts = blocked_split(made, [0.7, 0.3], seed, level=level)
    cells = cell_of(made.coordinates, level)
    assert not set(cells[parts[0]]) & set(cells[parts[1]])


def test_blocks_by_their_width() -> None:
    made = photos(500)
    by_level = blocked_split(made, [0.5, 0.5], 0, level=4)
    for same in (blocked_split(made, [0.5, 0.5], 0), blocked_split(made, [0.5, 0.5], 0, width_km=400.0)):
        assert all((a == b).all() for a, b in zip(by_level, same, strict=True))
    with pytest.raises(InputError, match="not both"):
        blocked_split(made, [0.5, 0.5], 0, level=4, width_km=400.0)
    with pytest.raises(InputError, match="part 2 of 2 would be empty: too few blocks"):
        blocked_split(made.take(np.array([0])), [0.5, 0.5], 0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000))
def test_authors_are_in_one_part(seed: int) -> None:
    made = photos(200, authors=20)
    made.authors = ["" if i % 10 == 0 else name for i, name in enumerate(made.authors or [])]
    first, second = author_split(made, [0.7, 0.3], seed)
    names = np.array(made.authors, dtype=object)
    assert set(names[first]) & set(names[second]) <= {""}


def test_authors_must_be_known() -> None:
    with pytest.raises(InputError, match="made: does not say who took its photos; split by place"):
        author_split(photos(10, authors=None), [0.5, 0.5], 0)
    with pytest.raises(InputError, match="does not say who"):
        without_authors_of(photos(10), photos(10, authors=None))


def test_photographers_of_another_set_are_left_out() -> None:
    ours, theirs = photos(100, authors=20), photos(30, seed=1, authors=10)
    ours.authors = ["", *(ours.authors or [])[1:]]
    theirs.authors = ["", *(theirs.authors or [])[1:]]
    kept = without_authors_of(ours, theirs)
    assert 0 in kept
    assert 0 < len(kept) < 100
    left = {ours.authors[i] for i in range(100) if i not in set(kept.tolist())}
    assert left <= set(theirs.authors)
    assert not {ours.authors[i] for i in kept} - {""} & set(theirs.authors)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 500), st.floats(0.001, 1.0), st.floats(0.001, 1.0), st.integers(0, 1000))
def test_a_smaller_fraction_is_part_of_a_larger(n: int, one: float, other: float, seed: int) -> None:
    smaller, larger = (fraction(n, share, seed) for share in sorted((one, other)))
    assert set(smaller) <= set(larger) <= set(range(n))
    assert len(smaller) == max(1, round(n * min(one, other)))
    assert (np.diff(larger) > 0).all()
    np.testing.assert_array_equal(fraction(n, 1.0, seed), np.arange(n))


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
def test_fractions_that_are_none(share: float) -> None:
    with pytest.raises(InputError, match=r"a fraction of .* expected more than 0, at most 1"):
        fraction(10, share, 0)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([0.5, 0.6], "shares 0.5,0.6 add up to 1.1; expected 1"),
        ([1.0], "shares 1: expected two or more"),
        ([1.2, -0.2], "expected two or more numbers above 0"),
        ([float("nan"), 1.0], "expected two or more numbers above 0"),
    ],
)
def test_shares_that_are_none(wanted: list[float], message: str) -> None:
    for split in kinds.values():
        with pytest.raises(InputError, match=message):
            split(photos(20), wanted, 0)


def test_one_large_group_does_not_upset_the_rest() -> None:
    groups = ["large"] * 60 + [f"small {i}" for i in range(40)]
    parts = grouped_split(groups, [0.8, 0.2], 0)
    assert sum("large" in {groups[i] for i in part} for part in parts) == 1
    assert len(parts[0]) + len(parts[1]) == 100
