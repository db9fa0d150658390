"""``auto``: each picture is answered by the model whose kind it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from earthclip import Failure, Prediction, load
from earthclip.errors import InputError, ModelError
from earthclip.geo.regions import parse_regions
from earthclip.locating.locator import Locator
from earthclip.locating.question import Question
from earthclip.models.config import SCOPE as SCOPE_GRAPH
from earthclip.models.sources import ChosenModel, choose_model, resolve
from earthclip.pictures import prepare as preparing
from earthclip.pictures.decode import decode_reduced
from earthclip.pictures.prepare import Prepared, prepare
from earthclip.pictures.preprocess import view_pixels
from earthclip.pictures.reader import Reader
from tests.compatibility.conftest import DATA
from tests.locating.test_evidence import index_at
from tests.pair import shade, use_as_built_in, write_pair, write_shades
from tests.tiny import write_picture

BOTH = ChosenModel("geoclip", "the default once it is pulled", first="orbit")


@pytest.fixture
def orbit(tmp_path: Path, earthclip_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a tiny orbit; geoclip is pulled."""
    write_pair(tmp_path / "orbit", earthclip_home)
    use_as_built_in(tmp_path / "orbit", monkeypatch)
    return tmp_path / "orbit"


def models(answers: object) -> list[str]:
    assert isinstance(answers, list)
    return [answer.model if isinstance(answer, Prediction) else "failed" for answer in answers]


def test_both_are_chosen_where_orbit_knows_its_kind(
    orbit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose_model() == choose_model("auto") == BOTH
    assert choose_model(for_places=True).first is None
    assert resolve("auto").config.name == "geoclip"
    monkeypatch.chdir(tmp_path)
    Path("earthclip.toml").write_text('model = "orbit"')
    assert choose_model().source == "orbit" and choose_model("auto") == BOTH
    Path("earthclip.toml").write_text('model = "auto"')
    assert choose_model() == BOTH
    (orbit / SCOPE_GRAPH).unlink()  # as in older versions
    assert choose_model() == ChosenModel("geoclip", "the default once it is pulled")


def test_only_orbit_is_here(orbit: Path, earthclip_home: Path) -> None:
    shutil.rmtree(earthclip_home / "models")
    assert choose_model("auto") == ChosenModel("orbit", "the built-in default")
    bright, dark = load().locate([shade(200), shade(0)])
    assert (bright.in_scope, dark.in_scope, len(dark.coordinates)) == (True, False, 0)
    assert resolve("auto").config.name == "orbit"


def test_each_picture_is_answered_by_the_model_whose_kind_it_is(orbit: Path) -> None:
    brightnesses = (200, 0, 40, 255, 10, 220, 230)
    pictures = [shade(brightness) for brightness in brightnesses]
    answers = list(load("auto").answers([*pictures, b"damaged"], batch_size=3))
    assert models(answers) == [*("orbit" if one > 127 else "geoclip" for one in brightnesses), "failed"]
    for picture, answer in zip(pictures, answers, strict=False):
        assert isinstance(answer, Prediction)
        (alone,) = load(answer.model).locate([picture])
        assert np.array_equal(answer.coordinates, alone.coordinates)
        np.testing.assert_allclose(answer.probabilities, alone.probabilities, rtol=1e-5)
        assert (answer.scope, answer.caution, answer.advice) == (alone.scope, alone.caution, None)
        assert answer.posterior is not None
    assert models(list(load().locate(pictures, force_answer=True))) == models(answers[:-1])


def test_what_only_one_model_does_is_for_the_other(orbit: Path) -> None:
    auto, geoclip = load(), load("geoclip")
    places = [[10.0, 20.0]]
    assert (auto.name, [one.name for one in auto.models]) == ("geoclip", ["orbit", "geoclip"])
    assert np.array_equal(auto.encode_image([shade(200)]), geoclip.encode_image([shade(200)]))
    assert np.array_equal(auto.encode_location(places), geoclip.encode_location(places))


def test_a_question_that_the_first_cannot_be_asked_is_for_the_other(orbit: Path, earthclip_home: Path) -> None:
    geoclip = earthclip_home / "models" / "geoclip"
    shutil.rmtree(geoclip)
    shutil.copytree(DATA / "models" / "full", geoclip)
    auto = load()
    near = parse_regions([f"{','.join(map(str, auto.gallery.coordinates[0]))},1"])
    for question in (Question(text="snow"), Question(views="ten-crop"), Question(region=near, top_k=1)):
        assert auto.asked(question) == (auto,)
        assert models(list(auto.locate([shade(200)], question))) == ["full"]
    assert models(list(auto.locate([shade(200), shade(0)]))) == ["orbit", "full"]
    assert len(load(precision="int8").asked(Question())) == 1
    assert "ten-crop" in str(auto.why_not_first(Question(views="ten-crop")))
    assert auto.why_not_first(Question()) is None
    assert models(auto.locate_text(["snow over a volcano"])) == ["full"]


def test_a_first_model_that_knows_no_kind_is_not_asked(orbit: Path) -> None:
    geoclip = resolve("geoclip")
    auto = Locator(resolve("orbit"), first=Locator(geoclip))
    assert geoclip.config.scope is None
    assert auto.asked(Question()) == (auto,)
    assert auto.why_not_first(Question()) == "model 'geoclip' cannot tell which pictures are of its kind"


def test_with_an_index_the_model_that_made_it_is_asked(orbit: Path, earthclip_home: Path, tmp_path: Path) -> None:
    auto, geoclip = load(), earthclip_home / "models" / "geoclip"
    indices = [
        index_at(
            tmp_path / "indices" / model.name, model, load(model).encode_image([shade(200)]), np.array([[10.0, 20.0]])
        )
        for model in (geoclip, orbit)
    ]
    assert models(list(auto.locate([shade(200)], index=indices[:1]))) == ["geoclip"]
    with pytest.raises(InputError, match="of the model 'orbit', not of this 'geoclip'; use the model that made it"):
        auto.locate([shade(200)], index=indices[1:])


def test_a_picture_is_decoded_once_and_large_enough_for_both(
    orbit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auto = load()
    own, (also,) = auto.folder.preprocessing, auto.also(auto.models)
    assert (own.size, also.size) == (24, 16)
    path = write_picture(tmp_path / "large.jpg", size=(800, 600))
    smallest: list[int | None] = []
    monkeypatch.setattr(
        preparing, "decode_reduced", lambda *given: (smallest.append(given[1]), decode_reduced(*given))[1]
    )
    prepared = prepare(path, own, also=[also])
    assert smallest == [48]
    for one in (own, also):
        assert np.array_equal(prepared.of(one), view_pixels(decode_reduced(path, 48), one, "none"))
    list(auto.locate([path]))
    assert smallest == [48, 48]


def test_a_worker_prepares_for_both(orbit: Path, tmp_path: Path) -> None:
    auto = load()
    own, also = auto.folder.preprocessing, auto.also(auto.models)
    path = write_picture(tmp_path / "a.png")
    with Reader(own, workers=1, also=also) as reader:
        read = reader.read(path)
    assert isinstance(read, Prepared)
    for one in (own, *also):
        assert np.array_equal(read.of(one), prepare(path, one).pixels)
    assert list(read.also) == list(also)
    with pytest.raises(InputError, match="prepared for another model; give the picture itself"):
        prepare(path, own).of(also[0])


def test_a_picture_prepared_for_one_model_is_refused(orbit: Path) -> None:
    auto = load()
    prepared = prepare(shade(200), auto.folder.preprocessing)
    (answer,) = auto.answers([prepared])
    assert answer == Failure(None, "picture 0: prepared for one model, but two are asked; name one of them")
    assert auto.encode_image([prepared]).shape == (1, 8)
    with pytest.raises(InputError, match="prepared for one model"):
        next(auto.locate([prepared]))


def test_a_fault_in_one_model_is_told_and_spares_the_pictures_of_the_other(
    orbit: Path, earthclip_home: Path, tmp_path: Path
) -> None:
    geoclip = earthclip_home / "models" / "geoclip" / "image_encoder.onnx"
    geoclip.write_bytes(b"x" * geoclip.stat().st_size)
    pictures = write_shades(tmp_path / "pictures", 200, 220)
    assert models(list(load().locate(pictures))) == ["orbit", "orbit"]  # geoclip's encoder is not opened
    with pytest.raises(ModelError, match=r"geoclip/image_encoder\.onnx"):
        list(load().locate([shade(0)]))
    (orbit / SCOPE_GRAPH).write_bytes(b"x" * (orbit / SCOPE_GRAPH).stat().st_size)
    with pytest.raises(ModelError, match=r"orbit/scope\.onnx"):
        list(load().locate(pictures))
