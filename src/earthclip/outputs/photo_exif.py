"""Estimates in the EXIF of photos themselves, written and taken out by ExifTool; the photo from before is kept."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from pathlib import Path

from earthclip.errors import InputError, OutputError
from earthclip.files import atomic_write, with_ending
from earthclip.outputs.estimate import HAND, Estimate
from earthclip.outputs.sidecar import BACKUP, keep_backup
from earthclip.pictures.capture import BY_HAND, ESTIMATE
from earthclip.pictures.metadata import metadata_of, read_bytes

_SECONDS = 120
_NAMES = ("Latitude", "LatitudeRef", "Longitude", "LongitudeRef", "MapDatum", "ProcessingMethod", "HPositioningError")
_SAME_DEG = 1e-5


def put_exif(photo: Path, estimate: Estimate, *, dry_run: bool = False) -> bool:
    """Write an estimate into a photo's EXIF; False where the photo holds that already.

    Pixels and all other metadata stay, and so does the time of the file. The photo's bytes from before are kept beside
    it until ``take_out_exif``. Raises InputError without ExifTool, and it or OutputError for what cannot be written.
    """
    before, backup = read_bytes(photo), with_ending(photo, BACKUP)
    earlier = backup.read_bytes() if backup.exists() and _is_ours(before) else before
    after = _edited(photo, earlier, _arguments(estimate))
    if after == before:
        return False
    if earlier is before:
        keep_backup(backup, before, dry_run=dry_run)
    if not dry_run:
        _replace(photo, after)
    return True


def take_out_exif(photo: Path, estimate: Estimate, *, dry_run: bool = False) -> str | None:
    """Take an estimate out of a photo's EXIF; None where there is none.

    Returns "restored", "kept" or "changed" as ``sidecar.take_out`` does, and raises as ``put_exif``.
    """
    now, backup = read_bytes(photo), with_ending(photo, BACKUP)
    earlier = backup.read_bytes() if backup.exists() else None
    if not _is_ours(now):
        if earlier == now and not dry_run:  # an undo was interrupted between its two steps
            backup.unlink()
        return None
    if earlier is not None and _edited(photo, earlier, _arguments(estimate)) == now:
        before, outcome = earlier, "restored"
    else:
        position = metadata_of(now).position
        here = estimate.latitude, estimate.longitude
        if position is None or max(abs(position.latitude - here[0]), abs(position.longitude - here[1])) > _SAME_DEG:
            return "changed"
        before, outcome = _edited(photo, now, [f"-EXIF:GPS{name}=" for name in _NAMES]), "kept"
    if not dry_run:
        _replace(photo, before)
        if outcome == "restored":
            backup.unlink()
    return outcome


def _is_ours(data: bytes) -> bool:
    marks = ESTIMATE, BY_HAND
    return any(f"found by: {mark}" in one.value for one in metadata_of(data).of_kind("place") for mark in marks)


def _arguments(estimate: Estimate) -> list[str]:
    values: dict[str, object] = dict.fromkeys(_NAMES, "")
    values |= {"Latitude": f"{estimate.latitude:.8f}", "LatitudeRef": "S" if estimate.latitude < 0 else "N"}
    values |= {"Longitude": f"{estimate.longitude:.8f}", "LongitudeRef": "W" if estimate.longitude < 0 else "E"}
    values |= {"MapDatum": "WGS-84", "ProcessingMethod": estimate.note}
    if estimate.radius_km is not None and estimate.source != HAND:
        values["HPositioningError"] = math.ceil(estimate.radius_km * 1000)
    return [f"-EXIF:GPS{name}={value}" for name, value in values.items()]


def _edited(photo: Path, data: bytes, arguments: list[str]) -> bytes:
    """The bytes of a photo after ExifTool has changed them, without a configuration of the user's."""
    program = shutil.which("exiftool")
    if program is None:
        raise InputError("ExifTool is not installed; install exiftool, or use --to sidecar")
    command = [program, "-config", "", *arguments, "-o", "-", "-"]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OutputError(f"{photo}: ExifTool gave no answer ({error}); the photo was left as it is") from error
    if done.returncode or not done.stdout:
        reason = done.stderr.decode("utf-8", "replace").strip().removeprefix("Error: ") or "it wrote nothing"
        raise OutputError(f"{photo}: ExifTool cannot write this file ({reason}); use --to sidecar")
    return done.stdout


def _replace(photo: Path, data: bytes) -> None:
    status = photo.stat()
    with atomic_write(photo, overwrite=True) as file:
        file.write(data)
    os.utime(photo, ns=(status.st_atime_ns, status.st_mtime_ns))
