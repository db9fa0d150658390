"""An answer as one picture: the photo, the world with the probability of every place, the best region, the best places.

Extra ``map``. Drawn by matplotlib's Agg without pyplot, so that neither a display nor global state is needed.
"""

from __future__ import annotations

import functools
import textwrap
from pathlib import Path
from typing import Any, cast

import numpy as np
import shapely
from PIL import Image

from earthclip.errors import InputError, MissingExtraError
from earthclip.files import atomic_write, refuse_existing
from earthclip.geo.countries import countries
from earthclip.geo.equal_earth import equal_earth
from earthclip.geo.places import ATTRIBUTION
from earthclip.locating.posterior import Posterior
from earthclip.locating.prediction import Prediction
from earthclip.locating.surface import Surface
from earthclip.outputs import cartography, colours
from earthclip.outputs.drawing import outline, rounded_off
from earthclip.outputs.structured import without_folders
from earthclip.outputs.table import trust_sentences
from earthclip.pictures.decode import decode

_WIDTH, _HEIGHT, _DPI = 14.0, 8.6, 130  # inches
_INK, _LINE, _SEA, _LAND = colours.INK, colours.LINE, colours.SEA, colours.LAND
_PALE = "#6b7782"
_BEST, _OTHER = "#c8102e", "#34495e"
_WORLD_PIXELS, _LOCAL_PIXELS = 1100, 420
_PHOTO_PIXELS = 900
_STYLES = {True: (_BEST, 1.4), False: (_OTHER, 0.9)}  # of the outline of the 50 % region, and of others
_NAMED = 5  # places in the list


def check_map_png(path: Path, *, overwrite: bool = False) -> None:
    """Raise OutputError or MissingExtraError, before any work is done, when a map cannot be written to ``path``."""
    _matplotlib()
    if not overwrite:
        refuse_existing(path)


def write_map_png(
    answer: Prediction,
    path: Path,
    *,
    photo: Image.Image | None = None,
    overwrite: bool = False,
    full_paths: bool = False,
) -> None:
    """Draw an answer with its posterior and write it as PNG, 1,820 by 1,118 pixels.

    ``photo`` is what to show beside it; without, the file at ``answer.path`` is read, and where there is none the words
    stand there. It is named by its file, or with ``full_paths`` by its path. Raises InputError for an answer without a
    posterior (one read back), OutputError when ``path`` exists and not ``overwrite`` or cannot be written,
    MissingExtraError without the extra ``map``.
    """
    check_map_png(path, overwrite=overwrite)
    figure = draw(answer, photo, full_paths=full_paths)
    with atomic_write(path, overwrite=overwrite) as file:
        figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": "EarthCLIP"})


def draw(answer: Prediction, photo: Image.Image | None = None, *, full_paths: bool = False) -> Any:
    """The matplotlib Figure of ``write_map_png``. Raises InputError for an answer without a posterior.

    For a picture out of scope it shows the picture, the advice and a map without places.
    """
    out_of_scope = answer.advice is not None and not len(answer.coordinates)
    if not out_of_scope and (answer.posterior is None or not len(answer.coordinates)):
        raise InputError(f"{answer.subject}: a map needs every place's probability; locate the picture again")
    figure = _matplotlib().figure.Figure(figsize=(_WIDTH, _HEIGHT), facecolor="white")
    _matplotlib().backends.backend_agg.FigureCanvasAgg(figure)
    surface = None if answer.posterior is None else Surface.of(answer.posterior)
    _draw_heading(figure, answer if full_paths else cast("Prediction", without_folders(answer)))
    _draw_photo(figure.add_axes((0.02, 0.50, 0.28, 0.38)), answer, photo)
    if answer.posterior is not None and surface is not None:
        below = (0.02, 0.035, 0.28, 0.28 * _WIDTH / _HEIGHT - 0.01)
        _draw_neighbourhood(figure.add_axes(below), answer, answer.posterior, surface)
    world_height = 0.655 * _WIDTH / _HEIGHT * cartography.WORLD_Y / cartography.WORLD_X
    highest = _draw_world(figure.add_axes((0.325, 0.88 - world_height, 0.655, world_height)), answer, surface)
    _draw_list(figure, answer, top=0.88 - world_height - 0.05)
    if surface is not None:
        _draw_legend(figure, answer, highest)
    _write(figure, 0.98, 0.012, ATTRIBUTION, size=7, color=_PALE, ha="right")
    return figure


def _draw_heading(figure: Any, answer: Prediction) -> None:
    _write(figure, 0.02, 0.96, answer.subject, size=15, weight="bold", longest=90)
    warnings = [warning.text for warning in answer.warnings]
    parts = [*warnings, *trust_sentences(answer)]
    if len(answer.coordinates):
        parts.append(f"An estimate by the model {answer.model}, to be verified.")
    lines = textwrap.wrap(" ".join(parts), 150)
    size, step = (10.5, 0.023) if len(lines) <= 2 else (10.5 * 2 / len(lines) + 1.5, 0.046 / (len(lines) - 1))
    if len(lines) > 2:  # smaller letters, so that no warning is cut off
        lines = textwrap.wrap(" ".join(parts), round(150 * 10.5 / size))
    for line, text in enumerate(lines):
        _write(figure, 0.02, 0.929 - step * line, text, size=size, color=_PALE, longest=1000)


def _draw_photo(axes: Any, answer: Prediction, photo: Image.Image | None) -> None:
    axes.set_axis_off()
    if photo is None and answer.path is not None:
        photo = decode(answer.path)
    if photo is None:
        _write(axes, 0.5, 0.5, f'"{answer.text or ""}"', size=16, ha="center", va="center", wrap=True, longest=200)
        return
    small = photo.convert("RGB")
    small.thumbnail((_PHOTO_PIXELS, _PHOTO_PIXELS))
    axes.imshow(np.asarray(small))
    axes.set_anchor("NW")


def _draw_world(axes: Any, answer: Prediction, surface: Surface | None) -> float:
    """Draws it; returns the highest density, which has the darkest colour, 0 without a surface."""
    x, y = cartography.WORLD_X, cartography.WORLD_Y
    shapes = list(cartography.outlines(0.15).values())
    frame = shapely.box(-180.0, -90.0, 180.0, 90.0)
    _fill(axes, cartography.projected([frame], equal_earth, 2.0), _SEA, 0)
    _fill(axes, cartography.projected(shapes, equal_earth, 2.0), _LAND, 1)
    highest = 0.0
    if surface is not None:
        densities = cartography.world_surface(surface, _WORLD_PIXELS)
        highest = float(np.nanmax(densities))
        tint = colours.coloured(colours.strength(densities, highest))
        axes.imshow(tint, extent=(-x, x, -y, y), zorder=2, interpolation="antialiased")
    _lines(axes, cartography.graticule(30), "#d3dce3", 0.4, 3)
    _lines(axes, cartography.borders(shapes, equal_earth, 2.0), _LINE, 0.45, 4)
    _lines(axes, cartography.projected([frame], equal_earth, 2.0), _LINE, 0.8, 4)
    positions = equal_earth(answer.coordinates[:_NAMED])
    _mark(axes, positions, np.full(len(positions), True), 0.03, apart=0.09)
    axes.set(xlim=(-x * 1.004, x * 1.004), ylim=(-y * 1.008, y * 1.008), aspect="equal")
    axes.set_axis_off()
    return highest


def _draw_neighbourhood(axes: Any, answer: Prediction, posterior: Posterior, surface: Surface) -> None:
    centre = answer.coordinates[0]
    credible = answer.credible
    level = credible[0].level if credible else surface.level
    radius_km = cartography.neighbourhood_km(posterior, centre, level)
    project = cartography.azimuthal_km(centre)
    view = shapely.box(-radius_km, -radius_km, radius_km, radius_km)
    detail = radius_km / 60_000  # a pixel or so, in degrees
    shown = {code: shape for code, shape in cartography.outlines(0.02).items() if _near(shape, centre, radius_km)}
    shapes = [shapely.simplify(shape, detail) for shape in shown.values()]
    axes.set_facecolor(_SEA)
    _fill(axes, cartography.projected(shapes, project, 1.0), _LAND, 1)
    densities = cartography.local_surface(surface, centre, radius_km, _LOCAL_PIXELS)
    tint = colours.coloured(colours.strength(densities, float(densities.max())))
    axes.imshow(tint, extent=(-radius_km, radius_km) * 2, zorder=2, interpolation="bilinear")
    _lines(axes, cartography.borders(shapes, project, 1.0), _LINE, 0.8, 4)
    for region in credible:
        if (shape := outline(region)) is not None:
            style = _STYLES[region.mass <= 0.5]
            _lines(axes, cartography.borders([rounded_off(shape)], project, 1.0), *style, 5)
    for code, shape in shown.items():
        _name_country(axes, code, shape, project, view)
    positions = project(answer.coordinates[:_NAMED])
    inside = np.abs(positions).max(axis=1) < 0.96 * radius_km
    _mark(axes, positions, inside, 0.035 * radius_km, apart=0.07 * radius_km)
    _scale_bar(axes, radius_km)
    axes.set_anchor("SW")
    axes.set(xlim=(-radius_km, radius_km), ylim=(-radius_km, radius_km), aspect="equal", xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set(color=_LINE, linewidth=0.8)


def _draw_list(figure: Any, answer: Prediction, top: float) -> None:
    rows = zip(answer.coordinates[:_NAMED], answer.probabilities[:_NAMED], answer.places, strict=False)
    for rank, ((latitude, longitude), probability, place) in enumerate(rows, start=1):
        at = top - 0.047 * (rank - 1)
        colour = _BEST if rank == 1 else _OTHER
        _write(figure, 0.345, at, str(rank), size=11, weight="bold", color=colour, ha="right")
        _write(figure, 0.36, at, place.text, size=11, longest=62)
        _write(figure, 0.795, at, f"{latitude:.3f}, {longitude:.3f}", size=9, color=_PALE, ha="right")
        bar = _matplotlib().patches.Rectangle((0.81, at - 0.003), 0.11 * float(probability), 0.016, color=colour, lw=0)
        figure.add_artist(bar)
        _write(figure, 0.98, at, f"{100 * probability:.1f} %", size=10, ha="right")


def _draw_legend(figure: Any, answer: Prediction, highest: float) -> None:
    """Each colour and line of the maps, with what it stands for beside it."""
    bar = figure.add_axes((0.36, 0.043, 0.1, 0.014))
    bar.imshow(colours.coloured(np.linspace(0.0, 1.0, 200)[None]), aspect="auto")
    bar.set(xticks=[], yticks=[])
    for side in bar.spines.values():
        side.set(color=_LINE, linewidth=0.6)
    _write(figure, 0.352, 0.044, "unlikely", size=9, color=_PALE, ha="right")
    _write(figure, 0.468, 0.044, f"world: up to {colours.density_text(highest)}", size=9, color=_PALE)
    line = _matplotlib().lines.Line2D
    for region, left in zip(answer.credible[:2], (0.73, 0.86), strict=False):
        colour, width = _STYLES[region.mass <= 0.5]
        figure.add_artist(line((left, left + 0.025), (0.05, 0.05), color=colour, lw=width))
        _write(figure, left + 0.032, 0.044, f"{100 * region.mass:.0f} % region", size=9, color=_PALE)


def _mark(axes: Any, positions: np.ndarray, shown: np.ndarray, offset: float, apart: float) -> None:
    """A dot for each position ``shown``, its rank beside it unless that of a better one is nearer than ``apart``."""
    halo = [_matplotlib().patheffects.withStroke(linewidth=2.5, foreground="white")]
    for rank in reversed(np.flatnonzero(shown).tolist()):  # the best on top
        x, y = positions[rank]
        colour, size = (_BEST, 8) if rank == 0 else (_OTHER, 5.5)
        axes.plot([x], [y], "o", ms=size, mfc=colour, mec="white", mew=1.2, zorder=7)
        better = positions[:rank][shown[:rank]]
        if not len(better) or np.linalg.norm(better - positions[rank], axis=1).min() > apart:
            text = _write(axes, x + offset, y + offset, str(rank + 1), size=9, weight="bold", color=colour, data=True)
            text.set(path_effects=halo, zorder=8, clip_on=True)


def _name_country(axes: Any, code: str, shape: Any, project: cartography.Projection, view: Any) -> None:
    parts = [shapely.Polygon(ring) for ring in cartography.projected([shape], project, 5.0) if len(ring) > 3]
    seen = [shapely.make_valid(part).intersection(view) for part in parts]
    largest = max(seen, key=lambda part: part.area, default=None)
    if largest is None or largest.area < 0.06 * view.area:
        return
    at, name = largest.representative_point(), countries()[code].name if code in countries() else code
    if abs(at.x) < 0.75 * view.bounds[2]:  # or it would be cut off
        text = _write(axes, at.x, at.y, name.upper(), size=7, color="#8a949c", ha="center", data=True, longest=24)
        text.set(zorder=6, clip_on=True)


def _near(shape: Any, centre: np.ndarray, radius_km: float) -> bool:
    reach = 1.5 * radius_km / 111.2
    west_east = 360.0 if abs(centre[0]) + reach > 85 else reach / np.cos(np.radians(abs(centre[0]) + reach))
    boxes = [
        shapely.box(centre[1] + turn - west_east, centre[0] - reach, centre[1] + turn + west_east, centre[0] + reach)
        for turn in (-360.0, 0.0, 360.0)
    ]
    return any(shape.intersects(box) for box in boxes)


def _scale_bar(axes: Any, radius_km: float) -> None:
    length, left, low = cartography.scale_bar_km(radius_km), -0.92 * radius_km, -0.90 * radius_km
    axes.plot([left, left + length], [low, low], color=_INK, lw=2.2, solid_capstyle="butt", zorder=8)
    text = _write(axes, left, low + 0.03 * radius_km, f"{length:,.0f} km", size=9, data=True)
    text.set(zorder=8, path_effects=[_matplotlib().patheffects.withStroke(linewidth=2.5, foreground="white")])


def _fill(axes: Any, rings: list[np.ndarray], colour: str, order: int) -> None:
    path = _matplotlib().path.Path
    if rings:
        whole = path.make_compound_path(*[path(ring, closed=True) for ring in rings])
        axes.add_artist(_matplotlib().patches.PathPatch(whole, facecolor=colour, lw=0, zorder=order))


def _lines(axes: Any, lines: list[np.ndarray], colour: str, width: float, order: int) -> None:
    axes.add_collection(_matplotlib().collections.LineCollection(lines, colors=colour, linewidths=width, zorder=order))


def _write(target: Any, x: float, y: float, text: str, *, longest: int = 200, data: bool = False, **style: Any) -> Any:
    """Text on a figure, or on axes in their fractions or with ``data`` in their own coordinates."""
    drawable = "".join(
        sign if sign.isprintable() and _has_glyph(sign) else "\N{REPLACEMENT CHARACTER}" for sign in text
    )
    short = drawable if len(drawable) <= longest else drawable[: longest - 1] + "…"
    style = {"color": _INK, "fontfamily": "DejaVu Sans"} | style
    if hasattr(target, "transAxes") and not data:
        style["transform"] = target.transAxes
    return target.text(x, y, short, parse_math=False, **style)  # or a $ in a file's name would begin a formula


@functools.cache
def _has_glyph(sign: str) -> bool:
    return sign.isprintable() and bool(_font().get_char_index(ord(sign)))


@functools.cache
def _font() -> Any:
    library = _matplotlib()
    return library.font_manager.get_font(library.font_manager.findfont("DejaVu Sans"))


def _matplotlib() -> Any:
    try:
        import matplotlib
        import matplotlib.backends.backend_agg
        import matplotlib.collections
        import matplotlib.colors
        import matplotlib.figure
        import matplotlib.font_manager
        import matplotlib.lines
        import matplotlib.patches
        import matplotlib.path
        import matplotlib.patheffects
    except ImportError as error:
        raise MissingExtraError("drawing a map", "map", "matplotlib") from error
    return matplotlib
