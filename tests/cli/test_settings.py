"""What every command has: earthclip.toml, --quiet and --verbose, -o and --format, completion."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from earthclip.cli import main
from earthclip.cli.formats import FORMATS, format_of
from tests.tiny import write_picture, write_tiny_model


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a picture p.png and a model in tiny/."""
    monkeypatch.chdir(tmp_path)
    write_tiny_model(tmp_path / "tiny")
    write_picture(tmp_path / "p.png")
    return tmp_path


def locate(*arguments: str) -> int:
    return main(["locate", "p.png", *arguments])


class TestConfigurationFile:
    def test_it_says_what_the_command_line_does_not(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (here / "earthclip.toml").write_text('model = "./tiny"\nregion = "0,-180,90,180"\nprecision = "float32"\n')
        assert locate("--format", "jsonl") == 0
        captured = capsys.readouterr()
        answer = json.loads(captured.out)
        assert (answer["model"], answer["region"]) == ("tiny", "box 0,-180,90,180")
        assert captured.err.splitlines() == [
            "model: tiny (set in earthclip.toml; choose another with --model)",
            "region: box 0,-180,90,180 (set in earthclip.toml; choose another with --region)",
        ]
        assert locate("--format", "jsonl", "--model", "tiny", "--region", "-90,-180,0,180") == 0
        captured = capsys.readouterr()
        assert json.loads(captured.out)["region"] == "box -90,-180,0,180" and captured.err == "model: tiny\n"

    def test_the_command_line_wins(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (here / "earthclip.toml").write_text('precision = "bfloat16"\nruntime = "onnxruntime"\n')
        assert locate("--model", "tiny") == 2
        assert "ONNX Runtime does not support bfloat16" in capsys.readouterr().err
        assert locate("--model", "tiny", "--precision", "float32") == 0

    def test_a_fault_in_it_stops_the_command_but_not_its_help(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (here / "earthclip.toml").write_text('modle = "tiny"\n')
        assert locate() == 2
        expected = "error: earthclip.toml: unknown key 'modle', did you mean 'model'?\n"
        assert capsys.readouterr() == ("", expected)
        assert locate("--help") == 0
        assert main(["model", "list", "--help"]) == 0


class TestVerbosity:
    def test_quiet_leaves_warnings_and_errors(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert locate("-q", "--model", "tiny", "--format", "jsonl") == 0
        assert capsys.readouterr().err == ""
        write_tiny_model(Path("wary"), name="wary", caution="not for this")
        assert locate("gone.jpg", "--quiet", "--model", "wary", "-o", "x.csv") == 1
        caution, error = capsys.readouterr().err.splitlines()
        assert caution == "caution: not for this" and error.startswith("error: gone.jpg: ")
        assert main(["embed", "images", "p.png", "-q", "--model", "tiny", "-o", "x.npy"]) == 0
        assert main(["privacy", "strip", "p.png", "-q", "--out", "clean"]) == 0
        assert capsys.readouterr().err == ""

    def test_quiet_is_for_one_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert locate("-q", "--model", "tiny") == 0
        assert locate("--model", "tiny") == 0
        assert capsys.readouterr().err == "model: tiny\n"

    def test_no_progress_where_quiet(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        assert locate("-q", "--model", "tiny", "-o", "x.csv") == 0
        assert capsys.readouterr().err == ""
        assert locate("--model", "tiny", "-o", "y.csv") == 0
        assert "1 of 1" in capsys.readouterr().err

    def test_verbose_tells_what_runs(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert locate("-v", "--model", "tiny", "--runtime", "onnxruntime") == 0
        assert capsys.readouterr().err.splitlines() == [
            "model: tiny",
            "model folder: tiny",
            "image encoder: image_encoder.onnx, run by onnxruntime in float32",
        ]

    def test_the_first_line_says_which_model_and_why(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert locate() == 0
        first = capsys.readouterr().err.splitlines()[0]
        assert first == "model: orbit (the built-in default; choose another with --model)"


class TestOutput:
    def test_the_suffix_decides(self) -> None:
        for name in ("a.json", "a.jsonl", "a.CSV", "a.geojson", "a.kml", "a.parquet", "a", "a.txt"):
            assert locate("--model", "tiny", "-o", name) == 0
        assert isinstance(json.loads(Path("a.json").read_text()), list)
        assert json.loads(Path("a.jsonl").read_text())["path"] == "p.png"
        assert len(list(csv.DictReader(Path("a.CSV").read_text().splitlines()))) == 5
        assert json.loads(Path("a.geojson").read_text())["type"] == "FeatureCollection"
        assert "<kml" in Path("a.kml").read_text() and Path("a.parquet").read_bytes()[:4] == b"PAR1"
        assert Path("a").read_text().startswith("rank") and Path("a").read_text() == Path("a.txt").read_text()

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["-o", "a.json", "--format", "csv"], "-o a.json means --format json by its suffix, found --format csv."),
            (["-o", "a.csv", "--format", "table"], "-o a.csv means --format csv by its suffix, found --format table."),
            (["-o", "a.cvs"], "-o a.cvs: the suffix '.cvs' names no format; did you mean '.csv'?"),
            (["-o", "a.xyz"], "-o a.xyz: the suffix '.xyz' names no format; expected one of .json, .jsonl"),
            (["--format", "geoparquet"], "geoparquet is a binary format; name a file with -o FILE"),
            (["-o", "-", "--format", "geoparquet"], "geoparquet is a binary format; name a file with -o FILE"),
            (["-o", "-", "--resume"], "--resume needs -o FILE"),
        ],
    )
    def test_contradictions(self, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert locate("--model", "tiny", *arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.count("\n") == 1 and says in captured.err

    def test_a_format_for_other_suffixes(self) -> None:
        assert format_of(Path("a.txt"), "csv", FORMATS, "table") == "csv"
        assert format_of(Path("a.dat"), "csv", FORMATS, "table") == "csv"
        assert format_of(Path("a"), "kml", FORMATS, "table") == "kml"
        assert format_of(Path("a.csv"), "csv", FORMATS, "table") == "csv"
        assert format_of(None, None, FORMATS, "table") == "table"

    def test_a_dash_is_standard_output(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for form in ("table", "csv"):
            assert locate("--model", "tiny", "--format", form) == 0
            expected = capsys.readouterr()
            assert locate("--model", "tiny", "--format", form, "-o", "-") == 0
            assert capsys.readouterr() == expected
        assert sorted(path.name for path in here.iterdir()) == ["p.png", "tiny"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell: str) -> None:
    environment = os.environ | {"_EARTHCLIP_COMPLETE": f"{shell}_source"}
    program = "from earthclip.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert "_EARTHCLIP_COMPLETE" in done.stdout and "earthclip" in done.stdout
    for line, expected in (
        ("earthclip mo", "model"),
        ("earthclip model cali", "calibrate"),
        ("earthclip embed pl", "places"),
    ):
        environment |= {
            "_EARTHCLIP_COMPLETE": f"{shell}_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(line.count(" ")),
        }
        if shell == "fish":
            environment["COMP_CWORD"] = line.split()[-1]
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
        assert expected in done.stdout and done.stderr == ""
