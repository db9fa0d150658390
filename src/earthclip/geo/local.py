"""Points around a place, given in km on the ground: grids for a look around that work anywhere on Earth."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Num

from earthclip.geo.geodesy import EARTH_RADIUS_KM, from_unit_vectors, unit_vectors


def local_grid(centres: Num[np.ndarray, "c 2"], offsets_km: Num[np.ndarray, "g 2"]) -> Float64[np.ndarray, "c g 2"]:
    """Points (east, north) km from each centre, in degrees: on the plane that touches the sphere there.

    At the poles and across the antimeridian they lie as anywhere else.
    """
    latitude, longitude = np.radians(np.asarray(centres, dtype=np.float64)).T
    zero = np.zeros_like(latitude)
    east = np.stack([-np.sin(longitude), np.cos(longitude), zero], axis=-1)
    sine = np.sin(latitude)
    north = np.stack([-sine * np.cos(longitude), -sine * np.sin(longitude), np.cos(latitude)], axis=-1)
    radii = np.asarray(offsets_km, dtype=np.float64) / EARTH_RADIUS_KM
    step = radii[:, :1] * east[:, None] + radii[:, 1:] * north[:, None]
    return from_unit_vectors(unit_vectors(centres)[:, None] + step)
