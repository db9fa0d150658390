"""``earthclip locate``: what it prints where, what it exits with, what it does to the user's files."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from earthclip.cli import main
from earthclip.models.config import Scope
from earthclip.pictures.finding import find_pictures
from tests.tiny import write_picture, write_tiny_model


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "sub" / "deep").mkdir(parents=True)
    for i, name in enumerate(["b.png", "a.PNG", "sub/c.jpg", "sub/deep/d.tiff", ".hidden.png"]):
        write_picture(folder / name, seed=i)
    (folder / "notes.txt").write_text("not a picture")
    return folder


def locate(*arguments: str | Path) -> int:
    return main(["locate", *map(str, arguments)])


def test_one_picture(tiny_model: Path, picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert locate(picture, "--model", tiny_model) == 0
    captured = capsys.readouterr()
    assert captured.err == "model: tiny\n"
    lines = captured.out.splitlines()
    assert lines[0].split() == ["rank", "latitude", "longitude", "probability", "place"]
    assert lines[1] == str(picture)
    assert [line.split()[0] for line in lines[2:] if line[:4].strip()] == list("12345")
    assert "of guess 1" in captured.out and "90 % region: " in captured.out


def test_a_folder_is_searched_in_order(tiny_model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert locate(pictures, "--model", tiny_model, "--format", "jsonl", "--top-k", "1") == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = [str(Path(answer["path"]).relative_to(pictures)) for answer in answers]
    assert names == ["a.PNG", "b.png", "sub/c.jpg", "sub/deep/d.tiff"]
    assert all(answer["model"] == "tiny" and len(answer["predictions"]) == 1 for answer in answers)


def test_some_of_many_failed(tiny_model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pictures / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a JPEG")
    (pictures / "empty").mkdir()
    given = [pictures / "nope.jpg", pictures, pictures / "empty"]
    assert locate(*given, "--model", tiny_model, "--format", "json") == 1
    captured = capsys.readouterr()
    answers = json.loads(captured.out)
    failed = {Path(answer["path"]).name for answer in answers if "error" in answer}
    assert failed == {"nope.jpg", "bad.jpg", "empty"} and len(answers) == 7
    lines = captured.err.splitlines()
    assert lines[1] == "skipped 1 file that is not a picture"
    assert len(lines) == 5 and all(line.startswith(f"error: {pictures}") for line in lines[2:])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nope.jpg", "no such file"),
        ("void.jpg", "empty (0 bytes)"),
        ("text.jpg", "not a picture"),
        ("cut.png", "damaged or cut short"),
        ("folder", "a folder without pictures"),
    ],
)
def test_the_only_picture_is_bad(
    tiny_model: Path, tmp_path: Path, picture: Path, name: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "void.jpg").touch()
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "cut.png").write_bytes(picture.read_bytes()[:-300])
    (tmp_path / "folder").mkdir()
    assert locate(tmp_path / name, "--model", tiny_model, "-o", tmp_path / "out.txt") == 2
    captured = capsys.readouterr()
    assert captured.out == "" and not (tmp_path / "out.txt").exists()
    model, error = captured.err.splitlines()
    assert model == "model: tiny" and error.startswith(f"error: {tmp_path / name}: ") and says in error


def test_all_failed_still_tells_programs(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert locate(tmp_path / "a", tmp_path / "b", "--model", tiny_model, "--format", "jsonl") == 2
    assert [list(json.loads(line)) for line in capsys.readouterr().out.splitlines()] == [["path", "error"]] * 2


def test_caution_is_said_once(tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_tiny_model(tmp_path / "model", name="orbit", caution="for pictures from above")
    assert locate(pictures, "--model", model) == 0
    table, said = capsys.readouterr()
    assert said.splitlines() == ["model: orbit", "skipped 1 file that is not a picture"]
    assert table.splitlines()[0] == "caution: for pictures from above" and table.count("caution: ") == 1
    assert locate(pictures, "--model", model, "--format", "jsonl") == 0
    rows, said = capsys.readouterr()
    assert said.splitlines()[1] == "caution: for pictures from above"
    assert all(json.loads(row)["warnings"][0]["kind"] == "model" for row in rows.splitlines())


@pytest.mark.parametrize("k", [0, 51])
def test_top_k_out_of_range(tiny_model: Path, picture: Path, k: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert locate(picture, "--model", tiny_model, "--top-k", str(k)) == 2
    assert capsys.readouterr().err == f"error: --top-k is {k}; expected 1 to 50, the number of places the model knows\n"


def test_broken_model_folder(
    tiny_model: Path, tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (model / "image_encoder.onnx").unlink()
    assert locate(picture, "--model", model) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "image_encoder.onnx: missing from the model" in error


def test_output_file(tiny_model: Path, tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "answers.csv"
    arguments: list[str | Path] = [pictures, "--model", tiny_model, "--format", "csv", "-o", out]
    assert locate(*arguments) == 0
    assert capsys.readouterr().out == ""
    first = out.read_bytes()
    assert len(list(csv.DictReader(first.decode().splitlines()))) == 20
    assert locate(*arguments) == 2
    assert "already exists" in capsys.readouterr().err
    out.write_text("old")
    assert locate(*arguments, "--force") == 0
    assert out.read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.csv", "pictures"]


def test_output_is_checked_before_the_work(tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "there.csv").touch()
    for output, says in (
        (tmp_path / "there.csv", "already exists"),
        (tmp_path / "nofolder" / "x.csv", "cannot be written"),
        (tmp_path, "found a folder"),
        (Path("/dev/null"), "found a device"),
    ):
        # The model does not exist: were it looked for first, the message would be about it.
        assert locate(picture, "--model", "obrit", "-o", output) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and error.startswith(f"error: {output}") and says in error


def test_find_pictures(pictures: Path) -> None:
    files, failures = find_pictures([pictures / "notes.txt", pictures / "sub"])
    assert files == [pictures / "notes.txt", pictures / "sub" / "c.jpg", pictures / "sub" / "deep" / "d.tiff"]
    assert failures == []


def test_cold_start_says_nothing_else(tiny_model: Path, picture: Path, tmp_path: Path) -> None:
    """The whole process: no warnings of Pillow's or ONNX Runtime's on stderr, valid JSON on stdout."""
    command: list[str | Path] = [
        sys.executable,
        "-W",
        "always",
        "-m",
        "earthclip",
        "locate",
        picture,
        "--model",
        tiny_model,
    ]
    done = subprocess.run([*command, "--format", "jsonl"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "model: tiny\n"
    assert json.loads(done.stdout)["path"] == str(picture)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate"])
def test_damage_is_told_once_not_by_the_libraries_too(
    tiny_model: Path, picture: Path, tmp_path: Path, compression: str
) -> None:
    path = tmp_path / "damaged.tiff"
    with Image.open(picture) as image:
        image.save(path, compression=compression)
    content = bytearray(path.read_bytes())
    content[200:2000] = bytes(1800)
    path.write_bytes(content)
    command: list[str | Path] = [sys.executable, "-m", "earthclip", "locate", path, "--model", tiny_model]
    done = subprocess.run(command, capture_output=True, text=True)
    model, error = done.stderr.splitlines()
    assert done.returncode == 2 and model == "model: tiny"
    assert error.startswith(f"error: {path}: the picture is damaged")


def test_unwritable_cache_is_one_warning(
    tiny_model: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").touch()
    monkeypatch.setenv("EARTHCLIP_HOME", str(tmp_path / "home"))
    command: list[str | Path] = [sys.executable, "-m", "earthclip", "locate", picture, "--model", tiny_model]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    _, warning = done.stderr.splitlines()
    assert warning.startswith("warning: ") and "EARTHCLIP_HOME" in warning


def test_models(tiny_model: Path, earthclip_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(tiny_model, earthclip_home / "models" / "geoclip")
    assert main(["model", "list"]) == 0
    captured = capsys.readouterr()
    rows = {line.split()[0]: line for line in captured.out.splitlines() if line.strip()}
    assert "orbit" in rows and "pictures of the Earth from above" in rows["orbit"]
    assert "geoclip *" in rows["geoclip"] and "MB" in rows["geoclip"] and "MIT" in rows["geoclip"]
    (earthclip_home / "models" / "geoclip" / "gallery.npy").unlink()
    assert main(["model", "list"]) == 0
    captured = capsys.readouterr()
    assert "damaged" in captured.out and captured.err.startswith("warning: ") and "gallery.npy" in captured.err


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "geojson"])
def test_an_empty_list_is_said_and_gives_an_empty_output(
    tmp_path: Path, tiny_model: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    listed, out = tmp_path / "list.txt", tmp_path / f"out.{suffix}"
    listed.write_text("\n")
    assert locate("--list", listed, "--model", tiny_model, "-o", out) == 0
    assert f"no pictures: {listed} lists none" in capsys.readouterr().err
    text = out.read_text()
    if suffix == "csv":
        assert text.startswith("path,")
    elif suffix == "geojson":
        assert json.loads(text)["features"] == []
    else:
        assert text.split() in ([], ["[", "]"], ["[]"])
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("out.")] == [out.name]


@pytest.mark.parametrize("format", ["json", "jsonl", "csv", "kml", "geojson", "table"])
def test_output_is_utf8_whatever_the_locale(
    tiny_model: Path, tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = write_picture(tmp_path / "\u00e9t\u00e9.png")
    surrogates = str(picture).encode().decode("ascii", "surrogateescape")  # as Python has it in the locale C
    for name in (str(picture), surrogates):
        buffer = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="ascii"))
        # Names that the file system's own encoding makes of surrogates are the same file.
        assert locate(name, "--model", tiny_model, "--format", format) == 0
        if format == "table":
            assert b"Yemen" in buffer.getvalue() and buffer.getvalue().isascii()
        else:
            text = buffer.getvalue().decode()
            assert "Al Ghayz\u0327ah, Yemen" in text and "\u00e9t\u00e9.png" in text


def test_a_picture_out_of_scope_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_tiny_model(tmp_path / "tiny", scope=Scope("a bright picture", 0.5, "use --model other"))
    dark = tmp_path / "dark.png"
    Image.new("RGB", (40, 30)).save(dark)
    page, map_png = tmp_path / "out.html", tmp_path / "out.png"
    assert locate(dark, "--model", model, "--map", page, "--map", map_png) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "This does not look like a bright picture, which is all that 'tiny' can locate; use --model other." in told
    assert "which is all that 'tiny' can locate" in page.read_text() and map_png.stat().st_size > 10_000
    assert locate(dark, "--model", model, "--format", "jsonl") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["in_scope"], answer["abstained"], answer["predictions"]) == (False, True, [])
    assert locate(dark, "--model", model, "--format", "jsonl", "--force-answer") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["in_scope"] is False and "abstained" not in answer and len(answer["predictions"]) == 5


def test_answers_out_of_scope_are_kept_and_continued(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny", scope=Scope("a bright picture", 0.5))
    dark, out = tmp_path / "dark.png", tmp_path / "out.csv"
    Image.new("RGB", (40, 30)).save(dark)
    assert locate(dark, "--model", model, "-o", out) == 0
    (row,) = csv.DictReader(io.StringIO(out.read_text()))
    assert (row["verdict"], row["latitude"], row["error"]) == ("out of scope", "", "")
    assert locate(dark, "--model", model, "-o", out, "--resume") == 0
