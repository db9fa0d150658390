"""How well regions of parts of countries fit: those of the United States against the Census Bureau's outlines.

npm pack us-atlas@3.0.1
python -m benchmarks.parts us-atlas-3.0.1.tgz
"""

from __future__ import annotations

import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from earthclip.errors import InputError
from earthclip.geo.names import find_area
from earthclip.geo.regions import parse_region


def main(atlas: Path) -> None:
    """Print what share of each state its region misses, and how much larger than the state the region is."""
    with tarfile.open(atlas) as tar:
        topology = json.load(tar.extractfile("package/states-10m.json"))  # type: ignore[arg-type]
    rows = []
    for name, state in states(topology).items():
        try:
            find_area(f"{name}, US")
        except InputError:  # a territory with a code of its own
            continue
        region = parse_region(f"{name}, US").geometry
        rows.append((state.difference(region).area / state.area, region.area / state.area, name))
    missed, larger = np.array([row[:2] for row in rows]).T
    print(f"{len(rows)} states: missed {np.median(missed):.2%} (median), {missed.max():.1%} ({max(rows)[2]})")
    print(f"region / state: {np.median(larger):.2f} (median), {larger.max():.1f} ({rows[int(larger.argmax())][2]})")


def states(topology: dict[str, Any]) -> dict[str, BaseGeometry]:
    """Name -> outline in (longitude, latitude)."""
    scale, origin = (np.array(topology["transform"][key]) for key in ("scale", "translate"))
    arcs = [np.cumsum(np.array(arc), axis=0) * scale + origin for arc in topology["arcs"]]

    def ring(numbers: list[int]) -> np.ndarray:
        return np.concatenate([arcs[number] if number >= 0 else arcs[~number][::-1] for number in numbers])

    found = {}
    for state in topology["objects"]["states"]["geometries"]:
        polygons = state["arcs"] if state["type"] == "MultiPolygon" else [state["arcs"]]
        shapes = [shapely.Polygon(ring(shell), [ring(hole) for hole in holes]) for shell, *holes in polygons]
        found[state["properties"]["name"]] = shapely.union_all(shapely.make_valid(np.array(shapes)))
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
