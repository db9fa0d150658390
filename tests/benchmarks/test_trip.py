"""The benchmark of the made-up trip runs, and times find what pictures do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.trip import main


@pytest.mark.slow
def test_it_tells_each_way_of_finding_photos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--imagery", "bmng", "--photos", "40", "--hours", "6", "--json", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())
    assert list(found) == ["all", "of the phones", "of the camera, an hour off", "none near in time"]
    n, picture, neighbours, both, corrected = found["all"]
    assert 5 <= n <= 20 and max(neighbours, both, corrected) < picture / 4
    assert "picture alone" in capsys.readouterr().out
