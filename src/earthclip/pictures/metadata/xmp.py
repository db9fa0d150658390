"""XMP and GDAL's XML: positions, names of places and people, times and serial numbers in packets that may be hostile.

The XML is streamed through expat without a tree; documents that declare entities, as only attacks do, are not read on.
Sources: XMP Specification Parts 1 and 2; IPTC Photo Metadata Standard 2023.1; Metadata Working Group's guidelines 2.0.
"""

from __future__ import annotations

import re
from xml.parsers import expat

from earthclip.pictures.metadata.findings import Collector, DamagedError, Position, precision_m

_LARGEST = 16 << 20
_DEEPEST = 200
_COORDINATE = re.compile(
    r"(\d{1,3})(?:,(\d{1,3})(?:\.(\d{0,20}))?)(?:,(\d{1,3})(?:\.(\d{0,20}))?)?([NSEW])", re.I | re.ASCII
)
_DECIMAL = re.compile(r"[+-]?\d{1,3}(?:\.(\d{1,20}))?", re.ASCII)
_MOST_VALUES = 65_536
_LATITUDES = ("GPSLatitude", "GpsLatitude", "GpsLatitude")
_LONGITUDES = ("GPSLongitude", "GpsLongitude", "GpsLongtitude")  # the last is how DJI spelled it
_OF_POSITIONS = frozenset((*_LATITUDES, *_LONGITUDES, "GPSLatitudeRef", "GPSLongitudeRef"))

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
    "CiEmailWork": ("person", "e-mail"),
    "CiTelWork": ("person", "telephone"),
    "CiUrlWork": ("person", "page"),
    "CiAdrExtadr": ("person", "address"),
    "CiAdrCity": ("person", "address, city"),
    "CiAdrRegion": ("person", "address, region"),
    "CiAdrPcode": ("person", "address, code"),
    "CiAdrCtry": ("person", "address, country"),
    "CopyrightOwnerName": ("person", "copyright"),
    "LicensorEmail": ("person", "e-mail"),
    "LicensorName": ("person", "licensor"),
    "Artist": ("person", "artist"),
    "AuthorsPosition": ("person", "creator's work"),
    "CaptionWriter": ("person", "author of the caption"),
    "Credit": ("person", "credit"),
    "Source": ("person", "source"),
    "TagsList": ("text", "keyword"),
    "hierarchicalSubject": ("text", "keyword"),
    "LastKeywordXMP": ("text", "keyword"),
    "LastKeywordIPTC": ("text", "keyword"),
    "CatalogSets": ("text", "keyword"),
    "comment": ("text", "comment"),
    "UserComment": ("text", "comment"),
    "text": ("text", "text"),
    "Event": ("text", "event"),
    "InstanceID": ("serial", "instance ID"),
    "about": ("serial", "document ID"),
    "LensModel": ("camera", "lens"),
    "Lens": ("camera", "lens"),
    "Make": ("camera", "maker"),
    "Software": ("camera", "software"),
    "MetadataDate": ("time", "metadata changed"),
    "DateTime": ("time", "file changed"),
    "DateTimeDigitized": ("time", "digitised"),
    "DigitalCreationDate": ("time", "created"),
    "GPSDateStamp": ("time", "satellites"),
    "GPSDestLatitude": ("place", "latitude of what was photographed"),
    "GPSDestLongitude": ("place", "longitude of what was photographed"),
    "GPSAreaInformation": ("place", "area"),
    "rights": ("person", "copyright"),
    "description": ("text", "description"),
    "title": ("text", "title"),
    "subject": ("text", "keyword"),
    "Headline": ("text", "headline"),
    "CreatorTool": ("camera", "software"),
    "Model": ("camera", "model"),
}
_STRUCTURES = {  # around a property: the kind of what is in them
    "History": "history",
    "DerivedFrom": "history",
    "Ingredients": "history",
    "Pantry": "history",
    "DocumentAncestors": "history",
    "RegionList": "person",
    "Regions": "person",
}
_SHOWN, _CREATED = "LocationShown", "LocationCreated"
_NAMES_OF_FACES = ("Name", "PersonDisplayName", "PersonEmailDigest", "PersonSourceID")
_SYNTAX = frozenset(("RDF", "Description", "li", "Seq", "Bag", "Alt", "xmpmeta", "xapmeta", "GDALMetadata"))
_SYNTAX_ATTRIBUTES = frozenset(("parseType", "lang", "datatype"))

_Values = list[tuple[tuple[str, ...], str, str]]


def read_xmp(packet: bytes, found: Collector, source: str = "XMP") -> None:
    """Collect what an XMP packet reveals, up to where it is damaged. Raises DamagedError when it is not XML."""
    structures: dict[tuple[str, ...], dict[str, str]] = {}  # values by the path of the properties around them
    for path, name, value in _values(packet, found):
        structures.setdefault(path, {}).setdefault(name, value)
        kind = next((_STRUCTURES[part] for part in path if part in _STRUCTURES), "")
        if kind == "history":
            found.add(kind, f"{path[0]}, {name}: {value}", source)
        elif kind == "person" and name in _NAMES_OF_FACES:
            found.add(kind, f"in the picture: {value}", source)
        elif name in _PROPERTIES:
            kind, what = _PROPERTIES[name]
            found.add(kind, f"{what}{', of what is shown' if _SHOWN in path else ''}: {value}", source)
        elif name not in _OF_POSITIONS:
            found.name(name, source)
    for path, values in structures.items():
        _add_position(values, path, found, source)


def read_gdal(text: bytes, found: Collector) -> None:
    """Collect what GDAL_METADATA holds: a photo's EXIF as text, among other items. Raises DamagedError."""
    values = {name.removeprefix("EXIF_"): value for _, name, value in _values(text, found)}
    for name in (_LATITUDES[0], _LONGITUDES[0]):
        numbers = [float(number) for number in re.findall(r"\((\d{1,9}(?:\.\d{1,9})?)\)", values.get(name, ""))]
        if numbers:
            values[name] = f"{sum(number / 60**i for i, number in enumerate(numbers)):.8f}"
    _add_position(values, (), found, "GDAL")
    for name, value in values.items():
        if name in _PROPERTIES:
            kind, what = _PROPERTIES[name]
            found.add(kind, f"{what}: {value}", "GDAL")
        elif name not in _OF_POSITIONS:
            found.name(name, "GDAL")


def _values(packet: bytes, found: Collector) -> _Values:
    """Every value with its name and the path of names around it, in which ``#2`` is an item of a list.

    Namespaces are left out: prefixes and even namespaces vary among programs. Raises DamagedError.
    """
    values: _Values = []
    stack: list[tuple[str, list[str]]] = []  # the part of the path that an element is, and its text

    def path() -> tuple[str, ...]:
        return tuple(part for part, _ in stack if part)

    def started(name: str, attributes: dict[str, str]) -> None:
        if len(stack) >= _DEEPEST or len(values) >= _MOST_VALUES:
            raise DamagedError("XML beyond what programs write")
        local = name.rpartition(" ")[2]
        if local == "Item" and "name" in attributes:  # GDAL's
            local = attributes.pop("name")
        part = f"#{len(values)}" if local == "li" else "" if local in _SYNTAX else local
        stack.append((part, []))
        for attribute, value in attributes.items():
            if value.strip() and attribute.rpartition(" ")[2] not in _SYNTAX_ATTRIBUTES:
                values.append((path(), attribute.rpartition(" ")[2], value))

    def ended(_: str) -> None:
        parts = list(path())
        text = "".join(stack.pop()[1]).strip()
        if text:
            while parts and parts[-1].startswith("#"):  # a list's items belong to the property around the list
                parts.pop()
            values.append((tuple(parts[:-1]), parts[-1] if parts else "text", text))

    def read(text: str) -> None:
        if stack and sum(map(len, stack[-1][1])) < 4096:
            stack[-1][1].append(text)

    def refuse(*_: object) -> None:
        raise DamagedError("XML that declares entities")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = started, ended, read
    parser.EntityDeclHandler = parser.StartDoctypeDeclHandler = refuse
    parser.CommentHandler = lambda text: values.append(((), "comment", text))
    parser.buffer_text = True
    try:
        parser.Parse(packet[:_LARGEST].strip(b"\0 \r\n\t"), True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # DamagedError is a ValueError; odd encodings
        if not values:
            raise DamagedError("XMP that is not XML") from error
        found.damaged = True
    return values


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


def _add_position(values: dict[str, str], path: tuple[str, ...], found: Collector, source: str) -> None:
    """The position among the values of one structure, the camera's unless the structure says otherwise."""
    for names in zip(_LATITUDES, _LONGITUDES, strict=True):
        angles = []
        for name, limit in zip(names, (90.0, 180.0), strict=True):
            angle = coordinate(values.get(name, ""), limit)
            reference = values.get(f"{name}Ref", "")[:1].upper()
            if angle and reference in ("S", "W") and _DECIMAL.fullmatch(values[name].strip()):
                angle = -abs(angle[0]), angle[1]  # as Apple Photos writes it: a number without a sign
            angles.append(angle)
        latitude, longitude = angles
        if latitude and longitude:
            written = precision_m(latitude[0], latitude[1], longitude[1])
            of_camera = (not path or path[0] == _CREATED) and not source.startswith("thumbnail")
            where = "" if not path else ", where it was taken" if path[0] == _CREATED else ", what is shown"
            found.add_position(Position(latitude[0], longitude[0], source + where, written, None, of_camera))
