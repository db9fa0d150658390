"""Indices in evaluations: nothing that gives an answer away counts, and weights are fitted on photos held out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from earthclip import load
from earthclip.cli import cli
from earthclip.datasets.opening import open_photos
from earthclip.datasets.photos import FileStore, StoredPhotos
from earthclip.errors import InputError
from earthclip.evaluation.index_fit import Asked, asked_of, fit_index
from earthclip.evaluation.leave_out import LeaveOut, with_weights
from earthclip.evaluation.located import locate_photos
from earthclip.geo.sphere import from_unit_vectors
from earthclip.locating.evidence import NEIGHBOURS, Weights
from earthclip.locating.index_building import build, extend
from earthclip.locating.photo_index import PhotoIndex, open_index
from tests.datasets.making import write_photos, write_table
from tests.locating.test_evidence import index_at

N = 60


def places(n: int, seed: int) -> np.ndarray:
    return from_unit_vectors(np.random.default_rng(seed).normal(size=(n, 3)))


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def no_photos() -> StoredPhotos:
    return StoredPhotos("none", [], np.empty((0, 2)), np.empty(0, np.int64), FileStore(Path(), []))


@pytest.mark.parametrize("helps", [True, False])
def test_an_index_counts_if_and_as_far_as_it_helps_on_photos_held_out(
    tiny_model: Path, tmp_path: Path, helps: bool
) -> None:
    rng, locator = np.random.default_rng(0), load(tiny_model)
    asked = unit(rng.normal(size=(N, 8)))
    chances = np.exp(locator.gallery.logits(asked, locator.config.logit_scale).astype(np.float64))
    chances /= chances.sum(axis=1, keepdims=True)  # truths that are as probable as the model says
    truths = locator.gallery.coordinates[[rng.choice(len(chance), p=chance) for chance in chances]]
    taken = unit(asked + 0.05 * rng.normal(size=(N, 8)))
    index = index_at(tmp_path / "index", tiny_model, taken, truths + 0.01 if helps else places(N, 2))
    given = Asked(asked, truths, index.nearest(asked, NEIGHBOURS))
    fitted = fit_index(locator, LeaveOut(index, no_photos()), given, "60 of made.csv")
    assert fitted.used == helps == (fitted.weights.weight > 0)
    assert (fitted.gain > 1.0) == helps
    if helps:
        assert fitted.after["loss"] < fitted.before["loss"] - 1
        assert fitted.after["within_200_km"]["found"] > 0.9 and fitted.weights.conformal.keys() == {"0.5", "0.9"}
        assert fitted.weights.measured["pictures"] == "60 of made.csv"
    else:
        (answer,) = locator.locate([np_picture()], index=[with_weights(index, fitted.weights)])
        (plain,) = locator.locate([np_picture()])
        assert answer.posterior is not None and plain.posterior is not None
        np.testing.assert_array_equal(answer.posterior.log_probabilities, plain.posterior.log_probabilities)


def np_picture() -> bytes:
    from tests.datasets.making import photo

    return photo(5)


@pytest.fixture
def library(tmp_path: Path, tiny_model: Path) -> tuple[Path, PhotoIndex]:
    """Forty photos by four authors, and an index of the first half of them."""
    names = [f"{number:02}.jpg" for number in range(40)]
    write_photos(tmp_path / "images", names)
    rows = [
        [name, *place, f"author {number % 4}"]
        for number, (name, place) in enumerate(zip(names, places(40, 3), strict=True))
    ]
    table = write_table(tmp_path / "all.csv", rows, "IMG_ID,LAT,LON,AUTHOR")
    half = write_table(tmp_path / "half.csv", rows[:20], "IMG_ID,LAT,LON,AUTHOR")
    locator = load(tiny_model)
    build(tmp_path / "index", locator)
    extend(tmp_path / "index", open_photos(str(half)), str(half), locator)
    return table, open_index(tmp_path / "index")


def test_the_same_photo_and_the_same_author_are_left_out(
    library: tuple[Path, PhotoIndex], tiny_model: Path, tmp_path: Path
) -> None:
    table, index = library
    photos = open_photos(str(table))
    assert photos.authors is not None and index.record(5).author == "author 1"
    left = LeaveOut(index, photos)
    asked = asked_of(load(tiny_model), left, photos)
    assert (left.asked, left.same_bytes, left.same_author, left.near_identical) == (40, 20, 40, 0)
    assert "the same bytes for 20, a near-identical embedding for 0; the same author for 40" in left.told
    for number, near in enumerate(asked.found):
        assert len(near.rows) == 15
        assert all(index.record(row).author != f"author {number % 4}" for row in near.rows.tolist())
    anonymous = photos.take(np.arange(40))
    anonymous.authors = None
    hidden = LeaveOut(index, anonymous)
    hidden._by_hash.clear()  # as of photos that were saved anew
    assert [len(near.rows) for near in asked_of(load(tiny_model), hidden, anonymous).found] == [19] * 20 + [20] * 20
    assert hidden.near_identical == 20 and "authors are not known" in hidden.told


def test_an_evaluation_does_not_find_the_photos_it_asks_about(
    library: tuple[Path, PhotoIndex], tiny_model: Path
) -> None:
    table, index = library
    photos = open_photos(str(table))
    strong = with_weights(index, Weights(weight=30.0, least_similarity=0.5, width_km=1.0))
    leaking = locate_photos(load(tiny_model), photos, index=[strong])
    honest = locate_photos(load(tiny_model), photos, index=[LeaveOut(strong, photos)])
    found = [
        np.isclose(located.places[:20], photos.coordinates[:20]).all(axis=1).mean() for located in (leaking, honest)
    ]
    assert found[0] == 1.0 and found[1] == 0.0
    assert honest.name == "tiny with index"


def test_the_commands_calibrate_and_measure_an_index(
    library: tuple[Path, PhotoIndex], tiny_model: Path, tmp_path: Path
) -> None:
    table, index = library
    folder = str(index.folder)
    images = ["--images", str(tmp_path / "images")]
    fitted = CliRunner().invoke(cli, ["model", "calibrate", str(tiny_model), str(table), *images, "--index", folder])
    assert fitted.exit_code == 0, fitted.output
    assert "no gain beyond noise" in fitted.output and "the same author for 40" in fitted.stderr
    weights = open_index(folder).about.weights
    assert weights is not None and weights.weight == 0
    report = tmp_path / "report.json"
    asked = ["evaluate", "model", str(tiny_model), str(table), "--index", folder, "--against", str(tiny_model)]
    done = CliRunner().invoke(cli, [*asked, *images, "-o", str(report)])
    assert done.exit_code == 0, done.output
    values = json.loads(report.read_text())
    assert (
        values["system"] == "tiny with index" and "left out photos with the same bytes for 20" in values["warnings"][0]
    )


def test_few_photos_are_too_few(library: tuple[Path, PhotoIndex], tiny_model: Path) -> None:
    table, index = library
    photos = open_photos(str(table)).take(np.arange(29))
    with pytest.raises(InputError, match="29 readable photos are too few to calibrate on"):
        asked_of(load(tiny_model), LeaveOut(index, photos), photos)
