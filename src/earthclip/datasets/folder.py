"""A folder of photos that know their places: their cameras wrote GPS positions into EXIF, or an editor into XMP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from earthclip.datasets.photos import FileStore
from earthclip.datasets.rows import Rows, Scan
from earthclip.errors import InputError
from earthclip.pictures.finding import walk
from earthclip.pictures.kinds import PICTURE_SUFFIXES, PassedOver, listed
from earthclip.pictures.metadata import Position, metadata_of
from earthclip.pictures.prepare import Failure

NO_GPS, NOT_A_PHOTO, UNREADABLE = "without GPS", "not a photo", "unreadable"

_HEAD = 1 << 18  # bytes; cameras write EXIF in the first 64 KB of a JPEG
_LARGEST = 1 << 28  # bytes that are read in search of metadata that is not in the head


def scan_folder(folder: Path, progress: Callable[[int], None] | None = None) -> Scan:
    """Look at every photo below ``folder``, in sorted order; ids are paths in it with ``/`` between names.

    The place is the camera's own; one of a thumbnail or of what was photographed does not count. ``progress`` hears
    how many were looked at. Hidden names are passed over. Raises InputError when there is no photo at all.
    """
    rows, names = Rows(str(folder)), []
    for path in walk(folder, PICTURE_SUFFIXES, PassedOver()):
        if isinstance(path, Failure):
            rows.leave_out(UNREADABLE, path.error)
            continue
        name = path.relative_to(folder).as_posix()
        names.append(name)
        try:
            position, is_photo = position_of(folder / name)
        except OSError as error:
            rows.leave_out(UNREADABLE, f"{name}: {error.strerror}")
            continue
        if not is_photo:
            rows.leave_out(NOT_A_PHOTO, name)
        elif position is None:
            rows.leave_out(NO_GPS, name)
        else:
            rows.add(name, position.latitude, position.longitude)
        if progress is not None:
            progress(len(names))
    if not names:
        shards = any(folder.glob("*.tar"))
        advice = (
            f"for its shards type '{folder}/*.tar'"
            if shards
            else f"expected files that end in {listed(PICTURE_SUFFIXES)}"
        )
        raise InputError(f"{folder}: a folder without photos; {advice}")
    kept = rows.kept(authors=False)
    return rows.scan(kept, FileStore(folder, names), kept.origin)


def position_of(path: Path) -> tuple[Position | None, bool]:
    """Where the camera was, and whether the file begins as a photo does. Raises OSError.

    Only the first 256 KB are read when the position is among them.
    """
    with path.open("rb") as file:
        data = file.read(_HEAD)
        metadata = metadata_of(data)
        if metadata.position is None and len(data) == _HEAD and metadata.container != "other":
            metadata = metadata_of(data + file.read(_LARGEST))
    return metadata.position, metadata.container != "other"
