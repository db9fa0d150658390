"""Photoshop's image resources and IPTC's records: names of places and people, and thumbnails.

Sources: Adobe Photoshop File Formats Specification; IPTC-NAA IIM 4.2, chapter 6.
"""

from __future__ import annotations

from earthclip.pictures.metadata.exif import text_of
from earthclip.pictures.metadata.findings import Collector, DamagedError

_IIM = {
    5: ("text", "title"),
    25: ("text", "keyword"),
    26: ("place", "location code"),
    27: ("place", "location"),
    55: ("time", "date created"),
    60: ("time", "time created"),
    80: ("person", "byline"),
    85: ("person", "byline, work"),
    90: ("place", "city"),
    92: ("place", "location"),
    95: ("place", "state"),
    100: ("place", "country code"),
    101: ("place", "country"),
    105: ("text", "headline"),
    110: ("person", "credit"),
    115: ("person", "source"),
    116: ("person", "copyright"),
    118: ("person", "contact"),
    120: ("text", "caption"),
    122: ("person", "author of the caption"),
}
_IPTC_RESOURCE, _THUMBNAIL_RESOURCES = 0x0404, (0x0409, 0x040C)
_VERSION = 0  # the number of a dataset that says nothing


def read_photoshop(data: bytes, found: Collector) -> None:
    """Collect what image resources hold: IPTC's record, thumbnails, others by number. Raises DamagedError."""
    at = data.find(b"8BIM")
    while 0 <= at <= len(data) - 12 and data[at : at + 4] == b"8BIM":
        kind = int.from_bytes(data[at + 4 : at + 6], "big")
        name_end = at + 7 + data[at + 6]
        start = name_end + (name_end - at) % 2
        size, start = int.from_bytes(data[start : start + 4], "big"), start + 4
        if start + size > len(data):
            raise DamagedError("an image resource beyond the end")
        if kind == _IPTC_RESOURCE:
            read_iptc(data[start : start + size], found)
        elif kind in _THUMBNAIL_RESOURCES:
            found.add("thumbnail", f"{size:,} bytes; may show what was cropped away", "Photoshop")
        else:
            found.name(f"resource {kind}", "Photoshop")
        at = start + size + size % 2
    at = max(at, 0)
    if data[at:].strip(b"\0"):
        found.add("hidden", f"{len(data) - at:,} bytes that are no image resource", "Photoshop")


def read_iptc(data: bytes, found: Collector) -> None:
    """Collect what an IPTC-NAA record holds; it ends where a dataset does not begin. Raises DamagedError."""
    at = 0
    while data[at : at + 1] == b"\x1c" and at + 5 <= len(data):
        record, number, size = data[at + 1], data[at + 2], int.from_bytes(data[at + 3 : at + 5], "big")
        at += 5
        if size & 0x8000 or at + size > len(data):  # extended sizes are of pictures, not of words
            raise DamagedError("an IPTC dataset beyond the end")
        if record == 2 and number in _IIM:
            kind, what = _IIM[number]
            text = text_of(data[at : at + size]).strip()
            found.add(kind, f"{what}: {text}" if text else "", "IPTC")
        elif number != _VERSION:
            found.name(f"dataset {record}:{number}", "IPTC")
        at += size
    if data[at:].strip(b"\0"):
        found.add("hidden", f"{len(data) - at:,} bytes that are no dataset", "IPTC")
