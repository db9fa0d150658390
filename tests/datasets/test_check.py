from __future__ import annotations

import json
from pathlib import Path

import pytest

from earthclip.datasets.check import CUT_SHORT, EMPTY, NO_PHOTO, OTHER_KIND, SAME_BYTES, UNREADABLE, check
from earthclip.datasets.folder import NO_GPS
from earthclip.datasets.rows import NO_FILE, NULL_ISLAND, SEEN_ELSEWHERE
from tests.datasets.making import PLACES, photo, rows_of, sample, write_photos, write_shard, write_table
from tests.pictures.photos import jpeg

IM2GPS3K = Path(__file__).parents[1] / "data" / "im2gps3k" / "im2gps3k_coordinates.csv"


def test_a_clean_data_set(tmp_path: Path) -> None:
    names = ["a.jpg", "b.png", "c.jpeg"]
    write_photos(tmp_path / "images", names)
    table = write_table(tmp_path / "t.csv", rows_of(names))
    for decode in (False, True):
        report = check(str(table), decode=decode)
        assert (report.exit_code, report.rows, report.usable) == (0, 3, 3)
        assert not report.left_out
        assert not report.files
        lines = report.format("text").splitlines()
        assert lines[0] == "t.csv: 3 rows, 3 usable photos"
        assert lines[1].startswith("no problems found (files were ")


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """One photo of each fault."""
    images = tmp_path / "images"
    images.mkdir()
    large = jpeg()
    contents = {
        "good.jpg": photo(0),
        "phone.jpg": large,  # with a video behind its end
        "empty.jpg": b"",
        "text.jpg": b"<html>not found</html>",
        "png.jpg": photo(1, kind="PNG"),
        "cut.jpg": photo(2)[:-40],
        "cut in metadata.jpg": large[:300],
        "cut.png": photo(3, kind="PNG")[:-40],
        "cut.webp": photo(4, kind="WEBP")[:-10],
        "twin.jpg": photo(0),
        "noise.jpg": photo(5)[:200] + bytes(50) + photo(5)[250:],
    }
    for name, content in contents.items():
        (images / name).write_bytes(content)
    rows = rows_of([*contents, "gone.jpg"])
    return write_table(tmp_path / "t.csv", [*rows, ["null.jpg", 0, 0], ["good.jpg", 1, 1]])


def test_every_fault_is_found(damaged: Path) -> None:
    report = check(str(damaged))
    assert report.left_out == {NULL_ISLAND: 1, SEEN_ELSEWHERE: 1, NO_FILE: 1}
    assert report.files == {EMPTY: 1, NO_PHOTO: 1, OTHER_KIND: 1, CUT_SHORT: 4, SAME_BYTES: 1}
    assert report.examples[SAME_BYTES] == ["twin.jpg as good.jpg"]
    (example,) = report.examples[OTHER_KIND]  # of which a long one is cut short
    assert f"{damaged.parent / 'images' / 'png.jpg'} is PNG".startswith(example.removesuffix("..."))
    assert (report.rows, report.usable, report.exit_code) == (14, 5, 1)


def test_decoding_finds_what_looks_whole(damaged: Path) -> None:
    report = check(str(damaged), decode=True)
    assert report.files[OTHER_KIND] == report.files[SAME_BYTES] == report.files[EMPTY] == 1
    assert report.files[UNREADABLE] >= 5
    assert NO_PHOTO not in report.files
    assert report.usable <= 5
    assert all("\n" not in line for line in report.examples[UNREADABLE])


def test_the_report_as_json_and_text(damaged: Path) -> None:
    report = check(str(damaged))
    content = json.loads(report.format("json"))
    assert content["usable"] == 5
    assert content["exit_code"] == 1
    assert content["files"][CUT_SHORT] == 4
    lines = report.format("text").splitlines()
    assert lines[0] == "t.csv: 14 rows, 5 usable photos"
    assert f"left out: 1 {NO_FILE}, e.g. gone.jpg" in lines
    assert any(line.startswith("files: 4 cut short or damaged, e.g. ") for line in lines)


def test_photos_without_gps(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(photo(0, PLACES[0]))
    (tmp_path / "b.jpg").write_bytes(photo(1))
    report = check(str(tmp_path))
    assert report.left_out == {NO_GPS: 1}
    assert (report.rows, report.usable, report.exit_code) == (2, 1, 1)
    (tmp_path / "a.jpg").unlink()
    report = check(str(tmp_path))
    assert (report.rows, report.usable, report.exit_code) == (1, 0, 2)


def test_counts_against_those_published(tmp_path: Path) -> None:
    write_photos(tmp_path, ["a.jpg"])
    write_table(tmp_path / "im2gps.csv", rows_of(["a.jpg"]))
    report = check(f"im2gps:{tmp_path}")
    assert report.exit_code == 1
    assert "published: 237 photos, 236 fewer than published" in report.format("text")


def test_the_swapped_copy_of_im2gps3k(tmp_path: Path) -> None:
    (tmp_path / "im2gps3k_places365.csv").write_text(IM2GPS3K.read_text().replace("LAT,LON", "LON,LAT", 1))
    report = check(f"im2gps3k:{tmp_path}")
    assert report.exit_code == 2
    assert report.swapped is not None
    assert report.rows == report.expected == 2997
    assert "swap the two names in the header of the table" in report.format("text")


def test_photos_in_shards(tmp_path: Path) -> None:
    broken = ("00009", {"jpg": photo(9)[:-60], "json": b'{"lat": 1, "lon": 2}'})
    copy = ("00010", {"jpg": photo(0), "json": b'{"lat": 1, "lon": 2}'})
    shard = write_shard(tmp_path / "a.tar", [sample(0), sample(1), broken, copy])
    report = check(str(shard))
    assert report.files == {CUT_SHORT: 1, SAME_BYTES: 1}
    assert report.usable == 3
    heard: list[tuple[str, int, int | None]] = []
    check(str(shard), decode=True, progress=lambda what, done, of: heard.append((what, done, of)))
    assert heard[0] == ("looking", 1, None)
    assert heard[-1] == ("checking", 4, 4)
