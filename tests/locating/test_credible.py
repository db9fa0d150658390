from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.errors import InputError
from earthclip.geo.cells import cell_area_km2, cell_of
from earthclip.locating.posterior import Posterior
from earthclip.locating.trust import CredibleRegion, cell_masses, credible_regions
from earthclip.models.config import Calibration, ConfidenceBin
from tests.locating.posteriors import hill, lattice

LATTICE = lattice(200.0)


@settings(max_examples=30, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(100, 3000), st.floats(0.05, 1.0))
def test_the_smallest_that_hold_the_mass(latitude: float, longitude: float, width_km: float, mass: float) -> None:
    posterior = hill(LATTICE, (latitude, longitude), width_km)
    (region,) = credible_regions(posterior, (mass,))
    assert region.mass == mass
    assert region.area_km2 == pytest.approx(len(region.cells) * cell_area_km2(region.level))
    cells = cell_of(LATTICE, region.level)
    held = posterior.probabilities[np.isin(cells, region.cells)].sum()
    least = posterior.probabilities[cells == region.cells[-1]].sum()
    assert held >= mass - 1e-9
    assert held - least < mass + 1e-9
    numbers, which = np.unique(cells, return_inverse=True)
    outside = np.bincount(which, posterior.probabilities)[~np.isin(numbers, region.cells)]
    assert max(outside, default=0.0) <= least + 1e-12


def test_cells_are_no_finer_than_the_places_lie_apart() -> None:
    for spacing_km, level in ((200.0, 4), (400.0, 3), (60.0, 6)):
        half, most = credible_regions(hill(lattice(spacing_km), (40.0, 20.0), 2 * spacing_km))
        assert half.level == most.level == level
        assert set(half.cells.tolist()) < set(most.cells.tolist())


def test_a_normal_distribution_has_the_area_it_should() -> None:
    half, most = credible_regions(hill(lattice(30.0), (10.0, 175.0), 500.0))
    assert half.area_km2 == pytest.approx(2 * np.pi * 500.0**2 * np.log(2), rel=0.05)
    assert most.area_km2 == pytest.approx(2 * np.pi * 500.0**2 * np.log(10), rel=0.05)
    shape = most.polygons()
    assert shape.is_valid and len(shape.geoms) == 2  # cut at the antimeridian
    assert shapely.contains_xy(shape, 175.0, 10.0)


def test_few_cells_hold_most_however_flat_it_is() -> None:
    found = cell_masses(Posterior.from_logits(lattice(60.0), np.zeros(len(lattice(60.0)))))
    assert found.count(0.9) <= 500
    assert found.level == 2  # 768 cells of level 3 would be too many
    assert found.masses.sum() == pytest.approx(1.0)


def test_a_calibrated_model_holds_what_kept_the_promise() -> None:
    plain = hill(LATTICE, (0.0, 0.0), 800.0)
    calibrated = dataclasses.replace(plain, calibration=Calibration({"0.5": 0.7, "0.9": 0.97}))
    promised = credible_regions(calibrated, (0.5, 0.9))
    expected = credible_regions(plain, (0.7, 0.97))
    assert [r.cells.tolist() for r in promised] == [r.cells.tolist() for r in expected]
    assert [r.mass for r in promised] == [0.5, 0.9]


def test_it_is_kept_through_region_and_prior() -> None:
    given_one = Calibration({"0.9": 0.97})
    posterior = Posterior.from_logits(LATTICE, np.zeros(len(LATTICE)), calibration=given_one)
    assert posterior.reweighted(np.zeros(len(LATTICE))).calibration is given_one


def test_a_region_does_not_make_the_model_surer_of_the_picture() -> None:
    bins = (ConfidenceBin({"0.9": 0.5}, 3.0), ConfidenceBin({"0.9": 0.99}))
    posterior = Posterior.from_logits(LATTICE, np.zeros(len(LATTICE)), calibration=Calibration(bins=bins))
    assert posterior.entropy() > 3.0
    near = posterior.reweighted(np.where(np.arange(len(LATTICE)) < 10, 0.0, -np.inf))
    assert near.entropy() < 3.0
    for one in (posterior, near):
        assert one.calibration_here is not None and one.calibration_here.mass_for(0.9) == 0.99
    sure = hill(LATTICE, (0.0, 0.0), 100.0)
    sure = dataclasses.replace(sure, calibration=Calibration(bins=bins))
    assert (
        credible_regions(sure, (0.9,))[0].cells.tolist()
        == credible_regions(dataclasses.replace(sure, calibration=None), (0.5,))[0].cells.tolist()
    )


def test_one_place() -> None:
    (region,) = credible_regions(Posterior.from_logits(np.array([[90.0, 0.0]]), np.zeros(1)), (0.9,))
    assert region.level == 0 and region.cells.tolist() == [0]


@pytest.mark.parametrize("mass", [0.0, 1.1, float("nan")])
def test_impossible_masses_are_refused(mass: float) -> None:
    with pytest.raises(InputError, match="mass must be above 0 and at most 1"):
        credible_regions(hill(LATTICE, (0.0, 0.0), 100.0), (0.5, mass))


def test_without_cells_there_is_no_outline() -> None:
    assert CredibleRegion(0.9, 0, np.empty(0, np.int64), 12.0).polygons().is_empty
