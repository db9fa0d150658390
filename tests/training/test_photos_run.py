"""Training on photos: SimCLR views, photos that cannot be read, a frozen CLIP under the head, kill and resume."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from earthclip.cli import main
from earthclip.errors import InputError
from earthclip.locating.locator import load
from earthclip.training.photos import decode_batch, start_worker
from earthclip.training.simclr import simclr_view
from tests.nn.tiny_clip import write_clip
from tests.tiny import write_picture

COMPACT = """
[model.image]
image_size = 16
stem = 4
channels = [4, 6]
blocks = [1, 1]
reduced = 4
"""
CONFIG = """
name = "regional"
epochs = 3
batch_size = 6
threads = 1
precision = "float32"
log_every_steps = 2
checkpoint_every_steps = 1
{more}
[photos]
source = "{folder}/table.csv"
images = "{folder}/photos"
held_out = 0.2
[model]
embedding_size = 16
{image}
[model.location]
sigmas = [1.0, 16.0]
frequencies = 8
width = 12
depth = 2
[optimizer]
learning_rate = 1e-3
schedule = "step"
step_every = 0
[validation]
spacing_km = 5.0
every_steps = 4
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("regional")
    (folder / "photos").mkdir()
    rng = np.random.default_rng(0)
    rows = ["IMG_ID,LAT,LON"]
    for i in range(30):
        write_picture(folder / "photos" / f"p{i}.png", seed=i)
        rows.append(f"p{i}.png,{rng.uniform(45, 47):.5f},{rng.uniform(5, 9):.5f}")
    (folder / "photos" / "p3.png").write_bytes((folder / "photos" / "p3.png").read_bytes()[:200])
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    return folder


def write_config(path: Path, folder: Path, more: str = "", image: str = COMPACT) -> Path:
    path.write_text(CONFIG.format(folder=folder, more=more, image=image))
    return path


@pytest.mark.slow
def test_a_run_on_photos_killed_resumes_to_the_same_weights(tmp_path, folder, capsys):
    config, runs = write_config(tmp_path / "c.toml", folder), [tmp_path / "alone", tmp_path / "killed"]
    assert main(["train", str(config), "--out", str(runs[0])]) == 0
    said = capsys.readouterr()
    assert "p3.png" in said.out
    assert "held out: within" in said.out
    process = subprocess.Popen(
        [sys.executable, "-m", "earthclip", "train", str(config), "--out", str(runs[1])], stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 90
    while not (runs[1] / "checkpoint.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert main(["train", str(config), "--out", str(runs[1]), "--resume"]) == 0
    alone, resumed = (safetensors.torch.load_file(run / "checkpoint.safetensors") for run in runs)
    assert alone.keys() == resumed.keys()
    assert [name for name in alone if not torch.equal(alone[name], resumed[name])] == []


@pytest.mark.slow
def test_a_head_on_a_frozen_clip_from_photos_to_a_model_that_answers(tmp_path, folder, capsys):
    clip = write_clip(tmp_path / "clip")
    config = write_config(tmp_path / "c.toml", folder, f'backbone = "{clip}"\nema_decay = 0.5', image="")
    run, out = tmp_path / "run", tmp_path / "model"
    assert main(["train", str(config), "--out", str(run)]) == 0
    kept = safetensors.torch.load_file(run / "checkpoint.safetensors")
    assert not [name for name in kept if "backbone" in name]
    assert main(["model", "export", str(run), "-o", str(out), "--spacing-km", "20"]) == 0
    capsys.readouterr()
    locator = load(out)
    assert "where the 24 training photos of" in locator.config.prior
    assert "one place in each square 20 km wide" in locator.config.prior
    answer = next(iter(locator.locate([folder / "photos" / "p0.png"])))
    assert 45 <= float(answer.coordinates[0][0]) <= 47  # type: ignore[union-attr]
    assert locator.config.words is not None
    assert main(["model", "export", str(run), "-o", str(tmp_path / "places"), "--location-only"]) == 0
    assert load(tmp_path / "places").config.preprocessing is None
    # The exported folder is where the next run starts from.
    config = write_config(tmp_path / "d.toml", folder, f'backbone = "{clip}"\ninit = "{out}"', image="")
    capsys.readouterr()
    assert main(["train", str(config), "--out", str(tmp_path / "next")]) == 0
    assert f"starting from the weights of {out}\n" in capsys.readouterr().out


class Photos:
    name, authors = "photos", None

    def __init__(self, paths: list[Path]) -> None:
        self.paths, self.ids = paths, [path.name for path in paths]
        self.coordinates = np.zeros((len(paths), 2))

    def __len__(self) -> int:
        return len(self.paths)

    def open(self, index: int) -> str:
        return str(self.paths[index])


def test_another_takes_the_place_of_a_photo_that_cannot_be_read(folder, monkeypatch):
    monkeypatch.setattr("threading.Thread.start", lambda self: None)
    start_worker(Photos([folder / "photos" / f"p{i}.png" for i in range(6)]), 8)  # type: ignore[arg-type]
    seeds = np.arange(6, dtype=np.uint64)
    made = decode_batch((np.arange(6), seeds))
    assert made.chosen[[0, 1, 2, 4, 5]].tolist() == [0, 1, 2, 4, 5]
    assert made.chosen[3] != 3
    assert made.pictures.shape == (6, 8, 8, 3)
    assert "p3.png" in made.faults[0]
    half = decode_batch((np.arange(3, 6), seeds[3:]))  # as another process has it
    assert half.chosen.tolist() == made.chosen[3:].tolist()
    assert np.array_equal(half.pictures, made.pictures[3:])
    with pytest.raises(InputError, match="9 of 20 photos of a batch cannot be decoded"):
        decode_batch((np.full(20, 3), np.arange(20, dtype=np.uint64)))


@pytest.mark.parametrize("shape", [(40, 30), (1, 1), (300, 2), (2, 300), (17, 5000)])
def test_views_are_square_and_follow_from_their_seed(shape):
    image = Image.effect_noise(shape, 80).convert("RGB")
    first, again, other = (np.asarray(simclr_view(image, 24, np.random.default_rng(seed))) for seed in (1, 1, 2))
    assert first.shape == (24, 24, 3)
    assert np.array_equal(first, again)
    assert shape == (1, 1) or not np.array_equal(first, other)


def test_a_fifth_of_the_views_is_grey():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    views = [np.asarray(simclr_view(image, 8, np.random.default_rng(seed))) for seed in range(400)]
    grey = np.mean([np.ptp(view, axis=2).max() == 0 for view in views])
    assert 0.13 < grey < 0.28
