from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from earthclip.errors import OutputError
from earthclip.files import (
    atomic_write,
    refuse_existing,
    refuse_unwritable,
    remove_left,
    sha256_of,
    staging_folder,
    with_ending,
)


def test_a_file_appears_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    with atomic_write(path) as file:
        file.write(b"half")
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "out") as file:
            file.write(b"x")
        assert (tmp_path / "out").stat().st_mode & 0o777 == 0o640
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(mask)


def test_a_replaced_file_keeps_its_permissions_and_is_private_before(tmp_path: Path) -> None:
    path = tmp_path / "out"
    for mode in (0o600, 0o664):
        path.touch()
        path.chmod(mode)
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to(path)
        with atomic_write(tmp_path / "link", overwrite=True) as file:
            file.write(b"x")
            (part,) = tmp_path.glob(".out.*.part")
            assert part.stat().st_mode & 0o777 == 0o600
        assert path.read_bytes() == b"x" and path.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "short", "x" * 119])
def test_temporary_names_fit_where_the_name_fits(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    other = path.with_name(path.name[:-1] + "y")
    with atomic_write(path) as file:
        file.write(b"x")
        (part,) = tmp_path.iterdir()
        longest = max(len(os.fsencode(name)), 120)
        assert (
            len(os.fsencode(part.name)) <= longest and len(os.fsencode(with_ending(path, ".partial").name)) <= longest
        )
        assert with_ending(path, ".partial") != with_ending(other, ".partial")
        remove_left(other)
        assert part.exists()
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == b"x"
    part.touch()  # as a killed process of this number leaves it
    remove_left(path)
    assert list(tmp_path.iterdir()) == [path]
    folder = tmp_path / "folder" / name
    with staging_folder(folder) as staging:
        (staging / "a").touch()
    with staging_folder(folder):
        pass
    assert list(folder.parent.iterdir()) == [folder] and not list(folder.iterdir())


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path, fault: type[BaseException]) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with pytest.raises(fault), atomic_write(path, overwrite=True) as file:
        file.write(b"new")
        raise fault
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="out: writing failed"), atomic_write(tmp_path / "out"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_existing_files_are_replaced_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match="already exists; choose another name, or add --force"), atomic_write(path):
        pytest.fail("the block must not run")
    with pytest.raises(OutputError, match="already exists"):
        refuse_existing(tmp_path)
    refuse_existing(tmp_path / "free")
    refuse_unwritable(path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    with atomic_write(path, overwrite=True) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    for path in (tmp_path / "none" / "out", Path("/proc/earthclip-out")):
        with pytest.raises(OutputError, match=r"cannot be written \(.*\); choose a folder"), atomic_write(path):
            pytest.fail("the block must not run")


def test_sha256(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"earth" * 100_000)
    assert sha256_of(path) == hashlib.sha256(b"earth" * 100_000).hexdigest()


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    target, link = tmp_path / "elsewhere" / "real.csv", tmp_path / "link.csv"
    target.parent.mkdir()
    target.write_text("old")
    link.symlink_to(target)
    with atomic_write(link, overwrite=True) as file:
        file.write(b"new")
    assert link.is_symlink() and target.read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["real.csv"]


def test_a_device_or_folder_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, found in ((tmp_path / "pipe", "a device or pipe"), (tmp_path, "a folder")):
        with (
            pytest.raises(OutputError, match=f"expected a file to write, found {found}"),
            atomic_write(path, overwrite=True) as file,
        ):
            file.write(b"x")
    assert not (tmp_path / "pipe").is_file()
