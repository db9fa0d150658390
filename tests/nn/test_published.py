"""The published weights give the published package's numbers, which benchmarks/published_parity.py wrote down.

The wheel with the weights is not in the repository: ``EARTHCLIP_GEOCLIP_WHEEL`` names it, as .ci/run does.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from earthclip.errors import ModelError
from earthclip.locating.locator import load
from earthclip.nn.location_encoder import LocationEncoder
from earthclip.nn.published import WHEEL, WHEEL_SHA256, read_published
from earthclip.nn.pull import pull_geoclip

GOLDEN = Path(__file__).parent.parent / "data" / "published_location_embeddings.json"


@pytest.fixture(scope="module")
def wheel() -> Path:
    named = os.environ.get("EARTHCLIP_GEOCLIP_WHEEL")
    if not named:
        pytest.skip(f"needs {WHEEL}; pip download --no-deps geoclip==1.3.0, and name it in EARTHCLIP_GEOCLIP_WHEEL")
    return Path(named)


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return json.loads(GOLDEN.read_text())  # type: ignore[no-any-return]


def places(golden: dict[str, Any]) -> np.ndarray:
    return np.array([(place["latitude"], place["longitude"]) for place in golden["places"]])


def test_the_torch_encoder_gives_the_published_numbers(wheel: Path, golden: dict[str, Any]) -> None:
    assert golden["wheel_sha256"] == WHEEL_SHA256
    published = read_published(wheel)
    assert published.gallery is not None
    assert published.gallery.shape == (100_000, 2)
    assert published.logit_scale == pytest.approx(3.681, abs=1e-3)
    encoder = LocationEncoder.from_weights(published.location, published.sigmas, published.origin)
    rows = encoder(torch.from_numpy(places(golden)).float()).detach().numpy()
    np.testing.assert_allclose(rows[:, :8], [place["first"] for place in golden["places"]], atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), [place["norm"] for place in golden["places"]], atol=2e-6)


def test_the_pulled_model_gives_the_published_numbers_without_torch(
    wheel: Path, golden: dict[str, Any], tmp_path: Path
) -> None:
    pull_geoclip(tmp_path / "m", source=wheel, location_only=True, say=lambda _: None)
    rows = load(tmp_path / "m", precision="float32").encode_location(places(golden))
    expected = np.array([place["first"] for place in golden["places"]])
    norms = np.array([[place["norm"]] for place in golden["places"]])
    np.testing.assert_allclose(rows[:, :8], expected / norms, atol=1e-3)
    fastest = load(tmp_path / "m").encode_location(places(golden))
    assert (fastest * rows).sum(axis=1).min() >= 0.9999
    # Its weights below 1e-30 are 0, and in torch its embeddings are still the published ones, to the last bit.
    published = read_published(wheel)
    encoder = LocationEncoder.from_weights(published.location, published.sigmas, published.origin)
    degrees = torch.from_numpy(places(golden)).float()
    assert torch.equal(LocationEncoder.from_pretrained(tmp_path / "m")(degrees), encoder(degrees))


def test_a_wheel_that_was_changed_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / WHEEL).write_bytes(b"PK")
    with pytest.raises(ModelError, match=r"the published file's 08a93791166a\.\.\.; it was cut short or changed"):
        read_published(tmp_path)


def test_the_installed_package_is_read_too(wheel: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(wheel, tmp_path / "site", format="zip")
    found = read_published(tmp_path / "site" / "geoclip")
    assert found.sigmas == (1.0, 16.0, 256.0)
    (tmp_path / "site" / "geoclip" / "model" / "weights" / "logit_scale_weights.pth").unlink()
    with pytest.raises(ModelError, match=r"logit_scale_weights\.pth is missing"):
        read_published(tmp_path / "site")
