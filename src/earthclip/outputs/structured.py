"""JSON and JSON Lines. The names of the keys are fixed: other people's programs read them."""

from __future__ import annotations

import json
from typing import Any, TextIO

import numpy as np

from earthclip.prediction import Failure, Prediction


def to_object(answer: Prediction | Failure) -> dict[str, Any]:
    """The answer as plain JSON values; degrees to 6 decimals (0.1 m), probabilities to 6 digits."""
    if isinstance(answer, Failure):
        return {"path": answer.path, "error": answer.error}
    return answer.asked | {
        "model": answer.model,
        "predictions": [
            {"latitude": latitude, "longitude": longitude, "probability": probability}
            for latitude, longitude, probability in rounded(answer)
        ],
    }


def from_object(values: dict[str, Any]) -> Prediction | Failure:
    """The answer that ``to_object`` made ``values`` of, without its posterior."""
    if "error" in values:
        return Failure(values["path"], values["error"])
    rows = values["predictions"]
    return Prediction(
        values["path"],
        values["model"],
        np.array([(row["latitude"], row["longitude"]) for row in rows], np.float64).reshape(-1, 2),
        np.array([row["probability"] for row in rows], np.float64),
        text=values.get("text"),
    )


def rounded(prediction: Prediction) -> list[tuple[float, float, float]]:
    """Rows of (latitude, longitude, probability), best first, without digits that mean nothing."""
    rows = zip(prediction.coordinates.tolist(), prediction.probabilities.tolist(), strict=True)
    return [
        (round(latitude, 6), round(longitude, 6), float(f"{probability:.6g}"))
        for (latitude, longitude), probability in rows
    ]


def dumps(value: object) -> str:
    """One line of valid JSON; readable letters, but escapes for file names that are not valid Unicode."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, allow_nan=False)
    return text


class JSONLinesWriter:
    """One object a line and picture."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, answer: Prediction | Failure) -> None:
        """Write one line."""
        self._stream.write(dumps(to_object(answer)) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing is left to write."""


class JSONWriter:
    """One array with an object for each picture."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._before = "[\n"

    def write(self, answer: Prediction | Failure) -> None:
        """Write one element."""
        self._stream.write(self._before + dumps(to_object(answer)))
        self._stream.flush()
        self._before = ",\n"

    def close(self) -> None:
        """Close the array."""
        self._stream.write("[]\n" if self._before == "[\n" else "\n]\n")
        self._stream.flush()
