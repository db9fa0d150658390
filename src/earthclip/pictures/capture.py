"""When and where a photo says that it was taken: its own metadata and its XMP sidecars."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from earthclip.errors import InputError
from earthclip.pictures.kinds import kind_of
from earthclip.pictures.metadata import Metadata, metadata_of, read_bytes

ESTIMATE = "Estimate by EarthCLIP"  # begins the GPSProcessingMethod of every position that is written here
BY_HAND = "Set by hand with EarthCLIP"

_TIME = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
_ZONE = re.compile(r"([+-])(\d\d):?(\d\d)", re.ASCII)
_SIDECAR_OF = re.compile(rb"SidecarForExtension\s*(?:=\s*[\"']|>)\s*(\w+)")
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC).timestamp()  # no digital camera: a clock that was never set
_QUARTER_S, _WIDEST_ZONE_S = 15 * 60, 14.25 * 3600


@dataclass(frozen=True)
class Capture:
    """What a photo says of when and where it was taken.

    ``clock_s`` is what the camera's clock showed, in seconds since 1970 as if it showed UTC; ``utc_s`` is the time in
    UTC, None where the photo does not say its time zone. ``position`` is (latitude, longitude) in degrees;
    ``estimated`` tells that EarthCLIP wrote it. ``faults`` names what was not believed.
    """

    camera: str = ""
    position: tuple[float, float] | None = None
    estimated: bool = False
    clock_s: float | None = None
    utc_s: float | None = None
    faults: tuple[str, ...] = ()


ZERO = "the position 0, 0"
WRONG_CLOCK = "a date before 1990 or in the future"


def sidecars_of(photo: Path) -> list[Path]:
    """The XMP sidecars of a photo that exist: ``photo.jpg.xmp``, then ``photo.xmp``.

    ``photo.xmp`` may belong to another file of that name, such as the raw file. It counts where it names this photo's
    suffix (photoshop:SidecarForExtension), or names none and no other picture or video has the name.
    """
    found = [path for path in _spelled(photo.name, photo) if path.is_file()][:1]
    for path in _spelled(photo.stem, photo):
        if path.is_file() and photo.suffix and _is_of(path, photo):
            found.append(path)
            break
    return found


def capture_of(photo: Path) -> Capture:
    """What a photo and its sidecars say; a measured position goes before an estimate, the photo before its sidecars.

    Raises InputError when the photo cannot be read. A sidecar that cannot be read is one without a position.
    """
    places: list[tuple[tuple[float, float], bool]] = []
    faults: list[str] = []
    documents = list(_documents(photo))
    for data, metadata in documents:
        if (position := metadata.position) is None:
            continue
        if position.latitude == position.longitude == 0:
            faults.append(ZERO)
        else:
            ours = ESTIMATE.encode() in data or BY_HAND.encode() in data
            places.append(((position.latitude, position.longitude), ours))
    place, estimated = min(places, key=lambda found: found[1], default=(None, False))
    clock_s = utc_s = None
    for _, metadata in documents:
        if clock_s is None:
            clock_s, utc_s = _times(metadata)
    if clock_s is not None and not _EARLIEST <= clock_s <= time.time() + 86_400:
        clock_s = utc_s = None
        faults.append(WRONG_CLOCK)
    cameras = (one.value for _, metadata in documents for one in metadata.of_kind("camera"))
    camera = next((name for name in cameras if ": " not in name), "")  # others are "lens: ..." and the like
    return Capture(camera, place, estimated, clock_s, utc_s, tuple(faults))


def _documents(photo: Path) -> Iterator[tuple[bytes, Metadata]]:
    data = read_bytes(photo)
    yield data, metadata_of(data)
    for path in sidecars_of(photo):
        try:
            data = read_bytes(path)
        except InputError:
            continue
        yield data, metadata_of(data)


def _spelled(name: str, photo: Path) -> Iterator[Path]:
    for suffix in (".xmp", ".XMP"):
        yield photo.with_name(name + suffix)


def _is_of(path: Path, photo: Path) -> bool:
    try:
        named = _SIDECAR_OF.search(path.read_bytes())
        if named:
            return named[1].decode().lower() == photo.suffix[1:].lower()
        with os.scandir(photo.parent) as entries:
            return not any(
                entry.name != photo.name and Path(entry.name).stem == photo.stem and kind_of(entry.name)
                for entry in entries
            )
    except OSError:
        return False


def _times(metadata: Metadata) -> tuple[float | None, float | None]:
    """What the clock showed and the time in UTC, in seconds; None for what is not known."""
    said: dict[str, str] = {}
    findings = [one for one in metadata.of_kind("time") if not one.source.startswith("thumbnail")]
    for one in sorted(findings, key=lambda one: one.source != "EXIF"):
        what, _, value = one.value.partition(": ")
        said.setdefault(what, value)
    satellites = _parsed(said.get("satellites", ""))
    for what in ("taken", "digitised", "created"):
        clock = _parsed(said.get(what, ""))
        if clock is None:
            continue
        zone = _ZONE.search(said.get(f"offset from UTC, {what}", "")) or _ZONE.search(said[what][19:])
        if zone:
            return clock, clock - offset_s(*zone.groups())
        if said[what].endswith("Z"):
            return clock, clock
        if satellites is not None and abs(clock - satellites) <= _WIDEST_ZONE_S:
            # The satellites' time may be minutes old: it tells the zone, in quarters of an hour, not the minute.
            return clock, clock - round((clock - satellites) / _QUARTER_S) * _QUARTER_S
        return clock, None
    return satellites, satellites


def offset_s(sign: str, hours: str, minutes: str) -> float:
    """Seconds that a time zone such as +05:30 is ahead of UTC, from its three parts."""
    return (-1.0 if sign == "-" else 1.0) * (int(hours) * 3600 + int(minutes) * 60)


def _parsed(text: str) -> float | None:
    found = _TIME.match(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    try:  # a leap second is 60, which datetime does not know
        moment = datetime(year, month, day, hour, minute, tzinfo=UTC) + timedelta(seconds=second)
    except ValueError:
        return None
    return moment.timestamp()
