"""Fine-tuning: what a run starts from, and scales added with the others kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from earthclip.cli import main
from earthclip.errors import InputError, ModelError
from earthclip.nn.location_encoder import LocationEncoder
from earthclip.nn.published import read_published
from earthclip.training.config import read_training_config
from earthclip.training.initial import start_from
from earthclip.training.networks import build_model
from tests.nn.tiny_clip import WIDTH, write_release

pytestmark = pytest.mark.usefixtures("features")
PLACES = torch.tensor([[48.9, 2.3], [-33.0, 151.0], [0.0, 0.0], [89.0, -179.9]])
AS_RELEASED = (
    ("sigmas = [1.0, 8.0]", "sigmas = [1.0, 16.0, 4096.0]"),
    ("frequencies = 8", "frequencies = 10"),
    ("width = 16", "width = 14"),
    ("depth = 1", "depth = 3"),
)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_release(tmp_path / "release")


def test_a_new_scale_changes_no_place_at_first_and_learns(release, feature_config):
    config = read_training_config(feature_config(*AS_RELEASED))
    model = build_model(config, WIDTH)
    said = start_from(str(release), model, config)
    assert said == f"starting from the weights of {release}; sigmas 4096 are new and start at zero"
    before = LocationEncoder.from_pretrained(release)
    assert torch.equal(model.location_encoder(PLACES), before(PLACES))
    assert model.location_encoder.position.frequencies.shape == (3, 10, 2)
    assert model.location_encoder.position.frequencies[2].abs().max() > 1000
    assert model.logit_scale.item() == 3.0
    model.encode_location(PLACES)[:, 0].sum().backward()
    last = model.location_encoder.network.capsules[2][-1]
    assert last.weight.grad.abs().max() > 0  # type: ignore[union-attr]


def test_the_same_scales_start_as_they_were(release, feature_config):
    config = read_training_config(feature_config(("sigmas = [1.0, 8.0]", "sigmas = [1.0, 16.0]"), *AS_RELEASED[1:]))
    model = build_model(config, WIDTH)
    assert start_from(str(release), model, config) == f"starting from the weights of {release}"
    assert torch.equal(model.location_encoder(PLACES), LocationEncoder.from_pretrained(release)(PLACES))


@pytest.mark.parametrize(
    ("sigmas", "message"),
    [
        ("[1.0, 8.0, 16.0]", "has the sigmas 1, 16, model.location.sigmas are 1, 8, 16"),
        ("[1.0]", "has the sigmas 1, 16, model.location.sigmas are 1;"),
    ],
)
def test_other_sigmas_are_refused(release, feature_config, sigmas, message):
    config = read_training_config(feature_config(("sigmas = [1.0, 8.0]", f"sigmas = {sigmas}"), *AS_RELEASED[1:]))
    with pytest.raises(InputError, match=message):
        start_from(str(release), build_model(config, WIDTH), config)


def test_other_sizes_are_named(release, feature_config):
    config = read_training_config(feature_config(*AS_RELEASED))
    with pytest.raises(InputError, match=r"its image_encoder.head.0.* is \[24.*\], this model has \[9"):
        start_from(str(release), build_model(config, 9), config)
    config = read_training_config(feature_config(*AS_RELEASED[:2]))
    with pytest.raises(InputError, match=r"its location_encoder.network.capsules.*this model has"):
        start_from(str(release), build_model(config, WIDTH), config)


def test_a_source_without_a_head_leaves_it_fresh(release, feature_config):
    config = read_training_config(feature_config(*AS_RELEASED))
    described = json.loads((release / "config.json").read_text())
    kept = safetensors.torch.load_file(release / "model.safetensors")
    own = {name.removeprefix("location_encoder."): tensor for name, tensor in kept.items() if "LocEnc" in name}
    safetensors.torch.save_file(own, release / "model.safetensors")
    (release / "config.json").write_text(json.dumps(described | {"model_type": "geoclip-location-encoder"}))
    said = start_from(str(release), build_model(config, WIDTH), config)
    assert said.endswith("image_encoder, logit_scale not in it, so fresh")


def test_the_image_encoder_alone_goes_on_under_another_location_encoder(release, feature_config):
    sphere = ("depth = 1", 'depth = 1\nposition = "sphere"')
    config = replace(read_training_config(feature_config(sphere)), init_location=False)
    model, untouched = build_model(config, WIDTH), build_model(config, WIDTH)
    said = start_from(str(release), model, config)
    assert said == f"starting from the weights of {release}, without its location encoder"
    assert torch.equal(model.location_encoder(PLACES), untouched.location_encoder(PLACES))
    published = read_published(release).head
    assert published is not None
    assert torch.equal(model.state_dict()["image_encoder.head.0.weight"], published["0.weight"])


def test_nothing_left_to_start_from_is_refused(release, feature_config):
    described = json.loads((release / "config.json").read_text())
    (release / "config.json").write_text(json.dumps(described | {"model_type": "geoclip-location-encoder"}))
    kept = safetensors.torch.load_file(release / "model.safetensors")
    own = {name.removeprefix("location_encoder."): tensor for name, tensor in kept.items() if "LocEnc" in name}
    safetensors.torch.save_file(own, release / "model.safetensors")
    config = replace(read_training_config(feature_config(*AS_RELEASED)), init_location=False)
    with pytest.raises(InputError, match="has no image encoder, and init_location is false"):
        start_from(str(release), build_model(config, WIDTH), config)


def test_a_run_starts_from_another_runs_folder_with_a_scale_more(tmp_path, feature_config, capsys):
    assert main(["train", str(feature_config()), "--out", str(tmp_path / "first")]) == 0
    capsys.readouterr()
    more = (
        ("sigmas = [1.0, 8.0]", "sigmas = [1.0, 8.0, 64.0]"),
        ('name = "heads"', f'name = "heads"\ninit = "{tmp_path}/first"'),
    )
    config = feature_config(*more, name="finer")
    assert main(["train", str(config), "--out", str(tmp_path / "second")]) == 0
    assert "sigmas 64 are new and start at zero" in capsys.readouterr().out
    assert main(["train", str(config), "--out", str(tmp_path / "second"), "--resume"]) == 0
    assert "starting from" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("geoclp", ModelError, "did you mean 'geoclip'"),
        ("{tmp}", InputError, "not the folder of a training run"),
        ("{tmp}/none", ModelError, "no such model folder"),
    ],
)
def test_what_cannot_be_started_from_is_one_line(tmp_path, feature_config, source, error, message):
    config = read_training_config(feature_config())
    with pytest.raises(error, match=message) as caught:
        start_from(source.format(tmp=tmp_path), build_model(config, 12), config)
    assert "\n" not in str(caught.value)
