"""GeoParquet: a row for each candidate place and for each credible region, its geometry as WKB, longitude first.

Source: GeoParquet specification 1.1.0 (geoparquet.org). Rows go to disk in groups, however many pictures there are.
"""

from __future__ import annotations

import json
from typing import IO, Any

from earthclip.errors import MissingExtraError
from earthclip.locating.prediction import Prediction
from earthclip.outputs.drawing import outline
from earthclip.outputs.structured import digits
from earthclip.outputs.table import rows as table_rows
from earthclip.pictures.prepare import Failure

_GROUP_ROWS = 4096
_TEXT, _INTEGER, _NUMBER, _BINARY = "string", "int32", "double", "binary"
COLUMNS = {
    "path": _TEXT,
    "text": _TEXT,
    "model": _TEXT,
    "kind": _TEXT,  # "place", "region", "none" (no answer to trust) or "failure"
    "rank": _INTEGER,
    "latitude": _NUMBER,
    "longitude": _NUMBER,
    "probability": _NUMBER,
    "place": _TEXT,
    "country_code": _TEXT,
    "warning": _TEXT,
    "verdict": _TEXT,
    "radius_km": _NUMBER,
    "area90_km2": _NUMBER,
    "scope": _NUMBER,
    "mass": _NUMBER,
    "area_km2": _NUMBER,
    "error": _TEXT,
    "geometry": _BINARY,
}
_OF_ALL = ("path", "text", "model", "warning", "verdict", "radius_km", "area90_km2")  # of places and regions alike
# Without "crs" the standard's default holds: OGC:CRS84, WGS 84 with longitude first.
_GEO = {
    "version": "1.1.0",
    "primary_column": "geometry",
    "columns": {
        "geometry": {
            "encoding": "WKB",
            "geometry_types": ["MultiPolygon", "Point"],
            "orientation": "counterclockwise",
            "edges": "planar",
        }
    },
}


class GeoParquetWriter:
    """One table over all pictures, onto a binary file; columns are ``COLUMNS``, null where a row has no such value."""

    def __init__(self, file: IO[bytes]) -> None:
        """Raises MissingExtraError without the extra ``parquet``."""
        self._pyarrow = import_pyarrow()
        fields = [
            (name, getattr(self._pyarrow, {"double": "float64"}.get(kind, kind))()) for name, kind in COLUMNS.items()
        ]
        self._schema = self._pyarrow.schema(fields, metadata={"geo": json.dumps(_GEO)})
        self._writer = self._pyarrow.parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def write(self, answer: Prediction | Failure) -> None:
        """Take the rows of one picture; a group of rows is written when it is full."""
        self._rows += rows(answer)
        if len(self._rows) >= _GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what waits, and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._pyarrow.Table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()


def rows(answer: Prediction | Failure) -> list[dict[str, Any]]:
    """The rows of one answer by the names of their columns, absent where null; best place first, then regions."""
    taken = table_rows(answer)
    if isinstance(answer, Failure):
        return [taken[0] | {"kind": "failure"}]
    import shapely

    if "rank" not in taken[0]:
        return [taken[0] | {"kind": "none"}]
    for row in taken:
        row |= {"kind": "place", "geometry": shapely.to_wkb(shapely.Point(row["longitude"], row["latitude"]))}
    common = {name: taken[0][name] for name in _OF_ALL}
    for region in answer.credible:
        if (shape := outline(region)) is not None:
            held = {"kind": "region", "mass": float(region.mass), "area_km2": digits(region.area_km2)}
            taken.append(common | held | {"geometry": shapely.to_wkb(shape)})
    return taken


def import_pyarrow() -> Any:
    """The module, with its Parquet part. Raises MissingExtraError without the extra ``parquet``."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("writing Parquet", "parquet", "pyarrow") from error
    return pyarrow
