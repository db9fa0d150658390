"""Decodes picture files to upright 8-bit RGB, whatever camera, scanner or satellite product they come from.

Pictures can be hostile: their size is checked before their pixels are decoded, only raster formats are tried
(PostScript would start another program), every fault is one InputError, and metadata is never shown.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import IO, cast

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from earthclip.errors import InputError
from earthclip.pictures.warning_filter import without_pillow_warnings

MAX_PIXELS = 178_956_970  # what Pillow itself refuses beyond: half a gigabyte as RGB

# The first five are Pillow's quickly loaded plug-ins; naming any other first would import all of them.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP", "JPEG2000", "AVIF", "ICO", "TGA", "HEIF")
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_CONTAINER_BRANDS = frozenset((b"mif1", b"msf1"))  # of either

_CODECS = (b"hvc1", b"av01")  # of HEIC's and AVIF's items; others hold pixels without compression, for instance
_HEAD = 1 << 16
_UNKNOWN_CODEC = "a HEIF picture that is neither HEVC nor AV1 is not supported; convert it to JPEG or PNG"
_UNSUPPORTED = re.compile("unsupported|not supported", re.I)

# What Pillow's decoders have been seen to raise on damaged files
FAULTS = (
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
    Image.DecompressionBombError,
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
_SWAPPED, _FROM_RIGHT, _FROM_BOTTOM = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)  # what each turn does to the two axes
_ORIENTATION_TAG = 0x0112
_BITS_TAG, _PHOTOMETRIC_TAG, _WHITE_IS_ZERO = 258, 262, 0  # of TIFF


class TooManyPixelsError(InputError):
    """A picture with more pixels than may be decoded."""


@dataclass(frozen=True, eq=False)
class Reduced:
    """A picture decoded at 1, 1/2, 1/4 or 1/8 of its ``size`` (width, height in pixels), which may not divide it.

    The whole picture lies in ``box`` (left, top, right, bottom) of ``image``; what is beyond is the JPEG's padding.
    """

    image: Image.Image
    size: tuple[int, int]
    box: tuple[float, float, float, float]


def decode(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The first frame of the picture at ``path`` as an upright RGB image, see ``as_rgb``.

    Raises InputError, in one line naming the file, when it is missing, a folder, empty, not a picture, damaged, or
    larger than ``max_pixels`` (read from its header, before any pixel is decoded); for HEIC without the extra ``heif``
    it names that.
    """
    return decode_reduced(path, None, max_pixels).image


def decode_reduced(
    source: str | os.PathLike[str] | BufferedIOBase,
    smallest: int | None,
    max_pixels: int = MAX_PIXELS,
    where: str = "picture",
) -> Reduced:
    """As ``decode``, but a JPEG is scaled while it is decoded, while its shorter side keeps ``smallest`` pixels.

    A block of 8 x 8 is then made of its lowest frequencies alone, in a third of the time and 1/64 of the memory.
    ``source`` may also be a file opened in binary, which stays open, and which ``where`` names in messages.
    """
    if not isinstance(source, str | os.PathLike):
        return _decode(source, smallest, max_pixels, where)
    path = Path(source)
    _check_file(path)
    with path.open("rb") as file:
        return _decode(file, smallest, max_pixels, str(path))


def open_picture(file: BufferedIOBase, where: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture in an open file as Pillow has it, its pixels not decoded yet. Raises InputError, and ``FAULTS``."""
    container = _container(file, where)
    Image.preinit()
    if container == "HEIC":
        _register_heif()
    formats = [name for name in _FORMATS if name in Image.OPEN or name != "HEIF"]
    try:
        return Image.open(cast("IO[bytes]", file), formats=formats)
    except Image.DecompressionBombError as error:
        found = re.search(r"\d+", str(error))
        raise _too_large(where, int(found[0]) if found else None, max_pixels) from error
    except UnidentifiedImageError as error:
        file.seek(0)
        head = file.read(_HEAD)
        known = container is None or b"infe" not in head or any(codec in head for codec in _CODECS)
        raise InputError(f"{where}: {_not_a_picture(container) if known else _UNKNOWN_CODEC}") from error


def _decode(file: BufferedIOBase, smallest: int | None, max_pixels: int, where: str) -> Reduced:
    try:
        with without_pillow_warnings(), open_picture(file, where, max_pixels) as image:
            _check_size(image, where, max_pixels)
            size = image.size
            drafted = image.draft(None, (smallest, smallest)) if smallest else None
            rgb = as_rgb(image, where, max_pixels)
            if drafted is None:
                return Reduced(rgb, rgb.size, (0.0, 0.0, float(rgb.width), float(rgb.height)))
            return _turned(rgb, size, drafted[1][2:], orientation_of(image))
    except FAULTS as error:
        raise _damaged(where, error) from error


def as_rgb(image: Image.Image, where: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """``image`` as upright 8-bit RGB, itself where it is that already; ``where`` names it in messages.

    EXIF orientation is applied; transparency is laid on white, as a page would show it; 16-bit grey is scaled from
    0..65535 to 0..255; 32-bit integers and floats, which have no fixed white, from their own smallest to largest
    value. Colour profiles are not applied: the models were not trained with them. Raises InputError.
    """
    _check_size(image, where, max_pixels)
    try:
        with without_pillow_warnings():
            image.load()
            return upright(_to_rgb(image), orientation_of(image))
    except FAULTS as error:
        raise _damaged(where, error) from error


def _check_size(image: Image.Image, where: str, max_pixels: int) -> None:
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise _too_large(where, pixels, max_pixels)
    if pixels == 0:
        raise InputError(f"{where}: the picture has no pixels ({image.width} x {image.height}); give another")


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """A stored picture turned as its orientation tells."""
    turn = _TURNS.get(orientation)
    if turn is None:
        return image
    turned = image.transpose(turn)
    turned.info = {}  # or whoever gets this image would turn it once more
    return turned


def _turned(turned: Image.Image, size: tuple[int, int], filled: tuple[float, float], orientation: int) -> Reduced:
    """``turned``, upright; it was stored as ``size``, and of what was decoded it filled (width, height) ``filled``."""
    width, height = filled
    if orientation in _SWAPPED:
        size, width, height = size[::-1], height, width
    left = turned.width - width if orientation in _FROM_RIGHT else 0.0
    top = turned.height - height if orientation in _FROM_BOTTOM else 0.0
    return Reduced(turned, size, (left, top, left + width, top + height))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        page = Image.new("RGB", rgba.size, (255, 255, 255))
        page.paste(rgba, mask=rgba.getchannel("A"))
        return page
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> np.ndarray:
    values = np.asarray(image).astype(np.float32)
    if image.mode.startswith("I;16") or image.format == "PNG":
        low, high = 0.0, 65535.0
        if image.format == "TIFF":  # Pillow neither spreads 12 bits over 16 nor inverts more than 8
            tags = getattr(image, "tag_v2", {})
            high = 2.0 ** tags.get(_BITS_TAG, (16,))[0] - 1
            values = high - values if tags.get(_PHOTOMETRIC_TAG) == _WHITE_IS_ZERO else values
    else:
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    scale = 255.0 / (high - low) if high > low else 0.0
    levels = np.nan_to_num((values - low) * scale, nan=0.0, posinf=255.0, neginf=0.0)
    return np.asarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation of an opened picture, 1 to 8 where it is whole."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except FAULTS:
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
            raise _empty(str(path))
        if not os.access(path, os.R_OK):
            raise InputError(f"{path}: cannot be read (permission denied); change its permissions")
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def _container(file: BufferedIOBase, where: str) -> str | None:
    start = file.read(64)
    if not start:
        raise _empty(where)
    file.seek(0)
    if start[4:8] != b"ftyp":
        return None
    major, box = start[8:12], start[16 : int.from_bytes(start[:4], "big")]
    compatible = {box[at : at + 4] for at in range(0, len(box), 4)}
    if major in _AVIF_BRANDS or (major in _CONTAINER_BRANDS and compatible & _AVIF_BRANDS):
        return "AVIF"
    return "HEIC" if major in _HEIC_BRANDS | _CONTAINER_BRANDS else None


def _register_heif() -> None:
    if "HEIF" not in Image.OPEN:
        try:
            import pillow_heif

            pillow_heif.register_heif_opener()
        except ImportError:
            return  # _not_a_picture says what to install


def _not_a_picture(kind: str | None) -> str:
    if kind == "HEIC" and "HEIF" not in Image.OPEN:
        return "HEIC pictures need pillow-heif, which is not installed; pip install 'earthclip[heif]'"
    if kind == "AVIF" and not features.check("avif"):
        return "this Pillow was built without AVIF; install a Pillow wheel, or save the picture as JPEG or PNG"
    if kind:
        return f"the {kind} picture is damaged or cut short; copy or download it again"
    return "not a picture this program can read; expected JPEG, PNG, TIFF, WebP, GIF, BMP, JPEG 2000, AVIF or HEIC"


def _too_large(where: str, pixels: int | None, limit: int) -> TooManyPixelsError:
    found = f"{pixels:,} pixels" if pixels else "too many pixels"
    return TooManyPixelsError(f"{where}: {found}, the limit is {limit:,}; make it smaller first")


def _empty(where: str) -> InputError:
    return InputError(f"{where}: the file is empty (0 bytes); copy or download it again")


def memory_fault(where: str) -> InputError:
    """The error for a picture that takes more memory than there is, or than its reader may have."""
    return InputError(f"{where}: reading the picture takes too much memory; make it smaller first")


def _damaged(where: str, error: BaseException) -> InputError:
    if isinstance(error, MemoryError):
        return memory_fault(where)
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    reason = reason.replace(where, "").strip() or type(error).__name__
    if _UNSUPPORTED.search(reason):
        return InputError(f"{where}: a picture of this kind is not supported ({reason}); convert it to JPEG or PNG")
    return InputError(f"{where}: the picture is damaged or cut short ({reason}); copy or download it again")
