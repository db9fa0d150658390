"""Answers as a pandas DataFrame, with the rows and columns of the CSV."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from earthclip.errors import InputError, MissingExtraError
from earthclip.locating.prediction import Prediction
from earthclip.outputs.table import COLUMNS, rows
from earthclip.pictures.prepare import Failure

if TYPE_CHECKING:
    import pandas

_TYPES = {"rank": "Int64"} | dict.fromkeys(
    ("latitude", "longitude", "probability", "radius_km", "area90_km2"), "float64"
)


def to_dataframe(predictions: Iterable[Prediction | Failure]) -> pandas.DataFrame:
    """A row for each place of each answer, best first, with the columns of the CSV; missing where there is no value.

    Degrees are WGS 84. An answer that abstained and a picture that failed have one row, without a place. Raises
    InputError for what is no answer, MissingExtraError without the extra ``pandas``.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError("a DataFrame", "pandas", "pandas") from error
    if isinstance(predictions, Prediction | Failure):
        raise InputError("predictions is a single answer; expected several, as in [prediction]")
    taken = []
    for index, answer in enumerate(predictions):
        if not isinstance(answer, Prediction | Failure):
            raise InputError(f"predictions: number {index} is a {type(answer).__name__}; expected a Prediction")
        taken += rows(answer)
    kinds = {name: _TYPES.get(name, "object") for name in COLUMNS}
    return pandas.DataFrame(taken, columns=list(COLUMNS)).astype(kinds)
