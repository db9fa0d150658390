from __future__ import annotations

import pytest

from earthclip.configuration import from_mapping
from earthclip.errors import ConfigError, InputError
from earthclip.evaluation.leaderboard import Published, leaderboard, leaderboards


def test_rows_are_shares_that_grow_with_the_distance_and_have_sources() -> None:
    for board in leaderboards().values():
        assert board.rows
        for row in board.rows:
            assert len(row.source) > 10 and row.idea
            assert list(row.fractions)[-4:] == ["25", "200", "750", "2500"] or (row.geoscore and not row.fractions)
    assert leaderboards()["im2gps3k"].rows[0].fractions["25"] == pytest.approx(0.28)
    scores = [row.geoscore or 0 for row in leaderboards()["osv5m"].rows]
    assert scores == sorted(scores) and scores[-1] == 4174
    with_own, without_own = leaderboards()["yfcc4k"].rows
    assert without_own.within["1"] < with_own.within["1"] / 2
    assert "without photos by the query's own photographer" in without_own.note


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"within": {"1": 30.0, "25": 20.0}}, "shares in percent must rise"),
        ({"within": {"2": 30.0}}, "shares in percent must rise"),
        ({"within": {}}, "expected a source, and shares or a GeoScore"),
        ({"source": ""}, "expected a source"),
        ({"sauce": "x"}, "unknown key 'sauce', did you mean 'source'"),
    ],
)
def test_a_row_at_fault_is_refused(changed: dict[str, object], message: str) -> None:
    row = {"system": "a", "year": 2026, "idea": "b", "source": "c", "within": {"25": 20.0}} | changed
    with pytest.raises(ConfigError, match=message):
        from_mapping(Published, row, "leaderboard.toml")


def test_which_one_is_meant() -> None:
    assert leaderboard("auto", "yfcc26k:data/yfcc").name == "yfcc26k"
    assert leaderboard("auto", "photos.csv").name == "im2gps3k"
    assert leaderboard("gws15k", "photos.csv").name == "gws15k"
    with pytest.raises(
        InputError,
        match=r"unknown leaderboard 'orbit'; expected im2gps3k, yfcc4k, yfcc26k, gws15k, osv5m, or put a bare",
    ):
        leaderboard("orbit")


def test_another_number_of_pictures_is_said() -> None:
    board = leaderboard("im2gps3k")
    assert board.warning(2997) is None
    assert board.warning(2990) == (
        "measured on 2,990 pictures, but Im2GPS3k has 2,997: the rows cannot be compared as they stand"
    )
    assert leaderboard("gws15k").warning(7) is None
