"""Two processes under torchrun end in the weights of one, at the same global batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from earthclip.cli import main
from earthclip.errors import ConfigError
from earthclip.training.config import read_training_config
from earthclip.training.losses import CoordinateQueue, noisy_places
from earthclip.training.processes import joined, subnormals_as_zero
from earthclip.training.source import share_of
from tests.training.test_photos_run import write_config, write_photos

pytestmark = pytest.mark.usefixtures("features")


def torchrun(*arguments: object, module: str = "tests.training.cached_features") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", module, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path, feature_config) -> None:
    config = feature_config(
        ("learning_rate = 1e-2", "learning_rate = 1e-3\nclip_norm = 1.0"), ("[queue]", "[loss]\n[queue]")
    )
    assert main(["train", str(config), "--out", str(tmp_path / "one")]) == 0
    done = torchrun("train", config, "--out", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("done:") == 1  # the second says nothing
    one, two = (safetensors.torch.load_file(tmp_path / name / "checkpoint.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    furthest = {name: (one[name].double() - two[name].double()).abs().max().item() for name in one}
    assert max(furthest.values()) < 1e-5, furthest
    assert torch.equal(one["queue.ring"], two["queue.ring"])  # every process pushed the whole batch, in its order
    rows = [(tmp_path / name / "progress.csv").read_text().splitlines() for name in ("one", "two")]
    losses = [[float(row.split(",")[1]) for row in lines[1:]] for lines in rows]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    done = torchrun("train", config, "--out", tmp_path / "two", "--resume")
    assert done.returncode == 0, done.stderr
    assert "resuming at step 12 of 12" in done.stdout


@pytest.mark.slow
def test_two_processes_train_the_compact_network_on_photos(tmp_path: Path) -> None:
    """Its head of cells has no part in the loss, so its parameters have no gradients."""
    config = write_config(tmp_path / "c.toml", write_photos(tmp_path))
    done = torchrun("train", config, "--out", tmp_path / "run", module="earthclip")
    assert done.returncode == 0, done.stderr
    assert "done:" in done.stdout
    steps = [row.split(",")[0] for row in (tmp_path / "run" / "progress.csv").read_text().splitlines()]
    assert steps == ["step", "2", "4", "6", "8", "10", "12"]


def test_shares_have_their_own_places_first_under_the_same_noise(tmp_path: Path, feature_config) -> None:
    config = read_training_config(feature_config())
    queue = CoordinateQueue(5)
    queue.push(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    coordinates = torch.rand(8, 2, dtype=torch.float64) * 40
    whole, turned = (
        noisy_places(coordinates, queue, config.queue, first, torch.Generator().manual_seed(1)) for first in (0, 4)
    )
    assert torch.equal(turned, torch.cat([whole[4:8], whole[:4], whole[8:]]))
    assert [share_of(rank, 2, 8) for rank in (0, 1)] == [slice(0, 4), slice(4, 8)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("batch_size = 8", "batch_size = 9"), "batch_size must be a multiple of the 2 processes, found 9"),
        (("batch_size = 8", 'batch_size = 8\nbackend = "nccl"'), "backend nccl is for device cuda"),
        (("batch_size = 8", 'batch_size = 8\ndevice = "cuda"'), "device is 'cuda', and torch finds none here"),
    ],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="these are what a machine without CUDA says")
def test_what_many_processes_cannot_do(feature_config, monkeypatch, change, message) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=message), joined(read_training_config(feature_config(change))):
        pass


def test_alone_nothing_is_exchanged(feature_config) -> None:
    with joined(read_training_config(feature_config())) as ranks:
        assert (ranks.world, ranks.leads) == (1, True)
        assert ranks.any(True)
        assert ranks.mean(2.5) == 2.5


def test_subnormals_are_zero_while_training_and_not_after() -> None:
    def halved() -> bool:
        return bool((torch.full((8,), 1e-40) / 2).any())

    with pytest.raises(KeyError), subnormals_as_zero():
        assert not halved()
        with subnormals_as_zero():
            assert not halved()
        assert not halved()
        raise KeyError
    assert halved()
