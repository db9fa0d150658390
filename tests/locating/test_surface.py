"""The surface holds in each cell what the gallery's places hold there, and has no steps."""

from __future__ import annotations

import numpy as np
import pytest

from earthclip.errors import InputError
from earthclip.geo.cells import cell_area_km2, cell_of
from earthclip.locating.posterior import Posterior
from earthclip.locating.surface import Surface, check_width
from earthclip.locating.trust import cell_masses, credible_regions
from tests.locating.posteriors import hill, lattice

HILL = hill(lattice(100.0), (45.0, 178.0), 400.0)  # across the antimeridian
EAST = lattice(100.0)[lattice(100.0)[:, 1] > 11.3]
HALF = hill(EAST, (80.0, 12.0), 500.0)  # by a coast that cuts cells


def grid_of(surface: Surface, width: int) -> np.ndarray:
    return np.concatenate([densities * areas_km2[:, None] for densities, areas_km2 in surface.rows(width)])


def test_each_cell_holds_what_its_places_hold() -> None:
    surface, found = Surface.of(HILL), cell_masses(HILL)
    assert surface.level > found.level
    cells = surface.cells >> (2 * (surface.level - found.level))
    held = np.bincount(cells, surface.densities * cell_area_km2(surface.level), 12 * 4**found.level)
    assert held.sum() == pytest.approx(1, abs=1e-9)
    assert np.abs(held[found.cells] - found.masses).max() < 1e-4
    for region in credible_regions(HILL):
        assert held[region.cells].sum() == pytest.approx(found.masses[: len(region.cells)].sum(), rel=1e-3)


@pytest.mark.parametrize("posterior", [HILL, HALF], ids=["hill", "coast"])
def test_nothing_outside_a_region_is_darker_than_its_last_cell(posterior: Posterior) -> None:
    surface = Surface.of(posterior)
    cells = surface.cells >> (2 * (surface.level - surface.region_level))
    held = np.bincount(cells, surface.densities * cell_area_km2(surface.level))
    for region in credible_regions(posterior):
        outside = ~np.isin(cells, region.cells)
        least = held[region.cells].min() / cell_area_km2(surface.region_level)
        assert 0.5 * least < surface.densities[outside].max() < (1 + 1e-9) * least
        assert surface.densities[~outside].max() > least


@pytest.mark.parametrize("width", [90, 360, 1440])
def test_a_grid_sums_to_1_whatever_its_width(width: int) -> None:
    grid = grid_of(Surface.of(HILL), width)
    assert grid.shape == (width // 2, width) and grid.min() >= 0.0
    assert grid.sum() == pytest.approx(1, abs=0.01)
    row, column = np.unravel_index(grid.argmax(), grid.shape)
    assert abs(90 - (row + 0.5) * 360 / width - 45) < 5 and abs((column + 0.5) * 360 / width - 358) < 6


def test_a_fine_grid_sums_to_the_regions_masses() -> None:
    width = 1440
    grid, found = grid_of(Surface.of(HILL), width), cell_masses(HILL)
    middle = (np.arange(width) + 0.5) * 360 / width
    rows, columns = np.meshgrid(90 - middle[: width // 2], middle - 180, indexing="ij")
    cells = cell_of(np.stack([rows.ravel(), columns.ravel()], axis=1), found.level)
    for region in credible_regions(HILL):
        held = grid.ravel()[np.isin(cells, region.cells)].sum()
        assert held == pytest.approx(found.masses[: len(region.cells)].sum(), abs=0.01)


def test_it_has_no_steps_and_is_0_where_there_is_next_to_nothing() -> None:
    surface = Surface.of(HILL)
    line = np.stack([np.full(4000, 45.0), np.linspace(160.0, 196.0, 4000)], axis=1)
    densities = surface.density(line)
    assert np.abs(np.diff(densities)).max() < 0.02 * densities.max()
    assert (surface.density(np.array([[-45.0, 0.0], [90.0, 0.0]])) == 0.0).all()
    assert np.isnan(surface.density(np.array([[np.nan, 0.0]]))).all()


def test_a_lone_place_is_a_hill_in_its_cell() -> None:
    lone = Posterior.from_logits(np.concatenate([HILL.coordinates, [[0.0, 0.0]]]), np.zeros(len(HILL.coordinates) + 1))
    sure = lone.reweighted(np.where(np.arange(len(lone.coordinates)) == len(lone.coordinates) - 1, 0.0, -50.0))
    surface, found = Surface.of(sure), cell_masses(sure)
    (cell,) = np.unique(surface.cells >> (2 * (surface.level - found.level)))
    assert cell == found.cells[0]
    assert grid_of(surface, 720).sum() == pytest.approx(1, abs=0.01)


def test_coarser_keeps_the_whole() -> None:
    surface = Surface.of(HILL)
    wide = surface.coarser(500.0)
    assert wide.level < surface.level
    assert wide.densities.sum() * cell_area_km2(wide.level) == pytest.approx(1)
    assert surface.coarser(0.001) is surface


@pytest.mark.parametrize("width", [0, 1, 7, 44_722, 100_000])
def test_widths_that_cannot_be(width: int) -> None:
    with pytest.raises(InputError, match="pixels"):
        check_width(width)
    with pytest.raises(InputError, match="pixels"):
        next(Surface.of(HILL).rows(width))
