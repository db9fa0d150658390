"""The commands of the README run in order, on a few made-up photos in the true layout."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from earthclip.cli import main
from earthclip.locating.locator import load
from earthclip.training import read_training_config
from tests.nn.tiny_clip import write_clip

ROOT = Path(__file__).parents[3]
RECIPE = ROOT / "recipes" / "mp16"
COMMANDS = re.findall(r"^earthclip .*$", (RECIPE / "README.md").read_text(), re.MULTILINE)
SMALLER = {
    "epochs = 10": "epochs = 2",
    "batch_size = 512": "batch_size = 8",
    "held_out = 0.0005": "held_out = 0.1",
    "log_every_steps = 100": "log_every_steps = 2",
    "embedding_size = 512": "embedding_size = 16",
    "width = 1024": "width = 16",
    "every_steps = 5000": "every_steps = 4",
    '"openai/clip-vit-large-patch14"': '"clip"',
}
HEADER = "IMG_ID,AUTHOR,LAT,LON,S3_Label,S16_Label,S365_Label,Prob_indoor,Prob_natural,Prob_urban"


def write_photos(table: Path, folder: Path, names: list[str]) -> None:
    rng, rows = np.random.default_rng(0), [HEADER]
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)).save(path)
        latitude, longitude = rng.uniform(-50, 60), rng.uniform(-170, 170)
        rows.append(f"{name},{number % 5}@N00,{latitude:.4f},{longitude:.4f},2,12,353,0.25,0.05,0.7")
    table.write_text("\n".join(rows) + "\n")


@pytest.mark.slow
def test_from_photos_to_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(Path("clip"))
    data = tmp_path / "data"
    names = [f"{i:02x}/{i + 1:02x}/{i}.jpg" for i in range(40)]
    write_photos_of = {
        "mp16": ("images/mp16", names),
        "im2gps3k": ("im2gps3ktest", [f"{i}_4@N00.jpg" for i in range(6)]),
    }
    for name, (folder, ids) in write_photos_of.items():
        (data / name).mkdir(parents=True)
        write_photos(data / name / f"{name}_places365.csv", data / name / folder, ids)
    text = (RECIPE / "geoclip.toml").read_text()
    for old, new in SMALLER.items():
        assert old in text, old
        text = text.replace(old, new)
    Path("small.toml").write_text(text)
    assert [command.split()[1] for command in COMMANDS] == ["data", "features", "train", "model", "evaluate"]
    for command in COMMANDS:
        small = command.replace("openai/clip-vit-large-patch14", "clip").replace(
            "recipes/mp16/geoclip.toml", "small.toml"
        )
        missing = small.startswith("earthclip data check")  # all but 40 of the published number
        assert main(shlex.split(small)[1:]) == int(missing), command
    said = capsys.readouterr().out
    assert "34.5" in said  # the paper's row beside ours
    steps = [row.split(",")[0] for row in Path("runs/geoclip-mp16/validation.csv").read_text().splitlines()]
    assert steps == ["step", "0", "4", "8", "9"]
    config = load(Path("models/geoclip-mp16")).config
    assert config.licence == "MIT" and "where the 36 training photos of" in config.prior


def test_the_values_are_the_papers() -> None:
    ours, paper = read_training_config(RECIPE / "geoclip.toml"), read_training_config(ROOT / "configs" / "geoclip.toml")
    assert ours.features is not None and paper.photos is not None
    assert ours.features.held_out == paper.photos.held_out
    assert dataclasses.replace(ours, features=None) == dataclasses.replace(paper, photos=None)
