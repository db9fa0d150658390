"""The speed benchmark works: on the built-in model alone, since its figures say nothing at this size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SPEED = Path(__file__).parents[2] / "benchmarks" / "speed.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SPEED), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_quick_run_fills_the_table(tmp_path):
    to_json, markdown = tmp_path / "speed.json", tmp_path / "speed.md"
    done = run("--quick", "--json", str(to_json), "--markdown", str(markdown))
    assert done.returncode == 0, done.stderr
    assert done.stdout == markdown.read_text(encoding="utf-8")
    found = json.loads(to_json.read_text(encoding="utf-8"))
    assert found["machine"]["cores"] > 0 and found["runs"] == 1
    rows = {row["what"]: row for row in found["rows"]}
    expected = (
        "one 640 x 640 JPEG, warm",
        "folder of",
        "exact query of 20,000",
        "`earthclip locate` of one",
        "2,000 places",
    )
    for start in expected:
        named = [row for what, row in rows.items() if what.startswith(start)]
        assert named and all(row["ours"]["median"] > 0 for row in named if not row["note"]), start
    # Where a way of running is missing, the row says so; the way every install has may not be.
    assert not any(row["note"] for what, row in rows.items() if what.endswith("onnxruntime float32"))


def test_an_unknown_part_is_refused():
    done = run("--only", "warm,fodler")
    assert done.returncode == 2
    assert "unknown part 'fodler', expected of floor, choices, warm, folder" in done.stderr
