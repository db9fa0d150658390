"""Training end to end on real imagery with a tiny network: kill and resume, export, locate."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch

from earthclip.cli import main
from recipes.orbit.commands import orbit
from recipes.orbit.testset import write_test_set
from tests.recipes.orbit.tiny_views import write_config

ROOT = Path(__file__).parents[3]


def run(arguments: list[str]) -> int:
    return main(arguments, command=orbit, name="python -m recipes.orbit")


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def column_of(path: Path, column: str) -> list[str]:
    with path.open(newline="") as file:
        return [row[column] for row in csv.DictReader(file)]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "checkpoint.safetensors")


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_weights(tmp_path, capsys):
    config = write_config(tmp_path, steps=40)
    assert run(["train", str(config), "--out", str(tmp_path / "alone")]) == 0
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "recipes.orbit", "train", str(config), "--out", str(killed)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True, cwd=ROOT)
    deadline = time.monotonic() + 120
    while not (killed / "checkpoint.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()  # the trainer alone: its workers must end by themselves
    process.wait()
    while _group_lives(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _group_lives(process.pid)
    with safetensors.safe_open(killed / "checkpoint.safetensors", framework="pt") as file:
        assert 1 <= int(file.metadata()["step"]) < 40, "the kill came too late to show anything"
    capsys.readouterr()
    assert run(["train", str(config), "--out", str(killed), "--resume"]) == 0
    assert "resuming at step" in capsys.readouterr().out
    for name, column in (("progress.csv", "step"), ("validation.csv", "median_km")):
        assert column_of(killed / name, column) == column_of(tmp_path / "alone" / name, column)
    alone, resumed = weights(tmp_path / "alone"), weights(killed)
    assert alone.keys() == resumed.keys()
    assert [name for name in alone if not torch.equal(alone[name], resumed[name])] == []


@pytest.mark.slow
def test_train_export_locate(tmp_path, capsys):
    trained, folder = tmp_path / "run", tmp_path / "model"
    config = write_config(tmp_path, steps=6, targets="distance", cells=0)
    assert run(["train", str(config), "--out", str(trained)]) == 0
    said = capsys.readouterr().out
    assert "samples/s" in said
    assert "within 25/200/750 km" in said
    assert column_of(trained / "progress.csv", "step") == ["2", "4", "6"]
    assert column_of(trained / "validation.csv", "step") == ["0", "5", "6"]  # before the first step too
    assert column_of(trained / "validation.csv", "set") == ["etopo1"] * 3
    assert main(["model", "export", str(trained), "-o", str(folder)]) == 2
    assert "use python -m recipes.orbit" in capsys.readouterr().err
    assert run(["export", str(trained), "-o", str(folder), "--licence", "my own"]) == 2
    assert "expected an SPDX identifier" in capsys.readouterr().err
    assert run(["export", str(trained), "-o", str(folder), "--spacing-km", "900"]) == 0
    write_test_set(tmp_path / "set", n=2, source="bmng", size=32, seed=0, half_width_km=(150.0, 1500.0))
    capsys.readouterr()
    assert main(["locate", str(tmp_path / "set"), "--model", str(folder), "--format", "jsonl"]) == 0
    assert capsys.readouterr().out.count('"model": "tiny"') == 2
    assert run(["export", str(trained), "-o", str(folder)]) == 2
    assert "already exists" in capsys.readouterr().err
