"""Training on cached features: what is learned, kills, damaged checkpoints, locks, what stops a run."""

from __future__ import annotations

import csv
import signal
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
from earthclip.errors import InputError, OutputError
from earthclip.files import locked
from earthclip.training import TrainingConfig, contrastive_loss, open_source, read_training_config, train
from earthclip.training.checkpoint import CHECKPOINT, DAMAGED, PREVIOUS, load_trained
from earthclip.training.progress import draw_curves

pytestmark = pytest.mark.usefixtures("features")


def tensors(run: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run / CHECKPOINT)


def step_of(path: Path) -> int:
    with safetensors.safe_open(path, framework="pt") as file:
        return int(file.metadata()["step"])


def differing(a: Path, b: Path) -> list[str]:
    first, second = tensors(a), tensors(b)
    assert first.keys() == second.keys()
    return [name for name in first if not torch.equal(first[name], second[name])]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "tests.training.cached_features", *map(str, arguments)]


def test_a_run_on_features_learns_and_draws_its_curves(tmp_path, feature_config, capsys):
    config = feature_config(("steps = 12", "epochs = 6"), ("every_steps = 6", "every_steps = 30"))
    run = tmp_path / "run"
    assert main(["train", str(config), "--out", str(run)]) == 0
    said = capsys.readouterr().out
    assert "held out: within 25/200/750 km" in said
    with (run / "progress.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert int(rows[-1]["step"]) == 61  # 6 epochs of 81 photos in batches of 8
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"]) - 0.5
    with (run / "validation.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    assert float(last["median_km"]) < 300
    assert last["set"] == "held out"
    with Image.open(run / "curves.png") as curves:
        assert curves.size == (1320, 504)
    assert np.load(run / "coordinates.npy").shape == (81, 2)


@pytest.mark.slow
def test_a_run_on_features_killed_resumes_to_the_same_weights(tmp_path, feature_config):
    config, alone, killed = feature_config(("steps = 12", "steps = 300")), tmp_path / "alone", tmp_path / "killed"
    assert main(["train", str(config), "--out", str(alone)]) == 0
    process = subprocess.Popen(command("train", config, "--out", killed), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (killed / PREVIOUS).exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert 1 <= step_of(killed / CHECKPOINT) < 300
    assert main(["train", str(config), "--out", str(killed), "--resume"]) == 0
    assert differing(alone, killed) == []
    assert (alone / "validation.csv").read_text() == (killed / "validation.csv").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_asked_to_stop_keeps_a_checkpoint_first(tmp_path, feature_config, number):
    config = feature_config(
        ("steps = 12", "steps = 100000"), ("checkpoint_every_steps = 1", "checkpoint_every_steps = 90000")
    )
    run = tmp_path / "run"
    process = subprocess.Popen(command("train", config, "--out", run), stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    progress = run / "progress.csv"
    while time.monotonic() < deadline and not (progress.exists() and progress.read_text().count("\n") > 2):
        time.sleep(0.01)
    process.send_signal(number)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "--resume continues" in said
    assert step_of(run / CHECKPOINT) >= 6


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing"])
def test_a_damaged_checkpoint_costs_one_interval_and_no_weight(tmp_path, feature_config, capsys, damage):
    config, alone, hurt = feature_config(), tmp_path / "alone", tmp_path / "hurt"
    for run in (alone, hurt):
        assert main(["train", str(config), "--out", str(run)]) == 0
    newest = hurt / CHECKPOINT
    whole = newest.read_bytes()
    assert (step_of(newest), step_of(hurt / PREVIOUS)) == (12, 11)
    if damage == "cut":
        newest.write_bytes(whole[: len(whole) // 2])
    elif damage == "flipped":
        newest.write_bytes(whole[:-100] + bytes([whole[-100] ^ 4]) + whole[-99:])
    else:
        newest.unlink()
    capsys.readouterr()
    assert main(["train", str(config), "--out", str(hurt), "--resume"]) == 0
    said = capsys.readouterr().out
    assert "warning:" in said
    assert "using the previous checkpoint, of step 11" in said
    assert differing(alone, hurt) == []
    assert (hurt / DAMAGED).exists() == (damage != "missing")


def test_every_flipped_byte_of_a_checkpoint_is_noticed_or_without_effect(tmp_path, feature_config):
    assert main(["train", str(feature_config(("steps = 12", "steps = 2"))), "--out", str(tmp_path / "run")]) == 0
    newest = tmp_path / "run" / CHECKPOINT
    whole, (_, kept, step) = newest.read_bytes(), load_trained(tmp_path / "run", TrainingConfig)
    warnings: list[str] = []
    rng = np.random.default_rng(0)
    for place in (*range(0, 12), *rng.integers(0, len(whole), 60)):
        newest.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << int(rng.integers(8)))]) + whole[place + 1 :])
        before = len(warnings)
        _, weights, found = load_trained(tmp_path / "run", TrainingConfig, warnings.append)
        if len(warnings) == before:
            assert found == step
            assert all(torch.equal(weights[name], kept[name]) for name in kept)
    assert len(warnings) > 60


def test_two_damaged_checkpoints_are_one_line(tmp_path, feature_config, capsys):
    run = tmp_path / "run"
    assert main(["train", str(feature_config()), "--out", str(run)]) == 0
    for name in (CHECKPOINT, PREVIOUS):
        (run / name).write_bytes(b"\0" * 40)
    capsys.readouterr()
    assert main(["train", str(feature_config()), "--out", str(run), "--resume"]) == 2
    said = capsys.readouterr().err
    assert said.count("damaged checkpoint") == 2
    assert said.count("\n") == 1


def test_one_trainer_a_folder(tmp_path, feature_config, capsys):
    with locked(tmp_path / "run", "trainer"):
        assert main(["train", str(feature_config()), "--out", str(tmp_path / "run")]) == 2
        with pytest.raises(OutputError, match="another trainer is at work"), locked(tmp_path / "run", "trainer"):
            pass
    assert "another trainer is at work in it" in capsys.readouterr().err
    with locked(tmp_path / "run", "trainer"):
        pass


def test_a_loss_that_is_no_number_names_the_photo(tmp_path, feature_config, capsys):
    config = feature_config(('folder = "features"', 'folder = "broken-7"'), ("held_out = 0.1", "held_out = 0.0"))
    assert main(["train", str(config), "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert "the loss became nan at step" in said
    assert "with photo7 (its feature is not finite)" in said
    assert said.count("\n") == 1
    assert (tmp_path / "run" / "not_finite.txt").read_text() == "photo7 (its feature is not finite)\n"


def test_a_diverged_run_names_its_weights_and_batch(tmp_path, feature_config):
    config = feature_config(("learning_rate = 1e-2", "learning_rate = 10.0"), ("ema_decay = 0.9", "ema_decay = 0.0"))

    def poisoned(model, given, batch, places, settings, progress, generator):
        if progress > 0:
            with torch.no_grad():
                model.logit_scale.fill_(float("nan"))
        return contrastive_loss(model, given, batch, places, settings, progress, generator)

    wanted = read_training_config(config)
    with pytest.raises(InputError, match=r"at step 1, with weights that are not finite \(logit_scale\), photo"):
        train(wanted, open_source(wanted), poisoned, folder=tmp_path / "run")
    assert len((tmp_path / "run" / "not_finite.txt").read_text().splitlines()) == 9


def test_a_run_goes_on_with_the_same_photos_only(tmp_path, feature_config, capsys):
    config, run = feature_config(), tmp_path / "run"
    assert main(["train", str(config), "--out", str(run)]) == 0
    kept = (run / "data.json").read_text()
    (run / "data.json").write_text(kept.replace('"photos": 81', '"photos": 80'))
    assert main(["train", str(config), "--out", str(run), "--resume"]) == 2
    assert "its photos have changed since (photos was 80, is 81)" in capsys.readouterr().err


def test_validation_of_the_version_before_is_gone_on_with(tmp_path, feature_config):
    config, run = feature_config(), tmp_path / "run"
    assert main(["train", str(config), "--out", str(run)]) == 0
    csv_file = run / "validation.csv"
    now = csv_file.read_text()
    assert now.startswith("step,set,within_25_km")
    csv_file.write_text(now.replace("step,set,", "step,imagery,"))
    (run / "curves.png").unlink()
    assert draw_curves(run) == run / "curves.png"  # reads the old column
    assert main(["train", str(config), "--out", str(run), "--resume"]) == 0
    assert csv_file.read_text() == now


def test_quiet_training_prints_nothing_but_warnings(tmp_path, feature_config, capsys):
    config, run = feature_config(), tmp_path / "run"
    assert main(["train", str(config), "--out", str(run), "--quiet"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")
    (run / CHECKPOINT).unlink()
    assert main(["train", str(config), "--out", str(run), "--resume", "-q"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "warning: " in said.err and "using the previous checkpoint" in said.err


def test_too_few_photos_for_a_batch(tmp_path, feature_config, capsys):
    config = feature_config(("batch_size = 8", "batch_size = 82"))
    assert main(["train", str(config), "--out", str(tmp_path / "run")]) == 2
    assert "81 photos to train on, fewer than a batch of 82" in capsys.readouterr().err


def test_the_running_mean_is_what_is_exported(tmp_path, feature_config):
    run = tmp_path / "run"
    assert main(["train", str(feature_config()), "--out", str(run)]) == 0
    kept = tensors(run)
    _, weights, _ = load_trained(run, TrainingConfig)
    names = [name for name in weights if f"average.{name}" in kept]
    assert len(names) > 8
    assert all(torch.equal(weights[name], kept[f"average.{name}"]) for name in names)
    assert any(not torch.equal(weights[name], kept[f"model.{name}"]) for name in names)
    assert "average.location_encoder.position.frequencies" not in kept


def test_no_checkpoint_is_an_input_error(tmp_path, feature_config):
    assert main(["train", str(feature_config()), "--out", str(tmp_path / "run")]) == 0
    for name in (CHECKPOINT, PREVIOUS):
        (tmp_path / "run" / name).unlink()
    with pytest.raises(InputError, match="no such checkpoint"):
        load_trained(tmp_path / "run", TrainingConfig)
