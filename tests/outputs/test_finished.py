"""A finished output tells what it is of, as far as its format records it; another run is not taken for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from earthclip.errors import OutputError
from earthclip.outputs import FORMATS, open_writer
from earthclip.outputs.finished import check_finished
from earthclip.pictures.prepare import Failure
from tests.outputs.answers import full

ASKED = {"model": "tiny", "text": None, "top_k": 2, "region": None}
PICTURES: list[Path | Failure] = [Path("a"), Path("b\udcff"), Path("a"), Failure("bad", "bad: damaged"), Path("none")]
RECORDED = [format for format in FORMATS if format not in ("table", "kml", "plan")]


def written(folder: Path, format: str, text: str | None = None) -> Path:
    output = folder / "out"
    with open_writer(format, output) as out:
        for picture in PICTURES:
            if isinstance(picture, Failure):
                out.write(picture)
            else:
                out.write(full(str(picture), model="tiny", text=text, abstained=picture.name == "none"))
    return output


@pytest.mark.parametrize("format", RECORDED)
def test_answers_are_counted(tmp_path: Path, format: str) -> None:
    output = written(tmp_path, format)
    assert check_finished(output, format, ASKED, reversed(PICTURES)) == 5
    # Of a region that has few places, fewer are answered than were asked for.
    assert check_finished(output, format, ASKED | {"top_k": 3, "region": "Malta"}, PICTURES) == 5


@pytest.mark.parametrize("format", RECORDED)
@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"model": "orbit"}, "is complete, and holds a run with model tiny, but this run has orbit"),
        ({"text": "a beach"}, "with text None, but this run has a beach"),
        ({"top_k": 1}, "with top_k 2, but this run has 1"),
        ({"top_k": 3}, "with top_k 2, but this run has 3"),
    ],
)
def test_another_run_is_refused(tmp_path: Path, format: str, changed: dict[str, object], says: str) -> None:
    with pytest.raises(OutputError, match=says):
        check_finished(written(tmp_path, format), format, ASKED | changed, PICTURES)


@pytest.mark.parametrize("format", RECORDED)
def test_other_pictures_are_refused(tmp_path: Path, format: str) -> None:
    output = written(tmp_path, format, "a beach")
    asked = ASKED | {"text": "a beach"}
    assert check_finished(output, format, asked, PICTURES) == 5
    with pytest.raises(OutputError, match=r"of other pictures \(1 not in it, such as new\); choose another name"):
        check_finished(output, format, asked, [*PICTURES, Path("new")])
    with pytest.raises(OutputError, match=r"of other pictures \(2 not given now, such as a\)"):
        check_finished(output, format, asked, PICTURES[3:] + PICTURES[1:2])


@pytest.mark.parametrize("format", ["geojson", "geopackage"])
def test_names_alone_do_not_take_other_folders_pictures_for_these(tmp_path: Path, format: str) -> None:
    output = tmp_path / "out"
    with open_writer(format, output) as out:
        out.write(full("summer/a.jpg", model="tiny"))
    assert b"summer" not in output.read_bytes()
    assert check_finished(output, format, ASKED, [Path("summer/a.jpg")]) == 1
    with pytest.raises(OutputError, match="of pictures of the same names in other folders; choose another name"):
        check_finished(output, format, ASKED, [Path("winter/a.jpg")])
    with open_writer(format, output, overwrite=True, full_paths=True) as out:
        out.write(full("summer/a.jpg", model="tiny"))
    assert check_finished(output, format, ASKED, [Path("summer/a.jpg")]) == 1
    with pytest.raises(OutputError, match="1 not given now, such as summer"):
        check_finished(output, format, ASKED, [Path("winter/a.jpg")])


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_of_the_users_is_not_called_finished(tmp_path: Path, format: str) -> None:
    (tmp_path / "notes").write_text("my notes\nand more\n")
    if format not in RECORDED:
        assert check_finished(tmp_path / "notes", format, ASKED, PICTURES) is None
        return
    with pytest.raises(OutputError, match="notes: already exists and is no finished output of earthclip"):
        check_finished(tmp_path / "notes", format, ASKED, PICTURES)
