"""TIFF encoded from decoded pixels: all pages, deflated, with the tags that show them and no others.

Source: TIFF 6.0. A page whose pixels are not kept whole this way is refused: a LostError says what would be lost.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin

from earthclip.pictures.decode import MAX_PIXELS
from earthclip.pictures.metadata import colour
from earthclip.pictures.metadata.findings import DamagedError, LostError

_SHORT, _LONG, _RATIONAL, _UNDEFINED = 3, 4, 5, 7
_FORMATS = {_SHORT: "H", _LONG: "I", _UNDEFINED: "B"}
_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANES, _PREDICTOR = 258, 259, 262, 277, 284, 317
_SUB_IFDS, _TILES, _SAMPLE_FORMAT, _REDUCED, _COLOURS, _EXTRA = 330, 322, 339, 254, 320, 338
_RAW = (32803, 34892)  # photometric interpretations of camera raw
_RAW_TAGS = (50706, 50341)  # DNG's version; Photoshop's and cameras' print settings are no picture
_NONE, _DEFLATES = 1, (8, 32946)
# Pillow's mode: the samples of a pixel, the photometric interpretation, and what the extra samples are.
_MODES = {"1": (1, 1, 0), "L": (1, 1, 0), "P": (1, 3, 0), "LA": (2, 1, 2), "RGB": (3, 2, 0), "RGBA": (4, 2, 2)}
_MODES |= {"CMYK": (4, 5, 0), "I;16": (1, 1, 0), "I;16B": (1, 1, 0)}
_LARGEST = 0xFFFF_0000
_MOST_PAGES = 4096


@dataclass(frozen=True)
class _Page:
    pixels: bytes
    tags: dict[int, tuple[int, list[int]]]


def rewritten(image: Image.Image, data: bytes) -> tuple[bytes, list[str]]:
    """All pages of an opened TIFF, encoded again, and what became of their colours. Raises LostError, DamagedError."""
    assert isinstance(image, TiffImagePlugin.TiffImageFile)
    out, link, notes, written = bytearray(b"II*\0\0\0\0\0"), 4, list[str](), 0
    if data[8:10] == b"CR" or image.n_frames > _MOST_PAGES:
        raise LostError(f"more than {_MOST_PAGES:,} pages" if data[8:10] != b"CR" else "camera raw")
    for index in range(image.n_frames):
        image.seek(index)
        tags = image.tag_v2
        if index and _first(tags, _REDUCED, 0) & 1:
            continue  # a smaller copy of a page
        if image.width * image.height > MAX_PIXELS:
            raise LostError("a page that is too large")
        _check(tags)
        page, note = _page(image, data)
        notes += [note] if note and note not in notes else []
        link = _append(out, page, link)
        written += 1
        if len(out) > _LARGEST:
            raise LostError("pages beyond 4 GiB")
    return bytes(out), notes


def _first(tags: Any, tag: int, otherwise: int) -> int:
    value = tags.get(tag, otherwise)
    return int(value[0] if isinstance(value, tuple) else value)


def _check(tags: Any) -> None:
    if _first(tags, _PHOTOMETRIC, 0) in _RAW or any(tag in tags for tag in _RAW_TAGS[:1]):
        raise LostError("camera raw")
    if _first(tags, _REDUCED, 0) & 1:
        raise LostError("the large picture that the file holds beside a small one")
    if _SUB_IFDS in tags:
        raise LostError("more pictures that the file holds beside its pages")
    if _TILES in tags:
        raise LostError("its tiles (and georeference)")
    formats = tags.get(_SAMPLE_FORMAT, (1,))
    if any(kind != 1 for kind in (formats if isinstance(formats, tuple) else (formats,))):
        raise LostError("signed or decimal numbers as colours")
    bits = set(tags.get(_BITS, (1,)))
    if not bits <= {1, 2, 4, 8} and bits != {16}:
        raise LostError(f"{max(bits)} bits a colour")


def _page(image: TiffImagePlugin.TiffImageFile, data: bytes) -> tuple[_Page, str | None]:
    tags = image.tag_v2
    samples = _first(tags, _SAMPLES, 1)
    wide = _first(tags, _BITS, 1) == 16
    note = None
    if wide and samples > 1:
        size, looks = (_first(tags, 256, 0), _first(tags, 257, 0)), _looks(image)
        mode, pixels = image.mode, _wide_pixels(tags, size, data, samples)
        profile = _profile(image, mode)
        photometric, extra = _first(tags, _PHOTOMETRIC, 2), samples - {2: 3, 5: 4}.get(_first(tags, _PHOTOMETRIC, 2), 1)
        kinds = list(tags.get(_EXTRA, (2,) * extra))
    else:
        image.load()  # turns it upright as well
        size, looks = image.size, _looks(image)
        shown: Image.Image = image.convert("RGB") if image.mode == "YCbCr" else image
        if shown.mode not in _MODES:
            raise LostError(f"colours of the kind {image.mode}")
        try:
            profile = colour.clean(image.info.get("icc_profile"), shown.mode)
        except colour.TableProfileError:
            if wide:
                raise LostError("16 bits a colour, with a colour profile of tables") from None
            shown, profile, note = colour.to_srgb(shown, image.info["icc_profile"]), None, "colours converted to sRGB"
        mode = shown.mode
        samples, photometric, extra = _MODES[mode]
        kinds = [extra] if extra else []
        if wide and _first(tags, _PHOTOMETRIC, 1) == 0:
            photometric = 0  # Pillow leaves 16 bits as they are
        pixels = shown.tobytes() if mode != "I;16B" else np.asarray(shown).astype("<u2").tobytes()
    written: dict[int, tuple[int, list[int]]] = {
        256: (_LONG, [size[0]]),
        257: (_LONG, [size[1]]),
        _BITS: (_SHORT, [16 if wide else 1 if mode == "1" else 8] * samples),
        _COMPRESSION: (_SHORT, [_DEFLATES[0]]),
        _PHOTOMETRIC: (_SHORT, [photometric]),
        _SAMPLES: (_SHORT, [samples]),
        278: (_LONG, [size[1]]),
    }
    if mode == "P":
        palette = (image.getpalette() or []) + [0] * 768
        written[_COLOURS] = (_SHORT, [257 * palette[3 * i + side] for side in range(3) for i in range(256)])
    if kinds:
        written[_EXTRA] = (_SHORT, kinds)
    written |= looks
    if profile:
        written[34675] = (_UNDEFINED, list(profile))
    return _Page(zlib.compress(pixels, 6), written), note


def _profile(image: Image.Image, mode: str) -> bytes | None:
    try:
        return colour.clean(image.info.get("icc_profile"), mode)
    except colour.TableProfileError:
        raise LostError("16 bits a colour, with a colour profile of tables") from None


def _looks(image: TiffImagePlugin.TiffImageFile) -> dict[int, tuple[int, list[int]]]:
    """Orientation and resolution, as they are."""
    tags, looks = image.tag_v2, dict[int, tuple[int, list[int]]]()
    orientation = _first(tags, ExifTags.Base.Orientation, 1)
    if orientation in range(2, 9):
        looks[ExifTags.Base.Orientation] = (_SHORT, [orientation])
    unit = _first(tags, ExifTags.Base.ResolutionUnit, 2)
    sides = [float(tags.get(tag, 0) or 0) for tag in (ExifTags.Base.XResolution, ExifTags.Base.YResolution)]
    if unit in (2, 3) and all(1 < side < 1e6 for side in sides):
        for tag, side in zip((ExifTags.Base.XResolution, ExifTags.Base.YResolution), sides, strict=True):
            looks[tag] = (_RATIONAL, [round(side * 1000), 1000])
        looks[ExifTags.Base.ResolutionUnit] = (_SHORT, [unit])
    return looks


def _wide_pixels(tags: Any, size: tuple[int, int], data: bytes, samples: int) -> bytes:
    """The pixels of 16 bits and several colours, of which Pillow keeps 8 bits."""
    compression = _first(tags, _COMPRESSION, _NONE)
    predictor = _first(tags, _PREDICTOR, 1)
    if _first(tags, _PLANES, 1) != 1 or compression not in (_NONE, *_DEFLATES) or predictor > 2:
        raise LostError("16 bits a colour, in an unusual compression")
    width, height = size
    rows, row = bytearray(), width * samples * 2
    for start, length in zip(tags[273], tags[279], strict=True):
        strip = data[start : start + length]
        try:
            rows += strip if compression == _NONE else zlib.decompressobj().decompress(strip, row * height)
        except zlib.error as error:
            raise DamagedError("its pixels are damaged") from error
    if len(rows) != row * height:
        raise DamagedError("its pixels are cut short")
    values = np.frombuffer(bytes(rows), "<u2" if tags.prefix == b"II" else ">u2").astype("<u2")
    values = values.reshape(height, width, samples)
    return (np.cumsum(values, axis=1, dtype="<u2") if predictor == 2 else values).tobytes()


def _append(out: bytearray, page: _Page, link: int) -> int:
    """Write a page and have ``link`` point to its directory; returns where the next page's link is to be."""
    tags = {**page.tags, 273: (_LONG, [_end(out)]), 279: (_LONG, [len(page.pixels)])}
    out += page.pixels
    entries = bytearray()
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}{_FORMATS.get(kind, 'I')}", *values)
        count = len(values) // 2 if kind == _RATIONAL else len(values)
        if len(packed) > 4:
            start, packed = _end(out), packed
            out += packed
            packed = struct.pack("<I", start)
        entries += struct.pack("<HHI", tag, kind, count) + packed.ljust(4, b"\0")
    out[link : link + 4] = struct.pack("<I", _end(out))
    out += struct.pack("<H", len(tags)) + entries + bytes(4)
    return len(out) - 4


def _end(out: bytearray) -> int:
    """The even position at which what comes next begins."""
    out += bytes(len(out) % 2)
    return len(out)
