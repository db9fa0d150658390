"""XMP and IPTC: positions, names of places and people, times and serial numbers in packets that may be hostile.

The XML is streamed through expat without a tree; documents that declare entities, as only attacks do, are not read on.
Sources: XMP Specification Parts 1 and 2; IPTC Photo Metadata Standard 2023.1; IPTC-NAA IIM 4.2, chapter 6.
"""

from __future__ import annotations

import re
from xml.parsers import expat

from earthclip.pictures.metadata.exif import text_of
from earthclip.pictures.metadata.findings import Collector, DamagedError, Position, precision_m

_LARGEST = 16 << 20
_DEEPEST = 200
_COORDINATE = re.compile(
    r"(\d{1,3})(?:,(\d{1,3})(?:\.(\d{0,20}))?)(?:,(\d{1,3})(?:\.(\d{0,20}))?)?([NSEW])", re.I | re.ASCII
)
_DECIMAL = re.compile(r"[+-]?\d{1,3}(?:\.(\d{1,20}))?", re.ASCII)
_LATITUDES = ("GPSLatitude", "GpsLatitude")
_LONGITUDES = ("GPSLongitude", "GpsLongitude", "GpsLongtitude")  # the last is how DJI spelled it

# By the property's name without its prefix: prefixes and even namespaces vary among programs
_PROPERTIES = {
    "GPSAltitude": ("altitude", "m, as a fraction"),
    "AbsoluteAltitude": ("altitude", "absolute"),
    "GPSImgDirection": ("direction", "degrees, as a fraction"),
    "GPSTimeStamp": ("time", "satellites"),
    "DateTimeOriginal": ("time", "taken"),
    "CreateDate": ("time", "created"),
    "DateCreated": ("time", "created"),
    "ModifyDate": ("time", "file changed"),
    "City": ("place", "city"),
    "State": ("place", "state"),
    "ProvinceState": ("place", "state"),
    "Country": ("place", "country"),
    "CountryName": ("place", "country"),
    "CountryCode": ("place", "country code"),
    "Location": ("place", "location"),
    "Sublocation": ("place", "location"),
    "WorldRegion": ("place", "world region"),
    "LocationName": ("place", "location"),
    "SerialNumber": ("serial", "camera body"),
    "BodySerialNumber": ("serial", "camera body"),
    "LensSerialNumber": ("serial", "lens"),
    "DroneSerialNumber": ("serial", "drone"),
    "CameraSerialNumber": ("serial", "camera body"),
    "OriginalDocumentID": ("serial", "original document ID"),
    "DocumentID": ("serial", "document ID"),
    "CameraOwnerName": ("person", "owner"),
    "OwnerName": ("person", "owner"),
    "creator": ("person", "creator"),
    "PersonInImage": ("person", "in the picture"),
    "PersonDisplayName": ("person", "in the picture"),
    "Creator": ("person", "creator"),
    "rights": ("person", "copyright"),
    "description": ("text", "description"),
    "title": ("text", "title"),
    "subject": ("text", "keyword"),
    "Headline": ("text", "headline"),
    "CreatorTool": ("camera", "software"),
    "Model": ("camera", "model"),
}
_IIM = {
    5: ("text", "title"),
    25: ("text", "keyword"),
    26: ("place", "location code"),
    27: ("place", "location"),
    55: ("time", "date created"),
    60: ("time", "time created"),
    80: ("person", "byline"),
    90: ("place", "city"),
    92: ("place", "location"),
    95: ("place", "state"),
    100: ("place", "country code"),
    101: ("place", "country"),
    105: ("text", "headline"),
    116: ("person", "copyright"),
    120: ("text", "caption"),
}
_IPTC_RESOURCE, _THUMBNAIL_RESOURCES = 0x0404, (0x0409, 0x040C)


def read_xmp(packet: bytes, found: Collector, source: str = "XMP") -> None:
    """Collect what an XMP packet reveals, up to where it is damaged. Raises DamagedError when it is not XML."""
    values: dict[str, str] = {}
    stack: list[tuple[str, list[str]]] = []

    def take(name: str, value: str) -> None:
        local = name.rpartition(" ")[2]
        values.setdefault(local, value)
        if local in _PROPERTIES and value.strip():
            kind, what = _PROPERTIES[local]
            found.add(kind, f"{what}: {value}", source)

    def started(name: str, attributes: dict[str, str]) -> None:
        if len(stack) >= _DEEPEST:
            raise DamagedError("XML nested too deep")
        stack.append((name, []))
        for attribute, value in attributes.items():
            take(attribute, value)

    def ended(name: str) -> None:
        element, pieces = stack.pop()
        text = "".join(pieces).strip()
        if text:
            # A list's items belong to the property around rdf:Seq, rdf:Bag or rdf:Alt.
            inside = element.rpartition(" ")[2] == "li" and len(stack) >= 2
            take(stack[-2][0] if inside else element, text)

    def read(text: str) -> None:
        if stack and sum(map(len, stack[-1][1])) < 4096:
            stack[-1][1].append(text)

    def refuse(*_: object) -> None:
        raise DamagedError("XML that declares entities")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = started, ended, read
    parser.EntityDeclHandler = parser.StartDoctypeDeclHandler = refuse
    parser.buffer_text = True
    try:
        parser.Parse(packet[:_LARGEST].strip(b"\0 \r\n\t"), True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # DamagedError is a ValueError; odd encodings
        if not values:
            raise DamagedError("XMP that is not XML") from error
        found.damaged = True
    finally:
        _add_position(values, found, source)


def coordinate(text: str, limit: float) -> tuple[float, float] | None:
    """Degrees and the step they are written in, of XMP's ``52,30.25N`` or ``52,30,15N``, or of a decimal number."""
    text = text.strip()
    if found := _COORDINATE.fullmatch(text):
        whole, minutes, decimals, seconds, second_decimals, direction = found.groups()
        value = int(whole) + float(f"{minutes}.{decimals or 0}") / 60
        step = 10.0 ** -len(decimals or "") / 60
        if seconds is not None:
            value += float(f"{seconds}.{second_decimals or 0}") / 3600
            step = 10.0 ** -len(second_decimals or "") / 3600
        value = -value if direction in "SWsw" else value
    elif found := _DECIMAL.fullmatch(text):
        value, step = float(text), 10.0 ** -len(found[1] or "")
    else:
        return None
    return (value, step) if abs(value) <= limit else None


def read_photoshop(data: bytes, found: Collector) -> None:
    """Collect what Photoshop's image resources hold: IPTC's dataset and thumbnails. Raises DamagedError."""
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
        at = start + size + size % 2


def read_iptc(data: bytes, found: Collector) -> None:
    """Collect what an IPTC-NAA record holds; it ends where a dataset does not begin. Raises DamagedError."""
    at = 0
    while data[at : at + 1] == b"\x1c" and at + 5 <= len(data):
        record, number, size = data[at + 1], data[at + 2], int.from_bytes(data[at + 3 : at + 5], "big")
        at += 5
        if size & 0x8000 or at + size > len(data):  # extended sizes are of pictures, not of words
            raise DamagedError("an IPTC dataset beyond the end")
        if record == 2 and number in _IIM and (text := text_of(data[at : at + size]).strip()):
            kind, what = _IIM[number]
            found.add(kind, f"{what}: {text}", "IPTC")
        at += size


def _add_position(values: dict[str, str], found: Collector, source: str) -> None:
    latitudes = [coordinate(values[name], 90.0) for name in _LATITUDES if name in values]
    longitudes = [coordinate(values[name], 180.0) for name in _LONGITUDES if name in values]
    for latitude, longitude in zip(latitudes, longitudes, strict=False):
        if latitude and longitude:
            written = precision_m(latitude[0], latitude[1], longitude[1])
            found.add_position(Position(latitude[0], longitude[0], source, written))
