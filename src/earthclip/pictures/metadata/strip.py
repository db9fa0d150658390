"""Copies of pictures without metadata, pixels untouched: blocks are left out or blanked, nothing is encoded again.

What is not known to be needed for showing the picture is left out, so that unknown kinds of metadata are removed
too. Kept are colour profiles, resolution, animation, and the orientation, without which pictures lie on their side.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from earthclip.errors import InputError
from earthclip.pictures.metadata import containers
from earthclip.pictures.metadata.containers import Item, Part
from earthclip.pictures.metadata.exif import Block, Entry, orientation_block, orientation_of
from earthclip.pictures.metadata.findings import DamagedError

_EXIF_SIGN = b"Exif\0\0"
_PNG_KEPT = frozenset(
    (
        *("tRNS", "cHRM", "gAMA", "iCCP", "sBIT", "sRGB", "cICP", "mDCv", "mDCV", "cLLi", "cLLI", "bKGD", "pHYs"),
        *("hIST", "acTL", "fcTL", "fdAT"),
    )
)
_WEBP_KEPT = frozenset(("VP8 ", "VP8L", "VP8X", "ALPH", "ANIM", "ANMF", "ICCP"))
_WEBP_EXIF, _WEBP_XMP = 0x08, 0x04
# What decoders of TIFF read: baseline, compression, tiles, extra samples, YCbCr, JPEG, colour profile
_TIFF_KEPT = frozenset(
    (
        *(254, 255, 256, 257, 258, 259, 262, 263, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283, 284, 290, 291, 292),
        *(293, 296, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332, 334, 336, 338, 339, 340, 341, 342, 347),
        *(512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 34675),
    )
)
_PHOTOMETRIC, _RAW_PHOTOMETRICS = 262, (32803, 34892)
_EMPTY_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'


def without_metadata(data: bytes, where: str) -> bytes:
    """The file's bytes without metadata; ``where`` names it in messages.

    Raises InputError for a format whose metadata cannot be told from its pixels here, or a file that is damaged.
    """
    container = containers.container_of(data)
    if container not in _STRIPPERS:
        raise InputError(
            f"{where}: metadata can be removed from JPEG, PNG, WebP, TIFF, HEIC and AVIF, not from this format; "
            "save it as PNG first"
        )
    try:
        return _STRIPPERS[container](data)
    except DamagedError as error:
        raise InputError(
            f"{where}: no copy without metadata ({error}); open the photo in an image editor and save it again"
        ) from error


def _jpeg(data: bytes) -> bytes:
    kept, orientation, ended = [b"\xff\xd8"], 1, False
    for part in containers.jpeg_parts(data):
        content = data[part.content : part.content_end]
        if part.name == "E1" and content.startswith(_EXIF_SIGN):
            orientation = orientation if orientation > 1 else orientation_of(content[len(_EXIF_SIGN) :])
        elif part.name == "E0" and content.startswith(b"JFIF\0") and len(content) >= 14:
            kept.append(_segment(0xE0, content[:12] + b"\0\0"))  # without its thumbnail
        elif _is_shown(part, content):
            kept.append(data[part.start : part.end])
        ended = ended or part.name == "DA"
    if not ended:
        raise DamagedError("it has no pixels")
    if orientation > 1:
        after = 2 if len(kept) > 1 and kept[1].startswith(b"\xff\xe0") else 1
        kept.insert(after, _segment(0xE1, _EXIF_SIGN + orientation_block(orientation)))
    return b"".join(kept)


def _is_shown(part: Part, content: bytes) -> bool:
    """Whether a JPEG's segment is for its pixels; of application data only colour profile and Adobe's transform are."""
    marker = int(part.name, 16)
    if marker == 0xE2:
        return content.startswith(b"ICC_PROFILE\0")
    if marker == 0xEE:
        return content.startswith(b"Adobe")
    application_or_comment = 0xE0 <= marker <= 0xEF or marker == 0xFE
    return not application_or_comment and marker not in (0x01, containers.SOI)


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _png(data: bytes) -> bytes:
    kept, orientation = [containers.PNG_SIGNATURE], 1
    for part in containers.png_parts(data):
        if part.name == "eXIf":
            orientation = orientation_of(data[part.content : part.content_end].removeprefix(_EXIF_SIGN))
        elif part.name[0].isupper() or part.name in _PNG_KEPT:  # upper case: no decoder can do without
            kept.append(data[part.start : part.end])
    if orientation > 1:
        kept.insert(2, containers.png_chunk(b"eXIf", orientation_block(orientation)))
    return b"".join(kept)


def _webp(data: bytes) -> bytes:
    kept: list[bytes] = []
    orientation, flags_at = 1, None
    for part in containers.webp_parts(data):
        content = data[part.content : part.content_end]
        if part.name == "EXIF":
            orientation = orientation_of(content.removeprefix(_EXIF_SIGN))
        elif part.name == "VP8X" and content:
            flags_at = len(kept)
            head = bytes([content[0] & ~(_WEBP_EXIF | _WEBP_XMP)]) + content[1:]
            kept.append(data[part.start : part.content] + head)
        elif part.name in _WEBP_KEPT:
            kept.append(data[part.start : part.end])
    if orientation > 1 and flags_at is not None:
        chunk = bytearray(kept[flags_at])
        chunk[8] |= _WEBP_EXIF
        block = orientation_block(orientation)
        kept[flags_at] = bytes(chunk)
        kept.append(b"EXIF" + struct.pack("<I", len(block)) + block)
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _tiff(data: bytes) -> bytes:
    block, copy = Block(data), bytearray(data)
    if data[8:10] == b"CR":
        raise DamagedError("camera raw holds its picture in metadata")
    for name, at, entries in block.directories():
        shows = name.isdigit() or name == "sub"
        for entry in entries:
            if entry.tag == _PHOTOMETRIC and set(block.numbers(entry)) & set(_RAW_PHOTOMETRICS):
                raise DamagedError("camera raw holds its picture in metadata")
        kept = [entry for entry in entries if shows and entry.tag in _TIFF_KEPT]
        for entry in entries:
            if entry not in kept:
                copy[entry.start : entry.end] = bytes(entry.end - entry.start)
        _rewrite(copy, block, at, kept)
    return bytes(copy)


def _rewrite(copy: bytearray, block: Block, at: int, kept: list[Entry]) -> None:
    """Put the kept entries of the directory at ``at`` in place of all, and zeros behind them."""
    count = block.number("H", at)
    end = at + 2 + 12 * count
    following = bytes(block.data[end : end + 4])
    body = struct.pack(block.order + "H", len(kept)) + b"".join(block.data[e.at : e.at + 12] for e in kept) + following
    copy[at : at + len(body)] = body
    copy[at + len(body) : end + len(following)] = bytes(end + len(following) - at - len(body))


def _heif(data: bytes) -> bytes:
    copy = bytearray(data)
    for box in containers.boxes(data):
        if box.name in ("moov", "moof", "udta"):
            raise DamagedError("it is a sequence or video")
        if box.name in ("uuid", "free", "skip"):
            copy[box.start + 4 : box.start + 8] = b"free"
            copy[box.content : box.end] = bytes(box.end - box.content)
    for item in containers.heif_items(data):
        if item.kind in ("Exif", "mime", "uri "):
            content = b"".join(data[start:end] for start, end in item.pieces)
            blank = _blank(item, content)
            for start, end in item.pieces:
                copy[start:end], blank = blank[: end - start], blank[end - start :]
    return bytes(copy)


def _blank(item: Item, content: bytes) -> bytes:
    """Content of the same length that says nothing: offsets in the file stay as they are."""
    if item.kind == "Exif":
        skip = 4 + int.from_bytes(content[:4], "big")
        said = bytes(4) + orientation_block(orientation_of(content[skip:]))
        return said.ljust(len(content), b"\0") if len(said) <= len(content) else bytes(len(content))
    if item.media_type == "application/rdf+xml":
        return _EMPTY_XMP.ljust(len(content)) if len(_EMPTY_XMP) <= len(content) else b" " * len(content)
    return bytes(len(content))


_STRIPPERS: dict[str, Callable[[bytes], bytes]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WebP": _webp,
    "TIFF": _tiff,
    "HEIC": _heif,
}
