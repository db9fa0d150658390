"""What ``earthclip locate`` makes beside its answers, and what decides them: regions, priors, confidence."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from earthclip.cli import main
from earthclip.cli.options import PRIORS
from earthclip.errors import OutputError
from earthclip.locating.posterior import Prior
from tests.tiny import write_picture


def locate(*arguments: str | Path) -> int:
    return main(["locate", *map(str, arguments)])


def test_the_command_line_offers_every_prior() -> None:
    assert get_args(Prior) == PRIORS


def test_regions_join(tiny_model: Path, picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    how = ["--model", tiny_model, "--format", "jsonl", "--top-k", "50"]
    assert locate(picture, *how, "--region", "-90,-180,90,-90", "--region", "-90,90,90,180") == 0
    answer = json.loads(capsys.readouterr().out)
    longitudes = np.array([row["longitude"] for row in answer["predictions"]])
    assert len(longitudes) and (np.abs(longitudes) >= 90).all()
    assert answer["region"] == "box -90,-180,90,-90 or box -90,90,90,180" and 0 < answer["region_share"] < 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--region", "Atlantis"], "Atlantis"),
        (["--region", "0,0,0.001"], "holds none of the 50 places"),
        (["--region", "nope.geojson"], "no such file"),
        (["--min-confidence", "2"], "--min-confidence is 2.0"),
        (["--map", "out.pdf"], "ends in .html or .png"),
        (["--map", "out.html", "--resume", "-o", "x"], "maps show the answers of one whole run"),
        (["--heatmap", "out.tif", "--resume", "-o", "x"], "maps show the answers of one whole run"),
        (["--heatmap", "out.jpg"], "ends in .tif or .png"),
        (["--heatmap", "out.tif", "--heatmap-width", "44722"], "choose a width of up to 31,622"),
        (["--heatmap", "out.tif", "--region", "0,0,0.001"], "holds none of the 50 places"),
        (["--heatmap-width", "360"], "--heatmap-width is about a heat map"),
        (["--heatmap", "out.png", "--heatmap", "out.png"], "two maps have this name"),
        (["--heatmap", "out.png", "--map", "out.png"], "two maps have this name"),
        (["--format", "geoparquet"], "name a file with -o FILE"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    tiny_model: Path,
    picture: Path,
    arguments: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate(picture, "--model", tiny_model, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1 and says in captured.err
    assert captured.out == "" and sorted(path.name for path in tmp_path.iterdir()) == [picture.name]


def test_a_text_has_no_sidecar(capsys: pytest.CaptureFixture[str]) -> None:
    assert locate("--text", "snow", "--write-sidecar") == 2
    assert "is about pictures" in capsys.readouterr().err


def test_maps_of_one_and_of_many(
    tiny_model: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, drawing = tmp_path / "out.html", tmp_path / "out.png"
    assert locate(picture, tmp_path / "nope.jpg", "--model", tiny_model, "--map", page) == 1
    (embedded,) = re.findall(r'id="earthclip-answers">(.*?)</script>', page.read_text(), re.S)
    first, second = json.loads(embedded)["answers"]
    assert first["surface"]["images"] and second["error"]
    capsys.readouterr()
    assert locate(picture, "--model", tiny_model, "--map", page, "--map", drawing) == 2
    assert "out.html" in capsys.readouterr().err and not drawing.exists()
    assert locate(picture, "--model", tiny_model, "--map", page, "--map", drawing, "--force") == 0
    with Image.open(drawing) as image:
        assert image.size == (1820, 1118)
    capsys.readouterr()
    assert locate(picture, picture, "--model", tiny_model, "--map", tmp_path / "two.png") == 2
    assert "shows one picture" in capsys.readouterr().err


def test_a_heat_map_of_a_picture_and_of_words(
    tiny_model: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rasterio = pytest.importorskip("rasterio")
    words = Path(__file__).parents[1] / "compatibility/data/0.1.0/models/full"
    pytest.importorskip("tokenizers")
    for asked, model in ((str(picture), tiny_model), ("--text=sea", words)):
        out = tmp_path / "out.tif"
        how: list[str | Path] = ["--model", model, "--heatmap", out, "--heatmap-width", "360", "--force"]
        assert locate(asked, *how, "--heatmap", tmp_path / "out.png") == 0, capsys.readouterr().err
        assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
        with rasterio.open(out) as file:
            assert file.read(1).sum(dtype=float) == pytest.approx(1, abs=0.01)
    assert locate("--text=sea", "--text=snow", "--model", words, "--heatmap", tmp_path / "two.tif") == 2
    assert "--heatmap shows one picture or text" in capsys.readouterr().err
    assert not (tmp_path / "two.tif").exists()


def test_paths_are_given_in_full_where_asked(
    tiny_model: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ([], ["--full-paths"]):
        out = tmp_path / "out.geojson"
        assert locate(picture, "--model", tiny_model, "-o", out, "--map", tmp_path / "a.html", "--force", *more) == 0
        for written in (out, tmp_path / "a.html"):
            assert (str(picture) in written.read_text()) == bool(more) and picture.name in written.read_text()
    capsys.readouterr()
    assert locate(picture, "--model", tiny_model, "-o", tmp_path / "b.geojson") == 0
    assert locate(picture, "--model", tiny_model, "-o", tmp_path / "b.geojson", "--resume") == 0
    assert "is complete: 1 answers; nothing is left to do" in capsys.readouterr().err


def test_sidecars_stand_beside_photos_and_replace_none(
    tiny_model: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = picture.read_bytes()
    sidecar = picture.with_name(f"{picture.name}.xmp")
    how: list[str | Path] = [picture, "--model", tiny_model, "--write-sidecar"]
    assert locate(*how) == 0
    says = "sidecars: 0 written, 1 not: no region stands out (1); --all-sidecars writes one"
    assert says in capsys.readouterr().err and not sidecar.exists()
    assert locate(*how, "--all-sidecars", "--min-confidence", "1") == 0
    assert "1 not: the answer abstains (1)\n" in capsys.readouterr().err and not sidecar.exists()
    how.append("--all-sidecars")
    assert locate(*how) == 0
    written = sidecar.read_bytes()
    assert b"exif:GPSLatitude" in written and picture.read_bytes() == before
    capsys.readouterr()
    assert locate(*how) == 1
    captured = capsys.readouterr()
    assert "rank" in captured.out and f"error: {sidecar}: holds a position already" in captured.err
    sidecar.write_bytes(written + b"<!-- edits -->")
    assert locate(*how, "--force") == 0
    assert sidecar.read_bytes().endswith(b"<!-- edits -->")
    assert sidecar.with_name(f"{sidecar.name}.before-earthclip").read_bytes() == written + b"<!-- edits -->"
    sidecar.write_bytes(b"no XMP")
    assert locate(*how, "--force") == 1
    assert "not XMP" in capsys.readouterr().err and sidecar.read_bytes() == b"no XMP"
    sidecar.write_bytes(written)
    assert locate(*how, "--force") == 0
    assert locate(picture, "--model", tiny_model, "--all-sidecars") == 2


def test_a_journal_keeps_what_regions_and_maps_need(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(3):
        write_picture(folder / f"{seed}.png", seed=seed)
    how: list[str | Path] = [folder, "--model", tiny_model, "--format", "kml", "-o", tmp_path / "out.kml"]
    assert locate(*how, "--region", "-90,-180,90,0") == 0
    text = (tmp_path / "out.kml").read_text()
    assert text.count("<Folder>") == 3 and "<Polygon>" in text
    area = tmp_path / "area.geojson"
    for west in (-180, -90):  # another area under the same name is another question
        ring = [[west, -90], [0, -90], [0, 90], [west, 90], [west, -90]]
        area.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
        if west == -180:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("earthclip.outputs.journal.open_writer", _full_disk)
                assert locate(*how, "--force", "--region", area) == 2
    capsys.readouterr()
    assert locate(*how, "--force", "--resume", "--region", area) == 2
    assert "holds a run with region area.geojson" in capsys.readouterr().err


def _full_disk(*_: object, **__: object) -> None:
    raise OutputError("no room")


@pytest.mark.parametrize(
    "arguments",
    [
        ["locate", "one.png", "-o", "one.png", "--format", "csv"],
        ["locate", "one.png", "--map", "one.png"],
        ["locate", "one.png", "--heatmap", "one.png"],
        ["locate", ".", "--map", "./link.png"],
        ["locate", "--list", "lst.csv", "-o", "lst.csv"],
        ["locate", "one.png", "--region", "reg.geojson", "-o", "reg.geojson"],
        ["locate", "one.png", "--index", "index", "-o", "index/index.json"],
        ["embed", "places", "lst.csv", "-o", "lst.csv"],
        ["embed", "images", "--list", "a.npy.csv", "-o", "a.npy"],
        ["evaluate", "table", "lst.csv", "a.npy.csv", "-o", "lst.csv", "--format", "json"],
        ["evaluate", "model", "tiny", "lst.csv", "--index", "index", "-o", "index/index.json"],
    ],
    ids=" ".join,
)
def test_no_output_replaces_an_input(
    tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_picture(tmp_path / "one.png")
    (tmp_path / "link.png").symlink_to("one.png")
    (tmp_path / "index").mkdir()
    box = '{"type": "Polygon", "coordinates": [[[5, 45], [9, 45], [9, 48], [5, 48], [5, 45]]]}'
    texts = {"lst.csv": "one.png\n", "a.npy.csv": "one.png\n", "reg.geojson": box, "index/index.json": "{}"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main([*arguments, "--force"]) == 2
    error = capsys.readouterr().err
    assert "is an input of this command" in error and error.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
