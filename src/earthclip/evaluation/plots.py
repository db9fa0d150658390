"""An evaluation as pictures: the curve of errors, the world with each picture's error, promise against truth.

Extra ``map``. Drawn by matplotlib's Agg without pyplot, so that neither a display nor global state is needed.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import shapely

from earthclip.errors import MissingExtraError
from earthclip.evaluation.document import Picture
from earthclip.evaluation.measured import Evaluation
from earthclip.evaluation.outcomes import CalibrationReport
from earthclip.evaluation.rendering import clean
from earthclip.geo.cells import cell_of
from earthclip.geo.equal_earth import equal_earth
from earthclip.geo.sphere import from_unit_vectors, unit_vectors
from earthclip.metrics import LEVEL, THRESHOLDS_KM, bootstrap_curve
from earthclip.outputs import cartography

_INK, _PALE, _LINE, _SEA, _LAND = "#1d2730", "#5b6772", "#a9b2ba", "#e9eff4", "#faf8f3"
_FIRST, _SECOND = "#c8102e", "#2b6ca3"
# Near to far: apart in lightness too, for those who see fewer colours and for print
_CLASSES = ("#0d0887", "#5c01a6", "#9c179e", "#cc4778", "#ed7953", "#fdb42f")
_DPI = 130
_MAP_LEVEL = 5  # cells 200 km wide: photos crowd in cities, and dots of their own would hide each other
_DOT = 14.0  # square points, of one picture; that of n has sqrt(n) times the area
_CURVE_POINTS = 240
_NEAREST_KM, _FARTHEST_KM = 0.1, 20_038.0


def check_plots() -> None:
    """Raise MissingExtraError when pictures cannot be drawn, before any work is done."""
    _matplotlib()


def draw(evaluation: Evaluation) -> list[Picture]:
    """``error_curve``, ``error_map`` and, where the model gives probabilities, ``calibration``.

    Raises MissingExtraError without the extra ``map``.
    """
    pictures = [_error_curve(evaluation), _error_map(evaluation)]
    if evaluation.calibration:
        pictures.append(_calibration(evaluation.calibration))
    return pictures


def _error_curve(evaluation: Evaluation) -> Picture:
    figure = _figure(6.4, 4.0)
    axes = figure.subplots()
    at_km = np.geomspace(_NEAREST_KM, _FARTHEST_KM, _CURVE_POINTS)
    groups = evaluation.grouping.numbers if evaluation.grouping else None
    systems = [(evaluation.system, evaluation.errors_km, _FIRST)]
    if evaluation.comparison and evaluation.other_errors_km is not None:
        systems.append((evaluation.comparison.names[1], evaluation.other_errors_km, _SECOND))
    for name, errors_km, colour in systems:
        shares = np.searchsorted(np.sort(errors_km), at_km, side="right") / len(errors_km)
        curves = bootstrap_curve(errors_km, at_km, evaluation.resamples, evaluation.seed, groups)
        low, high = np.quantile(curves, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        axes.fill_between(at_km, 100 * low, 100 * high, color=colour, alpha=0.18, lw=0)
        axes.plot(at_km, 100 * shares, color=colour, lw=1.8, label=_short(name))
        reached = [np.mean(errors_km <= km) * 100 for km in THRESHOLDS_KM]
        axes.plot(THRESHOLDS_KM, reached, "o", ms=5, color=colour)
        if len(systems) == 1:
            for km, share in zip(THRESHOLDS_KM, reached, strict=True):
                axes.annotate(f"{share:.1f}", (km, share), (-4, 6), textcoords="offset points", ha="right", fontsize=9)
    axes.set(xscale="log", xlim=(_NEAREST_KM, _FARTHEST_KM), ylim=(0, 100))
    axes.set_xticks([0.1, *THRESHOLDS_KM, 20_000], ["0.1", *(f"{km:,}" for km in THRESHOLDS_KM), "20,000"])
    axes.minorticks_off()
    axes.set_xlabel("distance from the truth, km")
    axes.set_ylabel("pictures within it, %")
    axes.grid(color="#e3e8ec", lw=0.8)
    axes.legend(frameon=False, loc="upper left")
    _plain(axes)
    alt = "Share of pictures located within each distance, with 95 % intervals"
    return Picture("error_curve", _png(figure), alt)


def _error_map(evaluation: Evaluation) -> Picture:
    x, y = cartography.WORLD_X, cartography.WORLD_Y
    width = 12.0
    height = width * y / x + 0.55
    figure = _figure(width, height, layout=None)
    axes = figure.add_axes((0.01, 0.5 / height, 0.98, 1 - 0.55 / height))
    _draw_world(axes)
    cells = _by_cell(evaluation)
    points = equal_earth(np.stack([middle for middle, _, _ in cells]))
    classes = np.searchsorted(THRESHOLDS_KM, [median_km for _, median_km, _ in cells])  # 1 km exactly is within 1 km
    larger = float(np.clip(400 / len(cells), 1, 3))  # or few would be lost on a world map
    sizes = np.array([larger * _DOT * np.sqrt(n) for _, _, n in cells])
    order = np.argsort(-sizes, kind="stable")  # small dots lie on large ones
    colours = np.array(_CLASSES)[classes]
    axes.scatter(*points[order].T, s=sizes[order], c=colours[order], edgecolors="white", linewidths=0.35, zorder=5)
    axes.set(xlim=(-x * 1.004, x * 1.004), ylim=(-y * 1.008, y * 1.008), aspect="equal")
    axes.set_axis_off()
    _legend(figure)
    alt = "World map: a dot for the pictures taken in each cell, coloured by the median error of their answers"
    return Picture("error_map", _png(figure), alt)


def _draw_world(axes: Any) -> None:
    library = _matplotlib()
    shapes = list(cartography.outlines(0.15).values())
    frame = shapely.box(-180.0, -90.0, 180.0, 90.0)
    for rings, colour, order in (([frame], _SEA, 0), (shapes, _LAND, 1)):
        paths = [library.path.Path(ring, closed=True) for ring in cartography.projected(rings, equal_earth, 2.0)]
        whole = library.path.Path.make_compound_path(*paths)
        axes.add_artist(library.patches.PathPatch(whole, facecolor=colour, lw=0, zorder=order))
    lines = library.collections.LineCollection
    axes.add_collection(lines(cartography.graticule(30), colors="#d3dce3", linewidths=0.4, zorder=2))
    borders = cartography.borders(shapes, equal_earth, 2.0)
    axes.add_collection(lines(borders, colors=_LINE, linewidths=0.45, zorder=3))


def _by_cell(evaluation: Evaluation) -> list[tuple[np.ndarray, float, int]]:
    """Mean place in degrees, median error in km and number of the pictures whose true places share a cell."""
    _, cells = np.unique(cell_of(evaluation.truths, _MAP_LEVEL), return_inverse=True)
    order = np.argsort(cells, kind="stable")
    vectors = unit_vectors(evaluation.truths)
    found = []
    for rows in np.split(order, np.flatnonzero(np.diff(cells[order])) + 1):
        middle = from_unit_vectors(vectors[rows].sum(axis=0)[None])[0]
        found.append((middle, float(np.median(evaluation.errors_km[rows])), len(rows)))
    return found


def _legend(figure: Any) -> None:
    names = [f"≤ {km:,} km" for km in THRESHOLDS_KM] + [f"> {THRESHOLDS_KM[-1]:,} km"]
    line = _matplotlib().lines.Line2D
    handles = [line([], [], ls="", label="median error of the pictures taken there:")]
    handles += [
        line([], [], ls="", marker="o", ms=7, color=colour, label=name)
        for colour, name in zip(_CLASSES, names, strict=True)
    ]
    figure.legend(handles=handles, ncols=len(handles), loc="lower center", frameon=False, fontsize=10, handlelength=1)


def _calibration(found: CalibrationReport) -> Picture:
    figure = _figure(6.4, 4.6)
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    promised = np.array([100 * b.promised for b in found.curve])
    shares = np.array([100 * b.found for b in found.curve])
    low, high = (np.array([100 * b.found_interval[end] for b in found.curve]) for end in (0, 1))
    axes.plot([0, 100], [0, 100], ls="--", color=_LINE, lw=1)
    # A share of 0 or 1 has an interval without width, and rounding may put its end inside
    off = np.maximum([shares - low, high - shares], 0)
    axes.errorbar(promised, shares, off, fmt="o-", color=_FIRST, ms=5, lw=1.6, capsize=3)
    axes.set(ylim=(0, 100), ylabel="truth there, %")
    axes.set_title(f"within {found.within_km:.0f} km of the answer", fontsize=10, color=_PALE)
    counts.bar([50 * (b.low + b.high) for b in found.curve], [b.n for b in found.curve], width=9, color=_LINE)
    counts.set(xlim=(0, 100), xlabel="probability promised, %", ylabel="pictures")
    for each in (axes, counts):
        each.grid(color="#e3e8ec", lw=0.8)
        each.set_axisbelow(True)
        _plain(each)
    alt = "Share of truths found against the probability promised, in bins; on the dashed line both are equal"
    return Picture("calibration", _png(figure), alt)


def _figure(width: float, height: float, layout: str | None = "constrained") -> Any:
    figure = _matplotlib().figure.Figure(figsize=(width, height), facecolor="white", layout=layout)
    _matplotlib().backends.backend_agg.FigureCanvasAgg(figure)
    return figure


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": "EarthCLIP"})
    return buffer.getvalue()


def _plain(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=_INK)


def _short(name: str, longest: int = 60) -> str:
    """A name as a legend may hold it: printable ASCII, no formulas, no leading underscore (which would hide it)."""
    drawable = "".join(sign if sign.isascii() else "?" for sign in clean(name)).replace("$", r"\$")
    drawable = drawable if len(drawable) <= longest else drawable[: longest - 3] + "..."
    return f" {drawable}" if drawable.startswith("_") else drawable


def _matplotlib() -> Any:
    try:
        import matplotlib
        import matplotlib.backends.backend_agg
        import matplotlib.collections
        import matplotlib.figure
        import matplotlib.lines
        import matplotlib.patches
        import matplotlib.path
    except ImportError as error:
        raise MissingExtraError("drawing an evaluation", "map", "matplotlib") from error
    return matplotlib
