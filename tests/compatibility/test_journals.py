"""What 0.1.0 left of ``locate -o`` when it was killed: gone on with, or refused in one line, and never overwritten."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from earthclip.cli import main
from tests.compatibility.reading import check_same_places, read_csv, read_json_lines

RUNS = {
    "places.csv": ["--format", "csv"],
    "exact.jsonl": ["--format", "jsonl", "--runtime", "onnxruntime", "--precision", "float32"],
}
KEPT = 16  # pictures that were answered, of 20
ROWS = 15 * 5 + 1  # of CSV that they have: five places each, and one line for the picture that cannot be read


@pytest.fixture(params=RUNS)
def output(request: pytest.FixtureRequest, old: Path) -> Path:
    """Where the killed run was to write; its journal is there."""
    Path("run").mkdir()
    shutil.copy(f"journals/{request.param}.partial", "run")
    return Path("run", request.param)


def locate(output: Path, *more: str) -> int:
    return main(["locate", "pictures", "--model", "models/tiny", *RUNS[output.name], "-o", str(output), *more])


def check_refused(output: Path, said: str) -> None:
    """One line that names the journal, which is as it was; nothing is written."""
    journal = Path("journals", f"{output.name}.partial").read_bytes()
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert f"{output}.partial" in line
    assert [path.name for path in output.parent.iterdir()] == [f"{output.name}.partial"]
    assert Path(f"{output}.partial").read_bytes() == journal


def test_it_is_gone_on_with_or_refused(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = locate(output, "--resume", "--workers", "0")
    if code == 2:
        check_refused(output, capsys.readouterr().err)
        return
    assert code == 1  # one picture cannot be read
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    if output.suffix == ".csv":
        now, whole = read_csv(output), read_csv(Path("journals", output.name))
        assert [{name: row[name] for name in whole[0]} for row in now[:ROWS]] == whole[:ROWS]
        assert [(row["path"], row["rank"]) for row in now] == [(row["path"], row["rank"]) for row in whole]
    else:
        answers, expected = read_json_lines(output), read_json_lines(Path("journals", output.name))
        for answer in [*answers, *expected]:
            answer.get("verdict", {}).pop("sentence", None)  # is written anew, in the words of today
        assert answers[:KEPT] == expected[:KEPT]
        check_same_places(expected, answers)


@pytest.mark.parametrize("more", [[], ["--resume", "--top-k", "3"], ["--resume", "--model", "models/full"]])
def test_it_is_never_overwritten(output: Path, more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert locate(output, *more) == 2
    check_refused(output, capsys.readouterr().err)


def test_a_finished_output_is_never_overwritten(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = Path("journals/places.csv")
    before = output.read_bytes()
    Path("journals/places.csv.partial").unlink()
    assert locate(output) == 2
    assert str(output) in capsys.readouterr().err and output.read_bytes() == before
