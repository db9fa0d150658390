"""The benchmark of the search runs and tells each of its measures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.search import main


def test_it_tells_reading_and_scoring(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--places", "500", "--width", "8", "--rounds", "1", "--json", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())
    assert list(found) == ["read", "queries 1", "queries 2", "queries 16"] and min(found.values()) > 0
    assert "queries 16" in capsys.readouterr().out
