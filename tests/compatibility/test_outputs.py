"""Output of today has every field that 0.1.0 wrote, of the same type, and the same places."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import shapely

import earthclip
from earthclip.cli import main
from tests.compatibility import reading
from tests.compatibility.reading import Fields, check_same_places, fields, fields_of_table, fields_of_xml, lost

EXAMPLES = Path(__file__).parents[2] / "examples"
EXACT = ["--runtime", "onnxruntime", "--precision", "float32"]
CALIBRATED = {"temperature": 0.8063, "conformal": {"0.5": 0.4171626176673113, "0.9": 0.9194468645308002}}  # by 0.1.0


def fields_of(path: Path) -> Fields:
    """Of a file in any of the formats."""
    if path.suffix == ".kml":
        return fields_of_xml(ET.parse(path).getroot())
    if path.suffix in (".geoparquet", ".parquet"):
        table = fields_of_table(pq.read_schema(path))
        about = pq.read_schema(path).metadata or {}
        return table | (fields(json.loads(about[b"geo"]), "geo") if b"geo" in about else {})
    if path.suffix == ".csv":
        return fields(reading.read_csv(path))
    if path.suffix == ".jsonl":
        return fields(reading.read_json_lines(path))
    return fields(json.loads(path.read_text(encoding="utf-8")))


@pytest.fixture
def orbit(tmp_path: Path) -> str:
    """The folder of the built-in model, with the calibration that it had in 0.1.0, and without a scope."""
    builtin = Path(earthclip.__file__).parent / "models" / "builtin" / "orbit"
    folder = Path(shutil.copytree(builtin, tmp_path / "orbit"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"temperature": CALIBRATED["temperature"], "calibration": {"conformal": CALIBRATED["conformal"]}}
    del config["scope"], config["files"]["scope.onnx"]
    (folder / "scope.onnx").unlink()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return str(folder)


def test_each_format_of_locate(old: Path, orbit: str) -> None:
    shutil.copytree(EXAMPLES, "examples")
    given = ["locate", "examples", "examples/none.jpg", "--model", orbit, *EXACT, "--top-k", "3"]
    for before in sorted(Path("outputs").glob("orbit.*")):
        now = Path("now", before.name)
        now.parent.mkdir(exist_ok=True)
        kind = before.suffix.removeprefix(".")
        assert main([*given, "--format", kind, "-o", str(now)]) == 1
        assert lost(fields_of(before), fields_of(now)) == {}, kind
    before, now = (json.loads(Path(folder, "orbit.json").read_text()) for folder in ("outputs", "now"))
    check_same_places(before, now)
    assert now == reading.read_json_lines(Path("now/orbit.jsonl"))
    rows, old_rows = (reading.read_csv(Path(folder, "orbit.csv")) for folder in ("now", "outputs"))
    for row, old_row in zip(rows, old_rows, strict=True):
        assert (row["path"], row["rank"], row["verdict"]) == (old_row["path"], old_row["rank"], old_row["verdict"])
    tables = [pq.read_table(Path(folder, "orbit.geoparquet")) for folder in ("outputs", "now")]
    shapes = [shapely.from_wkb(table.column("geometry").to_pylist()) for table in tables]
    assert shapely.equals(*shapes).sum() == len(shapes[0]) - shapely.is_missing(shapes[0]).sum()


def test_a_region_and_an_answer_that_is_abstained_from(old: Path, orbit: str) -> None:
    shutil.copytree(EXAMPLES, "examples")
    how = ["--region", "-60,-180,60,180", "--min-confidence", "0.99", "--format", "jsonl", "-o", "now.jsonl"]
    assert main(["locate", "examples", "--model", orbit, *EXACT, *how]) == 0
    before, now = reading.read_json_lines(Path("outputs/unsure.jsonl")), reading.read_json_lines(Path("now.jsonl"))
    assert lost(fields(before), fields(now)) == {}
    check_same_places(before, now)
    assert [answer.get("abstained") for answer in now] == [answer.get("abstained") for answer in before]


def test_what_photos_give_away(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["privacy", "check", "pictures/00.jpg", "pictures/01.jpg", "--model", "models/tiny", *EXACT]
    assert main([*given, "--format", "jsonl"]) == 0
    now = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    before = reading.read_json_lines(Path("outputs/privacy.jsonl"))
    assert lost(fields(before), fields(now)) == {}
    assert now[0]["metadata"]["positions"] == before[0]["metadata"]["positions"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_embedded_places(old: Path, kind: str) -> None:
    before, now = Path(f"outputs/embedded.{kind}"), Path(f"now.{kind}")
    assert (
        main(["embed", "places", "places.csv", "--model", "models/tiny", "--runtime", "onnxruntime", "-o", str(now)])
        == 0
    )
    assert lost(fields_of(before), fields_of(now)) == {}
    read = reading.read_csv if kind == "csv" else lambda path: pq.read_table(path).to_pylist()
    for row, expected in zip(read(now), read(before), strict=True):
        reading.check_close(row, expected)


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("evaluated", ["evaluate", "model", "models/tiny", "pictures.csv", "--images", "pictures"], 1),
        ("evaluated-table", ["evaluate", "--predictions", "pictures.csv", "--truth", "pictures.csv"], 0),
        ("checked", ["data", "check", "pictures.csv", "--images", "pictures"], 1),
    ],
)
def test_reports(old: Path, name: str, arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--format", "json"]) == code
    before, now = json.loads(Path(f"outputs/{name}.json").read_text()), json.loads(capsys.readouterr().out)
    for words in ("files", "examples"):  # their keys are faults in words
        before.pop(words, None)
    assert lost(fields(before), fields(now)) == {}
