"""The loop around a library of photos: only what is missing, neighbours and tracks, a plan, applied and undone."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from earthclip.cli import main
from earthclip.outputs.xmp_packet import parse_packet
from earthclip.pictures.metadata import read_metadata
from tests.outputs.test_sidecar_merge import DARKTABLE, POSITION


def run(*arguments: str | Path) -> int:
    return main([*map(str, arguments)])


def write_photo(
    path: Path,
    time: str | None = None,
    place: tuple[float, float] | None = None,
    zone: str | None = "+02:00",
    camera: str = "Phone",
) -> Path:
    """A small JPEG with EXIF as cameras write it: ``time`` as 2024:06:01 10:00:00, ``place`` in degrees."""
    exif = Image.Exif()
    exif[0x0110] = camera
    if time:
        details = exif.get_ifd(0x8769)
        details[0x9003] = time
        if zone:
            details[0x9011] = zone
    if place:
        values: dict[int, Any] = {}
        for tag, degrees, signs in ((1, place[0], "NS"), (3, place[1], "EW")):
            values[tag] = signs[degrees < 0]
            values[tag + 1] = (abs(degrees), 0.0, 0.0)
        exif.get_ifd(0x8825).update(values)
    seed = sum(path.name.encode())
    Image.linear_gradient("L").resize((40, 30)).rotate(seed).convert("RGB").save(path, exif=exif)
    return path


def answered(text: str) -> list[str]:
    return [Path(json.loads(line)["path"]).name for line in text.splitlines()]


def test_only_what_is_missing(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_photo(tmp_path / "placed.jpg", place=(47.4, 8.5))
    write_photo(tmp_path / "bare.jpg")
    write_photo(tmp_path / "zero.jpg", place=(0.0, 0.0))
    write_photo(tmp_path / "estimated.jpg")
    how = ["--model", tiny_model, "--format", "jsonl"]
    assert run("locate", tmp_path / "estimated.jpg", *how, "--write-sidecar", "--all-sidecars") == 0
    capsys.readouterr()
    assert run("locate", tmp_path, *how, "--only-missing") == 0
    captured = capsys.readouterr()
    assert answered(captured.out) == ["bare.jpg", "zero.jpg"]
    assert "left out: 2 with a position (1 of them an estimate by EarthCLIP)\n" in captured.err
    assert "located: 1 with the position 0, 0" in captured.err
    out = tmp_path / "out.jsonl"
    for _ in range(2):  # the second finds it complete, though sidecars give the pictures positions by then
        resumed = "--write-sidecar", "--all-sidecars", "--only-missing", "--resume"
        assert run("locate", tmp_path, "--model", tiny_model, "-o", out, *resumed) == 0
    assert "is complete: 2 answers" in capsys.readouterr().err and answered(out.read_text()) == ["bare.jpg", "zero.jpg"]
    assert run("locate", "--text", "snow", "--only-missing") == 2
    assert "--only-missing is about pictures" in capsys.readouterr().err


def plan_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def edit(path: Path, **changes: str) -> None:
    """Set columns of every row, as people do in a spreadsheet."""
    rows = plan_of(path)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, **changes} for row in rows)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Three photos, one with a position of its own and one with a sidecar by darktable."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        write_photo(folder / name)
    write_photo(folder / "placed.jpg", place=(47.0, 8.0))
    (folder / "b.jpg.xmp").write_text(DARKTABLE)
    return folder


@pytest.fixture
def plan(library: Path, tiny_model: Path, tmp_path: Path) -> Path:
    (library / "b.jpg.xmp").unlink()  # so that its photo is asked about
    path = tmp_path / "plan.csv"
    assert run("locate", library, "--model", tiny_model, "--only-missing", "--format", "plan", "-o", path) == 0
    (library / "b.jpg.xmp").write_text(DARKTABLE)
    return path


def test_a_plan_is_a_table_that_people_edit(plan: Path, library: Path) -> None:
    rows = plan_of(plan)
    columns = ["path", "latitude", "longitude", "place", "probability", "radius_km", "source", "accept"]
    assert list(rows[0]) == columns and [Path(row["path"]).name for row in rows] == ["a.jpg", "b.jpg"]
    assert {row["source"] for row in rows} == {"tiny: picture"} and all(row["place"] for row in rows)
    assert {row["accept"] for row in rows} == {"no"}  # no region stands out
    assert {row["radius_km"] for row in rows} == {""}


def test_applied_and_undone(plan: Path, library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(library)
    assert run("apply", plan) == 0 and contents(library) == before
    assert "2 photos: 2 not accepted\n" in capsys.readouterr().err
    edit(plan, accept="yes", radius_km="25")
    assert run("apply", plan, "--dry-run") == 0 and contents(library) == before
    captured = capsys.readouterr()
    assert captured.out.startswith(f"would be written: {library / 'a.jpg'} at ") and captured.out.count("\n") == 1
    left = "1 left alone (the photo has a measured position; --force writes there too)"
    assert f"nothing was changed, 2 photos: 1 would be written; {left}" in captured.err
    assert run("apply", plan, "--force") == 0
    assert "2 photos: 2 written\n" in capsys.readouterr().err
    applied = contents(library)
    assert sorted(set(applied) - set(before)) == ["a.jpg.xmp", "b.jpg.xmp.before-earthclip"]
    assert b"Estimate by EarthCLIP, model tiny" in applied["a.jpg.xmp"]
    assert {name for name in before if before[name] != applied[name]} == {"b.jpg.xmp"}
    assert run("apply", plan, "--force") == 0 and contents(library) == applied
    assert "2 there already" in capsys.readouterr().err
    edit(plan, accept="no")  # undo takes out what was written, whatever the plan says by then
    assert run("apply", "--undo", plan, "--dry-run") == 0 and contents(library) == applied
    assert run("apply", "--undo", plan) == 0 and contents(library) == before
    assert "2 photos: 2 restored as before\n" in capsys.readouterr().err
    assert run("apply", "--undo", plan) == 0
    assert "2 without an estimate" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="ExifTool is not installed")
def test_applied_to_the_photos_themselves(plan: Path, library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, photo = contents(library), library / "a.jpg"
    edit(plan, accept="yes", radius_km="25", latitude="-15.5", longitude="-70.25", source="hand")
    plan.write_text("".join(line for line in plan.read_text().splitlines(keepends=True) if "b.jpg" not in line))
    modified = photo.stat().st_mtime_ns
    assert run("apply", plan, "--to", "exiftool") == 0
    position = read_metadata(photo).position
    assert position is not None and (position.latitude, position.longitude) == (-15.5, -70.25)
    assert photo.stat().st_mtime_ns == modified and Image.open(photo).tobytes() == pixels(before["a.jpg"])
    assert run("apply", plan, "--to", "exiftool") == 0
    assert "1 there already" in capsys.readouterr().err
    assert run("apply", plan, "--undo") == 0 and contents(library) == before


def pixels(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).tobytes()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("path,latitude,longitude\na.jpg,1,2\n", "not a plan"),
        ("path,latitude,longitude,accept\na.jpg,91,2,yes\n", "line 2: latitude 91"),
        ("path,latitude,longitude,accept\na.jpg,1,361,yes\n", "line 2: latitude 1, longitude 361"),
        ("path,latitude,longitude,accept\n.,1,2,yes\n", "line 2: path '.' names no file"),
        ("path,latitude,longitude,accept\na.jpg,1,2,maybe\n", "accept is 'maybe'; expected yes or no"),
        ("path,latitude,longitude,accept\na.jpg,,,yes\n", "accepted without a position"),
        ("path,latitude,longitude,accept\na.jpg,1,2,no\na.jpg,1,2,no\n", "a.jpg is also in line 2"),
        ("path,latitude,longitude,accept,radius_km\na.jpg,1,2,yes,wide\n", "radius_km must be a number"),
        ("path,latitude,longitude,accept\nnope.jpg,1,2,yes\n", "nope.jpg: "),
    ],
)
def test_what_is_wrong_with_a_plan(tmp_path: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "plan.csv"
    plan.write_text(text)
    assert run("apply", plan) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and says in error


def write_plan(path: Path, *rows: str) -> Path:
    path.write_text("path,latitude,longitude,accept\n" + "".join(f"{row}\n" for row in rows))
    return path


def test_longitudes_from_180_on_are_west(tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "a.jpg")
    plan = write_plan(tmp_path / "plan.csv", f"{photo},1,181,yes")
    assert run("apply", plan) == 0 and 'GPSLongitude="179,0.000000W"' in (tmp_path / "a.jpg.xmp").read_text()
    assert run("apply", plan, "--undo") == 0 and not (tmp_path / "a.jpg.xmp").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
def test_only_pictures_are_written_beside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, pipe, text = write_photo(tmp_path / "a.jpg"), tmp_path / "pipe.jpg", tmp_path / "passwd"
    unnamed = photo.rename(tmp_path / "a")  # a photo by its first bytes
    os.mkfifo(pipe)
    text.write_text("root")
    paths = "/dev/zero", pipe, text, tmp_path / "plan.csv", tmp_path, unnamed
    plan = write_plan(tmp_path / "plan.csv", *(f"{path},1,2,yes" for path in paths))
    before = contents(tmp_path)
    for undo in ([], ["--undo"]):
        assert run("apply", plan, *undo) == 1
        lines = capsys.readouterr().err.splitlines()
        found = [
            "a device",
            "a named pipe",
            "not a picture",
            "not a picture",
            "a folder",
            f"1 {'restored' if undo else 'written'}",
        ]
        assert len(lines) == 6 and all(word in line for word, line in zip(found, lines, strict=True))
        assert contents(tmp_path).keys() - before.keys() == (set() if undo else {"a.xmp"})


@pytest.mark.skipif(sys.platform != "linux", reason="file names that are no Unicode")
def test_a_plan_never_names_another_photo(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_photo(tmp_path / "a.jpg").rename(tmp_path / os.fsdecode(b"b\xff.jpg"))
    plan = tmp_path / "plan.csv"
    assert run("locate", tmp_path, "--model", tiny_model, "--format", "plan", "-o", plan) == 0
    assert "b?.jpg: the file's name is not UTF-8; rename the file" in capsys.readouterr().err
    (row,) = plan_of(plan)
    assert Path(row["path"]).name == "b?.jpg" and "not UTF-8" in row["place"]
    assert (row["latitude"], row["longitude"], row["accept"]) == ("", "", "no")
    write_photo(tmp_path / "b?.jpg")
    assert run("apply", plan) == 0 and not list(tmp_path.glob("*.xmp"))


def test_a_backup_of_something_else_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, sidecar = write_photo(tmp_path / "p.jpg"), tmp_path / "p.jpg.xmp"
    sidecar.write_text(DARKTABLE.replace(POSITION, ""))
    backup = tmp_path / "p.jpg.xmp.before-earthclip"
    backup.write_text("mine")
    plan = write_plan(tmp_path / "plan.csv", f"{photo},1,2,yes")
    before = contents(tmp_path)
    for how in ([], ["--dry-run"]):
        assert run("apply", plan, *how) == 2 and contents(tmp_path) == before
        assert f"error: {backup}: is no backup of the file as it is now" in capsys.readouterr().err
    backup.write_bytes(sidecar.read_bytes())  # as a run leaves it that is killed between its two steps
    assert run("apply", plan) == 0 and b"hand" in sidecar.read_bytes()
    assert run("apply", plan, "--undo") == 0 and sidecar.read_bytes() == before["p.jpg.xmp"] and not backup.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="file names of control signs")
def test_names_do_not_control_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = write_photo(tmp_path / "a.jpg").rename(tmp_path / "\x1b[2J\a.jpg")
    assert run("apply", write_plan(tmp_path / "plan.csv", f"{photo},1,2,yes"), "--dry-run") == 0
    assert capsys.readouterr().out == f"would be written: {tmp_path}/\ufffd[2J\ufffd.jpg at 1.000000, 2.000000\n"


def test_a_killed_run_is_completed(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    lines = ["path,latitude,longitude,probability,radius_km,source,accept"]
    for number in range(60):
        photo = write_photo(folder / f"{number:02}.jpg")
        (folder / f"{number:02}.jpg.xmp").write_text(DARKTABLE.replace(POSITION, ""))
        lines.append(f"{photo},47.5,{number / 10},0.5,25,tiny: picture,yes")
    plan = tmp_path / "plan.csv"
    plan.write_text("\n".join(lines))
    before = contents(folder)
    for arguments in (["apply", str(plan)], ["apply", "--undo", str(plan)]):
        backups = len(list(folder.glob("*.before-earthclip")))
        process = subprocess.Popen([sys.executable, "-m", "earthclip", *arguments], stderr=subprocess.DEVNULL)
        while process.poll() is None and abs(len(list(folder.glob("*.before-earthclip"))) - backups) < 5:
            pass
        process.kill()
        process.wait()
        cut = contents(folder)
        assert {name: data for name, data in cut.items() if name.endswith(".jpg")} == {
            name: data for name, data in before.items() if name.endswith(".jpg")
        }
        for name in (name for name in cut if name.endswith(".xmp")):
            assert len(parse_packet(cut[name], name).properties) in (7, 15)  # whole: as before, or with an estimate
        assert run(*arguments) == 0
        assert not [name for name in contents(folder) if name.endswith(".part")]
    assert contents(folder) == before
