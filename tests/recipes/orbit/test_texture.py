"""Texture lookups: exact on smooth pictures, without seams at the antimeridian and the poles."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from earthclip.geo.sphere import unit_vectors
from recipes.orbit.texture import Texture


def globe(width: int = 720) -> Texture:
    """Red rises with latitude, green with the cosine and blue with the sine of longitude."""
    height = width // 2
    latitude = 90 - (np.arange(height) + 0.5) * 180 / height
    longitude = np.radians((np.arange(width) + 0.5) * 360 / width - 180)
    shrink = np.cos(np.radians(latitude))[:, None]
    red = np.repeat((latitude[:, None] + 90) / 180, width, axis=1)
    green, blue = (0.5 + 0.5 * shrink * wave(longitude)[None] for wave in (np.cos, np.sin))
    rgb = (np.stack([red, green, blue], axis=-1) * 255 + 0.5).astype(np.uint8)
    land = Image.fromarray(((longitude > 0)[None] * np.full((height, 1), 255)).astype(np.uint8))
    return Texture(Image.fromarray(rgb), land)


def expected(coordinates: np.ndarray) -> np.ndarray:
    latitude, longitude = np.radians(coordinates).T
    return np.stack(
        [
            latitude / np.pi + 0.5,
            0.5 + 0.5 * np.cos(latitude) * np.cos(longitude),
            0.5 + 0.5 * np.cos(latitude) * np.sin(longitude),
        ],
        axis=-1,
    )


@pytest.mark.parametrize("pixel_km", [10.0, 80.0, 200.0])
def test_lookup_returns_the_pictures_colours_everywhere(pixel_km):
    rng = np.random.default_rng(3)
    random = np.stack([np.degrees(np.arcsin(rng.uniform(-1, 1, 5000))), rng.uniform(-180, 180, 5000)], axis=1)
    edges = np.array([[0, 180.0], [0, -180.0], [12, 179.999], [89.999, 10], [-89.999, -120], [90, 0], [-90, 33]])
    coordinates = np.concatenate([random, edges])
    found = globe().lookup(unit_vectors(coordinates).astype(np.float32), pixel_km)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, :3], expected(coordinates), atol=0.012)


def test_there_is_no_step_across_the_antimeridian_or_a_pole():
    texture = globe()
    for path in (
        np.stack([np.full(201, 40.0), (np.linspace(179, 181, 201) + 180) % 360 - 180], axis=1),
        np.stack([90 - np.abs(np.linspace(-1, 1, 201)), np.where(np.linspace(-1, 1, 201) < 0, 25.0, -155.0)], axis=1),
    ):
        colours = texture.lookup(unit_vectors(path).astype(np.float32), 5.0)[:, :3]
        assert np.abs(np.diff(colours, axis=0)).max() < 0.008


def test_the_land_fraction_rides_along_unweighted():
    texture = globe()
    places = unit_vectors(np.array([[10.0, 90.0], [10.0, -90.0]])).astype(np.float32)
    np.testing.assert_allclose(texture.lookup(places, 10.0)[:, 3], [1.0, 0.0])
