"""GeoPackage, for QGIS and other programs of maps: a layer of candidate places and a layer of credible regions.

Extra ``geo``. Pictures that failed or have no answer are rows of the layer of places without a geometry.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from earthclip.errors import MissingExtraError
from earthclip.locating.prediction import Prediction
from earthclip.outputs.geoparquet import COLUMNS, rows
from earthclip.outputs.structured import PathCheck, without_folders
from earthclip.pictures.prepare import Failure

_DATE = "2000-01-01T00:00:00.000Z"  # of the last change, so that the same answers make the same file
_OF_PLACES = {"rank", "latitude", "longitude", "probability", "place", "country_code", "error"}
_OF_REGIONS = {"mass", "area_km2"}


class GeoPackageWriter:
    """Two layers over all pictures, onto a binary file when it is closed; columns are those of GeoParquet."""

    def __init__(self, file: IO[bytes], *, full_paths: bool = False) -> None:
        """Rows have the names of files, or with ``full_paths`` their paths.

        Raises MissingExtraError without the extra ``geo``.
        """
        self._pyogrio = import_pyogrio()
        self._file, self._full_paths = file, full_paths
        self._check = PathCheck()
        self._rows: list[dict[str, Any]] = []

    def write(self, answer: Prediction | Failure) -> None:
        """Take the rows of one picture."""
        self._check.add(answer.path)
        self._rows += rows(answer if self._full_paths else without_folders(answer))

    def close(self) -> None:
        """Write both layers."""
        before = self._pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
        self._pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _DATE})
        try:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "answers.gpkg"
                places = [row for row in self._rows if row["kind"] != "region"]
                self._layer(path, "places", "Point", places, _OF_REGIONS)
                regions = [row for row in self._rows if row["kind"] == "region"]
                self._layer(path, "regions", "MultiPolygon", regions, _OF_PLACES)
                self._file.write(path.read_bytes())
        finally:
            self._pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})

    def _layer(self, path: Path, name: str, geometry_type: str, rows: list[dict[str, Any]], without: set[str]) -> None:
        names = [column for column in COLUMNS if column not in without | {"geometry"}]
        missing = [np.array([row.get(column) is None for row in rows], dtype=bool) for column in names]
        self._pyogrio.raw.write(
            path,
            geometry=np.array([row.get("geometry") for row in rows], dtype=object),
            field_data=[_values(rows, column) for column in names],
            fields=np.array(names, dtype=object),
            field_mask=missing,
            layer=name,
            driver="GPKG",
            geometry_type=geometry_type,
            crs="EPSG:4326",
            append=path.exists(),
            dataset_metadata=None if self._full_paths else {"EARTHCLIP_PATHS": str(self._check)},
        )


def _values(rows: list[dict[str, Any]], column: str) -> np.ndarray:
    kind: Any = {"double": np.float64, "int32": np.int32}.get(COLUMNS[column], object)
    nothing = None if kind is object else 0
    return np.array([nothing if row.get(column) is None else row[column] for row in rows], dtype=kind)


def import_pyogrio() -> Any:
    """The module, with its part without pandas. Raises MissingExtraError without the extra ``geo``."""
    try:
        import pyogrio
        import pyogrio.raw
    except ImportError as error:
        raise MissingExtraError("writing GeoPackage", "geo", "pyogrio") from error
    return pyogrio
