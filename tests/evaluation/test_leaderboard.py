from __future__ import annotations

import pytest

from earthclip.errors import InputError
from earthclip.evaluation.comparison import LEADERBOARDS, leaderboard


def test_rows_are_shares_that_grow_with_the_distance_and_have_sources() -> None:
    for board in LEADERBOARDS.values():
        for row in board.rows:
            assert sorted(row.accuracy) == list(row.accuracy)
            assert all(0 < share < 100 for share in row.accuracy)
            assert "arXiv" in row.source or "ECCV" in row.source
            assert list(row.fractions) == ["1", "25", "200", "750", "2500"]
    assert LEADERBOARDS["im2gps3k"].rows[0].fractions["25"] == pytest.approx(0.28)


def test_which_one_is_meant() -> None:
    assert leaderboard("auto", "yfcc26k:data/yfcc").name == "yfcc26k"
    assert leaderboard("auto", "photos.csv").name == "im2gps3k"
    assert leaderboard("gws15k", "photos.csv").name == "gws15k"
    with pytest.raises(
        InputError, match=r"unknown leaderboard 'orbit'; expected im2gps3k, yfcc26k, gws15k, or put a bare"
    ):
        leaderboard("orbit")


def test_another_number_of_pictures_is_said() -> None:
    board = leaderboard("im2gps3k")
    assert board.warning(2997) is None
    assert board.warning(2990) == (
        "measured on 2,990 pictures, but Im2GPS3k has 2,997: the rows cannot be compared as they stand"
    )
    assert leaderboard("gws15k").warning(7) is None
