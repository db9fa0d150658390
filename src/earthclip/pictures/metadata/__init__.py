"""The metadata of picture files: what it reveals, read from damaged and hostile files too, and copies without it.

Nothing here is used to locate a picture, and nothing is shown unless asked for: ``earthclip privacy check``.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path

from earthclip.errors import InputError
from earthclip.pictures.metadata import containers
from earthclip.pictures.metadata.exif import read_exif, text_of
from earthclip.pictures.metadata.findings import Collector, DamagedError, Finding, Metadata, Position
from earthclip.pictures.metadata.strip import without_metadata
from earthclip.pictures.metadata.xmp import read_iptc, read_photoshop, read_xmp

__all__ = ["Finding", "Metadata", "Position", "metadata_of", "read_bytes", "read_metadata", "without_metadata"]

_LARGEST_FILE = 1 << 30
_LARGEST_TEXT = 16 << 20  # of what is compressed in a PNG
_EXIF_SIGN = b"Exif\0\0"
_XMP_SIGN = b"http://ns.adobe.com/xap/1.0/\0"
_MORE_XMP_SIGN = b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP_SIGN = b"Photoshop 3.0\0"
_PACKET = re.compile(rb"<x:xmpmeta.{0,1048576}?</x:xmpmeta>", re.S)


def read_metadata(path: str | Path) -> Metadata:
    """What the metadata of the file at ``path`` reveals. Raises InputError when the file cannot be read."""
    return metadata_of(read_bytes(Path(path)))


def read_bytes(path: Path) -> bytes:
    """All of a file. Raises InputError when it cannot be read or is larger than 1 GiB."""
    try:
        if path.is_file() and path.stat().st_size > _LARGEST_FILE:
            raise InputError(f"{path}: larger than 1 GiB, too large for a photo; give a smaller file")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def metadata_of(data: bytes) -> Metadata:
    """What the metadata in a file's bytes reveals; never raises: damaged parts are left out and reported."""
    reading = _Reading(Collector())
    container = containers.container_of(data)
    reading.file(data, container)
    return reading.found.metadata(container)


class _Reading:
    """One file on its way through the parsers; ``prefix`` says that it is a thumbnail inside another."""

    def __init__(self, found: Collector, prefix: str = "") -> None:
        self.found, self._prefix = found, prefix

    def file(self, data: bytes, container: str) -> None:
        """Read a file of a known container."""
        readers = {"JPEG": self._jpeg, "PNG": self._png, "WebP": self._webp, "HEIC": self._heif, "TIFF": self._tiff}
        try:
            readers.get(container, self._other)(data)
        except DamagedError:
            self.found.damaged = True

    def embedded(self, kind: str, data: bytes) -> None:
        """Read a block of a kind; what is damaged is left out."""
        try:
            if kind == "exif":
                read_exif(data, self.found, f"{self._prefix}EXIF", self.embedded)
            elif kind == "xmp":
                read_xmp(data, self.found, f"{self._prefix}XMP")
            elif kind == "iptc":
                read_iptc(data, self.found)
            elif kind == "photoshop":
                read_photoshop(data, self.found)
            elif not self._prefix:  # a thumbnail's thumbnail is left alone
                _Reading(self.found, "thumbnail ").file(data, containers.container_of(data))
        except DamagedError:
            self.found.damaged = True

    def _jpeg(self, data: bytes) -> None:
        more_xmp: list[tuple[int, bytes]] = []
        resources, end = b"", 0
        for part in containers.jpeg_parts(data):
            content, end = data[part.content : part.content_end], part.end
            if part.name == "E1" and content.startswith(_EXIF_SIGN):
                self.embedded("exif", content[len(_EXIF_SIGN) :])
            elif part.name == "E1" and content.startswith(_XMP_SIGN):
                self.embedded("xmp", content[len(_XMP_SIGN) :])
            elif part.name == "E1" and content.startswith(_MORE_XMP_SIGN):
                at = len(_MORE_XMP_SIGN) + 32  # after a digest: whole length, offset
                more_xmp.append((int.from_bytes(content[at + 4 : at + 8], "big"), content[at + 8 :]))
            elif part.name == "ED" and content.startswith(_PHOTOSHOP_SIGN):
                resources += content[len(_PHOTOSHOP_SIGN) :]
            else:
                self._segment(part.name, content)
        if resources:
            self.embedded("photoshop", resources)
        if more_xmp:
            self.embedded("xmp", b"".join(piece for _, piece in sorted(more_xmp, key=lambda piece: piece[0])))
        if beyond := len(data) - end:
            kind = "probably a video" if b"ftyp" in data[end : end + 4096] else "more pictures or other data"
            self.found.add("hidden", f"{beyond:,} bytes after the picture's end: {kind}", self._prefix + "file")

    def _segment(self, name: str, content: bytes) -> None:
        if name == "FE":
            self.found.add("text", f"comment: {text_of(content)}", "JPEG")
        elif name == "E0":
            small = content.startswith(b"JFXX") or (content.startswith(b"JFIF\0") and any(content[12:14]))
            self.found.add("thumbnail", "may show what was cropped away" if small else "", "JFIF")
        elif "E1" <= name <= "EF" and not content.startswith((b"ICC_PROFILE\0", b"Adobe")):
            sign = text_of(content[:24].partition(b"\0")[0])
            self.found.add("hidden", f"{len(content):,} bytes of {sign or 'an unknown kind'}", f"APP{int(name[1], 16)}")

    def _png(self, data: bytes) -> None:
        end = len(data)
        for part in containers.png_parts(data):
            content, end = data[part.content : part.content_end], part.end
            if part.name == "eXIf":
                self.embedded("exif", content.removeprefix(_EXIF_SIGN))
            elif part.name == "tIME" and len(content) == 7:
                year, (month, day, hour, minute, second) = int.from_bytes(content[:2], "big"), content[2:]
                self.found.add(
                    "time", f"changed: {year}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second:02d}", "PNG"
                )
            elif part.name in ("tEXt", "zTXt", "iTXt"):
                self._png_text(part.name, content)
            elif part.name == "caBX":
                self.found.add("hidden", f"{len(content):,} bytes of Content Credentials", "PNG")
        if beyond := len(data) - end:
            self.found.add("hidden", f"{beyond:,} bytes after the picture's end", "file")

    def _png_text(self, name: str, content: bytes) -> None:
        keyword, _, rest = content.partition(b"\0")
        packed = name == "zTXt"
        if name == "iTXt":
            packed, rest = rest[:1] == b"\1", rest[2:].partition(b"\0")[2].partition(b"\0")[2]
        elif packed:
            rest = rest[1:]
        if packed:
            try:
                rest = zlib.decompressobj().decompress(rest, _LARGEST_TEXT)
            except zlib.error:
                self.found.damaged = True
                return
        raw = re.fullmatch(rb"Raw profile type (exif|APP1|iptc|xmp|8bim)", keyword)
        if keyword == b"XML:com.adobe.xmp":
            self.embedded("xmp", rest)
        elif raw:
            self._raw_profile(raw[1], rest)
        else:
            kind = "time" if b"time" in keyword.lower() or b"date" in keyword.lower() else "text"
            self.found.add(kind, f"{text_of(keyword)}: {text_of(rest[:4096])}", "PNG")

    def _raw_profile(self, kind: bytes, text: bytes) -> None:
        """ImageMagick's way: a name, a length, and the block in hexadecimal."""
        try:
            block = bytes.fromhex("".join(text.decode("ascii").split()[2:]))
        except ValueError:
            self.found.damaged = True
            return
        if block.startswith(_XMP_SIGN):
            self.embedded("xmp", block.removeprefix(_XMP_SIGN))
        elif kind in (b"exif", b"APP1"):
            self.embedded("exif", block.removeprefix(_EXIF_SIGN))
        else:
            self.embedded("xmp" if kind == b"xmp" else "photoshop", block)

    def _webp(self, data: bytes) -> None:
        for part in containers.webp_parts(data):
            content = data[part.content : part.content_end]
            if part.name == "EXIF":
                self.embedded("exif", content.removeprefix(_EXIF_SIGN))
            elif part.name == "XMP ":
                self.embedded("xmp", content)

    def _tiff(self, data: bytes) -> None:
        read_exif(data, self.found, "EXIF", self.embedded)

    def _heif(self, data: bytes) -> None:
        for item in containers.heif_items(data):
            content = b"".join(data[start:end] for start, end in item.pieces[:16])
            if item.kind == "Exif":
                self.embedded("exif", content[4 + int.from_bytes(content[:4], "big") :].removeprefix(_EXIF_SIGN))
            elif item.media_type == "application/rdf+xml":
                self.embedded("xmp", content)
        if any(box.name in ("moov", "udta") for box in containers.boxes(data)):
            self.found.add("hidden", "a sequence or video, whose metadata is not read", "file")

    def _other(self, data: bytes) -> None:
        for packet in _PACKET.findall(data):
            self.embedded("xmp", packet)
        if (at := data.find(_EXIF_SIGN)) >= 0:
            self.embedded("exif", data[at + len(_EXIF_SIGN) :])
