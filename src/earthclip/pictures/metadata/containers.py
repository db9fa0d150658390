"""The parts of JPEG, PNG, WebP and GIF files, found without decoding any pixel.

Sources: ITU-T T.81 annex B; PNG (W3C, third edition); WebP container specification; GIF89a. Positions
are checked against the file's end; what contradicts it is a DamagedError.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from earthclip.pictures.metadata.findings import DamagedError

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_GIF_IMAGE, _GIF_EXTENSION, _GIF_END = 0x2C, 0x21, 0x3B


@dataclass(frozen=True)
class Part:
    """A segment, chunk or box: its name, where all of it lies, and where its content does."""

    name: str
    start: int
    end: int
    content: int
    content_end: int


def container_of(data: bytes) -> str:
    """JPEG, PNG, WebP, GIF, HEIC (or AVIF: the same boxes), TIFF, BigTIFF, or other, by the first bytes."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(PNG_SIGNATURE):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
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


def gif_parts(data: bytes) -> Iterator[Part]:
    """The head with its colours, then blocks by kind: ``21FF`` is an extension, ``2C`` an image, ``3B`` the end.

    Raises DamagedError.
    """
    at = 13 + _gif_colours(data, 10)
    yield Part("head", 0, at, 6, at)
    while at < len(data):
        start, kind = at, data[at]
        if kind == _GIF_END:
            yield Part("3B", start, start + 1, start + 1, start + 1)
            return
        if kind == _GIF_IMAGE:
            name, at = "2C", start + 10 + _gif_colours(data, start + 9) + 1
        elif kind == _GIF_EXTENSION and at + 1 < len(data):
            name, at = f"21{data[at + 1]:02X}", start + 2
        else:
            raise DamagedError("an unknown block in a GIF")
        content = at
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
        if at > len(data):
            raise DamagedError("a GIF cut short")
        yield Part(name, start, at, content, at)
    raise DamagedError("a GIF without its end")


def _gif_colours(data: bytes, at: int) -> int:
    """Bytes of the colour table that the flags at a position announce."""
    if at >= len(data):
        raise DamagedError("a GIF cut short")
    return 3 << (data[at] & 7) + 1 if data[at] & 0x80 else 0


def gif_text(block: bytes) -> bytes:
    """The text of a comment's block."""
    text, at = b"", 2
    while at < len(block) and block[at]:
        text += block[at + 1 : at + 1 + block[at]]
        at += 1 + block[at]
    return text


def gaps(parts: Iterable[tuple[int, int]], end: int) -> Iterator[tuple[int, int]]:
    """Where none of the parts lies, between 0 and ``end``."""
    at = 0
    for start, stop in sorted(parts):
        if start > at:
            yield at, min(start, end)
        at = max(at, stop)
    if at < end:
        yield at, end


def png_chunk(name: bytes, content: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def webp_chunk(name: str, content: bytes) -> bytes:
    """A WebP chunk with its padding."""
    return name.encode("latin-1") + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
