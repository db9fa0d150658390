"""Intervals by author: wider where authors' pictures are alike, and what has no authors says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from earthclip.cli import cli
from earthclip.datasets.rows import Places, read_places
from earthclip.errors import InputError
from earthclip.evaluation.comparison import compare
from earthclip.evaluation.grouping import apart_from, grouping_of
from earthclip.evaluation.measured import evaluate
from earthclip.metrics import Intervals, bootstrap, bootstrap_curve

IM2GPS3K = Path(__file__).parents[1] / "data" / "im2gps3k" / "im2gps3k_coordinates.csv"
N = 40


def table(path: Path, authors: list[str] | None = None, header: str = "AUTHOR") -> Path:
    rows = [f"p{i},{i + 1},{i}" + (f",{authors[i]}" if authors else "") for i in range(N)]
    path.write_text("\n".join(["IMG_ID,LAT,LON" + (f",{header}" if authors else ""), *rows]))
    return path


def places(authors: list[str] | None) -> Places:
    return Places([f"p{i}" for i in range(N)], np.zeros((N, 2)), "t.csv", authors)


ALL = np.arange(N)
FOUR = [f"a{i % 4}" for i in range(N)]


def test_groups_of_equal_size_that_agree_are_drawn_whole() -> None:
    numbers = np.arange(N) % 4
    errors = np.array([0.5, 100.0, 3000.0, 9000.0])[numbers]  # all pictures of an author are equally far off
    grouped, single = bootstrap(errors[None], 400, 0, numbers)[0], bootstrap(errors[None], 400, 0)[0]
    assert set(np.unique(grouped[:, 0] * 4)) <= {0.0, 1.0, 2.0, 3.0, 4.0}  # shares of four authors
    assert grouped[:, 2].std() > 2 * single[:, 2].std()
    medians = {float(np.median(errors[np.isin(numbers, [a, b, c, d])])) for a, b, c, d in np.ndindex(4, 4, 4, 4)}
    assert set(np.round(grouped[:, 5], 6)) <= {*np.round(list(medians), 6), 50.25, 1500.25, 4500.25, 4550.0, 6000.0}


def test_every_picture_its_own_group_gives_the_same_width() -> None:
    errors = np.random.default_rng(0).gamma(0.5, 1000.0, 400)
    alone, grouped = Intervals.from_errors(errors), Intervals.from_errors(errors, groups=np.arange(400))
    assert grouped.mean_km == pytest.approx(alone.mean_km, rel=0.05)
    assert grouped.median_km == pytest.approx(alone.median_km, rel=0.1)
    at_km = np.array([1.0, 100.0, 2000.0])
    curves = bootstrap_curve(errors, at_km, 300, 0, np.arange(400))
    assert curves.mean(axis=0) == pytest.approx((errors[:, None] <= at_km).mean(axis=0), abs=0.01)


def test_paired_intervals_by_group() -> None:
    numbers = np.arange(N) % 4
    errors = np.random.default_rng(0).gamma(0.5, 1000.0, N)
    found = compare(("a", "b"), errors, errors + 1000.0 * (numbers == 0), 200, 0, numbers)
    assert found.grouped_intervals is not None
    width, by_author = (i.mean_km[1] - i.mean_km[0] for i in (found.intervals, found.grouped_intervals))
    assert by_author > 1.5 * width


def test_authors_of_flickr_names_and_of_columns(tmp_path: Path) -> None:
    flickr = read_places(IM2GPS3K)
    found = grouping_of(flickr, None, str(IM2GPS3K), np.arange(len(flickr)))
    assert found is not None and (found.count, found.largest) == (198, 235)
    path = table(tmp_path / "t.csv", FOUR)
    truth = read_places(path)
    assert truth.authors == FOUR
    for column in (None, "AUTHOR"):
        found = grouping_of(truth, column, str(path), ALL)
        assert found is not None and found.count == 4
    camera = table(tmp_path / "c.csv", ["", "", *FOUR[2:]], "CAMERA")
    found = grouping_of(read_places(camera), "CAMERA", str(camera), ALL)
    assert found is not None and (found.column, found.count) == ("CAMERA", 6)  # two without a value are on their own
    assert grouping_of(places(None), None, "t.csv", ALL) is None
    assert grouping_of(places(["x"] * N), None, "t.csv", ALL) is None


def test_columns_that_cannot_group(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", ["x"] * N, "CAMERA")
    truth = read_places(path)
    with pytest.raises(InputError, match=r"no column 'OWNER'; expected one of its header 'IMG_ID, LAT, LON, CAMERA'"):
        grouping_of(truth, "OWNER", str(path), ALL)
    with pytest.raises(InputError, match=r"t.csv: all 40 pictures have 'x' in column CAMERA; intervals by CAMERA need"):
        grouping_of(truth, "CAMERA", str(path), ALL)
    with pytest.raises(InputError, match=r"t.csv: no column 'AUTHOR'"):
        grouping_of(truth, "AUTHOR", str(path), ALL)
    empty = table(tmp_path / "e.csv", [""] * N, "CAMERA")
    with pytest.raises(InputError, match="column CAMERA is empty"):
        grouping_of(read_places(empty), "CAMERA", str(empty), ALL)
    with pytest.raises(InputError, match="only tables have a column 'CAMERA'"):
        grouping_of(truth, "CAMERA", str(tmp_path), ALL)


def test_authors_of_another_table_are_left_out(tmp_path: Path) -> None:
    other = table(tmp_path / "other.csv", ["a1"] * N)
    rows, note = apart_from(places(FOUR), str(other))
    assert len(rows) == 30 and not (rows % 4 == 1).any()
    assert note == f"10 of 40 pictures left out, by 1 authors who are in {other} too"
    with pytest.raises(InputError, match="all 40 pictures are by authors in"):
        apart_from(places(["a1"] * N), str(other))
    with pytest.raises(InputError, match=r"t\.csv: does not say who took its photos"):
        apart_from(places(None), str(other))
    with pytest.raises(InputError, match=r"plain\.csv: does not say who took its photos"):
        apart_from(places(FOUR), str(table(tmp_path / "plain.csv")))


def test_one_author_of_a_country_has_the_interval_of_independent_pictures() -> None:
    truths = np.array([[48.85, 2.35]] * 20 + [[40.4, -3.7]] * 20)  # Paris, Madrid
    truth = places(["x"] * 20 + [f"y{i % 5}" for i in range(20)])
    grouping = grouping_of(truth, None, "", ALL)
    errors = np.random.default_rng(0).uniform(0, 3, (N, 1))
    found = evaluate("s", "d", truths, truths + errors, grouping=grouping, resamples=100)
    groups = {group.code: group.groups for group in found.countries}
    assert groups == {"FR": 1, "ES": 5}
    (france,) = (group for group in found.countries if group.code == "FR")
    assert france.intervals.mean_km[1] > france.intervals.mean_km[0]


def test_the_command_tells_both_intervals(tmp_path: Path) -> None:
    truth, answers = table(tmp_path / "truth.csv", FOUR), tmp_path / "answers.csv"
    answers.write_text("\n".join(["IMG_ID,LAT,LON", *(f"p{i},{i + 1},{i + (i % 4) * 4}" for i in range(N))]))
    other = table(tmp_path / "other.csv", ["a1", *["b"] * (N - 1)])

    def run(*options: str) -> dict[str, object]:
        done = CliRunner().invoke(
            cli, ["evaluate", "table", str(answers), str(truth), "--format", "json", *options], catch_exceptions=False
        )
        return dict(json.loads(done.stdout))

    report = run("--against", str(truth))
    assert report["grouped"]["groups"] == 4  # type: ignore[index]
    assert set(report["comparison"]["grouped_intervals"]) == set(report["intervals"])  # type: ignore[index,call-overload]
    left = run("--apart-from", str(other))
    assert left["n"] == 30
    assert left["warnings"] == [f"10 of 40 pictures left out, by 1 authors who are in {other} too"]
