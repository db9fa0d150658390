"""How the finished model sees a picture: the mean of quarter turns and of two zooms, in torch and as a graph."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from earthclip.nn.export import export_model
from recipes.orbit.release import ViewAveraged
from tests.nn.conftest import tiny  # noqa: F401 - a fixture
from tests.nn.test_export import CONFIG, PLACES, check_graphs


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the exporter's own making
@pytest.mark.parametrize("size", [16, 20], ids=["turns", "turns and zoom"])
def test_graphs_equal_torch_at_any_batch_size(tiny, tmp_path, size):  # noqa: F811
    config = dataclasses.replace(CONFIG, preprocessing=dataclasses.replace(CONFIG.preprocessing, size=size))
    encoder = ViewAveraged(tiny.image_encoder, turns=True)
    export_model(tiny, config, PLACES, tmp_path / "tiny", image_encoder=encoder)
    check_graphs(tiny, encoder, tmp_path / "tiny", size)


def test_a_quarter_turn_hardly_matters_when_turns_are_averaged(tiny):  # noqa: F811
    encoder = ViewAveraged(tiny.image_encoder, turns=True)
    pixels = torch.randn(2, 3, 20, 20)
    with torch.no_grad():
        torch.testing.assert_close(encoder(pixels), encoder(torch.rot90(pixels, 1, (2, 3))), atol=1e-6, rtol=1e-5)
