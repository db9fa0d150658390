"""Large JPEGs decoded at a fraction of their size: the same picture in the same place, in less time and memory."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from earthclip.errors import InputError
from earthclip.locating.locator import load
from earthclip.pictures.decode import decode, decode_reduced
from earthclip.pictures.prepare import prepare
from earthclip.pictures.preprocess import VIEWS, Preprocessing, view_pixels

PREPROCESSING = Preprocessing(size=16, mean=(0.0, 0.0, 0.0), std=(1 / 255, 1 / 255, 1 / 255))


def scene(width: int, height: int) -> Image.Image:
    """Colours that change over the whole picture, with a little of everything in the small."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / width * 9 + k) * np.cos(y / height * 7 * (k + 1)) for k in range(3)]
    noise = np.random.default_rng(0).normal(0, 12, (height, width, 3))
    return Image.fromarray(np.clip(128 + 100 * np.stack(waves, axis=2) + noise, 0, 255).astype(np.uint8))


def save(path: Path, image: Image.Image, orientation: int = 1, **options: Any) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(path, quality=92, exif=exif.tobytes(), **options)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shape", [(640, 480), (647, 485), (301, 653)])
def test_it_is_the_same_picture_in_the_same_place(tmp_path: Path, orientation: int, shape: tuple[int, int]) -> None:
    path = save(tmp_path / "a.jpg", scene(*shape), orientation)
    reduced = decode_reduced(path, 32)
    assert reduced.image.width * reduced.image.height < shape[0] * shape[1] / 60
    assert reduced.size == decode(path).size
    for views in VIEWS:
        whole = view_pixels(decode(path), PREPROCESSING, views)
        # One pixel aside, the small and the whole would differ by 10 levels on average.
        assert np.abs(view_pixels(reduced, PREPROCESSING, views) - whole).mean() < 1.5


@pytest.mark.parametrize(
    ("shortest", "expected"), [(1024, 1024), (1000, 500), (511, 256), (255, 128), (64, 64), (63, 63)]
)
def test_never_below_what_is_asked_for(tmp_path: Path, shortest: int, expected: int) -> None:
    path = save(tmp_path / "a.jpg", scene(1600, shortest))
    smallest = {1024: 1000, 1000: 257, 511: 200, 255: 100, 64: 33, 63: 64}[shortest]
    found = decode_reduced(path, smallest)
    assert found.image.height == expected and found.size == (1600, shortest)


@pytest.mark.parametrize("mode", ["L", "CMYK", "progressive", "mpo", "444"])
def test_every_kind_of_jpeg(tmp_path: Path, mode: str) -> None:
    image = scene(803, 602)
    options: dict[str, Any] = {"progressive": {"progressive": True}, "444": {"subsampling": 0}}.get(mode, {})
    image = image.convert(mode) if mode in ("L", "CMYK") else image
    path = save(tmp_path / ("a.mpo" if mode == "mpo" else "a.jpg"), image, **options)
    reduced = decode_reduced(path, 32)
    assert reduced.image.mode == "RGB" and reduced.image.width == 101
    whole = view_pixels(decode(path), PREPROCESSING, "none")
    assert np.abs(view_pixels(reduced, PREPROCESSING, "none") - whole).mean() < 1.5


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp", "gif"])
def test_other_formats_are_read_whole(tmp_path: Path, suffix: str) -> None:
    scene(200, 150).save(tmp_path / f"a.{suffix}")
    reduced = decode_reduced(tmp_path / f"a.{suffix}", 16)
    assert reduced.image.size == (200, 150) and reduced.box == (0, 0, 200, 150)


def test_the_limit_is_on_the_true_size_and_damage_is_told_alike(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", scene(640, 480))
    with pytest.raises(InputError, match="307,200 pixels, the limit is 300,000"):
        decode_reduced(path, 32, 300_000)
    (tmp_path / "cut.jpg").write_bytes(path.read_bytes()[:20_000])
    told = []
    for smallest in (None, 32):
        with pytest.raises(InputError) as error:
            decode_reduced(tmp_path / "cut.jpg", smallest)
        told.append(str(error.value))
    assert told[0] == told[1] and "damaged or cut short" in told[0]


@pytest.mark.parametrize("orientation", [1, 6, 7])
def test_strips(tmp_path: Path, orientation: int) -> None:
    path = save(tmp_path / "a.jpg", scene(20_001, 133), orientation)
    small = replace(PREPROCESSING, size=8)
    reduced, whole = decode_reduced(path, 16), decode(path)
    assert min(reduced.image.size) == 17
    for views in VIEWS:
        assert np.abs(view_pixels(reduced, small, views) - view_pixels(whole, small, views)).mean() < 2.5


def test_prepare_drafts_unless_told_not_to(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", scene(647, 485))
    exact = view_pixels(decode(path), PREPROCESSING, "none")
    assert np.array_equal(prepare(path, PREPROCESSING, draft=False).pixels, exact)
    drafted = prepare(path, PREPROCESSING).pixels
    assert not np.array_equal(drafted, exact) and np.abs(drafted - exact).mean() < 1.5


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
def test_a_large_rotated_jpeg_takes_little_memory(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", scene(800, 600).resize((6000, 4500)), 6)
    program = (
        "import sys; from earthclip.pictures.prepare import prepare\n"
        "from earthclip.pictures.preprocess import Preprocessing\n"
        "def peak(): return int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        "before = peak(); prepare(sys.argv[1], Preprocessing(224, (0., 0., 0.), (1., 1., 1.))); print(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40_000  # kB; decoded whole and turned, it takes 160 MB


def test_the_built_in_model_sees_the_same() -> None:
    locator = load("orbit")
    preprocessing = locator.config.preprocessing
    assert preprocessing is not None
    for path in sorted((Path(__file__).parents[2] / "examples").glob("*.jpg")):
        assert min(decode_reduced(path, 160).image.size) == 160
        whole, drafted = (prepare(path, preprocessing, draft=draft) for draft in (False, True))
        first, second = (answer for answer in locator.locate([whole, drafted], top_k=1))
        rows = locator.encode_image([Image.open(path), path])
        assert rows[0] @ rows[1] > 0.9998 and np.abs(first.coordinates - second.coordinates).max() < 1
