"""A Prediction as a map draws it: the object of ``--format json``, with outlines and surface (POST /v1/locate)."""

from __future__ import annotations

from typing import Any

from earthclip.outputs.outlines import coordinates_of, outline
from earthclip.outputs.structured import to_object
from earthclip.outputs.surface import surface_of
from earthclip.prediction import Failure, Prediction


def to_answer(answer: Prediction | Failure, *, outlines: bool = True, surface: bool = False) -> dict[str, Any]:
    """The object of one answer; ``outlines`` adds the credible regions' geometry, ``surface`` the probability of cells.

    The geometry is a GeoJSON MultiPolygon. What a Prediction does not have is left out.
    """
    written = to_object(answer)
    if isinstance(answer, Failure):
        return written
    if outlines:
        for row, region in zip(written.get("credible", ()), answer.credible, strict=True):
            if (polygons := outline(region)) is not None:
                row["geometry"] = {"type": "MultiPolygon", "coordinates": coordinates_of(polygons)}
    if surface and answer.posterior is not None:
        written["surface"] = surface_of(answer.posterior)
    return written
