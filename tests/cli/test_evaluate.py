from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from earthclip.cli import cli, main
from earthclip.errors import InputError
from earthclip.geo.sphere import great_circle_km
from earthclip.locating.locator import load
from tests.tiny import write_picture, write_tiny_model

IM2GPS3K = Path(__file__).parents[1] / "data" / "im2gps3k"
TABLES = ["table", str(IM2GPS3K / "isns_predictions.csv"), str(IM2GPS3K / "im2gps3k_coordinates.csv")]
OLD_TABLES = ["--predictions", TABLES[1], f"--truth={TABLES[2]}"]

KEYS = ["n", "accuracy", "median_km", "mean_km", "geoscore", "system", "dataset", "views", "intervals", "bootstrap"]
KEYS.insert(-1, "grouped")
KEYS += ["by_continent", "by_country", "warnings"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["evaluate", *arguments])


@pytest.mark.parametrize("arguments", [TABLES, OLD_TABLES, ["--seed", "0", *OLD_TABLES]])
def test_isns_as_json(arguments: list[str]) -> None:
    result = run(*arguments, "--format", "json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert list(report) == KEYS
    assert report["n"] == 2997
    shares = {km: round(100 * share, 1) for km, share in report["accuracy"].items()}
    assert shares == {"1": 10.5, "25": 28.0, "200": 36.6, "750": 49.7, "2500": 66.0}
    assert round(report["median_km"], 1) == 785.5
    assert round(report["mean_km"]) == 3223
    assert 0 < report["geoscore"] < 5000


def test_isns_as_table() -> None:
    lines = run(*TABLES).stdout.splitlines()
    assert lines[0].split() == ["pictures", "2,997", "95", "%", "interval", "by", "author"]
    assert lines[1].split() == ["within", "1", "km", "10.5", "%", "9.5-11.7", "8.4-12.8"]
    assert lines[6].split() == ["median", "785.5", "km", "669.2-906.8", "584.0-1,068"]
    assert lines[-1].startswith("The pictures are of 198 groups by author, the largest of 235. ")


@pytest.fixture
def views(tmp_path: Path) -> Path:
    """A table of four pictures beside its folder; the third is damaged."""
    (tmp_path / "images").mkdir()
    for seed in range(4):
        write_picture(tmp_path / "images" / f"p{seed}.png", seed)
    (tmp_path / "images" / "p2.png").write_bytes(b"\x89PNG")
    table = tmp_path / "manifest.csv"
    table.write_text("IMG_ID,LAT,LON\np0,0,1\np1,10,10\np2,5,5\np3,-20,120\n")
    return table


def test_a_model_on_a_manifest(tiny_model: Path, views: Path) -> None:
    result = run("model", str(tiny_model), str(views), "--format", "json", "--leaderboard")
    assert result.exit_code == 0, result.exception  # click's runner does not see the code that is returned
    report = json.loads(result.stdout)
    assert (report["n"], report["system"], report["dataset"]) == (3, "tiny", "manifest.csv")
    assert sum(b["n"] for b in report["calibration"]["curve"]) == 3
    places = list(load(tiny_model).locate([views.parent / "images" / f"p{i}.png" for i in (0, 1, 3)], top_k=1))
    errors = great_circle_km(np.array([[0, 1], [10, 10], [-20, 120]]), np.stack([p.coordinates[0] for p in places]))
    assert report["mean_km"] == pytest.approx(errors.mean())
    assert "p2.png" in result.stderr
    assert "warning: 1 of 4 pictures could not be read, e.g. " in result.stderr
    assert "warning: measured on 3 pictures, but Im2GPS3k has 2,997" in result.stderr


def test_pictures_that_could_not_be_read_end_with_1(tiny_model: Path, views: Path) -> None:
    assert main(["evaluate", "model", str(tiny_model), str(views)]) == 1
    (views.parent / "images" / "p2.png").unlink()
    write_picture(views.parent / "images" / "p2.png")
    assert main(["evaluate", "model", str(tiny_model), str(views)]) == 0


def test_two_models(tiny_model: Path, views: Path, tmp_path: Path) -> None:
    other = write_tiny_model(tmp_path / "other", name="other", seed=9)
    result = run("model", str(tiny_model), str(views), "--against", str(other), "--format", "json")
    comparison = json.loads(result.stdout)["comparison"]
    assert comparison["names"] == ["tiny", "other"]
    assert comparison["first"]["n"] == comparison["second"]["n"] == 3
    expected = comparison["first"]["mean_km"] - comparison["second"]["mean_km"]
    assert comparison["mean_km"] == pytest.approx(expected)
    assert "model: other" in result.stderr


def test_a_model_against_a_table(tiny_model: Path, views: Path, tmp_path: Path) -> None:
    table = tmp_path / "perfect.csv"
    table.write_text(views.read_text())
    result = run("model", str(tiny_model), str(views), "--against", str(table), "--format", "json")
    comparison = json.loads(result.stdout)["comparison"]
    assert comparison["second"]["mean_km"] == pytest.approx(0, abs=1e-9)
    assert comparison["mean_km"] > 0


def test_another_kind_of_data_set(tiny_model: Path, views: Path) -> None:
    views.rename(views.with_name("im2gps3k.csv"))
    result = run("model", str(tiny_model), f"im2gps3k:{views.parent}", "--format", "json")
    assert result.exit_code == 0, result.exception
    assert json.loads(result.stdout)["n"] == 3
    assert json.loads(result.stdout)["dataset"].startswith("im2gps3k:")


def test_against_itself_as_table_and_leaderboard() -> None:
    result = run(*TABLES, "--against", TABLES[1], "--leaderboard")
    text = result.stdout
    assert text.splitlines()[4].split()[:5] == ["within", "750", "km", "49.7", "%"]
    assert re.search(r"1 km +316 +0 +0 +2,681 +1$", text, re.MULTILINE)
    assert "+0.0 (+0.0 to +0.0)" in text
    assert re.search(r"^GeoRanker, 2025 +quoted +18.8 +45.1 +61.5 +76.3 +89.3 ", text, re.MULTILINE)
    assert re.search(r"^\S*isns_predictions.csv +measured here +10.5 \(8.4-12.8\) ", text, re.MULTILINE)
    assert "warning" not in result.stderr


@pytest.fixture
def few(tmp_path: Path) -> list[str]:
    """The first 20 pictures of Im2GPS3k and their answers."""
    truth = (IM2GPS3K / "im2gps3k_coordinates.csv").read_text().splitlines()[:21]
    answers = (IM2GPS3K / "isns_predictions.csv").read_text().splitlines()
    ids = {line.split(",")[0] for line in truth}
    (tmp_path / "truth.csv").write_text("\n".join(truth))
    (tmp_path / "isns.csv").write_text("\n".join(line for line in answers if line.split(",")[0] in ids))
    return ["table", str(tmp_path / "isns.csv"), str(tmp_path / "truth.csv")]


def test_html_and_pictures_are_written_once(few: list[str], tmp_path: Path) -> None:
    out, plots = tmp_path / "report.html", tmp_path / "plots"
    options = ["--format", "html", "-o", str(out), "--plots", str(plots)]
    result = run(*few, *options)
    assert result.exit_code == 0, result.exception
    assert result.stdout == ""
    assert out.read_text("utf-8").count("data:image/png;base64,") == 2
    assert sorted(path.name for path in plots.iterdir()) == ["error_curve.png", "error_map.png"]
    out.unlink()
    assert "error_curve.png: already exists" in str(run(*few, *options).exception)
    out.touch()
    assert "report.html: already exists" in str(run(*few, *options[:4]).exception)
    assert run(*few, *options, "--force").exit_code == 0


def test_markdown_links_its_pictures(few: list[str], tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    out = tmp_path / "docs" / "report.md"
    result = run(*few, "--format", "markdown", "-o", str(out), "--plots", str(tmp_path / "plots"))
    assert result.exit_code == 0, result.exception
    assert "(<../plots/error_map.png>)" in out.read_text("utf-8")
    assert re.search(r"\| pictures +\| +20 \|", out.read_text("utf-8"))


@pytest.mark.parametrize(
    ("name", "begins"), [("r.json", '{"'), ("r.MD", "# "), ("r.html", "<!"), ("r.txt", "pictures")]
)
def test_the_suffix_decides_the_format(few: list[str], tmp_path: Path, name: str, begins: str) -> None:
    result = run(*few, "-o", str(tmp_path / name))
    assert (result.exit_code, result.stdout) == (0, ""), result.exception
    assert (tmp_path / name).read_text("utf-8").startswith(begins)


def test_an_unknown_suffix_with_a_format_and_a_dash_for_stdout(few: list[str], tmp_path: Path) -> None:
    assert run(*few, "-o", str(tmp_path / "r.out"), "--format", "json").exit_code == 0
    assert json.loads((tmp_path / "r.out").read_text())["n"] == 20
    assert run(*few, "-o", "-", "--format", "json").stdout == (tmp_path / "r.out").read_text()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("r.html", ["--format", "json"], "r.html means --format html by its suffix, found --format json."),
        ("r.jsn", [], "r.jsn: the suffix '.jsn' names no format; did you mean '.json'?"),
    ],
)
def test_a_suffix_that_cannot_be_meant_is_refused(
    few: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, options: list[str], message: str
) -> None:
    assert main(["evaluate", *few, "-o", str(tmp_path / name), *options]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert (captured.err.count("\n"), captured.out) == (1, "")
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model", "orbit", "none.csv"], "none.csv: no such file"),
        (["model", "orbit", "nowhere"], "nowhere: no such data set; expected a folder of photos with GPS"),
        (["model", "--leaderboard", "orbit", "m.csv"], "unknown leaderboard 'orbit'; expected im2gps3k, yfcc4k"),
        ([*TABLES, "--against", "none.csv"], "none.csv: no such file"),
        (["model", "orbit", TABLES[2]], "2997 of 2997 pictures of im2gps3k_coordinates.csv"),
        (["model", "orbit", "m.csv", "--views", "flip"], "m.csv: no such file"),
        (["table", "none.csv", "t.csv"], "no such file"),
    ],
)
def test_what_cannot_be_evaluated_is_said_in_one_line(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--predictions", "p.csv"], "evaluate lacks --truth; type earthclip evaluate table PREDICTIONS TRUTH."),
        (["--truth", "t.csv"], "evaluate lacks --predictions; type earthclip evaluate table"),
        (["orbit"], "'earthclip evaluate MODEL DATASET' is now 'earthclip evaluate model MODEL DATASET'"),
        (["orbit", "m.csv"], "is now 'earthclip evaluate model MODEL DATASET'"),
        (["--images", ".", "orbit", "m.csv"], "is now 'earthclip evaluate model MODEL DATASET'"),
        (["modle", "orbit", "m.csv"], "no such command 'modle'; did you mean 'model'?"),
        (["model", "orbit"], "Missing argument 'DATASET'"),
        (
            ["model", "m", "d", "--predictions", "p"],
            "--predictions is now 'earthclip evaluate table PREDICTIONS TRUTH'",
        ),
        (["orbit", "--predictions", "p.csv", "--truth", "t.csv"], "unexpected extra argument (orbit)"),
        (["--views", "flip", "--predictions", "p.csv", "--truth", "t.csv"], "no such option '--views'"),
    ],
)
def test_wrong_combinations_say_what_to_type(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_quiet_leaves_out_which_model_it_was(tiny_model: Path, views: Path) -> None:
    assert "model: tiny" in run("model", str(tiny_model), str(views)).stderr
    quiet = run("model", str(tiny_model), str(views), "-q").stderr
    assert "model: tiny" not in quiet
    assert "p2.png" in quiet  # what could not be read is said all the same


def test_help_loads_nothing_heavy() -> None:
    assert run("model", "--help").exit_code == 0
    script = "import sys, earthclip.cli.evaluate; print(sorted({'numpy', 'onnxruntime', 'torch'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_missing_predictions_are_an_error_or_wrong_or_skipped(few: list[str], tmp_path: Path) -> None:
    answers = tmp_path / "short.csv"
    lines = Path(few[1]).read_text().splitlines()
    answers.write_text("\n".join([lines[0].replace("IMG_ID,LAT,LON", "filename,lat,lng"), *lines[1:-5]]))
    arguments = ["table", str(answers), few[2]]
    with pytest.raises(InputError, match=r"5 of 20 ids of truth.csv have no prediction in short.csv"):
        raise run(*arguments).exception or AssertionError
    told = "5 of 20 ids of truth.csv have no prediction in short.csv, e.g. '"
    whole = json.loads(run(*few, "--format", "json").stdout)
    reports = {}
    for missing in ("wrong", "skip"):
        result = run(*arguments, "--missing", missing, "--format", "json")
        assert result.exit_code == 0, result.exception
        reports[missing] = json.loads(result.stdout)
        assert f"warning: {told}" in result.stderr
        assert reports[missing]["warnings"][0].startswith(told)
    wrong, skipped = reports["wrong"], reports["skip"]
    assert (wrong["n"], skipped["n"], whole["n"]) == (20, 15, 20)
    assert wrong["warnings"][0].endswith("counted as wrong at every distance, 20,015 km off")
    assert skipped["warnings"][0].endswith("left out")
    for km, share in skipped["accuracy"].items():
        assert wrong["accuracy"][km] == pytest.approx(share * 15 / 20)
    assert wrong["geoscore"] == pytest.approx(skipped["geoscore"] * 15 / 20, abs=0.01)
    assert wrong["mean_km"] == pytest.approx((skipped["mean_km"] * 15 + 20015.1 * 5) / 20, rel=1e-5)
    text = run(*arguments, "--missing", "skip", "--format", "markdown").stdout
    assert "5 of 20 ids of truth.csv have no prediction in short.csv" in text


def test_of_two_tables_the_pictures_that_both_have(few: list[str], tmp_path: Path) -> None:
    lines = Path(few[1]).read_text().splitlines()
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text("\n".join(lines[:-2]))
    second.write_text("\n".join([lines[0], *lines[4:]]))
    result = run("table", str(first), few[2], "--against", str(second), "--missing", "skip", "--format", "json")
    report = json.loads(result.stdout)
    assert report["n"] == report["comparison"]["second"]["n"] == 15
    assert report["comparison"]["mean_km"] == pytest.approx(0)
    assert len(report["warnings"]) == 2
