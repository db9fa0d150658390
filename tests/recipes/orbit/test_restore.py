"""Weights to train on, out of the graphs of a finished model."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from earthclip.nn.export import export_model
from earthclip.training.initial import start_from
from earthclip.training.networks import build_model
from recipes.orbit.config import read_orbit_config
from recipes.orbit.release import ViewAveraged
from recipes.orbit.restore import restore
from tests.nn.test_export import CONFIG, PLACES
from tests.recipes.orbit.tiny_views import write_config


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the exporter's own making
def test_the_networks_are_what_the_graphs_were(tmp_path: Path) -> None:
    config = read_orbit_config(write_config(tmp_path))
    torch.manual_seed(0)
    trained = build_model(config)
    for module in trained.modules():
        if isinstance(module, nn.BatchNorm2d):  # as training would leave them
            for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                tensor.data.uniform_(0.5, 1.5)
    trained.eval()
    size = 20
    described = dataclasses.replace(
        CONFIG, embedding_size=16, preprocessing=dataclasses.replace(CONFIG.preprocessing, size=size)
    )
    export_model(
        trained, described, PLACES, tmp_path / "finished", image_encoder=ViewAveraged(trained.image_encoder, True)
    )
    restore(tmp_path / "finished", config, tmp_path / "restored")

    model = build_model(dataclasses.replace(config, seed=9))
    start_from(str(tmp_path / "restored"), model, config)
    pixels, places = torch.randn(3, 3, 16, 16), torch.tensor([[10.0, 20.0], [-60.0, 150.0]])
    with torch.no_grad():
        model.eval()
        torch.testing.assert_close(model.image_encoder(pixels), trained.image_encoder(pixels), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(
            model.location_encoder(places), trained.location_encoder(places), rtol=1e-3, atol=1e-4
        )
