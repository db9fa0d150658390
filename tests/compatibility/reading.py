"""What files of answers say, in a form in which an old and a new one are compared."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

Fields = dict[str, set[str]]  # the kinds of value under each name, such as {".answers[].path": {"null", "text"}}

_KINDS = {type(None): "null", bool: "switch", int: "number", float: "number", str: "text", list: "list", dict: "object"}


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_csv(path: Path) -> list[dict[str, Any]]:
    """Rows with numbers as float and empty cells as None."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: _cell(text) for name, text in row.items()} for row in csv.DictReader(file)]


def fields(value: object, name: str = "") -> Fields:
    """Of a JSON document."""
    found: Fields = {name: {_KINDS[type(value)]}}
    inner: Iterable[tuple[str, object]] = ()
    if isinstance(value, dict):
        inner = ((f"{name}.{key}", item) for key, item in value.items())
    elif isinstance(value, list):
        inner = ((f"{name}[]", item) for item in value)
    for below, item in inner:
        for key, kinds in fields(item, below).items():
            found.setdefault(key, set()).update(kinds)
    return found


def fields_of_table(kind: pa.Schema | pa.DataType, name: str = "") -> Fields:
    """Of a Parquet table, with the types of its columns."""
    if isinstance(kind, pa.Schema) or pa.types.is_struct(kind):
        inner = [(f"{name}.{field.name}", field.type) for field in kind]
    elif pa.types.is_list(kind):
        inner = [(f"{name}[]", kind.value_type)]
    else:
        return {name: {str(kind)}}
    return {key: kinds for below, item in inner for key, kinds in fields_of_table(item, below).items()}


def fields_of_xml(element: ET.Element, name: str = "") -> Fields:
    """The elements of a KML document; of its data, each name."""
    name = f"{name}.{element.get('name', element.tag)}"
    found: Fields = {name: {element.tag}}
    for child in element:
        found |= fields_of_xml(child, name)
    return found


def lost(before: Fields, now: Fields) -> dict[str, tuple[set[str], set[str]]]:
    """What is no more, or has kinds of value that it did not have: the kinds before and now, by name."""
    pairs = {name: (kinds, now.get(name, set())) for name, kinds in before.items()}
    return {name: (kinds, found) for name, (kinds, found) in pairs.items() if not found or found - kinds}


def check_same_places(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> None:
    """The same pictures in the same order, with the same places and probabilities, whatever their names."""
    assert [answer["path"] for answer in now] == [answer["path"] for answer in before]
    for old, new in zip(before, now, strict=True):
        assert ("error" in new) == ("error" in old), new
        places, expected = (_places(answer.get("predictions", [])) for answer in (new, old))
        assert places.shape == expected.shape
        np.testing.assert_allclose(places[:, :2], expected[:, :2], atol=1e-5)
        np.testing.assert_allclose(places[:, 2], expected[:, 2], rtol=1e-3)


def check_close(row: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """The row has what is expected in each column; numbers may differ as other processors round."""
    for name, value in expected.items():
        assert row[name] == (pytest.approx(value, rel=1e-3, abs=1e-5) if isinstance(value, float) else value), name


def _places(rows: list[Mapping[str, Any]]) -> np.ndarray:
    names = ("latitude", "longitude", "probability")
    return np.array([[row[name] for name in names] for row in rows], np.float64).reshape(-1, 3)


def _cell(text: str) -> float | str | None:
    try:
        return float(text)
    except ValueError:
        return text or None
