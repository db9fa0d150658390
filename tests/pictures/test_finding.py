"""What the arguments of ``earthclip locate`` mean: files, folders, patterns, lists."""

from __future__ import annotations

import io
import os
import socket
import sys
from pathlib import Path

import pytest

from earthclip.errors import InputError
from earthclip.pictures.finding import check_list, count_pictures, each_picture
from earthclip.pictures.kinds import KINDS, PassedOver, kind_of, read_suffixes
from earthclip.pictures.prepare import Failure


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures by their names, in the current folder."""
    for name in [
        "b.jpg",
        "a.JPG",
        "x[1].png",
        "sub/c.jpg",
        "sub/deep/d.tif",
        "sub/deep/notes.txt",
        ".h/e.jpg",
        ".f.jpg",
    ]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*arguments: str, listed: str | None = None) -> list[str]:
    found = each_picture(map(Path, arguments), Path(listed) if listed else None)
    return [f"! {item.error}" if isinstance(item, Failure) else item.as_posix() for item in found]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jpg", ["b.jpg"]),
        ("?.[jJ]*", ["a.JPG", "b.jpg"]),
        ("*/*.jpg", ["loop/b.jpg", "sub/c.jpg"]),
        ("**/*.jpg", ["b.jpg", "sub/c.jpg"]),
        ("sub/**/*", ["sub/c.jpg", "sub/deep/d.tif", "sub/deep/notes.txt"]),
        ("sub/**", ["sub/c.jpg", "sub/deep/d.tif"]),
        ("**", ["a.JPG", "b.jpg", "x[1].png", "sub/c.jpg", "sub/deep/d.tif"]),
        ("s*", ["sub/c.jpg", "sub/deep/d.tif"]),
        ("s*/deep", ["sub/deep/d.tif"]),
        (".f*", [".f.jpg"]),
        ("x[1].png", ["x[1].png"]),  # there is a file of that very name
        ("*.gif", ["! *.gif: no such file, nor any that match it; check the name and the folder"]),
        ("no/*/x", ["! no/*/x: no such file, nor any that match it; check the name and the folder"]),
    ],
)
def test_patterns(photos: Path, pattern: str, expected: list[str]) -> None:
    assert names(pattern) == expected
    if not expected[0].startswith("!"):
        assert names(str(photos / pattern)) == [(photos / name).as_posix() for name in expected]


def test_the_order_is_that_of_the_arguments(photos: Path) -> None:
    (photos / "list").write_text("sub\nb.jpg\n")
    found = names("b.jpg", "empty", "nope.jpg", "sub", listed="list")
    assert found.pop(1).startswith("! empty: a folder without pictures")
    assert found == ["b.jpg", "nope.jpg", "sub/c.jpg", "sub/deep/d.tif", "sub/c.jpg", "sub/deep/d.tif", "b.jpg"]


@pytest.mark.parametrize(
    "content",
    [
        b"b.jpg\n\n  \nsub/c.jpg\nx*.png",
        b"\xef\xbb\xbfb.jpg\r\nsub/c.jpg\r\nx*.png\r\n",
        b"b.jpg\0sub/c.jpg\0x*.png\0",
    ],
)
def test_lists(photos: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = ["b.jpg", "sub/c.jpg", "x*.png"]  # a list has names, no patterns
    (photos / "list").write_bytes(content)
    assert names(listed="list") == expected
    for arguments, listed in ((["-"], None), ([], "-")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert names(*arguments, listed=listed) == expected


def test_a_list_of_any_length_and_of_any_bytes_in_names(photos: Path) -> None:
    lines = [b"%d\xff.jpg" % i for i in range(20_000)]
    (photos / "list").write_bytes(b"\n".join(lines))
    assert names(listed="list") == [os.fsdecode(line) for line in lines]
    (photos / "list").write_bytes(b"a\nb.jpg\0c\0")
    assert names(listed="list") == ["a\nb.jpg", "c"]


def test_lists_that_are_none(photos: Path) -> None:
    for path, says in (("nope.txt", "found nothing"), ("sub", "found a folder")):
        with pytest.raises(InputError, match=f"{path}: expected a file of paths, {says}"):
            check_list(Path(path))
    (photos / "list").write_text("b.jpg\n", encoding="utf-16")
    with pytest.raises(InputError, match="list: a list of paths in UTF-16"):
        names(listed="list")
    check_list(Path("-"))


def test_the_count_is_that_of_what_comes(photos: Path) -> None:
    (photos / "list").write_text("sub\nb.jpg\n")
    arguments = [Path("b.jpg"), Path("empty"), Path("sub"), Path("*.JPG")]
    assert count_pictures(arguments, Path("list")) == 8
    assert count_pictures([*arguments, Path("-")]) is None
    assert count_pictures(arguments, Path("-")) is None


def test_what_a_folder_holds_besides_is_counted(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.NEF", "c.nef", "d.mov", "notes.txt", ".hidden.jpg"):
        (tmp_path / name).touch()
    passed_over = PassedOver()
    assert [item.name for item in each_picture([tmp_path], passed_over=passed_over) if isinstance(item, Path)] == [
        "a.jpg"
    ]
    assert str(passed_over) == (
        "skipped 2 .nef files: export camera raw files as JPEG; 1 .mov file: videos are not read; "
        "1 file that is not a picture"
    )


def test_a_folder_of_what_needs_a_package_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.heic").touch()
    assert [item.name for item in each_picture([tmp_path]) if isinstance(item, Path)] == ["a.heic"]
    monkeypatch.setattr("earthclip.pictures.kinds.find_spec", lambda name: None)
    (found,) = each_picture([tmp_path])
    assert isinstance(found, Failure) and found.error == (
        f"{tmp_path}: no readable pictures (skipped 1 .heic file: install HEIC support with pip install "
        "'earthclip[heif]')"
    )
    assert ".heic" not in read_suffixes()


def test_every_suffix_has_one_kind() -> None:
    suffixes = [suffix for kind in KINDS for suffix in kind.suffixes]
    assert len(suffixes) == len(set(suffixes)) and all(suffix == suffix.lower() for suffix in suffixes)
    assert kind_of("IMG_1.HEIC") is kind_of(Path("x.heif")) and kind_of("notes.txt") is None


def test_pipes_and_sockets_are_named_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(tmp_path / "socket.png"))
    says = "expected a picture, found {}; save it as a file first"
    expected = [f"pipe.jpg: {says.format('a named pipe')}", f"socket.png: {says.format('a socket')}"]
    found = [item.error for item in each_picture([tmp_path]) if isinstance(item, Failure)]
    assert found == [f"{tmp_path}/{text}" for text in expected]
    (alone,) = each_picture([tmp_path / "pipe.jpg"])
    assert isinstance(alone, Failure) and alone.error == found[0]
    (device,) = each_picture([Path("/dev/zero")])
    assert isinstance(device, Failure) and "found a device" in device.error
