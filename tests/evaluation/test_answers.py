"""Tables of answers, of any system and of locate."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.datasets.rows import Places
from earthclip.errors import InputError
from earthclip.evaluation.answers import FARTHEST_KM, Missing, answers_for
from earthclip.geo.sphere import great_circle_km
from earthclip.locating.prediction import Prediction
from earthclip.outputs import writer
from earthclip.pictures.prepare import Failure

TRUTH = Places(["a", "b.jpg", "more/c"], np.zeros((3, 2)), "truth.csv")
PATHS = ["photos/more/c.jpg", "photos/b.jpg", r"C:\photos\a.png"]
PLACES = [[(1.0, 2.0), (9.0, 9.0)], [(3.0, 180.0), (9.0, 9.0)], [(-5.5, 6.25), (9.0, 9.0)]]


def located(path: Path, paths: list[str] = PATHS, failed: tuple[str, ...] = ()) -> Path:
    stream = io.StringIO()
    out = writer("csv" if path.suffix == ".csv" else "jsonl", stream)
    for name, places in zip(paths, PLACES, strict=False):
        out.write(Prediction(name, "tiny", np.array(places), np.array([0.5, 0.1])))
    for name in failed:
        out.write(Failure(name, f"{name}: not a picture"))
    path.write_text(stream.getvalue(), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["answers.csv", "answers.jsonl"])
def test_what_locate_wrote(tmp_path: Path, name: str) -> None:
    found = answers_for(TRUTH, located(tmp_path / name)).places
    np.testing.assert_array_equal(found, [(-5.5, 6.25), (3.0, -180.0), (1.0, 2.0)])


def test_the_fields_own_table(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("path,IMG_ID,LAT,LON\nx,more/c,1,2\nx,a,3,4\nx,b.jpg,5,6\n")
    np.testing.assert_array_equal(answers_for(TRUTH, path).places, [(3, 4), (5, 6), (1, 2)])


def table(path: Path, **rows: float) -> Path:
    path.write_text("IMG_ID,LAT,LON\n" + "".join(f"{name},{latitude},0\n" for name, latitude in rows.items()))
    return path


def truth(*names: str) -> Places:
    return Places(list(names), np.array([[i, 179.0] for i in range(len(names))], np.float64), "t.csv")


def test_matching_aligns_by_id(tmp_path: Path) -> None:
    answers = answers_for(truth("a", "b", "c"), table(tmp_path / "p.csv", c=30, a=10, b=20))
    np.testing.assert_array_equal(answers.places[:, 0], [10, 20, 30])
    assert answers.kept.all() and answers.note == ""


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ({"a": 1, "b": 2, "x": 3}, "^1 of 3 names of p.csv match no picture of t.csv, e.g. 'x'; both tables"),
        ({"b": 2}, "^1 of 2 ids of t.csv have no prediction in p.csv, e.g. 'a'; both tables"),
        ({"x": 1, "y": 2}, "^2 of 2 names of p.csv match no .* e.g. 'x'; 2 of 2 ids of t.csv .* e.g. 'a'"),
    ],
)
def test_ids_that_do_not_match_are_counted(tmp_path: Path, predictions: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        answers_for(truth("a", "b"), table(tmp_path / "p.csv", **predictions))


@pytest.mark.parametrize(
    ("names", "answered", "order"),
    [
        (["a.jpg", "b.png"], ["a", "b"], [0, 1]),
        (["a", "b"], ["b.png", "a.jpg"], [1, 0]),
        (["sub/a", "b.JPG"], ["sub/a.jpeg", "b"], [0, 1]),
        (["a.jpg", "a.png"], ["a.png", "a.jpg"], [1, 0]),
        (["a.v1", "a.v2"], ["a.v2.jpg", "a.v1"], [1, 0]),
        (["caf\u00e9", "Fjo\u0308rd.jpg"], ["cafe\u0301.jpg", "Fj\u00f6rd"], [0, 1]),
        (["1", "2"], ["photos/2.jpg", r"C:\photos\1.jpg"], [1, 0]),
    ],
)
def test_names_are_the_same_with_or_without_suffix_and_however_letters_are_composed(
    tmp_path: Path, names: list[str], answered: list[str], order: list[int]
) -> None:
    path = table(tmp_path / "p.csv", **{name: float(i) for i, name in enumerate(answered)})
    assert answers_for(truth(*names), path).places[:, 0].tolist() == order


@pytest.mark.parametrize(
    ("names", "answered", "message"),
    [
        (["a.jpg", "a.png"], {"a": 1}, "'a' answers for 'a.jpg' and 'a.png' of t.csv"),
        (["c", "more/c"], {"x/more/c.jpg": 1}, "'x/more/c.jpg' answers for 'c' and 'more/c' of t.csv"),
        (["a"], {"a.jpg": 1, "a.png": 2}, "'a.jpg' and 'a.png' both answer for 'a' of t.csv"),
        (["a.jpg"], {"a.png": 1}, "1 of 1 names of p.csv match no picture"),
        (["x/a"], {"y/a": 1}, "1 of 1 names of p.csv match no picture"),
    ],
)
def test_names_that_could_mean_others_are_refused(
    tmp_path: Path, names: list[str], answered: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        answers_for(truth(*names), table(tmp_path / "p.csv", **answered))


def test_missing_predictions_count_as_wrong_or_are_left_out(tmp_path: Path) -> None:
    path = table(tmp_path / "p.csv", b=2)
    path.write_text(path.read_text() + "c,,\n")
    told = "1 of 3 ids of t.csv have no prediction in p.csv, e.g. 'a'; "
    told += "1 of 3 pictures failed or have no confident answer in p.csv, e.g. 'c'"
    with pytest.raises(InputError, match=told):
        answers_for(truth("a", "b", "c"), path)
    skipped = answers_for(truth("a", "b", "c"), path, "skip")
    assert skipped.kept.tolist() == [False, True, False]
    assert skipped.places[1].tolist() == [2, 0]
    assert skipped.note == f"{told}: left out"
    wrong = answers_for(truth("a", "b", "c"), path, "wrong")
    assert wrong.kept.all()
    assert wrong.places[1].tolist() == [2, 0]
    assert wrong.note == f"{told}: counted as wrong at every distance, 20,015 km off"
    errors = great_circle_km(truth("a", "b", "c").coordinates, wrong.places)
    np.testing.assert_allclose(errors[[0, 2]], FARTHEST_KM)
    missing: Missing
    for missing in ("wrong", "skip"):
        with pytest.raises(InputError, match=r"1 of 2 names of x.csv match no picture of t.csv, e.g. 'x'"):
            answers_for(truth("a", "b"), table(tmp_path / "x.csv", x=1, b=2), missing)


@pytest.mark.parametrize("name", ["answers.csv", "answers.jsonl"])
def test_what_locate_could_not_answer_is_missing(tmp_path: Path, name: str) -> None:
    path = located(tmp_path / name, PATHS[:2], (PATHS[2],))
    answers = answers_for(TRUTH, path, "skip")
    assert answers.kept.tolist() == [False, True, True]
    assert answers.note == f"1 of 3 pictures failed or have no confident answer in {name}, e.g. 'a': left out"


def test_answers_in_parquet(tmp_path: Path) -> None:
    columns = {"path": ["x/b.jpg", "a.png"], "latitude": [1.5, None], "longitude": [2.5, None]}
    pq.write_table(pa.table(columns), tmp_path / "p.parquet")
    answers = answers_for(truth("a", "b"), tmp_path / "p.parquet", "skip")
    assert answers.kept.tolist() == [False, True]
    assert answers.places[1].tolist() == [1.5, 2.5]


@pytest.mark.parametrize("name", ["answers.csv", "answers.jsonl"])
def test_pictures_without_an_answer_are_counted(tmp_path: Path, name: str) -> None:
    path = located(tmp_path / name, PATHS[:1], (PATHS[1],))
    expected = f"1 of 3 ids of truth.csv have no prediction in {name}, e.g. 'a'; 1 of 3 pictures failed"
    with pytest.raises(InputError, match=expected):
        answers_for(TRUTH, path)


def test_answers_to_other_pictures_are_counted(tmp_path: Path) -> None:
    path = located(tmp_path / "answers.csv", ["x/c.jpg", *PATHS[1:]])
    with pytest.raises(InputError, match=r"1 of 3 names of answers.csv match no picture of truth.csv, e.g. 'x/c.jpg'"):
        answers_for(TRUTH, path)


def test_two_answers_for_one_picture(tmp_path: Path) -> None:
    truth = Places(["a"], np.zeros((1, 2)), "truth.csv")
    path = located(tmp_path / "answers.jsonl", ["x/a.jpg", "y/a.png"])
    with pytest.raises(InputError, match=r"'x/a.jpg' and 'y/a.png' both answer for 'a' of truth.csv"):
        answers_for(truth, path)
    again = located(tmp_path / "again.csv", ["x/a.jpg", "x/a.jpg"])
    with pytest.raises(InputError, match=r"again.csv, line 4: path 'x/a.jpg' already appeared on line 2"):
        answers_for(truth, again)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "path,rank,latitude,longitude\na.jpg,1,north,3\n", "t.csv, line 2: latitude must be a number"),
        (
            "t.csv",
            "path,rank,latitude,longitude\na.jpg,1\n",
            "line 2: expected 4 values as in the header, found 2",
        ),
        ("t.csv", "path,rank,latitude,longitude\na.jpg,1,91,3\n", "t.csv, line 2: latitude 91, longitude 3: "),
        ("t.csv", "path,rank,latitude\na.jpg,1,91\n", "no column of a longitude (lon, lng or longitude) in the header"),
        ("t.csv", 'path,rank,latitude,longitude\n"a.jpg,1,1,3\n', "not readable as CSV"),
        ("t.jsonl", "[1, 2]\n", "t.jsonl, line 1: not written by earthclip locate; expected path"),
        ("t.jsonl", '{"path": null, "predictions": []}\n', "t.jsonl, line 1: not written by earthclip locate"),
        ("t.jsonl", '{"path": "a", "predictions": [{"latitude": 1}]}\n', "line 1: not written by earthclip locate"),
        (
            "t.jsonl",
            '{"path": "a", "predictions": [{"latitude": true, "longitude": 2}]}\n',
            "latitude must be a number",
        ),
        ("t.jsonl", "{\n", "t.jsonl: not JSON Lines"),
        ("t.csv", None, "t.csv: no such file"),
        ("t.jsonl", None, "t.jsonl: no such file"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as error:
        answers_for(Places(["a"], np.zeros((1, 2)), "truth.csv"), tmp_path / name)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.sampled_from([".csv", ".jsonl"]))
def test_any_text_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, text: str, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("any") / f"t{suffix}"
    header = "path,rank,latitude,longitude\n" if suffix == ".csv" else ""
    path.write_bytes((header + text).encode("utf-8", "surrogatepass"))
    try:
        assert answers_for(TRUTH, path).places.shape == (3, 2)
    except InputError as error:
        assert len(str(error).splitlines()) == 1


@settings(max_examples=60, deadline=None)
@given(st.recursive(st.none() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)))
def test_any_json_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, inner: object) -> None:
    path = tmp_path_factory.mktemp("any") / "t.jsonl"
    path.write_text(json.dumps({"path": "a.jpg", "predictions": inner}))
    with pytest.raises(InputError):
        answers_for(TRUTH, path)
