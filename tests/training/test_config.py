"""What a configuration may say: wrong ones are one line, and the committed ones are valid."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from earthclip.errors import ConfigError
from earthclip.nn.location_encoder import LocationEncoderConfig
from earthclip.training.config import OptimizerConfig, in_steps, read_training_config
from earthclip.training.networks import build_model
from earthclip.training.optimization import learning_rate, make_optimizer


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("learning_rate", "lerning_rate", "optimizer: unknown key 'lerning_rate', did you mean 'learning_rate'"),
        ("steps = 12", "steps = 'six'", "steps: expected int, found str 'six'"),
        ("[queue]", '[loss]\ntargets = "soft"\n[queue]', "expected one of one-hot, distance"),
        ("batch_size = 8", "batch_size = 1", "batch_size must be at least 2"),
        ("[model.location]", "[model.image]\nimage_size = 18\n[model.location]", "multiple of the reduction"),
        ("log_every_steps = 3", "log_every_steps = 0", "must be at least 1"),
        ("batch_size = 8", "batch_size = 8\nseed = -1", "seed must not be negative"),
        ("steps = 12", "steps = 12\nlearning_rate = 1.0", r"unknown key 'learning_rate', it belongs to \[optimizer\]"),
        ("steps = 12", "steps = 12\nweight_decai = 1.0", r"did you mean 'weight_decay' of \[optimizer\]\?"),
        ("steps = 12", "steps = 0", "steps must be at least 1"),
        ("steps = 12", "steps = 12\nepochs = 3.0", "both say how long to train; keep one"),
        ("ema_decay = 0.9", "ema_decay = 1.0", "ema_decay must be at least 0 and below 1"),
        ("learning_rate = 1e-2", "learning_rate = inf", "learning_rate must be at most 10"),
        ("learning_rate = 1e-2", "learning_rate = nan", "learning_rate must be above 0"),
        ('kind = "adam"', "step_gamma = 0.0", "step_gamma must be above 0 and at most 1"),
        ('kind = "adam"', "weight_decay = -1.0", "weight_decay must be 0 to 10"),
        ('kind = "adam"', "step_every = -1", "step_every must not be negative"),
        ("size = 20", "batch_noise_m = nan", "batch_noise_m and queue_noise_m must be 0 to"),
        ("sigmas = [1.0, 8.0]", "sigmas = []", "sigmas needs at least one"),
        ("frequencies = 8", "frequencies = 0", "frequencies, width and depth must be at least 1"),
        ("depth = 1", 'depth = 1\nposition = "cube"', "position must be one of equal-earth, sphere"),
        ("[queue]", "[views]\n[queue]", r"\[views\] and \[features\] both say what to train on; keep one"),
        ("[queue]", "[loss]\ncells = 2\n[queue]", "loss.cells is for"),
        ('folder = "features"', 'foldr = "x"', "features: unknown key 'foldr', did you mean 'folder'"),
        ('[features]\nfolder = "features"\nheld_out = 0.1', "[views]", "use python -m recipes.orbit train"),
        ("steps = 12", 'steps = 12\nlicence = "my own"', "licence must be an SPDX identifier such as MIT"),
        ("held_out = 0.1", "workers = -1", "features.workers must not be negative"),
        ("held_out = 0.1", "held_out = 1.0", "features.held_out must be at least 0 and at most 0.9"),
        ("held_out = 0.1", "fraction = 0.0", "features.fraction must be above 0 and at most 1"),
        ("held_out = 0.1", 'split = "author"', "split: expected one of random, blocked, found str 'author'"),
        ('folder = "features"', "", "features: missing key 'folder'"),
        ('[features]\nfolder = "features"', "[photos]\nsource = 'x'\nworkers = 0", "photos.workers must be at least 1"),
        ("spacing_km = 30.0", "spacing_km = 0.0", "validation.spacing_km must be 0.01 to 2000"),
    ],
)
def test_a_wrong_configuration_is_one_line(feature_config, old, new, message):
    path = feature_config((old, new))
    with pytest.raises(ConfigError, match=message) as caught:
        read_training_config(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_epochs_and_steps_an_epoch_need_a_source_with_an_end(feature_config):
    config = read_training_config(feature_config(("steps = 12", "epochs = 3.0")))
    with pytest.raises(ConfigError, match="epochs are for sources that have an end; say steps"):
        in_steps(config, None)
    config = read_training_config(feature_config(('kind = "adam"', "step_every = 0")))
    with pytest.raises(ConfigError, match="step_every must be at least 1"):
        in_steps(config, None)
    assert in_steps(config, 81).optimizer.step_every == 11


def test_schedules():
    cosine = OptimizerConfig(learning_rate=1.0, warmup_steps=4)
    assert [learning_rate(cosine, step, 100) for step in (0, 3)] == [0.25, 1.0]
    assert learning_rate(cosine, 52, 100) == pytest.approx(0.5)
    assert learning_rate(cosine, 99, 100) < 0.001
    steps = OptimizerConfig(learning_rate=1.0, schedule="step", step_every=10, step_gamma=0.5)
    assert [learning_rate(steps, step, 100) for step in (0, 9, 10, 25)] == [1.0, 1.0, 0.5, 0.25]


def test_the_committed_configurations_are_valid_and_the_papers_is_exact():
    folder = Path(__file__).parents[2] / "configs"
    configs = {path.stem: read_training_config(path) for path in sorted(folder.glob("*.toml"))}
    assert {"geoclip", "finetune"} <= configs.keys()
    paper = in_steps(configs["geoclip"], 4_700_000)
    assert (paper.batch_size, paper.steps, paper.queue.size) == (512, 91797, 4096)
    assert (paper.queue.batch_noise_m, paper.queue.queue_noise_m) == (150.0, 1000.0)
    assert paper.model.location == LocationEncoderConfig()
    assert (paper.optimizer.kind, paper.optimizer.weight_decay, paper.loss.targets) == ("adam", 1e-6, "one-hot")
    rates = [learning_rate(paper.optimizer, step, paper.steps) for step in (0, 9179, 9180, 18360)]
    assert rates == pytest.approx([3e-5, 3e-5, 3e-5 * 0.87, 3e-5 * 0.87**2])
    model = build_model(paper, 768)
    assert [tuple(p.shape) for p in model.image_encoder.parameters()] == [(768, 768), (768,), (512, 768), (512,)]
    assert model.logit_scale.exp().item() == pytest.approx(1 / 0.07)
    optimizer = make_optimizer(model, paper.optimizer)
    assert type(optimizer) is torch.optim.Adam
    assert [group["weight_decay"] for group in optimizer.param_groups] == [1e-6]
