"""The probability of one answer as a grid of the whole Earth: a GeoTIFF for programs of maps, or a picture.

earthclip locate photo.jpg --heatmap out.tif
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import shapely
from PIL import Image, ImageDraw, ImageFont

from earthclip.errors import InputError, MissingExtraError, OutputError
from earthclip.files import atomic_write, refuse_existing
from earthclip.geo.countries import country_outlines
from earthclip.geo.sphere import EARTH_RADIUS_KM
from earthclip.locating.prediction import Prediction
from earthclip.locating.surface import Surface, check_width
from earthclip.outputs.colours import INK, LAND, LINE, SEA, coloured, density_text, strength

SUFFIXES = (".tif", ".tiff", ".png")
WIDTH = 4000  # pixels: 10 km at the equator
_MOST_DRAWN = 50_000_000  # pixels of a PNG, which is drawn in memory: 600 MB
_TILE = 512


def check_heat_map(path: Path, width: int = WIDTH, *, overwrite: bool = False) -> None:
    """Raise, before any work is done, what ``write_heat_map`` would.

    InputError for a width that is not even or too large, OutputError for a suffix that is none of ``SUFFIXES`` or a
    file that exists, MissingExtraError for a GeoTIFF without the extra ``geo``.
    """
    check_width(width)
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}")
    if path.suffix.lower() != ".png":
        _rasterio()
    elif width * (width // 2) > _MOST_DRAWN:
        raise InputError(f"{path}: a PNG may be 10,000 pixels wide, found {width:,}; write a .tif or choose a width")
    if not overwrite:
        refuse_existing(path)


def write_heat_map(answer: Prediction, path: Path, width: int = WIDTH, *, overwrite: bool = False) -> None:
    """Write the probability of each pixel of a grid of ``width`` by ``width // 2`` pixels, north up.

    A .tif is float32 in EPSG:4326, cloud-optimised, and its pixels sum to 1 within 1 %; a .png shows the density in
    colours over land and sea. Raises as ``check_heat_map`` does, InputError for an answer without a posterior (one read
    back), and OutputError where ``path`` cannot be written.
    """
    check_heat_map(path, width, overwrite=overwrite)
    if answer.posterior is None:
        raise InputError(f"{answer.subject}: a heat map needs every place's probability; locate the picture again")
    surface = Surface.of(answer.posterior)
    with atomic_write(path, overwrite=overwrite) as file:
        if path.suffix.lower() == ".png":
            _drawn(surface, width).save(file, "PNG")
        else:
            _write_tiff(surface, width, file, answer.model, path)


def _write_tiff(surface: Surface, width: int, file: IO[bytes], model: str, path: Path) -> None:
    rasterio = _rasterio()
    degree = 360.0 / width
    grid = {
        "driver": "GTiff",
        "width": width,
        "height": width // 2,
        "count": 1,
        "dtype": "float32",
        "crs": "EPSG:4326",
        "transform": rasterio.Affine(degree, 0.0, -180.0, 0.0, -degree, 90.0),
        "compress": "deflate",
    }
    with tempfile.TemporaryDirectory(dir=path.absolute().parent, prefix=f".{path.name[:60]}.") as folder:
        # GDAL makes its cloud-optimised form of a whole file only.
        rows, tiled = Path(folder, "rows.tif"), Path(folder, "tiled.tif")
        try:
            with rasterio.open(rows, "w", **grid) as out:
                out.set_band_description(1, "probability of the pixel; all pixels sum to 1")
                out.update_tags(SOFTWARE="EarthCLIP", MODEL=model)
                row = 0
                for densities, areas_km2 in surface.rows(width):
                    window = rasterio.windows.Window(0, row, width, len(densities))
                    out.write((densities * areas_km2[:, None]).astype(np.float32), 1, window=window)
                    row += len(densities)
            rasterio.shutil.copy(
                rows, tiled, driver="COG", compress="DEFLATE", blocksize=_TILE, resampling="AVERAGE", bigtiff="IF_SAFER"
            )
        except rasterio.errors.RasterioError as error:
            raise OutputError(f"{path}: writing failed ({error}); free some disk space") from error
        with tiled.open("rb") as whole:
            shutil.copyfileobj(whole, file)


def _drawn(surface: Surface, width: int) -> Image.Image:
    """The surface over land and sea, with borders, and a legend below."""
    height, margin = width // 2, max(16, width // 40)
    picture = Image.new("RGB", (width, height + margin), "white")
    picture.paste(SEA, (0, 0, width, height))
    pen = ImageDraw.Draw(picture)
    parts = shapely.get_parts(list(country_outlines().values()))
    pixels = shapely.transform(
        shapely.get_parts(parts), lambda lon_lat: (lon_lat * [1, -1] + [180, 90]) * (width / 360)
    )
    rings = [
        (shapely.get_coordinates(ring).ravel().tolist(), colour)
        for part in pixels
        for ring, colour in [(part.exterior, LAND), *((hole, SEA) for hole in part.interiors)]
    ]
    for ring, colour in rings:
        pen.polygon(ring, fill=colour)
    highest = float(surface.coarser(2 * np.pi * EARTH_RADIUS_KM / width).densities.max())
    row = 0
    for densities, _ in surface.rows(width):
        tint = Image.fromarray(coloured(strength(densities, highest)))
        picture.paste(tint, (0, row), tint)
        row += len(densities)
    for ring, _ in rings:
        pen.line(ring, fill=LINE, width=max(1, width // 2500))
    _draw_legend(picture, pen, height, margin, f"up to {density_text(highest)}".replace("km²", "square km"))
    return picture


def _draw_legend(picture: Image.Image, pen: ImageDraw.ImageDraw, top: int, margin: int, most: str) -> None:
    font = ImageFont.load_default(0.55 * margin)
    bar = np.broadcast_to(np.linspace(0.0, 1.0, 8 * margin), (max(1, margin // 2), 8 * margin))
    tint = Image.fromarray(coloured(bar))
    first = "unlikely"
    left = margin + round(pen.textlength(first, font)) + margin // 2
    picture.paste(tint, (left, top + margin // 4), tint)
    for x, text in ((margin, first), (left + 8 * margin + margin // 2, most)):
        pen.text((x, top + margin // 2), text, fill=INK, font=font, anchor="lm")


def _rasterio() -> Any:
    try:
        import rasterio
        import rasterio.shutil
        import rasterio.windows
    except ImportError as error:
        raise MissingExtraError("writing GeoTIFF", "geo", "rasterio") from error
    return rasterio
