"""``earthclip locate`` with tracks and neighbours in time: what they tell, by which clock, and what is counted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from earthclip.errors import OutputError
from tests.cli.test_library import contents, plan_of, run, write_photo
from tests.outputs.test_sidecar_merge import FORMS

TRACK = """<gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>
<trkpt lat="47.0" lon="8.0"><time>2024-06-01T08:00:00Z</time></trkpt>
<trkpt lat="47.1" lon="8.0"><time>2024-06-01T08:10:00Z</time></trkpt></trkseg></trk></gpx>"""


def best(text: str) -> dict[str, tuple[tuple[float, float], list[str]]]:
    """Each photo's best place (latitude, longitude), and what its answer came from."""
    rows = {}
    for answer in map(json.loads, text.splitlines()):
        place = answer["predictions"][0]
        rows[Path(answer["path"]).name] = (place["latitude"], place["longitude"]), answer.get("sources", [])
    return rows


def test_a_track_tells_where_photos_were(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    track = tmp_path / "walk.gpx"
    track.write_text(TRACK)
    photos = tmp_path / "photos"
    photos.mkdir()
    write_photo(photos / "zoned.jpg", "2024:06:01 10:05:00")
    write_photo(photos / "unzoned.jpg", "2024:06:01 10:05:00", zone=None, camera="Canon")
    write_photo(photos / "untimed.jpg")
    write_photo(photos / "unset.jpg", "1970:01:01 00:00:00")
    write_photo(photos / "later.jpg", "2024:06:03 10:05:00")
    how = ["locate", photos, "--model", tiny_model, "--track", track]
    assert run(*how, "--format", "jsonl") == 0
    captured = capsys.readouterr()
    rows = best(captured.out)
    assert rows["zoned.jpg"][0] == pytest.approx((47.05, 8.0), abs=0.01)
    assert rows["zoned.jpg"][1] == ["picture", "track"]
    assert [rows[name][1] for name in ("unzoned.jpg", "untimed.jpg", "unset.jpg", "later.jpg")] == [[]] * 4
    assert (
        "by their time: 1 photos; not 2 too far in time from any track or neighbour; not 1 without a time; not 1 whose "
        "clock says before 1990 or the future; no track for 1 without a time zone (--clock-offset gives one)\n"
    ) in captured.err
    assert run(*how, "--format", "jsonl", "--clock-offset", "+03:00", "--clock-offset", "canon=+02:02") == 0
    rows = best(capsys.readouterr().out)
    assert rows["unzoned.jpg"][0] == pytest.approx((47.03, 8.0), abs=0.01)
    assert rows["zoned.jpg"][0] == pytest.approx((47.05, 8.0), abs=0.01)
    assert run(*how) == 0
    assert "Found from: picture, track." in capsys.readouterr().out


def test_neighbours_in_time_tell_where_photos_were(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photo(tmp_path / "a.jpg", "2024:06:01 10:00:00", (47.0, 8.0))
    write_photo(tmp_path / "b.jpg", "2024:06:01 09:20:00", zone="+01:00")  # twenty minutes after a.jpg
    write_photo(tmp_path / "c.jpg", "2024:06:01 10:40:00", (48.0, 8.0))
    write_photo(tmp_path / "d.jpg", "2024:06:01 10:40:00", zone=None)  # another camera, set to the same local time
    write_photo(tmp_path / "e.jpg", "2024:06:01 14:00:00")
    how = ["locate", tmp_path / "[bde].jpg", "--model", tiny_model, "--near-in-time", "2", "--format", "jsonl"]
    assert run(*how) == 0
    captured = capsys.readouterr()
    assert "near in time: 2 photos with a measured position and a time\n" in captured.err
    rows = best(captured.out)
    assert rows["b.jpg"][0] == pytest.approx((47.5, 8.0), abs=0.1)
    assert rows["b.jpg"][1] == rows["d.jpg"][1] == ["picture", "neighbours"] and rows["e.jpg"][1] == []
    assert rows["d.jpg"][0] == pytest.approx((48.0, 8.0), abs=0.02)
    (tmp_path / "track.gpx").write_text(TRACK)
    write_photo(tmp_path / "b.jpg", "2024:06:01 10:00:30")
    assert run(*how, "--track", tmp_path / "track.gpx") == 0
    assert best(capsys.readouterr().out)["b.jpg"][1] == ["picture", "track", "neighbours"]


def test_a_resumed_run_must_know_the_same_times(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photo(tmp_path / "a.jpg", "2024:06:01 10:00:00", (47.0, 8.0))
    write_photo(tmp_path / "b.jpg", "2024:06:01 10:05:00")
    out = tmp_path / "out.jsonl"
    how = ["locate", tmp_path / "b.jpg", "--model", tiny_model, "--near-in-time", "2", "-o", out]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("earthclip.outputs.journal.open_writer", full_disk)
        assert run(*how) == 2
    write_photo(tmp_path / "c.jpg", "2024:06:01 10:03:00", (47.0, 9.0))
    capsys.readouterr()
    assert run(*how, "--resume") == 2
    assert "holds a run with times" in capsys.readouterr().err
    (tmp_path / "c.jpg").unlink()
    assert run(*how, "--resume") == 0
    assert best(out.read_text())["b.jpg"][1] == ["picture", "neighbours"]


def full_disk(*_: object, **__: object) -> None:
    raise OutputError("no room")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--track", "nope.gpx"], "nope.gpx: cannot be read"),
        (["--near-in-time", "0"], "expected more than 0 and at most 1000 hours"),
        (["--near-in-time", "2", "--clock-offset", "two"], "expected +HH:MM, or CAMERA=+HH:MM"),
        (["--clock-offset", "+02:00"], "add --track or --near-in-time"),
        (["--near-in-time", "2", "--refine"], "leave it out where times tell of others"),
    ],
)
def test_what_times_cannot_do(
    tiny_model: Path, picture: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("locate", picture, "--model", tiny_model, *arguments) == 2
    assert says in capsys.readouterr().err


@pytest.mark.slow
def test_a_thousand_photos_planned_applied_and_undone(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, plan = tmp_path / "photos", tmp_path / "plan.csv"
    folder.mkdir()
    forms = [*FORMS.values(), None]
    for number in range(1000):
        hour, minute = divmod(number, 60)
        placed = number % 3 == 0
        photo = folder / f"{number:04}.jpg"
        place = (40.0 + number / 100, 10.0) if placed else None
        write_photo(photo, f"2024:06:01 {hour:02}:{minute:02}:00", place)
        form = forms[number % len(forms)]
        if form and not placed:  # without a position, as these photos are asked about
            named = photo.with_name(photo.name + ".xmp" if number % 2 else photo.stem + ".xmp")
            named.write_bytes(re.sub(r"GPSL(at|ong)itude", "GPSDestL\\1itude", form).encode())
    before = contents(folder)
    how = "--only-missing", "--near-in-time", "2", "--format", "plan", "-o", plan
    assert run("locate", folder, "--model", tiny_model, *how) == 0
    assert "left out: 334 with a position\n" in capsys.readouterr().err
    rows = plan_of(plan)
    assert len(rows) == 666 and {row["source"] for row in rows} == {"tiny: picture, neighbours"}
    assert {row["accept"] for row in rows} == {"yes"} and {row["radius_km"] for row in rows} == {"25.0"}
    assert run("apply", plan) == 0
    applied = contents(folder)
    assert {name for name in before if applied[name] != before[name]} == {n for n in before if n.endswith(".xmp")}
    assert run("locate", folder, "--model", tiny_model, "--only-missing") == 0
    assert "left out: 1,000 with a position (666 of them an estimate by EarthCLIP)" in capsys.readouterr().err
    assert run("apply", "--undo", plan) == 0 and contents(folder) == before
    assert "666 photos: 666 restored as before" in capsys.readouterr().err
