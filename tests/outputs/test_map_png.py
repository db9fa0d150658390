"""The map as a picture: its geometry tested by numbers, the whole by being drawn and looked at."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from earthclip.errors import InputError, MissingExtraError, OutputError
from earthclip.geo.equal_earth import equal_earth
from earthclip.geo.sphere import great_circle_km
from earthclip.locating.posterior import Posterior
from earthclip.locating.surface import Surface
from earthclip.outputs.cartography import (
    WORLD_X,
    azimuthal_km,
    local_surface,
    neighbourhood_km,
    scale_bar_km,
    world_surface,
)
from earthclip.outputs.map_png import write_map_png
from tests.locating.posteriors import hill, lattice
from tests.outputs.answers import HOSTILE, full
from tests.tiny import write_picture

latitudes, longitudes = st.floats(-90, 90), st.floats(-180, 180)


@settings(deadline=None)
@given(latitudes, longitudes, latitudes, longitudes)
def test_distances_from_the_centre_are_true(a: float, b: float, c: float, d: float) -> None:
    centre, place = np.array([a, b]), np.array([[c, d]])
    km = great_circle_km(centre, place)[0]
    if km < 19_000:  # beyond, near the antipode, a direction is rounding alone
        assert np.linalg.norm(azimuthal_km(centre)(place)[0]) == pytest.approx(km, abs=1e-3)


def test_north_is_up_and_east_right() -> None:
    north, east = azimuthal_km(np.array([60.0, 179.9]))(np.array([[61.0, 179.9], [60.0, -179.9]]))
    assert north == pytest.approx([0.0, 111.19], abs=0.01)
    assert east[0] == pytest.approx(11.12, abs=0.01) and abs(east[1]) < 0.02


def test_the_surface_is_where_the_places_are() -> None:
    surface = Surface.of(hill(lattice(200.0), (60.0, 90.0), 400.0))
    world = world_surface(surface, 200)
    assert np.isnan(world[0, 0]) and world.shape == (97, 200)
    assert np.nanmax(world[:48, 100:]) > 0.5 * surface.densities.max()
    assert np.nanmax(world[:48, :100]) == np.nanmax(world[48:]) == 0.0
    local = local_surface(surface, np.array([60.0, 90.0]), 3000.0, 41)
    assert local[20, 20] > 0.5 * local.max() and local[0, 0] == 0.0
    assert abs(equal_earth(np.array([[0.0, 180.0]]))[0, 0] - WORLD_X) < 1e-4


def test_the_neighbourhood_holds_most_of_the_probability() -> None:
    places = np.array([[0.0, 0.0], [0.0, 5.0], [0.0, 90.0]])
    sure = Posterior.from_logits(places, np.log([0.5, 0.4, 0.1]))
    assert neighbourhood_km(sure, places[0], 9) == pytest.approx(1.3 * 556, rel=1e-3)
    assert neighbourhood_km(Posterior.from_logits(places, np.zeros(3)), places[0], 9) == 2500.0


@pytest.mark.parametrize(("radius", "bar"), [(40.0, 20.0), (75.0, 20.0), (500.0, 200.0), (2500.0, 1000.0)])
def test_scale_bars_are_round(radius: float, bar: float) -> None:
    assert scale_bar_km(radius) == bar


def test_it_is_drawn_whatever_the_name(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = f"${HOSTILE}$ 東京"  # no formula, and letters the font lacks
    out = tmp_path / "map.png"
    photo = Image.open(write_picture(tmp_path / "photo.png"))
    write_map_png(full(path), out, photo=photo)
    with Image.open(out) as image:
        assert image.size == (1820, 1118) and image.format == "PNG"
    with pytest.raises(OutputError, match="already exists"):
        write_map_png(full(path), out, photo=photo)


def test_an_answer_without_posterior_cannot_be_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    answer = full(scorer=None)
    with pytest.raises(InputError, match="locate the picture again"):
        write_map_png(answer, tmp_path / "map.png")


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'earthclip\[map\]'"):
        write_map_png(full(), tmp_path / "map.png")
