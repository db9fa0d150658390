"""``earthclip privacy``: reports of what photos reveal, and copies without metadata, for which no model is needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from earthclip.cli import main
from tests.pictures.photos import jpeg
from tests.tiny import write_picture


def privacy(*arguments: str | Path) -> int:
    return main(["privacy", *map(str, arguments)])


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A JPEG with a position in its metadata."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg())
    return path


def test_a_report_and_a_copy(tiny_model: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = photo.read_bytes()
    assert privacy("check", photo, "--model", tiny_model) == 0
    captured = capsys.readouterr()
    assert "-15.84" in captured.out and "its pixels, to the model tiny, reveal" in captured.out
    assert "rank" not in captured.out and captured.err == "model: tiny\n"
    assert privacy("strip", photo, "--out", tmp_path / "clean") == 0
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == f"without metadata: {tmp_path / 'clean' / 'photo.jpg'}\n"
    assert photo.read_bytes() == before
    assert privacy("check", tmp_path / "clean" / "photo.jpg", "--model", tiny_model, "--format", "jsonl") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["metadata"]["positions"] == [] and report["pixels"]["predictions"]


def test_a_photo_whose_pixels_cannot_be_read_still_has_metadata(
    tiny_model: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(photo.read_bytes()[:-200])
    assert privacy("check", photo, cut, tmp_path / "gone.jpg", "--model", tiny_model, "--format", "jsonl") == 1
    captured = capsys.readouterr()
    reports = [json.loads(line) for line in captured.out.splitlines()]
    assert [Path(report["path"]).name for report in reports] == ["photo.jpg", "cut.jpg"]
    assert reports[1]["metadata"]["positions"] and "error" in reports[1]["pixels"]
    assert f"error: {cut}: " in captured.err and f"error: {tmp_path / 'gone.jpg'}: " in captured.err


def test_copies_need_no_model(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earthclip.models.sources.resolve", None)
    monkeypatch.setattr("earthclip.locating.locator.load", None)
    assert privacy("strip", photo, "--out", tmp_path / "clean") == 0


def test_a_copy_to_a_file(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean = tmp_path / "clean.png"
    assert privacy("strip", photo, "-o", clean, "--reencode", "png") == 0
    assert capsys.readouterr().err == f"without metadata: {clean}\n"
    with Image.open(clean) as copy:
        assert (copy.format, copy.size) == ("PNG", (60, 80))
    assert privacy("strip", photo, "-o", clean, "--reencode", "png") == 2
    assert "already exists" in capsys.readouterr().err
    assert privacy("strip", tmp_path / "phot*.jpg", "-o", clean, "--reencode", "png", "--force", "-q") == 0


def test_copies_replace_nothing_unasked(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["strip", photo, tmp_path / "gone.jpg", "--out", tmp_path / "clean"]
    assert privacy(*given) == 1
    assert "gone.jpg: " in capsys.readouterr().err
    assert privacy(*given) == 2
    assert "already exists" in capsys.readouterr().err
    assert privacy(*given, "--force") == 1
    assert privacy("strip", photo, "--out", tmp_path, "--force") == 2
    assert "this is the photo itself" in capsys.readouterr().err


def test_photos_of_one_name_do_not_take_each_others_place(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "more").mkdir()
    other = write_picture(tmp_path / "more" / "photo.jpg", seed=3)
    assert privacy("strip", photo, other, "--out", tmp_path / "clean", "--force") == 1
    assert f"error: {other}: the copy of another photo has the same name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check"], "give a PICTURE. See 'earthclip privacy check --help'."),
        (["strip", "--out", "x"], "give a PICTURE. See 'earthclip privacy strip --help'."),
        (["strip", "photo.jpg"], "give either a folder (--out DIR) or, for one photo, a file (-o FILE)."),
        (["strip", "photo.jpg", "--out", "x", "-o", "y.jpg"], "give either a folder"),
        (["strip", "photo.jpg", "photo.jpg", "-o", "y.jpg"], "-o FILE takes one photo"),
        (["strip", ".", "-o", "y.jpg"], "-o FILE takes one photo"),
        (["strip", "photo.jpg", "-o", "y.png"], "the copy is a JPEG file; choose a name that ends in .jpg"),
        (["strip", "photo.jpg", "-o", "photo.jpg", "--force"], "this is the photo itself"),
        (["strip", "photo.jpg", "--reencode", "gif"], "'gif' is not one of 'png', 'jpeg'"),
        (["check", "photo.jpg", "--format", "csv"], "'csv' is not one of 'table', 'jsonl'"),
        (["check", "photo.jpg", "-o", "x"], "no such option '-o'; expected one of --model, "),
        (["check", "s3://bucket/a.jpg"], "save the file first"),
        (["strip", "photo.jpg", "--out", "photo.jpg"], "expected a folder for copies without metadata, found a file"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    photo: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(photo.parent)
    assert privacy(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert says in captured.err


def test_photos_of_one_name_keep_their_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("dcim/1/p.jpg", "dcim/2/p.jpg", "more/p.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(jpeg())
    monkeypatch.chdir(tmp_path)
    for out, given, copies in (
        ("one", ["dcim"], ["1/p.jpg", "2/p.jpg"]),
        ("two", ["dcim", "more"], ["dcim/1/p.jpg", "dcim/2/p.jpg", "more/p.jpg"]),
        ("pattern", ["dcim/**/*.jpg"], ["1/p.jpg", "2/p.jpg"]),
    ):
        assert privacy("strip", *given, "--out", out) == 0
        assert sorted(path.relative_to(out).as_posix() for path in Path(out).rglob("*.jpg")) == copies
    assert privacy("strip", "dcim/1/p.jpg", "dcim/2/p.jpg", "--out", "files") == 1  # the second is refused by name
