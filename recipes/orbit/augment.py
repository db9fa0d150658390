"""What other cameras, other publishers and the air do to a view: colours, sea, cloud, haze, blur, grain, JPEG.

The training imagery comes in three palettes only, all of shaded relief; these disturbances are strong so that the
model must read coastlines, relief and texture, and so carries over to imagery it never saw. They act on views with the
land fraction as fourth channel, since other publishers paint land and sea in ways no mixture of colours reaches.
"""

from __future__ import annotations

import io

import numpy as np
from jaxtyping import Float
from PIL import Image

_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_CLOUD_SIZE = 256
_CLOUD_COUNT = 48  # smooth ones first, then as many grainy ones


class Augmentation:
    """Random disturbances of rendered views; the same generator state gives the same pictures."""

    def __init__(
        self, strength: float = 1.0, mottled: float = 0.0, silhouettes: float = 0.0, seasons: float = 0.0
    ) -> None:
        self.strength = strength
        self.mottled = mottled  # share of the views whose land is painted over in patches
        self.silhouettes = silhouettes  # share of the views of which nothing is left but the coastline
        self.seasons = seasons  # share of the views with snow, ice, night or the sun's glint
        self._clouds = _cloud_bank(np.random.default_rng(0))

    def __call__(self, view: Float[np.ndarray, "h w 4"], rng: np.random.Generator) -> Float[np.ndarray, "h w 3"]:
        """One view with red, green, blue in [0, 1] and land fraction in, float32 [h,w,3] in [0, 1] out."""
        land = view[..., 3:]
        rgb = np.ascontiguousarray(view[..., :3])
        chance = rng.random(16) / max(self.strength, 1e-6)
        if chance[0] < 0.35:
            rgb = _repaint_sea(rgb, land, rng)
        if chance[1] < 0.15:
            rgb = _repaint_land(rgb, land, rng)
        if chance[11] < 0.25:
            rgb = _melt_snow(rgb, land, rng)
        if chance[12] < self.mottled:
            rgb = self._mottle_land(rgb, land, rng)
        if chance[14] < self.seasons:
            rgb = self._add_season(rgb, land, rng)
        if chance[13] < self.silhouettes:
            sea, shore = rng.random((2, 3), np.float32)
            rgb = _lerp(np.broadcast_to(sea, rgb.shape), shore, land)
        if chance[2] < 0.7:
            rgb = _mix_channels(rgb, rng)
        if chance[3] < 0.8:
            rgb = _tone(rgb, rng)
        if chance[4] < 0.25:
            rgb = self._add_cloud(rgb, rng)
        if chance[5] < 0.35:
            rgb = _add_haze(rgb, rng)
        if chance[6] < 0.2:
            rgb = _light_unevenly(rgb, rng)
        np.clip(rgb, 0, 1, out=rgb)
        if chance[7] < 0.45:
            rgb = _lose_resolution(rgb, rng)
        if chance[8] < 0.2:
            rgb = _sharpen(rgb, rng)
        if chance[9] < 0.35:
            rgb = rgb + rng.standard_normal(rgb.shape, np.float32) * np.float32(rng.exponential(0.025))
        np.clip(rgb, 0, 1, out=rgb)
        if chance[10] < 0.25:
            rgb = _compress(rgb, rng)
        return rgb

    def _add_season(self, rgb: np.ndarray, land: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Snow on land, ice on the sea, the dark side, and the sun's glint on water, each at times."""
        snow, ice, night, glint = rng.random(4)
        white = np.array([0.9, 0.93, 0.97], np.float32)
        if snow < 0.4:
            rgb = _lerp(rgb, white, self._patches(rgb, rng) * land)
        if ice < 0.25:
            rgb = _lerp(rgb, white, self._patches(rgb, rng) * (1 - land))
        if night < 0.25:
            rgb = rgb * np.clip(0.5 + rng.uniform(0.3, 1.2) * _ramp(rgb.shape, rng) + rng.uniform(-0.2, 0.3), 0.03, 1)
        if glint < 0.25:
            across, along = _ramp(rgb.shape, rng) - rng.uniform(-1, 1), _ramp(rgb.shape, rng) - rng.uniform(-1, 1)
            shine = np.exp(-(across**2 + along**2) / np.float32(rng.uniform(0.02, 0.3)))
            rgb = _lerp(rgb, np.float32(1), shine * (1 - land) * np.float32(rng.uniform(0.3, 1)))
        return rgb.astype(np.float32)

    def _patches(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """How much is covered, in [0, 1]: in part of the picture, with an edge that is sharp or soft."""
        cover = self._fractal(rgb.shape, rng, 2 * _CLOUD_COUNT) + 0.3 * _ramp(rgb.shape, rng)
        covered: np.ndarray = np.clip((cover - rng.uniform(0.1, 0.8)) / rng.uniform(0.03, 0.3), 0, 1)
        return covered * np.float32(rng.uniform(0.5, 1.0))

    def _add_cloud(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        cover = self._fractal(rgb.shape, rng, _CLOUD_COUNT)
        threshold = rng.uniform(0.45, 0.8)
        opacity = np.clip((cover - threshold) / rng.uniform(0.1, 0.3), 0, 1) * rng.uniform(0.4, 1.0)
        return _lerp(rgb, np.float32(rng.uniform(0.85, 1.0)), opacity.astype(np.float32))

    def _mottle_land(self, rgb: np.ndarray, land: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Land as a painter or an old mosaic shows it: patches of two colours and of light and dark, no relief."""
        first, second = rng.dirichlet((4, 4, 2), 2).astype(np.float32) * rng.uniform(0.6, 2.2, (2, 1)).astype(
            np.float32
        )
        patches = np.clip(self._fractal(rgb.shape, rng, 2 * _CLOUD_COUNT) * 3 - 1, 0, 1)
        painted = _lerp(np.broadcast_to(first, rgb.shape), second, patches)
        mottled = _lerp(rgb, painted, float(rng.uniform(0, 0.85)))
        shade = self._fractal(rgb.shape, rng, 2 * _CLOUD_COUNT)
        mottled = mottled * np.exp(np.float32(rng.uniform(0.5, 3.5)) * (shade - shade.mean()))
        return _lerp(rgb, mottled, land)

    def _fractal(self, shape: tuple[int, ...], rng: np.random.Generator, among: int) -> Float[np.ndarray, "h w 1"]:
        """A random piece, at a random scale, of one of the first ``among`` noises; in [0, 1]."""
        cloud = self._clouds[rng.integers(among)]
        span = min(int(rng.integers(32, _CLOUD_SIZE + 1)), _CLOUD_SIZE)
        top, left = rng.integers(0, _CLOUD_SIZE - span + 1, 2)
        patch = Image.fromarray(cloud[top : top + span, left : left + span])
        return np.asarray(patch.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))[..., None]


def _lerp(first: np.ndarray, second: np.ndarray | np.float32, weight: np.ndarray | float) -> np.ndarray:
    mixed: np.ndarray = first + (second - first) * np.asarray(weight, np.float32)
    return mixed


def _repaint_sea(rgb: np.ndarray, land: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    colour = rng.random(3, np.float32)
    kind = rng.random()
    if kind < 0.6:  # most seas are blue and most are dark
        colour = np.sort(colour) * np.float32(rng.uniform(0.2, 1.0))
    elif kind < 0.75:  # some hardly differ from the land
        shore = (rgb * land).sum((0, 1)) / np.float32(max(1.0, land.sum()))
        colour = _lerp(shore * np.float32(rng.uniform(0.4, 1.3)), colour, 0.2)
    return _lerp(rgb, colour, (1 - land) * np.float32(rng.uniform(0.5, 1.0)))


def _repaint_land(rgb: np.ndarray, land: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _lerp(rgb, rng.random(3, np.float32), land * np.float32(rng.uniform(0.2, 0.8)))


def _melt_snow(rgb: np.ndarray, land: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The training imagery was taken in one season; white land turns to a colour of vegetation or soil."""
    whiteness = np.clip((rgb.min(axis=-1, keepdims=True) - 0.3) * 4, 0, 1)
    soil = np.array([0.25, 0.28, 0.15], np.float32) * rng.uniform(0.5, 2.0, 3).astype(np.float32)
    return _lerp(rgb, soil, whiteness * land * np.float32(rng.uniform(0.4, 1.0)))


def _mix_channels(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    matrix = rng.normal(0, 0.6, (3, 3)).astype(np.float32)
    matrix += (1 - matrix.sum(axis=1, keepdims=True)) / 3  # grey stays grey before the strength is applied
    matrix = _lerp(np.eye(3, dtype=np.float32), matrix, rng.uniform(0, 1))
    mixed: np.ndarray = rgb @ matrix.T
    kind = rng.random()
    if kind < 0.12:
        mixed = np.repeat(mixed @ _GREY[:, None], 3, axis=-1)
    elif kind < 0.2:
        mixed = 1 - mixed
    elif kind < 0.26:
        mixed = mixed[..., rng.permutation(3)]
    return mixed


def _tone(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    gamma = np.exp(rng.normal(0, 0.35) + rng.normal(0, 0.1, 3)).astype(np.float32)
    gain = np.exp(rng.normal(0, 0.2) + rng.normal(0, 0.07, 3)).astype(np.float32)
    offset = (rng.normal(0, 0.05) + rng.normal(0, 0.02, 3)).astype(np.float32)
    toned: np.ndarray = np.power(np.clip(rgb, 1e-4, 1), gamma) * gain + offset
    grey = toned @ _GREY[:, None]
    return _lerp(grey, toned, np.exp(rng.normal(0, 0.35)))


def _add_haze(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    colour = np.array([0.75, 0.82, 0.9], np.float32) + rng.normal(0, 0.08, 3).astype(np.float32)
    return _lerp(rgb, colour, np.clip(rng.uniform(0, 0.5) * (1 + _ramp(rgb.shape, rng)), 0, 0.75))


def _light_unevenly(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    lit: np.ndarray = rgb * (1 + np.float32(rng.uniform(0.1, 0.5)) * _ramp(rgb.shape, rng))
    return lit


def _ramp(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A plane from about -1 to 1 across the picture, in a random direction, [h,w,1]."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")
    plane: np.ndarray = (np.cos(angle) * x + np.sin(angle) * y)[..., None]
    return plane.astype(np.float32)


def _to_image(rgb: np.ndarray) -> Image.Image:
    return Image.fromarray((rgb * 255 + 0.5).astype(np.uint8))


def _from_image(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.float32) * np.float32(1 / 255)


def _lose_resolution(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = rgb.shape[:2]
    scale = np.exp(rng.uniform(np.log(0.22), 0))
    small = (max(4, round(width * scale)), max(4, round(height * scale)))
    down = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)[rng.integers(3)]
    up = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)[rng.integers(2)]
    return _from_image(_to_image(rgb).resize(small, down).resize((width, height), up))


def _sharpen(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = rgb.shape[:2]
    blurred = _to_image(rgb).resize((width // 2, height // 2), Image.Resampling.BOX)
    smooth = _from_image(blurred.resize((width, height), Image.Resampling.BILINEAR))
    return _lerp(rgb, rgb + (rgb - smooth), rng.uniform(0.2, 1.2))


def _compress(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    buffer = io.BytesIO()
    _to_image(rgb).save(buffer, "JPEG", quality=int(rng.integers(25, 92)))
    return _from_image(Image.open(buffer))


def _cloud_bank(rng: np.random.Generator) -> Float[np.ndarray, "k s s"]:
    """Fractal noise in [0, 1]: sums of smoothly enlarged random grids, each twice finer and fainter."""
    bank = np.zeros((2 * _CLOUD_COUNT, _CLOUD_SIZE, _CLOUD_SIZE), np.float32)
    for number, cloud in enumerate(bank):
        fainter = 1.7 if number < _CLOUD_COUNT else 1.15
        amplitude = 1.0
        for cells in (3, 6, 12, 24, 48, 96):
            grid = Image.fromarray(rng.standard_normal((cells, cells)).astype(np.float32))
            cloud += amplitude * np.asarray(grid.resize((_CLOUD_SIZE, _CLOUD_SIZE), Image.Resampling.BICUBIC))
            amplitude /= fainter
        cloud -= cloud.min()
        cloud /= cloud.max()
    return bank
