"""Copies of JPEG, PNG, WebP and GIF that hold only what is needed to show the picture, its pixels byte for byte.

Segments and chunks are kept by a list of what decoders read; all others are left out, whatever they are. What a viewer
needs from metadata (which way is up, resolution, colour space) is written anew.
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
# Tables, frames, scans and restart intervals; application data is written anew.
JPEG_KEPT = frozenset(("C0", "C1", "C2", "C4", "C9", "CA", "CC", "DB", "DA", "DD", "D9"))
_PNG_LIMITS = {  # bytes that a chunk of one picture can need
    **{"IHDR": 13, "PLTE": 768, "tRNS": 256, "cHRM": 32, "gAMA": 4, "sBIT": 4, "sRGB": 1, "cICP": 4, "bKGD": 6},
    **{"pHYs": 9, "mDCV": 24, "mDCv": 24, "cLLI": 8, "cLLi": 8, "acTL": 8, "IEND": 0},
}
_PNG_FRAMES = {"fcTL": 26, "IDAT": 1 << 31, "fdAT": 1 << 31}
PNG_KEPT = frozenset((*_PNG_LIMITS, *_PNG_FRAMES))
WEBP_PIXELS = frozenset(("VP8 ", "VP8L", "ALPH"))
WEBP_KEPT = WEBP_PIXELS | {"VP8X", "ANIM", "ANMF"}
GIF_KEPT = frozenset(("head", "2C", "21F9", "3B"))
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


def png(data: bytes, exif: bytes, profile: bytes | None) -> bytes:
    """A PNG of the kept chunks. Raises DamagedError."""
    kept, names = [containers.PNG_SIGNATURE], set[str]()
    check = endings.PNGPixels()
    for part in containers.png_parts(data):
        content = data[part.content : part.content_end]
        limit = _PNG_LIMITS.get(part.name, _PNG_FRAMES.get(part.name))
        if limit is None or (part.name in names and part.name not in _PNG_FRAMES):
            continue
        if len(content) > limit:
            raise DamagedError(f"its {part.name} is larger than any")
        names.add(part.name)
        check.take(part.name, content)
        kept.append(containers.png_chunk(part.name.encode("latin-1"), content))
        if part.name == "IHDR":
            if profile is not None:
                packed = ICC_NAME + b"\0\0" + zlib.compress(profile, 9)
                kept.append(containers.png_chunk(b"iCCP", packed))
            if exif:
                kept.append(containers.png_chunk(b"eXIf", exif))
    if "IDAT" not in names:
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
        elif part.name in WEBP_PIXELS or (part.name == "ANIM" and len(content) == 6):
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
        if part.name == "21F9" and len(block) != 8:
            raise DamagedError("an odd extension in a GIF")
        if part.name in GIF_KEPT or is_gif_loop(part, block):
            kept.append(block)
    return b"".join(kept)


def is_gif_loop(part: Part, block: bytes) -> bool:
    """Whether a block of a GIF only says how often the animation is repeated."""
    return part.name == "21FF" and len(block) == 19 and block[2:14] in _GIF_LOOPS


COPIES: dict[str, Callable[[bytes, bytes, bytes | None], bytes]] = {"JPEG": jpeg, "PNG": png, "WebP": webp, "GIF": gif}


def copy_of(data: bytes, container: str) -> bytes:
    """A copy of a file of one of ``COPIES``. Raises DamagedError, colour.TableProfileError, and what Pillow raises."""
    with Image.open(io.BytesIO(data), formats=[container.upper()]) as image:
        profile = colour.clean(image.info.get("icc_profile"), image.mode)
        exif = exif_of(image, resolution=container in ("JPEG", "WebP"), colours=profile is None)
        return COPIES[container](data, exif, profile)
