"""The gallery's cache: used when it fits, never when stale, and done without where it cannot be written."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from earthclip.errors import InputError
from earthclip.locating.gallery import Gallery, fingerprint_of, open_gallery
from earthclip.models.encoders import LocationEncoder
from earthclip.models.folder import ModelFolder, open_folder
from tests.tiny import PLACES, WIDTH, write_tiny_model


class Source:
    """Gives the location encoder of a folder and counts how often it is asked."""

    def __init__(self, folder: ModelFolder) -> None:
        self.folder = folder
        self.asked = 0

    def __call__(self) -> LocationEncoder:
        self.asked += 1
        path = self.folder.path
        return LocationEncoder(path / "location_phases.onnx", path / "location_encoder.onnx", WIDTH)


def opened(path: Path) -> tuple[Gallery, int]:
    source = Source(open_folder(path))
    gallery = open_gallery(source.folder, source)
    return gallery, source.asked


def cache_files(home: Path) -> list[Path]:
    return sorted((home / "galleries").iterdir())


def test_encoded_once_then_mapped(tiny_model: Path, earthclip_home: Path) -> None:
    first, asked = opened(tiny_model)
    assert asked == 1 and len(first) == PLACES
    second, asked = opened(tiny_model)
    assert asked == 0 and isinstance(second.embeddings, np.memmap) and second.embeddings.dtype == np.float16
    assert np.array_equal(first.embeddings, second.embeddings)
    exact = Source(open_folder(tiny_model))().encode_location(first.coordinates)
    assert np.abs(first.embeddings - exact).max() < 1e-3
    (file,) = cache_files(earthclip_home)
    assert file.name == f"tiny-{first.fingerprint[:16]}.npy"


@pytest.mark.parametrize("changed", ["location_phases.onnx", "location_encoder.onnx", "gallery.npy"])
def test_a_stale_cache_is_never_used(tiny_model: Path, tmp_path: Path, changed: str) -> None:
    before, _ = opened(tiny_model)
    write_tiny_model(tmp_path / "tiny")
    write_tiny_model(tmp_path / "other", seed=1)
    shutil.copy(tmp_path / "other" / changed, tmp_path / "tiny" / changed)
    after, asked = opened(tmp_path / "tiny")
    assert asked == 1 and after.fingerprint != before.fingerprint
    assert not np.array_equal(after.embeddings, before.embeddings)


def test_the_image_encoder_does_not_make_it_stale(tiny_model: Path, tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "other", seed=1)
    write_tiny_model(tmp_path / "tiny")
    shutil.copy(tmp_path / "other" / "image_encoder.onnx", tmp_path / "tiny")
    assert fingerprint_of(open_folder(tmp_path / "tiny")) == fingerprint_of(open_folder(tiny_model))


def test_a_damaged_cache_is_rebuilt(tiny_model: Path, earthclip_home: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = np.array(opened(tiny_model)[0].embeddings)
    (file,) = cache_files(earthclip_home)
    content = file.read_bytes()
    zeros = content[:128] + bytes(len(content) - 128)
    for damaged in (b"", content[:60], content[:-10], zeros, b"\x93NUMPY" + bytes(200)):
        file.write_bytes(damaged)
        caplog.clear()
        gallery, asked = opened(tiny_model)
        assert "is damaged, so the places are encoded again" in caplog.text
        assert asked == 1 and np.array_equal(gallery.embeddings, expected)
        assert file.read_bytes() == content


def test_without_a_writable_cache_it_works_in_memory(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "home").write_text("a file where a folder should be")
    monkeypatch.setenv("EARTHCLIP_HOME", str(tmp_path / "home"))
    gallery, asked = opened(tiny_model)
    assert asked == 1 and gallery.embeddings.shape == (PLACES, WIDTH)
    (record,) = caplog.records
    assert record.levelname == "WARNING" and "EARTHCLIP_HOME" in record.getMessage()
    assert "\n" not in record.getMessage()


def test_logits_equal_the_plain_product(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(37, 8))
    embeddings = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    gallery = Gallery(np.zeros((37, 2)), embeddings, "")
    images = rng.normal(size=(3, 8)).astype(np.float32)
    expected = np.exp(2.5) * images @ embeddings.astype(np.float32).T
    assert np.allclose(gallery.logits(images, 2.5), expected, atol=1e-5)
    monkeypatch.setattr("earthclip.locating.gallery.BLOCK", 5)
    assert np.allclose(gallery.logits(images, 2.5), expected, atol=1e-5)
    with pytest.raises(InputError, match="9 numbers, the gallery's have 8"):
        gallery.logits(np.zeros((1, 9), np.float32), 0.0)


def test_low_precision_is_kept_apart(tiny_model: Path, earthclip_home: Path) -> None:
    folder = open_folder(tiny_model)
    encoder = Source(folder)()
    encoder.precision = "bfloat16"
    low = open_gallery(folder, lambda: encoder)
    (file,) = cache_files(earthclip_home)
    assert file.name == f"tiny-{low.fingerprint[:16]}-bfloat16.npy"
    source = Source(folder)
    open_gallery(folder, source)
    assert source.asked == 0
    open_gallery(folder, source, exact=True)
    assert source.asked == 1 and len(cache_files(earthclip_home)) == 2
    open_gallery(folder, source, exact=True)
    assert source.asked == 1


def test_places_that_repeat_are_encoded_once(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "tiny")
    places = np.load(folder / "gallery.npy")
    np.save(folder / "gallery.npy", places[np.arange(PLACES) % 7])
    told: list[int] = []
    source = Source(open_folder(folder))
    gallery = open_gallery(source.folder, source, lambda done, n: told.append(n))
    assert told == [7] and len(gallery) == PLACES
    assert np.array_equal(gallery.embeddings[7:14], gallery.embeddings[:7])
    expected = source().encode_location(gallery.coordinates[:7])
    assert np.abs(gallery.embeddings[:7] - expected).max() < 1e-3


def test_two_processes_may_encode_at_once(tiny_model: Path, earthclip_home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from earthclip.locating.locator import load;"
        "print(float(abs(load(Path(sys.argv[1])).gallery.embeddings).sum()))"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(tiny_model)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    first, second = (process.communicate(timeout=60)[0] for process in both)
    assert first == second != ""
    assert len(cache_files(earthclip_home)) == 1
