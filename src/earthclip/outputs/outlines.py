"""Outlines of credible regions as map formats want them: polygons only, rings wound by the right-hand rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shapely.geometry import MultiPolygon

_DECIMALS = 6  # of a degree, 0.1 m


def outline(region: Any) -> MultiPolygon | None:
    """A ``CredibleRegion``'s polygons (longitude, latitude), outer rings counter-clockwise, holes clockwise.

    None where its cells were not kept. Source of the order: RFC 7946, section 3.1.6.
    """
    if not len(region.cells):
        return None
    return oriented(region.polygons())


def oriented(shape: Any) -> MultiPolygon | None:
    """The polygons of any geometry, wound by the right-hand rule; None where it has none."""
    import shapely  # here, since it takes 30 ms and most answers are written without outlines
    from shapely.geometry import MultiPolygon, Polygon
    from shapely.geometry.polygon import orient

    parts = [part for part in shapely.get_parts(shape).tolist() if isinstance(part, Polygon) and not part.is_empty]
    return MultiPolygon([orient(part) for part in parts]) if parts else None


def coordinates_of(shape: MultiPolygon) -> list[list[list[list[float]]]]:
    """GeoJSON's coordinates of a MultiPolygon: polygons, rings, [longitude, latitude]."""
    return [[ring_of(ring) for ring in (part.exterior, *part.interiors)] for part in shape.geoms]


def ring_of(ring: Any) -> list[list[float]]:
    """The positions [longitude, latitude] of a closed ring."""
    import shapely

    positions: list[list[float]] = shapely.get_coordinates(ring).round(_DECIMALS).tolist()
    return positions
