"""EXIF: directories of tags in the TIFF format, read from bytes that may be damaged or hostile.

Sources: TIFF 6.0; CIPA DC-008-2023 (Exif 3.0), sections 4.6.4 to 4.6.8. Nothing is believed: each offset and length is
checked, no directory is visited twice, and no more are visited than a file of any camera has.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from PIL import ExifTags

from earthclip.pictures.metadata.containers import gaps
from earthclip.pictures.metadata.findings import Collector, DamagedError, Position, precision_m

EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD, SUB_IFDS = 0x8769, 0x8825, 0xA005, 0x014A
XMP, IPTC, PHOTOSHOP, PROFILE, GDAL = 0x02BC, 0x83BB, 0x8649, 0x8773, 0xA480
_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x201, 0x202
_MAKER_NOTE, _USER_COMMENT, _MAKE, _MODEL = 0x927C, 0x9286, 0x10F, 0x110
_MOST_DIRECTORIES, _MOST_ENTRIES = 64, 4096

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I"}

_TEXTS = {
    0x010E: ("text", "description"),
    0x0131: ("camera", "software"),
    0x0132: ("time", "file changed"),
    0x013B: ("person", "artist"),
    0x013C: ("serial", "computer"),
    0x8298: ("person", "copyright"),
    0x9003: ("time", "taken"),
    0x9004: ("time", "digitised"),
    0x9010: ("time", "offset from UTC, file changed"),
    0x9011: ("time", "offset from UTC, taken"),
    0xA420: ("serial", "unique image ID"),
    0xA430: ("person", "owner"),
    0xA431: ("serial", "camera body"),
    0xA434: ("camera", "lens"),
    0xA435: ("serial", "lens"),
    0xC62F: ("serial", "camera body"),
    0xC65D: ("serial", "raw file's ID"),
    0xA436: ("text", "title"),
    0xA437: ("person", "photographer"),
    0xA438: ("person", "editor"),
    0xA43A: ("camera", "software"),
    0x010D: ("text", "name of the document"),
    0x9012: ("time", "offset from UTC, digitised"),
    0x87B1: ("place", "georeference"),  # GeoTIFF's text
    0x9C9B: ("text", "title"),
    0x9C9C: ("text", "comment"),
    0x9C9D: ("person", "author"),
    0x9C9E: ("text", "keywords"),
    0x9C9F: ("text", "subject"),
}
_WINDOWS_TEXTS = range(0x9C9B, 0x9CA0)  # UTF-16 in bytes
_GEOREFERENCE = {0x830E: "pixel scale", 0x8482: "tie points", 0x85D8: "transformation"}  # GeoTIFF
# What only shows the picture: layout, compression, colours, orientation, resolution, and versions of the standard
_HARMLESS = frozenset(
    (
        *(254, 255, 256, 257, 258, 259, 262, 263, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283, 284, 290, 291, 292),
        *(293, 296, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 332, 334, 336, 338, 339, 340, 341, 342, 347),
        *(512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 42113),
        *(0x9000, 0x9101, 0xA000, 0xA001, 0xA002, 0xA003, EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD, SUB_IFDS),
    )
)
_HARMLESS_INTEROPERABILITY = (1, 2)
_DATA = (
    (273, 279),
    (324, 325),
    (288, 289),
    (_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH),
)  # where pixels are, and how many bytes
_GPS_READ = frozenset((*range(8), *range(0x10, 0x17), 0x1B, 0x1C, 0x1D, 0x1F))


@dataclass(frozen=True)
class Entry:
    """One tag of a directory: its value lies at ``start`` to ``end`` of the block, the entry itself at ``at``."""

    tag: int
    kind: int
    count: int
    at: int
    start: int
    end: int


class Block:
    """A TIFF block: its byte order and its bytes. Raises DamagedError when it does not begin as one."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(data[:4]), "")
        if not self.order:
            raise DamagedError("no TIFF header")
        self.first = self.number("I", 4)
        self.covered = [(0, 8)]  # bytes that something points to
        self.whole = True  # whether every directory and entry could be read

    def number(self, code: str, at: int) -> int:
        """The integer of struct's ``code`` at an offset. Raises DamagedError beyond the end."""
        try:
            return int(struct.unpack_from(self.order + code, self.data, at)[0])
        except struct.error as error:
            raise DamagedError("a number beyond the end") from error

    def entries(self, at: int) -> tuple[list[Entry], int]:
        """The entries of the directory at an offset, those beyond the end left out, and where the next one is."""
        count = self.number("H", at) if at else 0
        if not 0 < count <= _MOST_ENTRIES:
            raise DamagedError("a directory without entries")
        taken = []
        for position in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, number = (
                self.number("H", position),
                self.number("H", position + 2),
                self.number("I", position + 4),
            )
            size = SIZES.get(kind, 0) * number
            start = position + 8 if size <= 4 else self.number("I", position + 8)
            if size and start + size <= len(self.data):
                taken.append(Entry(tag, kind, number, position, start, start + size))
                self.covered.append((start, start + size))
            else:
                self.whole = False
        end = at + 2 + 12 * count
        self.covered.append((at, end + 4))
        return taken, self.number("I", end) if end + 4 <= len(self.data) else 0

    def bytes_of(self, entry: Entry) -> bytes:
        """The entry's raw value."""
        return bytes(self.data[entry.start : entry.end])

    def numbers(self, entry: Entry, most: int = 64) -> list[int | float]:
        """The entry's first integers or floats; empty where it is of another type."""
        code, count = _CODES.get(entry.kind), min(entry.count, most)
        return list(struct.unpack_from(f"{self.order}{count}{code}", self.data, entry.start)) if code else []

    def fractions(self, entry: Entry) -> list[tuple[Fraction, int]]:
        """The entry's first three rationals, each with its denominator; those over 0 end it."""
        if entry.kind not in (5, 10):
            return [(Fraction(value), 1) for value in self.numbers(entry, 3) if isinstance(value, int)]
        codes = f"{self.order}{2 * min(entry.count, 3)}{'I' if entry.kind == 5 else 'i'}"
        values = struct.unpack_from(codes, self.data, entry.start)
        pairs = list(zip(values[::2], values[1::2], strict=True))
        whole = pairs[: next((i for i, (_, below) in enumerate(pairs) if below == 0), len(pairs))]
        return [(Fraction(above, below), abs(below)) for above, below in whole]

    def text(self, entry: Entry) -> str:
        """The entry's text: UTF-8 where it is, else Latin-1."""
        raw = self.bytes_of(entry)[:4096]
        if entry.tag in _WINDOWS_TEXTS:
            return raw.decode("utf-16-le", "replace").rstrip("\0")
        return text_of(raw)

    def directories(self) -> Iterator[tuple[str, int, list[Entry]]]:
        """Every directory: name (``0``, ``1`` ..., ``sub``, ``exif``, ``gps``, ``other``), offset and entries.

        One that cannot be read is left out; when it is the first, DamagedError is raised.
        """
        waiting, seen = [("0", self.first)], set[int]()
        while waiting and len(seen) < _MOST_DIRECTORIES:
            name, at = waiting.pop(0)
            if at in seen:
                continue
            seen.add(at)
            try:
                entries, following = self.entries(at)
            except DamagedError:
                if at == self.first:
                    raise
                self.whole = False
                continue
            yield name, at, entries
            if name.isdigit() and following:
                waiting.append((str(int(name) + 1), following))
            names = {EXIF_IFD: "exif", GPS_IFD: "gps", INTEROPERABILITY_IFD: "other", SUB_IFDS: "sub"}
            for entry in entries:
                if entry.tag in names:
                    waiting += [(names[entry.tag], int(value)) for value in self.numbers(entry)]
        self.whole = self.whole and not waiting

    def cover_data(self, tags: dict[int, Entry]) -> None:
        """Count the pixels that a directory points to as covered."""
        for starts, sizes in _DATA:
            if starts in tags and sizes in tags:
                pairs = zip(*(self.numbers(tags[tag], tags[tag].count) for tag in (starts, sizes)), strict=False)
                self.covered += [(int(start), int(start) + int(size)) for start, size in pairs]


def read_exif(data: bytes, found: Collector, source: str, embedded: Callable[[str, bytes], None]) -> None:
    """Collect what an EXIF block reveals.

    ``embedded(kind, bytes)`` hears of the blocks in it, whose kinds are xmp, iptc, photoshop, profile, gdal and jpeg.
    Raises DamagedError when nothing can be read.
    """
    block = Block(data)
    for name, _, entries in block.directories():
        tags = {entry.tag: entry for entry in entries}
        if name == "gps":
            _read_gps(block, tags, found, source)
            continue
        block.cover_data(tags)
        _read_camera(block, tags, found, source)
        for tag, kind in _EMBEDDED.items():
            if tag in tags:
                embedded(kind, block.bytes_of(tags[tag]))
        for tag in tags:
            if tag not in _READ and not (name == "other" and tag in _HARMLESS_INTEROPERABILITY):
                found.name(ExifTags.TAGS.get(tag, f"tag {tag}"), source)
        if name != "0" and _THUMBNAIL_OFFSET in tags and _THUMBNAIL_LENGTH in tags:
            at, length = (block.numbers(tags[tag]) for tag in (_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH))
            if at and length and 0 < int(length[0]) <= len(data) - int(at[0]):
                found.add("thumbnail", f"{int(length[0]):,} bytes; may show what was cropped away", source)
                embedded("jpeg", bytes(data[int(at[0]) : int(at[0]) + int(length[0])]))
    if not block.whole:
        found.add("other", "fields of unknown types, or more than are read", source)
    if hidden := sum(end - start for start, end in gaps(block.covered, len(data)) if data[start:end].strip(b"\0")):
        found.add("hidden", f"{hidden:,} bytes that no field points to", source)


def text_of(raw: bytes) -> str:
    """Untrusted text: UTF-8 if valid, else Latin-1; up to the padding."""
    raw = raw.rstrip(b"\0 ")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _read_camera(block: Block, tags: dict[int, Entry], found: Collector, source: str) -> None:
    camera = " ".join(block.text(tags[tag]).strip() for tag in (_MAKE, _MODEL) if tag in tags)
    found.add("camera", camera, source)
    for tag, (kind, name) in _TEXTS.items():
        if tag in tags and tags[tag].kind in (1, 2, 7, 129) and (text := block.text(tags[tag]).strip("\0 ")):
            found.add(kind, f"{name}: {text}", source)
    for tag, name in _GEOREFERENCE.items():
        if tag in tags:
            values = ", ".join(f"{value:.10g}" for value in block.numbers(tags[tag], 6))
            found.add("place", f"georeference, {name}: {values}", source)
    if _USER_COMMENT in tags:
        raw = block.bytes_of(tags[_USER_COMMENT])  # 8 bytes name its character code
        wide = "utf-16-le" if block.order == "<" else "utf-16-be"
        text = raw[8:4096].decode(wide, "replace") if raw.startswith(b"UNICODE") else text_of(raw[8:4096])
        found.add("text", f"comment: {text}" if text.strip("\0 ") else "", source)
    if _MAKER_NOTE in tags:
        size = tags[_MAKER_NOTE].end - tags[_MAKER_NOTE].start
        found.add("maker note", f"{size:,} bytes only its maker can read; often serial numbers, at times faces", source)


_EMBEDDED = {XMP: "xmp", IPTC: "iptc", PHOTOSHOP: "photoshop", PROFILE: "profile", GDAL: "gdal"}
_READ = (
    _HARMLESS | _TEXTS.keys() | _GEOREFERENCE.keys() | _EMBEDDED.keys() | {_MAKER_NOTE, _USER_COMMENT, _MAKE, _MODEL}
)


def _read_gps(block: Block, tags: dict[int, Entry], found: Collector, source: str) -> None:
    def text(tag: int) -> str:
        return block.text(tags[tag]).strip("\0 ") if tag in tags else ""

    def value(tag: int) -> float | None:
        parts = block.fractions(tags[tag]) if tag in tags else []
        return float(parts[0][0]) if parts else None

    def angle(reference: int, tag: int) -> tuple[float, float] | None:
        parts = block.fractions(tags[tag]) if tag in tags else []
        if not parts:
            return None
        degrees = float(sum(part / 60**i for i, (part, _) in enumerate(parts)))
        # The finest unit decides: a camera that writes minutes with decimals leaves 0/1 for the seconds.
        step = min(1.0 / (below * 60**i) for i, (_, below) in enumerate(parts))
        return (-degrees if text(reference)[:1].upper() in ("S", "W") else degrees), step

    error = value(0x1F)
    for references, place in (((1, 2, 3, 4), source), ((0x13, 0x14, 0x15, 0x16), f"{source}, what was photographed")):
        latitude, longitude = angle(*references[:2]), angle(*references[2:])
        if latitude and longitude:
            written = precision_m(latitude[0], latitude[1], longitude[1])
            of_camera = place == source and not source.startswith("thumbnail")
            found.add_position(
                Position(latitude[0], longitude[0], place, written, error if place == source else None, of_camera)
            )
    if (altitude := value(6)) is not None:
        below = 5 in tags and block.bytes_of(tags[5])[:1] == b"\1"
        found.add("altitude", f"{-altitude if below else altitude:,.1f} m", source)
    if (direction := value(0x11)) is not None:
        found.add("direction", f"{direction:.1f}° from {'magnetic' if text(0x10) == 'M' else 'true'} north", source)
    if 7 in tags and len(clock := [int(part) for part, _ in block.fractions(tags[7])]) == 3:
        found.add("time", f"satellites: {text(0x1D)} {clock[0]:02d}:{clock[1]:02d}:{clock[2]:02d} UTC", source)
    for tag in (0x1B, 0x1C):
        raw = block.bytes_of(tags[tag]) if tag in tags else b""
        name = "found by" if tag == 0x1B else "area"
        found.add("place", f"{name}: {words}" if (words := text_of(raw[8:]).strip("\0 ")) else "", source)
    for tag in tags:
        if tag not in _GPS_READ:
            found.name(ExifTags.GPSTAGS.get(tag, f"GPS tag {tag}"), source)
