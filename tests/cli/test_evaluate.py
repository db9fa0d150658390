from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner, Result

from earthclip.cli.evaluate import evaluate
from earthclip.errors import InputError

IM2GPS3K = Path(__file__).parents[1] / "data" / "im2gps3k"
TABLES = [
    "--predictions",
    str(IM2GPS3K / "isns_predictions.csv"),
    "--truth",
    str(IM2GPS3K / "im2gps3k_coordinates.csv"),
]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(evaluate, arguments)


def test_isns_as_json() -> None:
    result = run(*TABLES, "--format", "json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["n"] == 2997
    shares = {km: round(100 * share, 1) for km, share in report["accuracy"].items()}
    assert shares == {"1": 10.5, "25": 28.0, "200": 36.6, "750": 49.7, "2500": 66.0}
    assert round(report["median_km"], 1) == 785.5
    assert round(report["mean_km"]) == 3223
    assert 0 < report["geoscore"] < 5000


def test_isns_as_table() -> None:
    lines = run(*TABLES).stdout.splitlines()
    assert lines[0].split() == ["pictures", "2,997"]
    assert lines[1].split() == ["within", "1", "km", "10.5", "%"]
    assert lines[6].split() == ["median", "785.5", "km"]


def test_a_model_on_a_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jpg").touch()
    table = tmp_path / "manifest.csv"
    table.write_text("IMG_ID,LAT,LON\na,0,1\n")

    def load(source: str) -> SimpleNamespace:
        assert source == "some-model"
        answer = SimpleNamespace(coordinates=np.zeros((1, 2)))
        return SimpleNamespace(locate=lambda pictures, top_k: iter([answer for _ in pictures]))

    monkeypatch.setitem(sys.modules, "earthclip.locator", SimpleNamespace(load=load))
    result = run("some-model", str(table), "--images", str(tmp_path), "--format", "json")
    assert result.exit_code == 0, result.exception
    assert json.loads(result.stdout)["mean_km"] == pytest.approx(111.195, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "found neither; type earthclip evaluate MODEL MANIFEST --images DIR, or earthclip evaluate --predictions"),
        (["--predictions", "p.csv"], "evaluate lacks --truth; type earthclip evaluate --predictions P.csv --truth"),
        (["--truth", "t.csv"], "evaluate lacks --predictions; type"),
        (["orbit"], "evaluate lacks MANIFEST, --images; type earthclip evaluate MODEL MANIFEST --images DIR"),
        (["orbit", "m.csv"], "evaluate lacks --images; type"),
        (["--images", "."], "evaluate lacks MODEL, MANIFEST; type"),
        (["orbit", "--predictions", "p.csv", "--truth", "t.csv"], "found MODEL with --predictions; type"),
        (["--predictions", "none.csv", "--truth", "t.csv"], "no such file"),
    ],
)
def test_wrong_combinations_say_what_to_type(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)
    assert result.stdout == ""


def test_help_loads_nothing_heavy() -> None:
    assert run("--help").exit_code == 0
    script = "import sys, earthclip.cli.evaluate; print(sorted({'numpy', 'onnxruntime', 'torch'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
