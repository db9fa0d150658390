"""The parts of JPEG, PNG, WebP and HEIC files, found without decoding any pixel.

Sources: ITU-T T.81 annex B; PNG (W3C, third edition); WebP container specification; ISO/IEC 14496-12 and 23008-12.
Positions are checked against the file's end; what contradicts it is a DamagedError.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from earthclip.pictures.metadata.findings import DamagedError

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_MOST_ITEMS = 65_536


@dataclass(frozen=True)
class Part:
    """A segment, chunk or box: its name, where all of it lies, and where its content does."""

    name: str
    start: int
    end: int
    content: int
    content_end: int


@dataclass(frozen=True)
class Item:
    """An item of a HEIC or AVIF file: four letters, the media type of a ``mime`` item, where its pieces lie."""

    kind: str
    media_type: str
    pieces: tuple[tuple[int, int], ...]


def container_of(data: bytes) -> str:
    """JPEG, PNG, WebP, HEIC (or AVIF: the same boxes), TIFF, BigTIFF, or other, by the first bytes."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(PNG_SIGNATURE):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp":
        return "HEIC"
    if data[:4] in (b"II+\0", b"MM\0+"):
        return "BigTIFF"
    return "TIFF" if data[:4] in (b"II*\0", b"MM\0*") else "other"


def jpeg_parts(data: bytes) -> Iterator[Part]:
    """Segments by the two hexadecimal digits of their markers, SOS with its scan, up to and with EOI.

    What lies between segments, where readers skip it, belongs to none. Raises DamagedError.
    """
    at = 0
    while found := _MARKER.search(data, at):
        marker, start = data[found.start() + 1], found.start()
        content = end = start + 2
        if marker not in (0x01, SOI, EOI, *range(0xD0, 0xD8)):
            length = int.from_bytes(data[content : content + 2], "big")
            if length < 2 or content + length > len(data):
                raise DamagedError(f"segment {marker:02X} ends beyond the file")
            content, end = content + 2, content + length
        content_end = end
        if marker == SOS:
            following = _MARKER_IN_SCAN.search(data, end)
            end = following.start() if following else len(data)
        yield Part(f"{marker:02X}", start, end, content, content_end)
        if marker == EOI:
            return
        at = end


def png_parts(data: bytes) -> Iterator[Part]:
    """Chunks by their four letters, up to and with IEND. Raises DamagedError."""
    at = len(PNG_SIGNATURE)
    while at < len(data):
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            raise DamagedError("a PNG chunk ends beyond the file")
        yield Part(name.decode("latin-1"), at, end, at + 8, end - 4)
        if name == b"IEND":
            return
        at = end
    raise DamagedError("a PNG without its end")


def webp_parts(data: bytes) -> Iterator[Part]:
    """Chunks by their four letters, with the byte that pads them. Raises DamagedError."""
    at, last = 12, 8 + int.from_bytes(data[4:8], "little")
    if last > len(data) + 1:  # some writers leave out the last padding
        raise DamagedError("a WebP cut short")
    while at + 8 <= min(last, len(data)):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + size > len(data):
            raise DamagedError("a WebP chunk ends beyond the file")
        end = min(at + 8 + size + size % 2, len(data))
        yield Part(data[at : at + 4].decode("latin-1"), at, end, at + 8, at + 8 + size)
        at = end


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Part]:
    """Boxes by their four letters, one after another. Raises DamagedError."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, name, head = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        elif size == 0:
            size = end - start
        if size < head or start + size > end:
            raise DamagedError("a box ends beyond what holds it")
        yield Part(name.decode("latin-1"), start, start + size, start + head, start + size)
        start += size


def heif_items(data: bytes) -> list[Item]:
    """The items of a HEIC or AVIF file. Raises DamagedError."""
    meta = next((box for box in boxes(data) if box.name == "meta"), None)
    if meta is None:
        return []
    inner = {box.name: box for box in boxes(data, meta.content + 4, meta.end)}
    kinds = _item_kinds(data, inner["iinf"]) if "iinf" in inner else {}
    places = _item_places(data, inner["iloc"], inner.get("idat")) if "iloc" in inner else {}
    return [Item(*kinds[number], tuple(places.get(number, ()))) for number in kinds]


def _item_kinds(data: bytes, box: Part) -> dict[int, tuple[str, str]]:
    kinds: dict[int, tuple[str, str]] = {}
    start = box.content + (6 if data[box.content] == 0 else 8) if box.content < box.end else box.end
    for entry in boxes(data, start, box.end):
        body = data[entry.content : entry.end]
        if entry.name != "infe" or not body or body[0] not in (2, 3):
            continue
        wide = 4 if body[0] == 3 else 2
        kind = body[6 + wide : 10 + wide].decode("latin-1")
        _, _, rest = body[10 + wide :].partition(b"\0")
        media_type = rest.partition(b"\0")[0].decode("latin-1") if kind == "mime" else ""
        kinds[int.from_bytes(body[4 : 4 + wide], "big")] = kind, media_type
    return kinds


def _item_places(data: bytes, box: Part, idat: Part | None) -> dict[int, list[tuple[int, int]]]:
    reader = _Reader(data, box.content, box.end)
    version = reader.take(1)
    reader.take(3)
    sizes = reader.take(2)
    offset_size, length_size, base_size, index_size = (
        (sizes >> 12) & 15,
        (sizes >> 8) & 15,
        (sizes >> 4) & 15,
        sizes & 15,
    )
    places: dict[int, list[tuple[int, int]]] = {}
    pieces = 0
    for _ in range(reader.take(2 if version < 2 else 4)):
        number = reader.take(2 if version < 2 else 4)
        method = reader.take(2) & 15 if version in (1, 2) else 0
        reader.take(2)  # which file: this one
        base = reader.take(base_size)
        found = []
        for _ in range(reader.take(2)):
            if index_size and version in (1, 2):
                reader.take(index_size)
            start, length = base + reader.take(offset_size), reader.take(length_size)
            if method == 1 and idat is not None:
                start += idat.content
            pieces += 1
            if method > 1 or start + length > len(data) or pieces > _MOST_ITEMS:
                raise DamagedError("an item lies beyond the file")
            found.append((start, start + length if length else len(data)))
        places[number] = found
    return places


class _Reader:
    """Big-endian integers one after another, up to an end. Raises DamagedError there."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self._data, self._at, self._end = data, at, end

    def take(self, size: int) -> int:
        """The next integer of ``size`` bytes; 0 for none."""
        if self._at + size > self._end:
            raise DamagedError("a table ends early")
        self._at += size
        return int.from_bytes(self._data[self._at - size : self._at], "big")


def png_chunk(name: bytes, content: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
