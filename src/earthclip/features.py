"""Coordinates as features in scikit-learn: ``make_pipeline(LocationFeatures("geoclip"), LogisticRegression())``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from earthclip.datasets.columns import coordinate_columns, feature_names
from earthclip.errors import InputError, MissingExtraError, ModelError
from earthclip.geo.sphere import check_coordinates
from earthclip.models.config import LOCATION_ENCODER, LOCATION_PHASES
from earthclip.models.encoders import LocationEncoder
from earthclip.models.onnx_runtime import has_gpu
from earthclip.models.sources import resolve

try:
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise MissingExtraError("earthclip.features", "sklearn", "scikit-learn") from error


class LocationFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A model's location embeddings as a scikit-learn transformer: degrees ``[n, 2]`` to float32 unit rows ``[n, d]``.

    ``model`` is a source as ``earthclip.load`` takes it; ``batch_size`` how many rows are encoded at a time. The
    columns are latitude and longitude in this order, unless a DataFrame names them otherwise. The model is not
    trained; it is read at the first ``transform``, and neither copied by ``clone`` nor kept in pickles.
    """

    def __init__(self, model: str | Path = "orbit", batch_size: int = 4096) -> None:
        self.model = model
        self.batch_size = batch_size

    def fit(self, X: Any, y: object = None) -> LocationFeatures:  # noqa: N803
        """Check the coordinates, and that the model is on this machine; ``y`` is ignored.

        Raises InputError for invalid coordinates, ModelError when the model is not found.
        """
        if (
            isinstance(self.batch_size, bool)
            or not isinstance(self.batch_size, int | np.integer)
            or self.batch_size < 1
        ):
            raise InputError(f"batch_size is {self.batch_size!r}; expected a whole number of at least 1")
        X = validate_data(self, X, dtype=np.float64)  # noqa: N806
        self.latitude_column_ = _latitude_column(list(getattr(self, "feature_names_in_", [])))
        self._degrees(X)
        folder = resolve(self.model)
        folder.file(LOCATION_ENCODER)
        self.embedding_size_ = folder.config.embedding_size
        self._encoder = _LazyEncoder(self.model, self.embedding_size_)
        return self

    def transform(self, X: Any) -> Float32[np.ndarray, "n d"]:  # noqa: N803
        """The embeddings of coordinates. Raises InputError for invalid coordinates, ModelError for a missing model."""
        check_is_fitted(self)
        degrees = self._degrees(validate_data(self, X, dtype=np.float64, reset=False))
        features = np.empty((len(degrees), self.embedding_size_), np.float32)
        for start in range(0, len(degrees), self.batch_size):
            rows = slice(start, start + self.batch_size)
            features[rows] = self._encoder.encode_location(degrees[rows])
        return features

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """``feature_000``, ``feature_001``, ...; as ``earthclip embed`` names them."""
        check_is_fitted(self)
        return np.array(feature_names(self.embedding_size_), object)

    def _degrees(self, columns: Float64[np.ndarray, "n c"]) -> Float64[np.ndarray, "n 2"]:
        if columns.shape[1] != 2:
            raise InputError(f"expected 2 columns, latitude and longitude, found {columns.shape[1]}; select these two")
        return check_coordinates(columns[:, :: 1 if self.latitude_column_ == 0 else -1], "coordinates")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _latitude_column(names: list[str]) -> int:
    """Which of two columns is latitude: as they are named, else the first."""
    latitude, longitude = coordinate_columns(names, "coordinates")
    if latitude is not None:
        return latitude
    return 0 if longitude is None else 1 - longitude


class _LazyEncoder:
    """The location encoder of a source, read when first used; the graphs stay out of pickles and copies."""

    def __init__(self, source: str | Path, embedding_size: int) -> None:
        self._source, self._embedding_size = source, embedding_size
        self._encoder: LocationEncoder | None = None

    def encode_location(self, coordinates: Float64[np.ndarray, "n 2"]) -> Float32[np.ndarray, "n d"]:
        if self._encoder is None:
            self._encoder = self._load()
        return self._encoder.encode_location(coordinates)

    def _load(self) -> LocationEncoder:
        folder = resolve(self._source)
        width = folder.config.embedding_size
        if width != self._embedding_size:  # unpickled elsewhere, or the model has been replaced
            raise ModelError(
                f"{self._source}: the model gives {width} features, but gave {self._embedding_size} at fit; "
                "call fit again"
            )
        phases = folder.file(LOCATION_PHASES) if folder.has(LOCATION_PHASES) else None
        return LocationEncoder(phases, folder.file(LOCATION_ENCODER), width, gpu=has_gpu())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_encoder": None}
