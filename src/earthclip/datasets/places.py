"""A gallery as GeoCLIP publishes it: a CSV of candidate places."""

from __future__ import annotations

import csv
import io

import numpy as np
from jaxtyping import Float64

from earthclip.errors import InputError, ModelError
from earthclip.geo.geodesy import check_coordinates


def read_places(content: bytes, where: str) -> Float64[np.ndarray, "m 2"]:
    """Degrees from the columns LAT and LON. Raises ModelError, naming ``where``, for what is no such table."""
    try:
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
        places = np.array([(float(row["LAT"]), float(row["LON"])) for row in rows], np.float64)
        return check_coordinates(places.reshape(-1, 2), where)
    except InputError as error:
        raise ModelError(str(error)) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{where}: expected a CSV with the columns LAT and LON ({error}); get it again") from error
