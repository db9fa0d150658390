"""What the metadata of a file reveals. All its bytes are accounted for: what is not understood is reported by name."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

from earthclip.pictures.metadata import colour, containers, heif, strip
from earthclip.pictures.metadata.containers import Part
from earthclip.pictures.metadata.exif import read_exif, text_of
from earthclip.pictures.metadata.findings import Collector, DamagedError, Metadata
from earthclip.pictures.metadata.photoshop import read_iptc, read_photoshop
from earthclip.pictures.metadata.xmp import read_gdal, read_xmp

_LARGEST_TEXT = 16 << 20  # of what is compressed in a PNG
_XMP_SIGN = b"http://ns.adobe.com/xap/1.0/\0"
_MORE_XMP_SIGN = b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP_SIGN = b"Photoshop 3.0\0"
_PACKET = re.compile(rb"<x:xmpmeta.{0,1048576}?</x:xmpmeta>", re.S)
_XMP_MEDIA = "application/rdf+xml"
_GIF_XMP = b"\x0bXMP DataXMP"


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
        readers: dict[str, Callable[[bytes], None]] = {
            **{"JPEG": self._jpeg, "PNG": self._png, "WebP": self._webp, "GIF": self._gif, "HEIC": self._heif},
            "TIFF": lambda data: self.embedded("exif", data),
        }
        try:
            readers.get(container, self._other)(data)
        except DamagedError:
            self.found.damaged = True

    def embedded(self, kind: str, data: bytes) -> None:
        """Read a block of a kind; what is damaged is left out."""
        readers = {"iptc": read_iptc, "photoshop": read_photoshop}
        try:
            if kind == "exif":
                read_exif(data.removeprefix(strip.EXIF_SIGN), self.found, f"{self._prefix}EXIF", self.embedded)
            elif kind == "xmp":
                read_xmp(data, self.found, f"{self._prefix}XMP")
            elif kind == "gdal":
                read_gdal(data.rstrip(b"\0"), self.found)
            elif kind in readers:
                readers[kind](data, self.found)
            elif kind == "profile":
                self._profile(data)
            elif not self._prefix:  # a thumbnail's thumbnail is left alone
                _Reading(self.found, "thumbnail ").file(data, containers.container_of(data))
        except DamagedError:
            self.found.damaged = True

    def _profile(self, profile: bytes) -> None:
        name, fields, serial = colour.described(profile)
        self.found.add("serial", f"screen: {serial}" if serial else "", "colour profile")
        if fields:
            words = f"{len(fields):,} {'field' if len(fields) == 1 else 'fields'}: {', '.join(fields)}"
            self.found.add("other", f"{name}, {words}" if name else words, "colour profile")

    def _hidden(self, content: bytes, name: str, source: str = "file") -> None:
        """Bytes that are not understood; ``name`` says where they are or what they are called."""
        if content.strip(b"\0\xff\r\n "):
            video = ", probably a video" if b"ftyp" in content[:4096] else ""
            self.found.add("hidden", f"{len(content):,} bytes {name}{video}", self._prefix + source)

    def _gaps(self, data: bytes, parts: list[Part]) -> None:
        end = parts[-1].end if parts else 0
        for start, stop in containers.gaps([(part.start, part.end) for part in parts], end):
            self._hidden(data[start:stop], "between the blocks of the file")
        self._hidden(data[end:], "after the picture's end")

    def _jpeg(self, data: bytes) -> None:
        more_xmp: list[tuple[int, bytes]] = []
        blocks = {"photoshop": b"", "profile": b""}
        parts = []
        for part in containers.jpeg_parts(data):
            parts.append(part)
            content = data[part.content : part.content_end]
            if part.name == "E1" and content.startswith(strip.EXIF_SIGN):
                self.embedded("exif", content)
            elif part.name == "E1" and content.startswith(_XMP_SIGN):
                self.embedded("xmp", content[len(_XMP_SIGN) :])
            elif part.name == "E1" and content.startswith(_MORE_XMP_SIGN):
                at = len(_MORE_XMP_SIGN) + 32  # after a digest: whole length, offset
                more_xmp.append((int.from_bytes(content[at + 4 : at + 8], "big"), content[at + 8 :]))
            elif part.name == "ED" and content.startswith(_PHOTOSHOP_SIGN):
                blocks["photoshop"] += content[len(_PHOTOSHOP_SIGN) :]
            elif part.name == "E2" and content.startswith(strip.ICC_SIGN):
                blocks["profile"] += content[len(strip.ICC_SIGN) + 2 :]
            else:
                self._segment(part.name, content)
        for kind, block in blocks.items():
            if block:
                self.embedded(kind, block)
        if more_xmp:
            self.embedded("xmp", b"".join(piece for _, piece in sorted(more_xmp, key=lambda piece: piece[0])))
        self._gaps(data, parts)

    def _segment(self, name: str, content: bytes) -> None:
        if name == "FE":
            self.found.add("text", f"comment: {text_of(content)}" if content.strip(b"\0 ") else "", "JPEG")
        elif name == "E0" and content.startswith((b"JFXX", b"JFIF\0")):
            small = content.startswith(b"JFXX") or any(content[12:14])
            self.found.add("thumbnail", "may show what was cropped away" if small else "", "JFIF")
            if not small:
                self._hidden(content[14:], "behind JFIF's fields", "JFIF")
        elif name == "EE" and content.startswith(b"Adobe"):
            self._hidden(content[12:], "behind Adobe's fields", "APP14")
        elif "E0" <= name <= "EF":
            sign = text_of(content[:24].partition(b"\0")[0])
            self._hidden(content, f"of {sign or 'an unknown kind'}", f"APP{int(name[1], 16)}")
        elif name not in strip.JPEG_KEPT:
            self._hidden(content, "of an unknown kind", f"JPEG segment {name}")

    def _png(self, data: bytes) -> None:
        parts, chunks = [Part("sign", 0, 8, 8, 8)], strip.PNGChunks()
        for part in containers.png_parts(data):
            parts.append(part)
            content = data[part.content : part.content_end]
            if part.name == "eXIf":
                self.embedded("exif", content)
            elif part.name == "tIME" and len(content) == 7:
                year, (month, day, hour, minute, second) = int.from_bytes(content[:2], "big"), content[2:]
                self.found.add(
                    "time", f"changed: {year}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second:02d}", "PNG"
                )
            elif part.name in ("tEXt", "zTXt", "iTXt"):
                self._png_text(part.name, content)
            elif part.name == "iCCP":
                name, _, packed = content.partition(b"\0")
                known = name.lower() == strip.ICC_NAME.lower()
                self.found.add("text", "" if known else f"colour profile: {text_of(name)}", "PNG")
                self.embedded("profile", self._unpacked(packed[1:]))
            elif not chunks.needed(part.name, content):
                kind = "of Content Credentials" if part.name == "caBX" else "of an unknown kind"
                self._hidden(content, kind, f"PNG {part.name}")
        self._gaps(data, parts)

    def _unpacked(self, packed: bytes) -> bytes:
        try:
            return zlib.decompressobj().decompress(packed, _LARGEST_TEXT)
        except zlib.error:
            self.found.damaged = True
            return b""

    def _png_text(self, name: str, content: bytes) -> None:
        keyword, _, rest = content.partition(b"\0")
        packed = name == "zTXt"
        if name == "iTXt":
            packed, rest = rest[:1] == b"\1", rest[2:].partition(b"\0")[2].partition(b"\0")[2]
        elif packed:
            rest = rest[1:]
        rest = self._unpacked(rest) if packed else rest
        raw = re.fullmatch(rb"Raw profile type (exif|APP1|iptc|xmp|8bim|icc|icm)", keyword)
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
        kinds = {b"exif": "exif", b"APP1": "exif", b"icc": "profile", b"icm": "profile", b"xmp": "xmp"}
        if block.startswith(_XMP_SIGN):
            self.embedded("xmp", block.removeprefix(_XMP_SIGN))
        else:
            self.embedded(kinds.get(kind, "photoshop"), block)

    def _webp(self, data: bytes) -> None:
        parts = [Part("head", 0, 12, 12, 12)]
        for part in containers.webp_parts(data):
            parts.append(part)
            content = data[part.content : part.content_end]
            kind = {"EXIF": "exif", "XMP ": "xmp", "ICCP": "profile"}.get(part.name)
            if kind:
                self.embedded(kind, content)
            elif part.name == "ANMF" and len(content) >= 16:
                for name, inner in strip.webp_frame(content):
                    if name not in strip.WEBP_PIXELS:
                        self._hidden(inner, "of an unknown kind", f"WebP {name}")
            elif part.name not in strip.WEBP_KEPT or (part.name == "ANIM" and len(content) != strip.ANIM_SIZE):
                self._hidden(content, "of an unknown kind", f"WebP {part.name}")
        self._gaps(data, parts)

    def _gif(self, data: bytes) -> None:
        parts = []
        for part in containers.gif_parts(data):
            parts.append(part)
            block = data[part.start : part.end]
            if part.name == "21FE":
                self.found.add("text", f"comment: {text_of(containers.gif_text(block))}", "GIF")
            elif block[2:14] == _GIF_XMP:
                self.embedded("xmp", block[14:-258])  # before a magic trailer that ends its sub-blocks
            elif not strip.is_gif_needed(part, block):
                self._hidden(block, f"of {text_of(block[3:14]) or 'an unknown kind'}", "GIF")
        self._gaps(data, parts)

    def _heif(self, data: bytes) -> None:
        inside = heif.contents(data)
        for item in inside.items:
            content = b"".join(data[start:end] for start, end in item.pieces)
            if item.kind == "Exif":
                self.embedded("exif", content[4 + int.from_bytes(content[:4], "big") :])
            elif item.media_type == _XMP_MEDIA:
                self.embedded("xmp", content)
            elif item.kind not in heif.PIXELS:
                self._hidden(content, f"of {item.kind.strip()} {item.media_type}".strip(), "HEIC")
        for name, content in inside.others:
            self._hidden(content, name if " " in name else f"of {name}")
        for profile in inside.profiles:
            self.embedded("profile", profile)
        self.found.add("thumbnail", "may show what was cropped away" if inside.thumbnails else "", "HEIC")
        for lost in inside.lost:
            self.found.add("hidden", lost if lost in heif.PICTURES else "", "HEIC")

    def _other(self, data: bytes) -> None:
        for packet in _PACKET.findall(data):
            self.embedded("xmp", packet)
        if (at := data.find(strip.EXIF_SIGN)) >= 0:
            self.embedded("exif", data[at:])
