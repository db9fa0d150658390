from __future__ import annotations

import importlib
import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from earthclip.errors import InputError, MissingExtraError, ModelError
from earthclip.features import LocationFeatures
from earthclip.locating.locator import load
from earthclip.models import sources
from tests.tiny import WIDTH, write_tiny_model

PLACES = np.random.default_rng(0).uniform((-90, -180), (90, 180), (20, 2))
NAMES = [f"feature_00{i}" for i in range(WIDTH)]

# The checks of scikit-learn that cannot pass, as coordinates are two columns and latitudes end at 90 degrees.
COLUMNS = "feeds other than two columns"
LATITUDES = "feeds impossible latitudes"
EXPECTED_FAILED_CHECKS = {
    "check_dict_unchanged": COLUMNS,
    "check_dont_overwrite_parameters": COLUMNS,
    "check_dtype_object": COLUMNS,
    "check_estimators_dtypes": COLUMNS,
    "check_estimators_nan_inf": COLUMNS,
    "check_estimators_pickle": COLUMNS,
    "check_f_contiguous_array_estimator": COLUMNS,
    "check_fit2d_1feature": COLUMNS,
    "check_fit2d_1sample": COLUMNS,
    "check_fit2d_predict1d": COLUMNS,
    "check_fit_score_takes_y": COLUMNS,
    "check_methods_sample_order_invariance": COLUMNS,
    "check_methods_subset_invariance": COLUMNS,
    "check_n_features_in_after_fitting": COLUMNS,
    "check_pipeline_consistency": COLUMNS,
    "check_positive_only_tag_during_fit": COLUMNS,
    "check_transformer_data_not_an_array": COLUMNS,
    "check_transformer_general": COLUMNS,
    "check_transformer_preserve_dtypes": COLUMNS,
    "check_fit_check_is_fitted": LATITUDES,
    "check_fit_idempotent": LATITUDES,
    "check_n_features_in": LATITUDES,
}
SAYS = {COLUMNS: "expected 2 columns", LATITUDES: "latitudes must lie in"}


class FoldedFeatures(LocationFeatures):
    """LocationFeatures but for the rule of two columns in degrees, so that those checks can be run as well."""

    def _degrees(self, columns: np.ndarray) -> np.ndarray:
        return super()._degrees(80 * np.sin(np.pad(columns, ((0, 0), (0, 1)))[:, :2]))


def names_of(results: list[dict[str, Any]], status: str) -> set[str]:
    return {result["check_name"] for result in results if result["status"] == status}


def test_scikit_learns_own_checks(tiny_model: Path) -> None:
    results = check_estimator(
        LocationFeatures(str(tiny_model)), on_skip=None, expected_failed_checks=EXPECTED_FAILED_CHECKS
    )
    assert names_of(results, "failed") == set() and len(names_of(results, "passed")) > 15
    assert names_of(results, "passed") & EXPECTED_FAILED_CHECKS.keys() == set()  # or the list is too long
    for result in results:
        if result["status"] == "xfail":
            error = result["exception"]
            reason = SAYS[EXPECTED_FAILED_CHECKS[result["check_name"]]]
            assert reason in str(error) or isinstance(error.__cause__, InputError), result["check_name"]


def test_all_checks_pass_but_for_the_rule_of_two_columns(tiny_model: Path) -> None:
    results = check_estimator(FoldedFeatures(str(tiny_model)), on_skip=None)
    assert names_of(results, "passed") >= EXPECTED_FAILED_CHECKS.keys() and names_of(results, "failed") == set()


def test_features_are_the_models_embeddings(tiny_model: Path) -> None:
    expected = load(tiny_model).encode_location(PLACES)
    found = LocationFeatures(tiny_model, batch_size=7).fit_transform(PLACES)
    assert found.dtype == np.float32 and found.shape == (20, WIDTH)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_orbit_is_the_default() -> None:
    features = LocationFeatures().fit(PLACES)
    np.testing.assert_allclose(features.transform(PLACES), load("orbit").encode_location(PLACES), atol=1e-6)
    assert len(features.get_feature_names_out()) == 256


@pytest.mark.parametrize(
    ("names", "latitude"),
    [
        (["lat", "lon"], 0),
        (["lon", "lat"], 1),
        (["Longitude", "LATITUDE"], 1),
        (["lng", "y"], 1),
        (["x", "lat"], 1),
        (["a", "b"], 0),
    ],
)
def test_columns_go_by_their_names(tiny_model: Path, names: list[str], latitude: int) -> None:
    frame = pd.DataFrame(PLACES if latitude == 0 else PLACES[:, ::-1], columns=names)
    features = LocationFeatures(tiny_model).fit(frame)
    assert list(features.feature_names_in_) == names and features.latitude_column_ == latitude
    np.testing.assert_allclose(features.transform(frame), load(tiny_model).encode_location(PLACES), atol=1e-6)
    with pytest.raises(ValueError, match="feature names should match"):
        features.transform(frame[names[::-1]])


def test_longitudes_from_0_to_360(tiny_model: Path) -> None:
    features = LocationFeatures(tiny_model).fit([[0.0, 0.0]])
    np.testing.assert_array_equal(
        features.transform([[10, 350], [20, 180]]), features.transform([[10, -10], [20, -180]])
    )


def test_names_and_pandas(tiny_model: Path) -> None:
    frame = pd.DataFrame(PLACES, columns=["lat", "lon"], index=np.arange(100, 120))
    features = LocationFeatures(tiny_model).set_output(transform="pandas")
    found = features.fit_transform(frame)
    assert list(found.columns) == list(features.get_feature_names_out()) == NAMES
    assert found.index.equals(frame.index) and (found.dtypes == np.float32).all()


def test_column_transformer_in_a_pipeline(tiny_model: Path) -> None:
    frame = pd.DataFrame({"price": np.arange(20.0), "lng": PLACES[:, 1], "lat": PLACES[:, 0]})
    columns = ColumnTransformer(
        [("geo", LocationFeatures(tiny_model), ["lng", "lat"]), ("scale", StandardScaler(), ["price"])]
    )
    pipeline = make_pipeline(columns, LogisticRegression())
    north = frame["lat"] > 0
    assert pipeline.fit(frame, north).score(frame, north) > 0.5
    assert list(columns.get_feature_names_out()) == [*(f"geo__{name}" for name in NAMES), "scale__price"]
    expected = load(tiny_model).encode_location(PLACES)
    np.testing.assert_allclose(columns.transform(frame)[:, :WIDTH], expected, atol=1e-6)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was opened by encoders since the test began."""
    opened: list[object] = []
    whole = importlib.import_module("earthclip.features").LocationEncoder

    def counted(*arguments: object, **how: object) -> object:
        opened.append(arguments)
        return whole(*arguments, **how)

    monkeypatch.setattr("earthclip.features.LocationEncoder", counted)
    return opened


def test_the_model_is_loaded_at_the_first_transform_only(tiny_model: Path, loaded: list[object]) -> None:
    features = LocationFeatures(tiny_model)
    assert clone(features).get_params() == {"model": tiny_model, "batch_size": 4096}
    features.fit(PLACES).get_feature_names_out()
    assert loaded == []
    first = features.transform(PLACES)
    features.transform(PLACES)
    assert len(loaded) == 1
    pickled = pickle.dumps(features)
    assert len(pickled) < 2000
    again = pickle.loads(pickled)
    clone(again)
    assert len(loaded) == 1
    np.testing.assert_array_equal(again.transform(PLACES), first)
    assert len(loaded) == 2


def test_nothing_is_looked_for_before_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "resolve", None)
    assert repr(clone(LocationFeatures("no such model"))) == "LocationFeatures(model='no such model')"


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (
            [[1.0, 2.0], [139.7, 35.7]],
            r"^coordinates, row 1 \(counted from 0\): .*are latitude and longitude swapped\?",
        ),
        ([[1.0, 360.0]], "longitudes must lie in"),
        ([[1.0, 2.0, 3.0]], "expected 2 columns, latitude and longitude, found 3; select these two"),
    ],
)
def test_what_are_not_coordinates(tiny_model: Path, places: list[list[float]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LocationFeatures(tiny_model).fit(places)
    if len(places[0]) == 2:
        with pytest.raises(InputError, match=message):
            LocationFeatures(tiny_model).fit(PLACES).transform(places)


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "many"])
def test_impossible_batch_sizes(tiny_model: Path, size: Any) -> None:
    with pytest.raises(InputError, match=f"batch_size is {size!r}; expected a whole number of at least 1"):
        LocationFeatures(tiny_model, batch_size=size).fit(PLACES)


def test_faults_of_models(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="did you mean 'orbit'"):
        LocationFeatures("obrit").fit(PLACES)
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    features = LocationFeatures(model).fit(PLACES)
    shutil.rmtree(model)
    with pytest.raises(ModelError, match="found nothing"):
        features.transform(PLACES)
    write_tiny_model(model, width=4)
    with pytest.raises(ModelError, match="the model gives 4 features, but gave 8 at fit; call fit again"):
        features.transform(PLACES)
    assert features.fit(PLACES).transform(PLACES).shape == (20, 4)


def test_scikit_learn_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "earthclip.features")
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    with pytest.raises(MissingExtraError, match=r"earthclip.features needs scikit-learn.*'earthclip\[sklearn\]'"):
        importlib.import_module("earthclip.features")
