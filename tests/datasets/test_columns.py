"""What columns are called, and numbers however they are written."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest

from earthclip.datasets.columns import Header, coordinate_columns, degrees, feature_names, numbers
from earthclip.errors import InputError


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("id,filename", "filename"),
        ("FileName,ID", "FileName"),
        ("id,image", "image"),
        ("id,path", "path"),
        ("id,IMG_ID,path", "IMG_ID"),
        ("IMG_ID,file", "file"),
        ("key,id", "id"),
        ("IMG_FILE,author", "IMG_FILE"),
    ],
)
def test_a_file_name_goes_before_an_id(header: str, name: str) -> None:
    found = Header("x", ["lat", "lon", *header.split(",")], named=True)
    assert found.name == found.columns.index(name)
    assert found.author == (3 if "author" in header else None)


def test_numbers_however_they_are_written() -> None:
    values: list[object] = ["1.5", " 1,5 ", 1.5, Decimal("1.5"), np.float32(1.5), "15e-1"]
    assert [degrees(value) for value in values] == [1.5] * 6
    for bad in (None, "", "x", True, "1_5", "1,000.5", "1.000,5", [1.5], 10**400, "1 5"):
        assert math.isnan(degrees(bad))
    assert numbers(["1,5", " 2.5"]).tolist() == [1.5, 2.5]
    with pytest.raises(ValueError, match="could not convert"):
        numbers(["1", "1_5"])


def test_coordinate_columns() -> None:
    assert coordinate_columns(["LON", "b", "Lat"], "x") == (2, 0)
    assert coordinate_columns(["a", "lng"], "x") == (None, 1)
    assert coordinate_columns([], "x") == (None, None)
    assert coordinate_columns(["latency", "longer", "slat"], "x") == (None, None)
    with pytest.raises(InputError, match="x: ambiguous columns lon, LONG; keep one"):
        coordinate_columns(["lon", "LONG"], "x")


def test_feature_names_sort_as_they_count() -> None:
    assert feature_names(2) == ["feature_000", "feature_001"]
    names = feature_names(1001)
    assert names[-1] == "feature_1000" and names == sorted(names)
