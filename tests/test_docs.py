"""The README's Python runs as printed, and its commands stand where CI looks for them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from earthclip.cli import main
from earthclip.geo.sphere import great_circle_km
from tests.tutorials import in_a_folder, same

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_python_examples_run(code, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    exec(compile(code, "README.md", "exec"), {})
    assert "examples/red-sea.jpg" in capsys.readouterr().out


@pytest.mark.parametrize("heading", ["## Locate a picture", "## Run the tests"])
def test_the_two_commands_are_one_line_each(heading):
    block = re.search(rf"^{heading}\n```\n(.*?)```", README, re.DOTALL | re.MULTILINE)
    assert block is not None
    assert block[1].count("\n") == 1


def test_every_command_named_exists():
    for command in set(re.findall(r"`earthclip (\w+)", README)):
        done = subprocess.run([sys.executable, "-m", "earthclip", command, "--help"], capture_output=True, check=False)
        assert done.returncode == 0, command


def test_the_examples_are_located_where_they_are(capsys):
    truths = re.findall(r"`(\S+\.jpg)` \| ([-\d.]+), ([-\d.]+)", (ROOT / "examples" / "README.md").read_text())
    for name, latitude, longitude in truths:
        assert main(["locate", str(ROOT / "examples" / name), "--format", "jsonl", "--top-k", "1"]) == 0
        best = json.loads(capsys.readouterr().out)["predictions"][0]
        truth = [[float(latitude), float(longitude)]]
        found = [[best["latitude"], best["longitude"]]]
        assert great_circle_km(np.array(truth), np.array(found))[0] < 200, name


@pytest.mark.parametrize("name", ["outputs", "regions"])
def test_python_of_the_guides_runs(name: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert "```python" in text and not in_a_folder(tmp_path, text)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["journalist", "data_scientist", "ml_engineer"])
def test_tutorials_show_what_they_print(name: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "tutorials" / f"{name}.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    for where, got in in_a_folder(tmp_path, text):
        assert same(text[where], got), got


@pytest.mark.parametrize(
    ("shown", "got", "equal"),
    [
        ("guess 1 (96 %)", "guess  1 (95 %)", True),
        ("guess 1 (96 %)", "guess 1 (50 %)", False),
        ("a\n...\nz", "a\nb\nc\nz", True),
        ("a\n...\nz", "b\nz", False),
        ("19.3 % ██ near", "19.2 % ███ near", True),
        ("in Egypt", "in Sudan", False),
    ],
)
def test_what_counts_as_the_same_output(shown: str, got: str, equal: bool) -> None:
    assert same(shown, got) == equal
