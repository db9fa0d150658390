"""A picture's file into upright 8-bit RGB, whatever a camera, scanner or satellite product put into it.

Pictures come from strangers: their size is checked before their pixels are decoded, only raster formats are tried
(PostScript would start another program), every fault is one InputError, and metadata is never shown.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from earthclip.errors import InputError
from earthclip.runtime.warning_filter import without_pillow_warnings

MAX_PIXELS = 178_956_970  # what Pillow itself refuses beyond: half a gigabyte as RGB

# The first five are Pillow's quickly loaded plug-ins; naming any other first would import all of them.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP", "JPEG2000", "AVIF", "ICO", "TGA", "HEIF")
_HEIC_BRANDS = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc", b"ftypmsf1")

# What Pillow's decoders have been seen to raise on damaged files.
_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    EOFError,
    OverflowError,
    ZeroDivisionError,
    AssertionError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_TAG = 0x0112


def decode(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The first frame of the picture at ``path`` as an upright RGB image, see ``as_rgb``.

    Raises InputError, in one line naming the file, when it is missing, a folder, empty, not a picture, damaged, or
    larger than ``max_pixels`` (read from its header, before any pixel is decoded).
    """
    path = Path(path)
    _check_file(path)
    try:
        Image.preinit()
        formats = [name for name in _FORMATS if name in Image.OPEN or name != "HEIF"]
        with without_pillow_warnings(), Image.open(path, formats=formats) as image:
            return as_rgb(image, str(path), max_pixels)
    except Image.DecompressionBombError as error:
        found = re.search(r"\d+", str(error))
        raise _too_large(str(path), int(found[0]) if found else None, max_pixels) from error
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: {_not_a_picture(path)}") from error
    except _FAULTS as error:
        raise _damaged(str(path), error) from error


def as_rgb(image: Image.Image, where: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """``image`` as upright 8-bit RGB, itself where it is that already; ``where`` names it in messages.

    EXIF orientation is applied; transparency is laid on white, as a page would show it; 16-bit grey is scaled from
    0..65535 to 0..255; 32-bit integers and floats, which have no fixed white, from their own smallest to largest
    value. Colour profiles are not applied: the models were not trained with them. Raises InputError.
    """
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise _too_large(where, pixels, max_pixels)
    if pixels == 0:
        raise InputError(f"{where}: the picture has no pixels ({image.width} x {image.height}); give another")
    try:
        with without_pillow_warnings():
            image.load()
            return _to_rgb(_upright(image))
    except _FAULTS as error:
        raise _damaged(where, error) from error


def _upright(image: Image.Image) -> Image.Image:
    turn = _TURNS.get(_orientation(image))
    if turn is None:
        return image
    turned = image.transpose(turn)
    # Or whoever gets this image would turn it once more.
    turned.info = {key: value for key, value in image.info.items() if key == "transparency"}
    return turned


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        page = Image.new("RGB", rgba.size, (255, 255, 255))
        page.paste(rgba, mask=rgba.getchannel("A"))
        return page
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> np.ndarray:
    values = np.asarray(image).astype(np.float32)
    if image.mode.startswith("I;16") or image.format == "PNG":
        low, high = 0.0, 65535.0
    else:
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    scale = 255.0 / (high - low) if high > low else 0.0
    levels = np.nan_to_num((values - low) * scale, nan=0.0, posinf=255.0, neginf=0.0)
    return np.asarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except _FAULTS:
        return 1  # damaged metadata does not spoil the pixels


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise InputError(f"{path}: expected a picture, found a folder; name a file in it")
        if not path.exists():
            raise InputError(f"{path}: no such file; check the name and the folder you are in")
        if not path.is_file():
            raise InputError(f"{path}: expected a picture, found a device or pipe; save it as a file first")
        if path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty (0 bytes); copy or download it again")
        if not os.access(path, os.R_OK):
            raise InputError(f"{path}: cannot be read (permission denied); change its permissions")
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def _not_a_picture(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(12)
    if start[4:12] in _HEIC_BRANDS:
        return "HEIC pictures cannot be read yet; save it as JPEG or PNG"
    return "not a picture this program can read; expected JPEG, PNG, TIFF, WebP, GIF, BMP, JPEG 2000 or AVIF"


def _too_large(where: str, pixels: int | None, limit: int) -> InputError:
    found = f"{pixels:,} pixels" if pixels else "too many pixels"
    return InputError(f"{where}: {found}, the limit is {limit:,}; make it smaller first")


def _damaged(where: str, error: BaseException) -> InputError:
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    reason = reason.replace(where, "").strip() or type(error).__name__
    return InputError(f"{where}: the picture is damaged or cut short ({reason}); copy or download it again")
