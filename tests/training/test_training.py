"""Training end to end through the command line, on real imagery with a tiny network; kill and resume."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from earthclip.cli import main
from earthclip.errors import ConfigError
from earthclip.geo.sphere import great_circle_km
from earthclip.nn.geoclip import GeoCLIP
from earthclip.nn.location_encoder import LocationEncoderConfig
from earthclip.training.checkpoint import TrainingState, restore_checkpoint, save_checkpoint
from earthclip.training.config import OptimizerConfig, in_steps, read_training_config
from earthclip.training.networks import build_model
from earthclip.training.optimization import learning_rate, make_optimizer
from earthclip.training.order import Order
from earthclip.training.queue import CoordinateQueue
from earthclip.training.validation import thinned
from recipes.orbit.testset import write_test_set
from tests.training.tiny_views import write_config


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def column_of(path: Path, column: str) -> list[str]:
    with path.open(newline="") as file:
        return [row[column] for row in csv.DictReader(file)]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run / "checkpoint.safetensors")


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_weights(tmp_path, capsys):
    config = write_config(tmp_path, steps=40)
    assert main(["train", str(config), "--out", str(tmp_path / "alone")]) == 0
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "earthclip", "train", str(config), "--out", str(killed)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
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
    assert main(["train", str(config), "--out", str(killed), "--resume"]) == 0
    assert "resuming at step" in capsys.readouterr().out
    for name, column in (("progress.csv", "step"), ("validation.csv", "median_km")):
        assert column_of(killed / name, column) == column_of(tmp_path / "alone" / name, column)
    alone, resumed = weights(tmp_path / "alone"), weights(killed)
    assert alone.keys() == resumed.keys()
    assert [name for name in alone if not torch.equal(alone[name], resumed[name])] == []


@pytest.mark.slow
def test_train_export_locate(tmp_path, capsys):
    run, folder = tmp_path / "run", tmp_path / "model"
    config = write_config(tmp_path, steps=6, targets="distance", cells=0)
    assert main(["train", str(config), "--out", str(run)]) == 0
    said = capsys.readouterr().out
    assert "samples/s" in said
    assert "within 25/200/750 km" in said
    assert column_of(run / "progress.csv", "step") == ["2", "4", "6"]
    assert main(["model", "export", str(run), "-o", str(folder), "--spacing-km", "900"]) == 0
    write_test_set(tmp_path / "set", n=2, source="bmng", size=32, seed=0, half_width_km=(150.0, 1500.0))
    capsys.readouterr()
    assert main(["locate", str(tmp_path / "set"), "--model", str(folder), "--format", "jsonl"]) == 0
    assert capsys.readouterr().out.count('"model": "tiny"') == 2
    assert main(["model", "export", str(run), "-o", str(folder)]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("learning_rate", "lerning_rate", "optimizer: unknown key 'lerning_rate', did you mean 'learning_rate'"),
        ("steps = 6", "steps = 'six'", "steps: expected int, found str 'six'"),
        ('targets = "one-hot"', 'targets = "soft"', "expected one of one-hot, distance"),
        ("batch_size = 8", "batch_size = 1", "batch_size must be at least 2"),
        ("image_size = 16", "image_size = 18", "multiple of the reduction"),
        ("log_every_steps = 2", "log_every_steps = 0", "must be at least 1"),
        ("batch_size = 8", "batch_size = 8\nseed = -1", "seed must not be negative"),
        ("texture_width = 360", "imagery = {natural-earth = 1.0}", "training imagery only"),
        ("texture_width = 360", "distribution = {min_land = 2.0}", "min_land must be 0 to 1"),
        ('imagery = ["etopo1"]', 'imagery = ["stellarium"]', "training or validation imagery only"),
        ("cells = 2", "cells = 17", "0 to 4, the cells of the grid"),
        ("steps = 6", "steps = 6\nlearning_rate = 1.0", r"unknown key 'learning_rate', it belongs to \[optimizer\]"),
        ("steps = 6", "steps = 6\nweight_decai = 1.0", r"did you mean 'weight_decay' of \[optimizer\]\?"),
        ("steps = 6", "steps = 0", "steps must be at least 1"),
        ("steps = 6", "epochs = 3.0", "epochs are for"),
        ("steps = 6", "steps = 6\nepochs = 3.0", "both say how long to train; keep one"),
        ("steps = 6", "steps = 6\nema_decay = 1.0", "ema_decay must be at least 0 and below 1"),
        ("steps = 6", 'steps = 6\nbackbone = "clip"', "backbone is for"),
        ("learning_rate = 1e-3", "learning_rate = inf", "learning_rate must be at most 10"),
        ("learning_rate = 1e-3", "learning_rate = nan", "learning_rate must be above 0"),
        ("warmup_steps = 2", "step_gamma = 0.0", "step_gamma must be above 0 and at most 1"),
        ("warmup_steps = 2", "weight_decay = -1.0", "weight_decay must be 0 to 10"),
        ("warmup_steps = 2", "step_every = 0", "step_every must be at least 1"),
        ("size = 20", "batch_noise_m = nan", "batch_noise_m and queue_noise_m must be 0 to"),
        ("sigmas = [1.0, 8.0]", "sigmas = []", "sigmas needs at least one"),
        ("frequencies = 8", "frequencies = 0", "frequencies, width and depth must be at least 1"),
        ("[views]", "[photos]\nsource = 'x'\n[views]", r"\[views\] and \[photos\] both say what to train on; keep one"),
        ("[views]\ntexture_width = 360", "[photos]\nsource = 'x'", "loss.cells is for"),
        ("cells = 2", "cells = 0\n[features]\nfoldr = 'x'", "features: unknown key 'foldr', did you mean 'folder'"),
    ],
)
def test_a_wrong_configuration_is_one_line(tmp_path, old, new, message):
    path = write_config(tmp_path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=message) as caught:
        read_training_config(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_run_is_not_overwritten_nor_resumed_with_another_configuration(tmp_path, capsys):
    config = write_config(tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    (run / "checkpoint.safetensors").write_bytes(b"")
    assert main(["train", str(config), "--out", str(run)]) == 2
    assert "add --resume to continue it" in capsys.readouterr().err
    assert main(["train", str(config), "--out", str(run), "--resume"]) == 2
    assert "not the folder of a training run" in capsys.readouterr().err


def test_resume_before_the_first_checkpoint_starts_at_the_beginning(tmp_path, capsys):
    config, run = write_config(tmp_path, steps=1), tmp_path / "run"
    assert main(["train", str(config), "--out", str(run), "--resume"]) == 0
    assert "no checkpoint yet" in capsys.readouterr().out
    config.write_text(config.read_text().replace("batch_size = 8", "batch_size = 9"))
    assert main(["train", str(config), "--out", str(run), "--resume"]) == 2
    assert "was trained with another batch_size" in capsys.readouterr().err


def test_moments_keep_their_memory_layout_when_restored(tmp_path):
    model = GeoCLIP.from_config(read_training_config(write_config(tmp_path)).model)
    model.to(memory_format=torch.channels_last)
    states = [TrainingState(model, torch.optim.AdamW(model.parameters()), CoordinateQueue(4), step) for step in (3, 0)]
    pixels = torch.randn(2, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    model(pixels, torch.zeros(3, 2)).sum().backward()
    states[0].optimizer.step()
    save_checkpoint(tmp_path, states[0])
    restore_checkpoint(tmp_path, states[1])
    assert states[1].step == 3
    for parameter, kept in states[0].optimizer.state.items():
        for name in ("exp_avg", "exp_avg_sq"):
            restored = states[1].optimizer.state[parameter][name]
            assert torch.equal(restored, kept[name])
            assert restored.stride() == kept[name].stride()


def test_logits_and_losses_stay_float32_under_autocast(tmp_path):
    model = GeoCLIP.from_config(read_training_config(write_config(tmp_path)).model)
    with torch.autocast("cpu", torch.bfloat16):
        assert model(torch.randn(2, 3, 16, 16), torch.zeros(3, 2)).dtype == torch.float32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model", "export", "{tmp}", "-o", "{tmp}/model"], "not the folder of a training run"),
        (["model", "export", "{tmp}", "-o", "{tmp}/model", "--zoom", "2"], "--zoom must be 0.25 to 1"),
        (["train", "{tmp}/none.toml"], "none.toml: no such file"),
        (["train", "{tmp}/tiny.toml", "--out", "{tmp}/tiny.toml"], "cannot be made"),
    ],
)
def test_wrong_commands_are_one_line(tmp_path, capsys, arguments, message):
    write_config(tmp_path)
    assert main([argument.format(tmp=tmp_path) for argument in arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_without_torch_and_imagery_the_extra_is_named(tmp_path):
    blocked = "import sys; sys.modules['torch'] = None; from earthclip.cli import main; sys.exit(main(sys.argv[1:]))"
    for command in (
        ["train", str(write_config(tmp_path))],
        ["model", "export", str(tmp_path), "-o", str(tmp_path / "m")],
    ):
        done = subprocess.run([sys.executable, "-c", blocked, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "earthclip[train]" in done.stderr
        assert done.stderr.count("\n") == 1


def test_schedules():
    cosine = OptimizerConfig(learning_rate=1.0, warmup_steps=4)
    assert [learning_rate(cosine, step, 100) for step in (0, 3)] == [0.25, 1.0]
    assert learning_rate(cosine, 52, 100) == pytest.approx(0.5)
    assert learning_rate(cosine, 99, 100) < 0.001
    steps = OptimizerConfig(learning_rate=1.0, schedule="step", step_every=10, step_gamma=0.5)
    assert [learning_rate(steps, step, 100) for step in (0, 9, 10, 25)] == [1.0, 1.0, 0.5, 0.25]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("held_out = 0.1", "held_out = 1.0", "features.held_out must be at least 0 and at most 0.9"),
        ("held_out = 0.1", "fraction = 0.0", "features.fraction must be above 0 and at most 1"),
        ("held_out = 0.1", 'split = "author"', "split: expected one of random, blocked, found str 'author'"),
        ('folder = "features"', "", "features: missing key 'folder'"),
        ('[features]\nfolder = "features"', "[photos]\nsource = 'x'\nworkers = 0", "photos.workers must be at least 1"),
        ("spacing_km = 30.0", "spacing_km = 0.0", "validation.spacing_km must be 0.01 to 2000"),
    ],
)
def test_a_wrong_configuration_of_photos_or_features_is_one_line(feature_config, old, new, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read_training_config(feature_config((old, new)))
    assert "\n" not in str(caught.value)


def test_the_committed_configurations_are_valid_and_the_papers_is_exact():
    folder = Path(__file__).parents[2] / "configs"
    configs = {path.stem: read_training_config(path) for path in sorted(folder.glob("*.toml"))}
    assert {"geoclip", "finetune"} <= configs.keys()
    paper = in_steps(configs["geoclip"], 4_700_000)
    assert (paper.batch_size, paper.steps, paper.queue.size) == (512, 91797, 4096)
    assert (paper.queue.batch_noise_m, paper.queue.queue_noise_m) == (150.0, 1000.0)
    assert paper.model.location == LocationEncoderConfig()
    assert (paper.optimizer.kind, paper.optimizer.weight_decay, paper.loss.targets) == ("adam", 1e-6, "one-hot")
    assert paper.loss.cells == 0
    rates = [learning_rate(paper.optimizer, step, paper.steps) for step in (0, 9179, 9180, 18360)]
    assert rates == pytest.approx([3e-5, 3e-5, 3e-5 * 0.87, 3e-5 * 0.87**2])
    model = build_model(paper, 768)
    assert [tuple(p.shape) for p in model.image_encoder.parameters()] == [(768, 768), (768,), (512, 768), (512,)]
    assert model.logit_scale.exp().item() == pytest.approx(1 / 0.07)
    optimizer = make_optimizer(model, paper.optimizer)
    assert type(optimizer) is torch.optim.Adam
    assert [group["weight_decay"] for group in optimizer.param_groups] == [1e-6]


def test_every_photo_is_seen_once_an_epoch_and_batches_follow_from_the_step():
    order = Order(10, 4, seed=3)
    seen = np.concatenate([order.batch(step) for step in range(5)])
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert not np.array_equal(seen[:10], seen[10:])
    assert np.array_equal(Order(10, 4, seed=3).batch(4), seen[16:])


@given(st.integers(1, 200), st.sampled_from([0.5, 20.0, 900.0]), st.integers(0, 9))
def test_thinned_places_are_some_of_the_given_one_in_each_square(n, spacing_km, seed):
    rng = np.random.default_rng(seed)
    places = np.stack([np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)], axis=1)
    kept = thinned(np.concatenate([places, places]), spacing_km)
    assert 1 <= len(kept) <= n
    assert {tuple(row) for row in kept} <= {tuple(row) for row in places}
    for place in places:  # nobody is farther from a candidate than across a square
        assert great_circle_km(np.broadcast_to(place, kept.shape), kept).min() < 1.6 * spacing_km


def test_thinned_places_at_the_poles_and_the_antimeridian():
    places = np.array([[90.0, 0.0], [90.0, 90.0], [-90.0, -180.0], [0.0, 179.9999], [0.0, -180.0]])
    assert len(thinned(places, 50.0)) in (4, 5)
