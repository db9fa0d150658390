"""What a cluster writes: one row a picture, so that counts and joins come out right, with its places in a list."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float32

from earthclip.locating.prediction import Prediction
from earthclip.outputs.geoparquet import import_pyarrow
from earthclip.outputs.structured import area90_km2, digits, rounded
from earthclip.outputs.table import level_word, printable
from earthclip.pictures.prepare import Failure

_PLACE = {
    "latitude": "float64",
    "longitude": "float64",
    "probability": "float64",
    "place": "string",
    "country_code": "string",
}
# Null where a row has no such value; docs/clusters.md explains each.
COLUMNS = {
    "path": "string",
    "row": "int64",  # in the table at path, from 0; null for a picture file
    "model": "string",
    **_PLACE,  # the best one
    "verdict": "string",
    "radius_km": "float64",
    "mass": "float64",
    "area90_km2": "float64",
    "region_share": "float64",
    "candidates": "places",
    "error": "string",
}


def answers_table(rows: list[dict[str, Any]]) -> Any:
    """Rows of ``answer_row`` as a pyarrow table of ``COLUMNS``."""
    pyarrow = import_pyarrow()
    place = pyarrow.struct([(name, getattr(pyarrow, kind)()) for name, kind in _PLACE.items()])
    kinds = {"places": pyarrow.list_(place)}
    fields = [(name, kinds.get(kind) or getattr(pyarrow, kind)()) for name, kind in COLUMNS.items()]
    return pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(fields))


def answer_row(path: str, row: int | None, answer: Prediction | Failure) -> dict[str, Any]:
    """One answer's row; digits and names are those of ``earthclip locate``'s other formats.

    Of an answer that abstained, the best place is null and ``candidates`` remain.
    """
    subject: dict[str, Any] = {"path": printable(path), "row": row}
    if isinstance(answer, Failure):
        return subject | {"error": printable(answer.error)}
    places = [
        dict(zip(_PLACE, (*numbers, place.text, place.country_code), strict=True))
        for numbers, place in zip(rounded(answer), answer.places, strict=True)
    ]
    verdict = answer.verdict
    return (
        subject
        | ({} if answer.abstained or not places else places[0])
        | {
            "model": answer.model,
            "verdict": level_word(answer) or None,
            "radius_km": None if verdict is None else verdict.radius_km,
            "mass": None if verdict is None else digits(verdict.mass),
            "area90_km2": area90_km2(answer),
            "region_share": None if answer.region_share is None else digits(answer.region_share),
            "candidates": places,
        }
    )


def embeddings_table(
    subjects: list[tuple[str, int | None]], embeddings: Float32[np.ndarray, "n d"], errors: list[str | None]
) -> Any:
    """Rows of path, row, embedding and error; the embedding is null where there is an error."""
    pyarrow = import_pyarrow()
    failed = np.array([error is not None for error in errors], bool)
    width = embeddings.shape[1]
    values = pyarrow.array(np.ascontiguousarray(embeddings).reshape(-1))
    vectors = pyarrow.FixedSizeListArray.from_arrays(values, width, mask=pyarrow.array(failed))
    return pyarrow.table(
        {
            "path": pyarrow.array([printable(path) for path, _ in subjects], pyarrow.string()),
            "row": pyarrow.array([row for _, row in subjects], pyarrow.int64()),
            "embedding": vectors,
            "error": pyarrow.array([error and printable(error) for error in errors], pyarrow.string()),
        }
    )
