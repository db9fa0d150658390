"""Views of the Earth from above: which cameras are drawn, and the pictures they see.

``sample_cameras`` draws from the distribution the orbit model is trained and measured on; ``render`` is fast enough
(thousands of small views a second) to render a new view for every training sample, so no picture is ever seen twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from earthclip.errors import ConfigError, InputError
from earthclip.geo.sphere import EARTH_RADIUS_KM, from_unit_vectors, unit_vectors
from recipes.orbit.camera import Cameras
from recipes.orbit.texture import Texture

_LAND_PROBE = 12  # a view's land share is judged on this many pixels across
_MAX_TRIES = 1000  # rounds of drawing cameras before it is sure that there are none to be had
_CHUNK_VIEWS = 8  # views rendered together: small enough for the cache, large enough to hide numpy's call costs


@dataclass(frozen=True)
class ViewDistribution:
    """Which views are drawn; ranges are inclusive, angles in degrees."""

    latitude_deg: tuple[float, float] = (-60.0, 80.0)
    half_width_km: tuple[float, float] = (150.0, 1500.0)  # log-uniform
    field_of_view_deg: tuple[float, float] = (20.0, 70.0)
    tilt_deg: tuple[float, float] = (0.0, 30.0)
    min_land: float = 0.35  # share of the picture; the point at its centre is always land

    def __post_init__(self) -> None:
        bounds = {
            "latitude_deg": (-90, 90),
            "half_width_km": (1, 5000),
            "field_of_view_deg": (1, 120),
            "tilt_deg": (0, 60),
        }
        for name, (least, most) in bounds.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise ConfigError(f"{name} must rise within {least} to {most}, found {low:g} to {high:g}")
        if not 0 <= self.min_land <= 1:
            raise ConfigError(f"min_land must be 0 to 1, found {self.min_land:g}")


class LandMask:
    """Land (1) or water (0) on a fine equirectangular grid, looked up at the nearest cell."""

    def __init__(self, land: Bool[np.ndarray, "h w"]) -> None:
        self._land = land

    def at(self, ground: Float[np.ndarray, "... 3"]) -> Bool[np.ndarray, ...]:
        """Whether each unit vector points at land."""
        height, width = self._land.shape
        column = ((np.arctan2(ground[..., 1], ground[..., 0]) / (2 * np.pi) + 0.5) * width).astype(np.int64)
        row = ((0.5 - np.arcsin(np.clip(ground[..., 2], -1, 1)) / np.pi) * height).astype(np.int64)
        found: np.ndarray = self._land[np.clip(row, 0, height - 1), column % width]
        return found


def sample_cameras(
    n: int, land: LandMask, rng: np.random.Generator, distribution: ViewDistribution | None = None
) -> Cameras:
    """Draw n cameras: uniform over the land of the latitude band among views with enough land, any rotation."""
    wanted = distribution or ViewDistribution()
    kept: list[Cameras] = []
    missing, tries = n, 0
    while missing > 0:
        tries += 1
        if tries > _MAX_TRIES:
            raise InputError(
                f"found {n - missing} of {n} views with {wanted.min_land:.0%} land; widen the distribution"
            )
        cameras = _draw(max(4 * missing, 64), rng, wanted)
        # The target's own vector, not a rounded pixel: the centre must be on land exactly.
        cameras = cameras.take(land.at(unit_vectors(cameras.targets)))
        ground, seen = cameras.ground(_LAND_PROBE)
        share = (land.at(ground) & seen).mean(axis=(1, 2))
        cameras = cameras.take(share >= wanted.min_land)
        cameras = cameras.take(np.arange(min(missing, len(cameras))))
        kept.append(cameras)
        missing -= len(cameras)
    return Cameras.concatenate(kept)


def render(cameras: Cameras, texture: Texture, size: int) -> Float[np.ndarray, "n size size 4"]:
    """What the cameras see: red, green, blue and land fraction in [0, 1], float32; space is all zeros."""
    out = np.empty((len(cameras), size, size, 4), np.float32)
    # Views of like scale share a pyramid level, so they are rendered together and put back in order.
    order = np.argsort(cameras.half_width_km)
    for start in range(0, len(order), _CHUNK_VIEWS):
        chosen = order[start : start + _CHUNK_VIEWS]
        part = cameras.take(chosen)
        ground, seen = part.ground(size)
        pixel_km = 2 * float(np.exp(np.log(part.half_width_km).mean())) / size
        pixels = texture.lookup(ground, pixel_km)
        pixels *= seen[..., None]
        out[chosen] = pixels
    return out


def land_places(land: LandMask, spacing_km: float, distribution: ViewDistribution | None = None) -> np.ndarray:
    """Candidate places [m,2]: a near-uniform Fibonacci lattice over the land of the latitude band."""
    band = (distribution or ViewDistribution()).latitude_deg
    n = round(4 * np.pi * EARTH_RADIUS_KM**2 / spacing_km**2)
    index = np.arange(n) + 0.5
    z = 1 - 2 * index / n
    turn = index * np.pi * (3 - np.sqrt(5))
    ring = np.sqrt(1 - z**2)
    vectors = np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=1)
    places = from_unit_vectors(vectors)
    inside = (places[:, 0] >= band[0]) & (places[:, 0] <= band[1]) & land.at(vectors)
    rounded: np.ndarray = np.round(places[inside], 4)
    return rounded


def _draw(n: int, rng: np.random.Generator, wanted: ViewDistribution) -> Cameras:
    low, high = np.sin(np.radians(wanted.latitude_deg))
    narrowest, widest = np.log(wanted.half_width_km)
    latitude = np.degrees(np.arcsin(rng.uniform(low, high, n)))
    longitude = rng.uniform(-180, 180, n)
    return Cameras(
        targets=np.stack([latitude, longitude], axis=1),
        half_width_km=np.exp(rng.uniform(narrowest, widest, n)),
        field_of_view_deg=rng.uniform(*wanted.field_of_view_deg, n),
        tilt_deg=rng.uniform(*wanted.tilt_deg, n),
        azimuth_deg=rng.uniform(0, 360, n),
        rotation_deg=rng.uniform(0, 360, n),
    )
