"""Copies of JPEG, PNG, WebP and GIF that hold only what is needed to show the picture, its pixels byte for byte.

Segments and chunks are kept by a list of what decoders read; all others are left out, whatever they are. What a viewer
needs from metadata (orientation, resolution, colour space) is rewritten.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator

from PIL import ExifTags, Image

from earthclip.pictures.decode import FAULTS, orientation_of
from earthclip.pictures.metadata import colour, containers, endings
from earthclip.pictures.metadata.containers import Part
from earthclip.pictures.metadata.findings import DamagedError

EXIF_SIGN = b"Exif\0\0"
ICC_SIGN = b"ICC_PROFILE\0"
ICC_NAME = b"ICC Profile"  # in a PNG
# Tables, frames, scans and restart intervals; application data is rewritten.
JPEG_KEPT = frozenset(("C0", "C1", "C2", "C4", "C9", "CA", "CC", "DB", "DA", "DD", "D9"))
_PNG_SIZES = {  # of chunks, of which a picture has one each; tRNS and bKGD by the colour type as well
    **{"IHDR": 13, "cHRM": 32, "gAMA": 4, "sRGB": 1, "cICP": 4, "pHYs": 9, "mDCV": 24, "mDCv": 24, "cLLI": 8},
    **{"cLLi": 8, "acTL": 8, "IEND": 0},
}
_PNG_COLOURS = {0: 2, 2: 6, 4: 2, 6: 6}  # bytes of a colour, by the colour type
_PNG_PALETTE = 3
_PNG_FRAMES = ("IDAT", "fdAT")
WEBP_PIXELS = frozenset(("VP8 ", "VP8L", "ALPH"))
WEBP_KEPT = WEBP_PIXELS | {"VP8X", "ANIM", "ANMF"}
ANIM_SIZE = 6
_GIF_KEPT = frozenset(("head", "2C", "21F9", "3B"))
_GIF_LOOPS = (b"\x0bNETSCAPE2.0", b"\x0bANIMEXTS1.0")
_WEBP_ICC, _WEBP_EXIF, _WEBP_XMP = 0x20, 0x08, 0x04
_ICC_PIECE = 65519  # bytes of a profile that a segment of a JPEG can hold
_INCHES, _CENTIMETRES = 2, 3


def exif_of(image: Image.Image, *, resolution: bool, upright: bool = False, colours: bool = True) -> bytes:
    """An EXIF block of only what a viewer takes from an opened picture's metadata; empty where that is nothing.

    It has the orientation, but not of a picture that is made ``upright``, the ``resolution``, and the ``colours`` of
    Adobe RGB, which cameras tell of in EXIF alone.
    """
    try:
        given, details = image.getexif(), image.getexif().get_ifd(ExifTags.IFD.Exif)
        interoperability = image.getexif().get_ifd(ExifTags.IFD.Interop)
    except FAULTS:  # damaged metadata does not spoil the pixels
        return b""
    kept = Image.Exif()
    orientation = orientation_of(image)
    if orientation in range(2, 9) and not upright:
        kept[ExifTags.Base.Orientation] = orientation
    unit = given.get(ExifTags.Base.ResolutionUnit, _INCHES)
    sides = [_number(given.get(tag)) for tag in (ExifTags.Base.XResolution, ExifTags.Base.YResolution)]
    if resolution and unit in (_INCHES, _CENTIMETRES) and all(side > 1 for side in sides):
        kept[ExifTags.Base.XResolution], kept[ExifTags.Base.YResolution] = sides
        kept[ExifTags.Base.ResolutionUnit] = unit
    space = details.get(ExifTags.Base.ColorSpace)
    if colours and space in (2, 0xFFFF):
        adobe: dict[int, object] = {ExifTags.Base.ColorSpace: space}
        if str(interoperability.get(1, "")).startswith("R03"):
            adobe[ExifTags.IFD.Interop] = {1: "R03"}
        kept[ExifTags.IFD.Exif] = adobe
    return kept.tobytes().removeprefix(EXIF_SIGN) if len(kept) else b""


def _number(value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return round(number, 3) if 0 < number < 1e6 else 0.0


def jpeg(data: bytes, exif: bytes, profile: bytes | None) -> bytes:
    """A JPEG of the kept segments. Raises DamagedError."""
    kept: list[bytes] = []
    jfif = adobe = b""
    parts = list(containers.jpeg_parts(data))
    if not parts or parts[-1].name != "D9" or all(part.name != "DA" for part in parts):
        raise DamagedError("it is cut short")
    for part in parts:
        content = data[part.content : part.content_end]
        if part.name == "E0" and content.startswith(b"JFIF\0") and len(content) >= 14:
            jfif = jfif or _segment(0xE0, content[:12] + b"\0\0")  # without its thumbnail
        elif part.name == "EE" and content.startswith(b"Adobe") and len(content) >= 12:
            adobe = adobe or _segment(0xEE, content[:7] + bytes(4) + content[11:12])
        elif part.name in JPEG_KEPT:
            kept.append(data[part.start : part.end])
        elif part.name in ("C3", "C5", "C6", "C7", "CB", "CD", "CE", "CF"):
            raise DamagedError("a kind of JPEG that hardly any program reads")
    whole = profile or b""
    pieces = [whole[at : at + _ICC_PIECE] for at in range(0, len(whole), _ICC_PIECE)]
    icc = [_segment(0xE2, ICC_SIGN + bytes([i + 1, len(pieces)]) + piece) for i, piece in enumerate(pieces)]
    shown = _segment(0xE1, EXIF_SIGN + exif) if exif else b""
    copy = b"".join([b"\xff\xd8", jfif, shown, *icc, adobe, *kept])
    endings.check_jpeg(copy)
    return copy


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


class PNGChunks:
    """Tells of the chunks of a PNG, one after another, whether they are needed to show it."""

    def __init__(self) -> None:
        self._seen, self._type, self._bits = set[str](), -1, 8

    def needed(self, name: str, content: bytes) -> bool:
        """Whether it is of a kind that decoders read, as large as these are, and not there already."""
        size = len(content)
        if name in _PNG_FRAMES or (name == "fcTL" and size == 26):
            return True
        if name in self._seen:
            return False
        self._seen.add(name)
        if name == "IHDR" and size == 13:
            self._bits, self._type = content[8], content[9]
        if name in ("PLTE", "tRNS") and self._type == _PNG_PALETTE:
            return size <= (3 if name == "PLTE" else 1) << min(self._bits, 8)
        if name == "bKGD":
            return size == _PNG_COLOURS.get(self._type, 1)
        if name == "tRNS":
            return self._type in (0, 2) and size == _PNG_COLOURS[self._type]
        return size == _PNG_SIZES.get(name) or (name == "sBIT" and size <= 4)


def png(data: bytes, exif: bytes, profile: bytes | None) -> bytes:
    """A PNG of the kept chunks. Raises DamagedError."""
    kept, has_pixels = [containers.PNG_SIGNATURE], False
    check, chunks = endings.PNGPixels(), PNGChunks()
    for part in containers.png_parts(data):
        content = data[part.content : part.content_end]
        if not chunks.needed(part.name, content):
            continue
        has_pixels = has_pixels or part.name == "IDAT"
        check.take(part.name, content)
        kept.append(containers.png_chunk(part.name.encode("latin-1"), content))
        if part.name == "IHDR":
            if profile is not None:
                packed = ICC_NAME + b"\0\0" + zlib.compress(profile, 9)
                kept.append(containers.png_chunk(b"iCCP", packed))
            if exif:
                kept.append(containers.png_chunk(b"eXIf", exif))
    if not has_pixels:
        raise DamagedError("it has no pixels")
    return b"".join(kept)


def webp(data: bytes, exif: bytes, profile: bytes | None) -> bytes:
    """A WebP of the kept chunks. Raises DamagedError."""
    kept: list[bytes] = []
    picture: list[tuple[str, bytes]] = []
    head = b""
    for part in containers.webp_parts(data):
        content = data[part.content : part.content_end]
        if part.name == "VP8X" and len(content) == 10 and not head:
            head = content
        elif part.name in WEBP_PIXELS or (part.name == "ANIM" and len(content) == ANIM_SIZE):
            kept.append(containers.webp_chunk(part.name, content))
            picture.append((part.name, content))
        elif part.name == "ANMF" and len(content) >= 16:
            frame = [inner for inner in webp_frame(content) if inner[0] in WEBP_PIXELS]
            endings.check_webp(frame)
            chunks = b"".join(containers.webp_chunk(*inner) for inner in frame)
            kept.append(containers.webp_chunk(part.name, content[:16] + chunks))
    if not kept:
        raise DamagedError("it has no pixels")
    endings.check_webp(picture)
    if head:
        flags = head[0] & ~(_WEBP_ICC | _WEBP_EXIF | _WEBP_XMP)
        if profile is not None:
            flags |= _WEBP_ICC
            kept.insert(0, containers.webp_chunk("ICCP", profile))
        if exif:
            flags |= _WEBP_EXIF
            kept.append(containers.webp_chunk("EXIF", exif))
        kept.insert(0, containers.webp_chunk("VP8X", bytes([flags, 0, 0, 0]) + head[4:]))
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_frame(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The chunks of a frame of an animation. Raises DamagedError."""
    inner = b"RIFF" + struct.pack("<I", len(content) - 12) + b"WEBP" + content[16:]
    for part in containers.webp_parts(inner):
        yield part.name, inner[part.content : part.content_end]


def gif(data: bytes, exif: bytes, profile: bytes | None) -> bytes:
    """A GIF of the kept blocks. Raises DamagedError."""
    kept = []
    for part in containers.gif_parts(data):
        block = data[part.start : part.end]
        if part.name == "2C":
            endings.check_gif(data, part)
        if is_gif_needed(part, block):
            kept.append(block)
    return b"".join(kept)


def is_gif_needed(part: Part, block: bytes) -> bool:
    """Whether a block of a GIF is a picture, its timing, or how often the animation is repeated."""
    if part.name == "21FF":
        return len(block) == 19 and block[2:14] in _GIF_LOOPS
    return part.name in _GIF_KEPT and (part.name != "21F9" or len(block) == 8)


COPIES: dict[str, Callable[[bytes, bytes, bytes | None], bytes]] = {"JPEG": jpeg, "PNG": png, "WebP": webp, "GIF": gif}


def copy_of(data: bytes, container: str) -> bytes:
    """A copy of a file of one of ``COPIES``. Raises DamagedError, colour.TableProfileError, and what Pillow raises."""
    with Image.open(io.BytesIO(data), formats=[container.upper()]) as image:
        profile = colour.clean(image.info.get("icc_profile"), image.mode)
        exif = exif_of(image, resolution=container != "PNG" or "dpi" not in image.info, colours=profile is None)
        return COPIES[container](data, exif, profile)
