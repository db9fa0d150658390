"""Pinhole cameras that look at a point of a spherical Earth, and where on the ground each of their pixels falls.

Lengths inside are in Earth radii; a view is defined by the ground point at the picture's centre, so that its truth
does not depend on tilt, rotation or field of view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float

from earthclip.geo.sphere import EARTH_RADIUS_KM, unit_vectors


@dataclass(frozen=True)
class Cameras:
    """n cameras.

    ``targets`` [n,2] degrees are the ground points at the pictures' centres. ``half_width_km`` [n] is the distance
    from camera to target times tan(half the field of view). ``field_of_view_deg`` [n] spans the picture's width and
    height. ``tilt_deg`` [n] is the angle at the target between the vertical and the line of sight, ``azimuth_deg`` [n]
    the bearing from the target toward the camera's foot, ``rotation_deg`` [n] the turn of the picture about the
    line of sight (0 with no tilt: north is up).
    """

    targets: Float[np.ndarray, "n 2"]
    half_width_km: Float[np.ndarray, " n"]
    field_of_view_deg: Float[np.ndarray, " n"]
    tilt_deg: Float[np.ndarray, " n"]
    azimuth_deg: Float[np.ndarray, " n"]
    rotation_deg: Float[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, chosen: np.ndarray) -> Cameras:
        """The cameras at these indices, or where this mask is true."""
        return Cameras(*(array[chosen] for array in self.arrays()))

    def arrays(self) -> tuple[np.ndarray, ...]:
        """The six arrays, in the order in which they are declared."""
        return tuple(getattr(self, field.name) for field in fields(self))

    @classmethod
    def concatenate(cls, parts: Sequence[Cameras]) -> Cameras:
        """All cameras of the parts, in order."""
        return cls(*(np.concatenate(arrays) for arrays in zip(*(part.arrays() for part in parts), strict=True)))

    def frames(self) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3 3"]]:
        """Positions [n,3] in Earth radii, and rows (right, down, forward) [n,3,3], right and down of length
        tan(half the field of view), so that a pixel at (u, v) in [-1, 1] looks along forward + u*right + v*down."""
        up = unit_vectors(self.targets)
        latitude, longitude = np.radians(self.targets).T
        zero = np.zeros_like(longitude)
        east = np.stack([-np.sin(longitude), np.cos(longitude), zero], axis=1)
        north = np.stack(
            [-np.sin(latitude) * np.cos(longitude), -np.sin(latitude) * np.sin(longitude), np.cos(latitude)], axis=1
        )
        azimuth, tilt = np.radians(self.azimuth_deg)[:, None], np.radians(self.tilt_deg)[:, None]
        horizontal = np.cos(azimuth) * north + np.sin(azimuth) * east
        backward = np.cos(tilt) * up + np.sin(tilt) * horizontal
        half_tangent = np.tan(np.radians(self.field_of_view_deg) / 2)[:, None]
        distance = self.half_width_km[:, None] / EARTH_RADIUS_KM / half_tangent
        # The picture's upward direction before rotation is north, made perpendicular to the line of sight.
        upward = north - np.sum(north * backward, axis=1, keepdims=True) * backward
        upward /= np.linalg.norm(upward, axis=1, keepdims=True)
        right = np.cross(upward, backward)
        turn = np.radians(self.rotation_deg)[:, None]
        turned_right = np.cos(turn) * right + np.sin(turn) * upward
        turned_down = np.sin(turn) * right - np.cos(turn) * upward
        axes = np.stack([turned_right * half_tangent, turned_down * half_tangent, -backward], axis=1)
        return up + distance * backward, axes

    def ground(self, size: int) -> tuple[Float[np.ndarray, "n size size 3"], Bool[np.ndarray, "n size size"]]:
        """Unit vectors of the ground under the centres of ``size`` x ``size`` pixels (float32), and which pixels see
        the Earth at all; where they do not, the vectors are meaningless."""
        positions, axes = self.frames()
        steps = ((np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1).astype(np.float32)
        right, down, forward = (axes[:, i].astype(np.float32)[:, None, None, :] for i in range(3))
        rays = forward + steps[None, None, :, None] * right + steps[None, :, None, None] * down
        position = positions.astype(np.float32)[:, None, None, :]
        squared = np.einsum("nhwc,nhwc->nhw", rays, rays)
        along = np.einsum("nhwc,nhwc->nhw", rays, np.broadcast_to(position, rays.shape))
        above = np.sum(positions**2, axis=1).astype(np.float64) - 1
        discriminant = along**2 - squared * above.astype(np.float32)[:, None, None]
        seen = (discriminant > 0) & (along < 0)
        # above / (root - along) is the near root without the cancellation of (-along - root) / squared
        reach = above.astype(np.float32)[:, None, None] / (np.sqrt(np.maximum(discriminant, 0)) - along)
        return position + reach[..., None] * rays, seen
