"""Answers as a DataFrame: the rows of the CSV, with types."""

from __future__ import annotations

import io
import sys

import pandas
import pytest

import earthclip
from earthclip.errors import InputError, MissingExtraError
from tests.outputs.answers import FAILURE, bare, full
from tests.outputs.test_trust import written


def test_it_has_the_rows_and_columns_of_the_csv() -> None:
    answers = [full(caution="for views from above"), bare(), full(abstained=True), FAILURE]
    frame = earthclip.to_dataframe(answers)
    read = pandas.read_csv(io.StringIO(written("csv", *answers)), keep_default_na=False, na_values=[""])
    assert list(frame.columns) == list(read.columns) and len(frame) == len(read) == 6
    for name in ("latitude", "probability", "rank", "verdict", "place", "warning"):
        assert frame[name].isna().tolist() == read[name].isna().tolist(), name
    pandas.testing.assert_series_equal(frame["latitude"], read["latitude"])
    assert frame["rank"].tolist()[:4] == [1, 2, 1, 2] and frame["rank"].dtype == "Int64"
    assert frame.loc[4, "verdict"] == "abstained" and frame.loc[5, "error"]


def test_no_answers_are_a_frame_without_rows() -> None:
    frame = earthclip.to_dataframe([])
    assert len(frame) == 0 and frame["latitude"].dtype == "float64"


def test_what_is_no_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"a single answer; expected several, as in \[prediction\]"):
        earthclip.to_dataframe(full())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="number 1 is a str; expected a Prediction"):
        earthclip.to_dataframe([full(), "etna.jpg"])  # type: ignore[list-item]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"earthclip\[pandas\]"):
        earthclip.to_dataframe([])
