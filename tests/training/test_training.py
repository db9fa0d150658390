"""A run as a whole: its folder, commands that cannot run, and sources and objectives of one's own."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from earthclip.cli import main
from earthclip.nn import location_encoder
from earthclip.nn.geoclip import GeoCLIP, GeoCLIPConfig
from earthclip.nn.image_encoder import CompactEncoderConfig
from earthclip.training import Batch, Source, contrastive_loss, read_training_config, train
from earthclip.training.checkpoint import TrainingState, restore_checkpoint, save_checkpoint
from earthclip.training.losses import CoordinateQueue

pytestmark = pytest.mark.usefixtures("features")
SMALL = CompactEncoderConfig(image_size=16, stem=8, channels=(8, 12), blocks=(1, 1), reduced=6)


class Synthetic(Source):
    """A source in a few lines: features that tell the place."""

    width = 6

    def batch(self, step: int, rank: int, world: int) -> Batch:
        rng = np.random.default_rng([7, step, rank])
        places = np.stack([rng.uniform(40, 50, 8), rng.uniform(0, 12, 8)], axis=1)
        features = np.sin(np.radians(places) @ np.ones((2, 6)) * np.arange(1, 7)).astype(np.float32)
        return Batch(features, places, [f"{step}-{i}" for i in range(8)])


def losses_of(run: Path) -> list[str]:
    with (run / "progress.csv").open(newline="") as file:
        return [row["loss"] for row in csv.DictReader(file)]


def test_the_source_in_the_documentation_is_trained_on_as_printed(tmp_path, feature_config, monkeypatch, capsys):
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    feature_config(('[features]\nfolder = "features"\nheld_out = 0.1', ""), name="own")
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "docs/training.md", "exec"), {})
    assert "done:" in capsys.readouterr().out


def test_a_source_of_ones_own_is_trained_on_and_resumed(tmp_path, feature_config):
    config = read_training_config(feature_config(('[features]\nfolder = "features"\nheld_out = 0.1', "")))
    said: list[str] = []
    train(config, Synthetic(), folder=tmp_path / "run", say=said.append)
    assert said[-1].startswith("done:") and len(losses_of(tmp_path / "run")) == 4
    train(config, Synthetic(), folder=tmp_path / "run", resume=True, say=said.append)
    assert "resuming at step 12 of 12" in said
    assert not (tmp_path / "run" / "data.json").exists()


def test_an_objective_of_ones_own_is_minimised(tmp_path, feature_config):
    config = read_training_config(feature_config(('[features]\nfolder = "features"\nheld_out = 0.1', "")))

    def doubled(*given: object) -> torch.Tensor:
        return 2 * contrastive_loss(*given)  # type: ignore[arg-type]

    for name, objective in (("plain", None), ("doubled", doubled)):
        train(config, Synthetic(), objective, folder=tmp_path / name, say=lambda _: None)
    plain, twice = (float(losses_of(tmp_path / name)[0]) for name in ("plain", "doubled"))
    assert twice == pytest.approx(2 * plain, rel=0.05)


class Degrees(location_encoder.Position):
    """Another location encoder: one class, and the line that names it."""

    scales, per_scale = 1, 2

    def forward(self, coordinates: torch.Tensor) -> torch.Tensor:
        return coordinates.float() / 180


def test_another_location_encoder_is_a_class_and_a_line(tmp_path, feature_config, monkeypatch):
    monkeypatch.setitem(location_encoder.POSITIONS, "degrees", lambda config, seed: Degrees())
    config = feature_config(("depth = 1", 'depth = 1\nposition = "degrees"'))
    assert main(["train", str(config), "--out", str(tmp_path / "run")]) == 0
    assert len(losses_of(tmp_path / "run")) == 4


def test_a_run_is_not_overwritten_nor_resumed_with_another_configuration(tmp_path, feature_config, capsys):
    config = feature_config()
    run = tmp_path / "run"
    run.mkdir()
    (run / "checkpoint.safetensors").write_bytes(b"")
    assert main(["train", str(config), "--out", str(run)]) == 2
    assert "add --resume to continue it" in capsys.readouterr().err
    assert main(["train", str(config), "--out", str(run), "--resume"]) == 2
    assert "not the folder of a training run" in capsys.readouterr().err


def test_resume_before_the_first_checkpoint_starts_at_the_beginning(tmp_path, feature_config, capsys):
    config, run = feature_config(("steps = 12", "steps = 1")), tmp_path / "run"
    assert main(["train", str(config), "--out", str(run), "--resume"]) == 0
    assert "no checkpoint yet" in capsys.readouterr().out
    config.write_text(config.read_text().replace("batch_size = 8", "batch_size = 9"))
    assert main(["train", str(config), "--out", str(run), "--resume"]) == 2
    assert "was trained with another batch_size" in capsys.readouterr().err


def test_moments_keep_their_memory_layout_when_restored(tmp_path):
    model = GeoCLIP.from_config(GeoCLIPConfig(16, SMALL))
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


def test_logits_and_losses_stay_float32_under_autocast():
    model = GeoCLIP.from_config(GeoCLIPConfig(16, SMALL))
    with torch.autocast("cpu", torch.bfloat16):
        assert model(torch.randn(2, 3, 16, 16), torch.zeros(3, 2)).dtype == torch.float32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model", "export", "{tmp}", "-o", "{tmp}/model"], "not the folder of a training run"),
        (["model", "export", "{tmp}", "-o", "{tmp}/model", "--spacing-km", "0"], "--spacing-km must be 0.01 to 2000"),
        (["train", "{tmp}/none.toml"], "none.toml: no such file"),
        (["train", "{tmp}/heads.toml", "--out", "{tmp}/heads.toml"], "cannot be made"),
    ],
)
def test_wrong_commands_are_one_line(tmp_path, feature_config, capsys, arguments, message):
    feature_config()
    assert main([argument.format(tmp=tmp_path) for argument in arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_without_torch_the_extra_is_named(tmp_path, feature_config):
    blocked = "import sys; sys.modules['torch'] = None; from earthclip.cli import main; sys.exit(main(sys.argv[1:]))"
    for command in (["train", str(feature_config())], ["model", "export", str(tmp_path), "-o", str(tmp_path / "m")]):
        done = subprocess.run([sys.executable, "-c", blocked, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "earthclip[train]" in done.stderr
        assert done.stderr.count("\n") == 1
