"""A tiny CLIP and release go the whole way of the published model: pull, export, load, locate, words, ten crops."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from earthclip.cli import main
from earthclip.errors import InputError, ModelError
from earthclip.locating.locator import load
from earthclip.models.folder import open_folder
from earthclip.nn.backbone import HubBackbone, read_preprocessing
from earthclip.nn.location_encoder import LocationEncoder
from earthclip.nn.published import _LOCATION, _SHA256, read_published
from earthclip.nn.pull import pull_geoclip
from earthclip.pictures.preprocess import preprocess
from tests.nn.tiny_clip import EMBEDDING, LENGTH, write_clip, write_release
from tests.tiny import write_picture

PLACES = np.array([[0.0, 0.0], [90.0, 0.0], [-90.0, 10.0], [48.85, 2.35], [-33.9, -180.0]])


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    write_clip(folder / "clip")
    write_clip(folder / "siglip", "siglip", with_tokenizer=False)
    write_release(folder / "release")
    write_release(folder / "release-siglip", width=32)
    return folder


@pytest.fixture(scope="module")
def pulled(parts: Path) -> Path:
    pull_geoclip(parts / "pulled", source=parts / "release", clip=parts / "clip", say=lambda _: None)
    return parts / "pulled"


def torch_image(parts: Path, picture: Path, clip: str = "clip") -> np.ndarray:
    backbone = HubBackbone.from_folder(parts / clip)
    release = read_published(parts / ("release" if clip == "clip" else "release-siglip"))
    pixels = preprocess(Image.open(picture), read_preprocessing(parts / clip))
    return head(release.head, backbone.image_features(torch.from_numpy(pixels[None])))


def head(weights: dict[str, torch.Tensor] | None, features: torch.Tensor) -> np.ndarray:
    assert weights is not None
    hidden = torch.relu(features @ weights["0.weight"].T + weights["0.bias"])
    rows = hidden @ weights["2.weight"].T + weights["2.bias"]
    return np.asarray(torch.nn.functional.normalize(rows, dim=1).detach().numpy())


def test_pictures_words_and_places_equal_torch(pulled: Path, parts: Path, tmp_path: Path) -> None:
    locator = load(pulled)
    picture = write_picture(tmp_path / "a.png")
    np.testing.assert_allclose(locator.encode_image([picture]), torch_image(parts, picture), atol=1e-5)
    encoder = LocationEncoder.from_pretrained(parts / "release")
    expected = torch.nn.functional.normalize(encoder(torch.from_numpy(PLACES).float()), dim=1).detach().numpy()
    np.testing.assert_allclose(locator.encode_location(PLACES), expected, atol=1e-5)
    tokens = torch.tensor([[9, 1, 2, 10] + [10] * (LENGTH - 4)])  # <start> snow volcano <end>
    features = HubBackbone.from_folder(parts / "clip").text_features(tokens)
    expected = head(read_published(parts / "release").head, features)
    np.testing.assert_allclose(locator.encode_text(["Snow volcano"]), expected, atol=1e-5)


def test_a_siglip_fills_the_same_place(parts: Path, tmp_path: Path) -> None:
    config = pull_geoclip(tmp_path / "m", source=parts / "release-siglip", clip=parts / "siglip", say=lambda _: None)
    assert config.words is None
    assert config.preprocessing is not None
    assert config.preprocessing.fit == "squash"
    picture = write_picture(tmp_path / "a.png")
    np.testing.assert_allclose(
        load(tmp_path / "m").encode_image([picture]), torch_image(parts, picture, "siglip"), atol=1e-5
    )
    with pytest.raises(ModelError, match=r"has no words .* siglip has no tokenizer"):
        load(tmp_path / "m").locate_text(["snow"])


def test_views_and_words_average_logits(pulled: Path, tmp_path: Path) -> None:
    locator, picture = load(pulled), write_picture(tmp_path / "a.png")
    scale = np.exp(locator.config.logit_scale)
    places = locator.gallery.embeddings.astype(np.float32)
    ten = locator.encode_image([picture], views="ten-crop")
    assert np.linalg.norm(ten) < 1  # a mean of different unit rows
    (crops,) = locator.locate([picture], top_k=3, views="ten-crop")
    assert crops.posterior is not None
    expected = scale * (ten @ places.T)[0]
    log = crops.posterior.log_probabilities
    np.testing.assert_allclose(log - log.max(), expected - expected.max(), atol=1e-3)
    (both,) = locator.locate([picture], text="rice paddy", text_weight=0.25)
    mixed = 0.75 * locator.encode_image([picture]) + 0.25 * locator.encode_text(["rice paddy"])
    assert both.posterior is not None
    expected = scale * (mixed @ places.T)[0]
    log = both.posterior.log_probabilities
    np.testing.assert_allclose(log - log.max(), expected - expected.max(), atol=1e-3)
    assert both.subject.endswith('a.png + "rice paddy"')
    (alone,) = locator.locate([picture], text="snow", text_weight=1.0)
    (words,) = locator.locate_text(["snow"])
    np.testing.assert_allclose(alone.probabilities, words.probabilities, atol=1e-5)
    with pytest.raises(InputError, match="expected a description of a place"):
        locator.locate_text([" "])
    with pytest.raises(InputError, match="text_weight is 2"):
        locator.locate([picture], text="snow", text_weight=2.0)


def test_the_command_line_locates_words(pulled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["locate", "--model", str(pulled), "--text", "snow", "--text", "rice", "--format", "jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["text"] for line in lines] == ["snow", "rice"]
    assert lines[0]["path"] is None
    assert len(lines[0]["predictions"]) == 5
    assert main(["locate", "--model", str(pulled)]) == 2
    assert "give a PICTURE, or --text" in capsys.readouterr().err


def test_the_location_encoder_is_differentiable(pulled: Path, parts: Path) -> None:
    for source in (pulled, parts / "release"):
        encoder = LocationEncoder.from_pretrained(source)
        coordinates = torch.tensor([[10.0, 20.0]], requires_grad=True)
        encoder(coordinates).square().sum().backward()
        assert coordinates.grad is not None
        assert float(coordinates.grad.abs().sum()) > 0
        assert encoder(coordinates).shape == (1, EMBEDDING)


def test_location_only(parts: Path, tmp_path: Path) -> None:
    config = pull_geoclip(tmp_path / "m", source=parts / "release", location_only=True, say=lambda _: None)
    assert config.preprocessing is None
    assert load(tmp_path / "m").encode_location(PLACES).shape == (5, EMBEDDING)
    with pytest.raises(ModelError, match=r"has no image encoder .* run earthclip model pull geoclip"):
        load(tmp_path / "m").locate([tmp_path])


def test_running_imports_no_torch(pulled: Path, tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "a.png")
    program = f"""
import sys, earthclip
locator = earthclip.load({str(pulled)!r})
list(locator.locate([{str(picture)!r}], views="ten-crop", text="snow"))
locator.encode_location([[1, 2]])
assert not {{"torch", "transformers", "pandas"}} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_failed_pull_leaves_what_stood_there(pulled: Path, parts: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(pulled, tmp_path / "m"))
    with pytest.raises(ModelError, match=r"no config\.json in it"):
        pull_geoclip(out, source=parts / "release", clip=tmp_path, say=lambda _: None)
    assert open_folder(out).config.name == "geoclip"
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_killed_pull_leaves_nothing_that_loads(parts: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    program = f"""
import os, signal
from pathlib import Path
from earthclip.nn.pull import pull_geoclip

def say(message):
    if "image" in message:
        os.kill(os.getpid(), signal.SIGKILL)

pull_geoclip(Path({str(out)!r}), source=Path({str(parts / "release")!r}), clip=Path({str(parts / "clip")!r}), say=say)
"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == -9
    (left,) = tmp_path.iterdir()
    assert not out.exists()
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        load(left)
    pull_geoclip(out, source=parts / "release", location_only=True, say=lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_second_pull_is_instant(pulled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "pull", "geoclip", "-o", str(pulled)]) == 0
    assert "is already on this machine; --force rebuilds it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "expected format_version 1, found 2; install a newer earthclip"),
        ({"model_type": "clip"}, "expected a GeoCLIP release"),
        ({"gallery_file": "../places.csv"}, "is not a file of"),
        ({"sigma": [1, 16, 256]}, "is not GeoCLIP's"),
    ],
)
def test_releases_that_are_not_read(parts: Path, tmp_path: Path, change: dict[str, object], message: str) -> None:
    release = Path(shutil.copytree(parts / "release", tmp_path / "r"))
    config = json.loads((release / "config.json").read_text())
    (release / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ModelError, match=message) as caught:
        read_published(release)
    assert "\n" not in str(caught.value)


def test_truncated_weights(parts: Path, tmp_path: Path) -> None:
    release = Path(shutil.copytree(parts / "release", tmp_path / "r"))
    whole = (release / "model.safetensors").read_bytes()
    (release / "model.safetensors").write_bytes(whole[:-100])
    with pytest.raises(ModelError, match="damaged or cut short"):
        read_published(release)


class _Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (open, ("ran", "w"))


def test_a_pickle_with_code_is_refused_unrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p").mkdir()
    for name in _SHA256:
        (tmp_path / "p" / name).write_bytes(pickle.dumps(_Code()))
    with pytest.raises(ModelError, match=r"SHA-256 is .* was not opened"):
        read_published(tmp_path / "p")
    assert not (tmp_path / "ran").exists()
    assert (tmp_path / "p" / _LOCATION).is_file()


def test_clip_of_another_width(parts: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="features of 32 numbers, but GeoCLIP's head takes 24"):
        pull_geoclip(tmp_path / "m", source=parts / "release", clip=parts / "siglip", say=lambda _: None)


def test_offline_with_nothing_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("earthclip.nn.pull.importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    assert main(["model", "pull", "geoclip"]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert "cannot download Xenova/geoclip-large-patch14 from the Hugging Face Hub" in message
    assert "Go online, or" in message
    assert "--from DIR" in message
