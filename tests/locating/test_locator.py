"""The front door, against its own parts put together by hand."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import earthclip
from earthclip.errors import InputError, ModelError
from earthclip.locating.locator import Locator, Picture, load
from earthclip.locating.prediction import Prediction
from earthclip.models.config import read_config, write_config
from earthclip.pictures.decode import decode
from earthclip.pictures.prepare import Failure
from earthclip.pictures.preprocess import preprocess
from tests.tiny import PLACES, PREPROCESSING, WIDTH, write_picture


@pytest.fixture
def locator(tiny_model: Path) -> Locator:
    return load(tiny_model)


def write_pictures(folder: Path, n: int) -> list[Path]:
    return [write_picture(folder / f"{i}.png", seed=i) for i in range(n)]


def test_an_answer_is_the_softmax_over_the_gallery(locator: Locator, picture: Path) -> None:
    (found,) = locator.locate([picture], top_k=3)
    image = locator.encode_image([picture])
    logits = np.exp(locator.config.logit_scale) * image @ locator.encode_location(locator.gallery.coordinates).T
    expected = np.exp(logits[0]) / np.exp(logits[0]).sum()
    best = np.argsort(-expected)[:3]
    assert found.path == str(picture) and found.model == "tiny"
    assert np.array_equal(found.coordinates, locator.gallery.coordinates[best])
    assert np.abs(found.probabilities - expected[best]).max() < 5e-3  # the gallery is kept in float16
    assert found.posterior is not None and len(found.posterior.log_probabilities) == PLACES


def test_temperature_is_applied(tiny_model: Path, tmp_path: Path, picture: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    mapping = json.loads((folder / "config.json").read_text()) | {"temperature": 1e6}
    (folder / "config.json").write_text(json.dumps(mapping))
    (found,) = load(folder).locate([picture])
    assert found.probabilities == pytest.approx(np.full(5, 1 / PLACES), rel=1e-4)


def test_embeddings_are_unit_rows_in_order(locator: Locator, tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 5)
    rows = locator.encode_image(paths, batch_size=2)
    assert rows.shape == (5, WIDTH) and rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    alone = [locator.encode_image([path])[0] for path in paths]
    assert np.abs(rows - np.stack(alone)).max() < 1e-5
    assert locator.encode_image([]).shape == (0, WIDTH)
    places = locator.encode_location(np.array([[0.0, 0.0], [90.0, 180.0]]))
    assert np.linalg.norm(places, axis=1) == pytest.approx(np.ones(2), abs=1e-5)
    with pytest.raises(InputError, match="swapped"):
        locator.encode_location(np.array([[120.0, 30.0]]))


def test_paths_strings_and_images_give_the_same(locator: Locator, picture: Path) -> None:
    with Image.open(picture) as image:
        pictures: list[Picture] = [picture, str(picture), image]
        answers = list(locator.locate(pictures))
        array = np.asarray(image)
        with pytest.raises(InputError, match=r"picture 1: expected a path, bytes or a PIL image, found ndarray"):
            list(locator.locate(item for item in (image, array)))  # type: ignore[misc]
    assert [answer.path for answer in answers] == [str(picture), str(picture), None]
    assert all(np.array_equal(answer.coordinates, answers[0].coordinates) for answer in answers)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 16])
def test_order_and_failures_among_answers(locator: Locator, tmp_path: Path, batch_size: int) -> None:
    paths = write_pictures(tmp_path, 5)
    given: list[Path] = [tmp_path / "a.jpg", *paths[:2], tmp_path / "b.jpg", *paths[2:], tmp_path / "c.jpg"]
    answers = list(locator.answers(given, batch_size=batch_size))
    assert [answer.path for answer in answers] == [str(path) for path in given]
    assert [isinstance(answer, Failure) for answer in answers] == [not path.exists() for path in given]
    failure = answers[3]
    assert isinstance(failure, Failure) and failure.error.startswith(f"{tmp_path / 'b.jpg'}: no such file")
    for path, answer in zip(given, answers, strict=True):
        if isinstance(answer, Prediction):
            (alone,) = locator.locate([path])
            assert np.array_equal(alone.coordinates, answer.coordinates)


def test_raising_comes_after_the_answers_before_it(locator: Locator, tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 2)
    answers = locator.locate([*paths, tmp_path / "nope.jpg", *paths])
    assert [next(answers).path, next(answers).path] == [str(path) for path in paths]
    with pytest.raises(InputError, match=r"nope\.jpg: no such file"):
        next(answers)


def test_pictures_are_read_as_answers_are_asked_for(locator: Locator, picture: Path) -> None:
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield picture

    answers = locator.locate(endless(), batch_size=4)
    assert taken == 0
    next(answers)
    assert taken == 4


def test_wrong_arguments_are_told_at_once(locator: Locator, picture: Path) -> None:
    for k in (0, -3, PLACES + 1):
        with pytest.raises(InputError, match=f"top_k is {k}; expected 1 to {PLACES}"):
            locator.locate([picture], top_k=k)
    assert len(next(locator.locate([picture], top_k=PLACES)).coordinates) == PLACES
    with pytest.raises(InputError, match="batch_size is 0"):
        locator.locate([picture], batch_size=0)
    with pytest.raises(InputError, match=r"found one .*write \[picture\]"):
        locator.locate(str(picture))


@pytest.mark.parametrize(
    ("removed", "says"),
    [
        (["image_encoder.onnx"], "has no image encoder (image_encoder.onnx)"),
        (["gallery.npy"], "has no gallery of places (gallery.npy)"),
        (["location_phases.onnx", "location_encoder.onnx"], "has no location encoder (location_"),
    ],
)
def test_a_model_that_lacks_a_part_says_which(
    tiny_model: Path, tmp_path: Path, picture: Path, removed: list[str], says: str
) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    for name in removed:
        (folder / name).unlink()
    write_config(folder, read_config(folder))
    locator = load(folder)
    with pytest.raises(ModelError) as caught:
        next(locator.locate([picture]))
    assert says in str(caught.value)
    if "image_encoder.onnx" in removed:
        assert locator.encode_location(np.zeros((1, 2))).shape == (1, WIDTH)


def test_threads_share_a_locator(locator: Locator, tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 8)
    found: dict[Path, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda path=path: found.update({path: next(locator.locate([path])).coordinates}))
        for path in paths
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for path in paths:
        assert np.array_equal(found[path], next(load(locator.folder.path).locate([path])).coordinates)


def test_the_preprocessing_is_the_configs(locator: Locator, picture: Path) -> None:
    pixels = preprocess(decode(picture), PREPROCESSING)
    encoder = locator.image_choice.open(locator.config.embedding_size)
    assert np.array_equal(encoder.encode(pixels[None]), locator.encode_image([picture]))


def test_load_is_exported_and_names_itself(tiny_model: Path) -> None:
    locator = earthclip.load(f"local-dir:{tiny_model}")
    assert isinstance(locator, earthclip.Locator)
    assert locator.name == "tiny" and "tiny" in repr(locator)
    with pytest.raises(earthclip.EarthCLIPError, match="unknown model"):
        earthclip.load("obrit")
