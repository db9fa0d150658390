"""Colour profiles without what they tell of a device: serial numbers of screens, descriptions, dates.

A profile of a matrix and curves is rewritten from these numbers alone. One of tables is a measurement of one
device; its pictures are converted to sRGB instead. Source: ICC.1:2022.
"""

from __future__ import annotations

import io
import struct
from itertools import product

from PIL import Image, ImageCms

# Names of public colour spaces, by which viewers show them; every other name goes.
_PUBLIC = (
    *("sRGB IEC61966-2.1", "sRGB", "sRGB built-in", "Display P3", "Adobe RGB (1998)", "ProPhoto RGB", "ROMM RGB"),
    *("Rec. 2020", "Rec. 709", "Apple RGB", "ColorMatch RGB", "Wide Gamut RGB", "Generic RGB Profile", "c2", "uP3"),
    *(
        "Generic Gray Gamma 2.2 Profile",
        "Dot Gain 20%",
        "Gray Gamma 2.2",
        "DCI(P3) RGB",
        "sRGB2014",
        "GIMP built-in sRGB",
    ),
)
_MATRIX = (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC")
_TABLES = (b"A2B0", b"A2B1", b"A2B2", b"D2B0", b"D2B1")
_D50 = struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
_PARAMETERS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}  # of a parametric curve, by its kind
_LARGEST = 16 << 20
_SPACES = {"L": b"GRAY", "LA": b"GRAY", "1": b"GRAY", "I;16": b"GRAY", "CMYK": b"CMYK", "LAB": b"Lab "}
_MOST_OFF = 1  # of 255, by which a rewritten profile may differ


class TableProfileError(ValueError):
    """The colours of a picture are kept only by converting it to sRGB."""


def clean(profile: object, mode: str) -> bytes | None:
    """A profile with the same colours and nothing else; None where there is none that a picture of ``mode`` can use.

    Raises TableProfileError.
    """
    if not isinstance(profile, bytes) or not 132 <= len(profile) <= _LARGEST:
        return None
    space = profile[16:20]
    if profile[36:40] != b"acsp" or space != _SPACES.get(mode, b"RGB "):
        return None  # no viewer can use it
    try:
        tags = _tags(profile)
        names = [b"kTRC"] if space == b"GRAY" else list(_MATRIX)
        if space not in (b"RGB ", b"GRAY") or any(name not in tags for name in names) or set(_TABLES) & set(tags):
            to_srgb(
                Image.new(mode.removesuffix("A") if mode != "P" else "RGB", (1, 1)), profile
            )  # fails where it is damaged
            raise TableProfileError
        written = _write(profile, {name: _value(tags[name]) for name in names}, tags)
        if not _alike(profile, written, space):
            raise TableProfileError
    except (struct.error, IndexError, KeyError, OSError):
        return None  # damaged: viewers leave it out too
    return written


def described(profile: bytes) -> tuple[str, list[str], str]:
    """A profile's public name, the fields it has beside what colours need, and the serial number of its screen."""
    modes = {space: mode for mode, space in reversed(_SPACES.items())}
    try:
        if clean(profile, modes.get(profile[16:20], "RGB")) == profile:
            return "", [], ""
    except TableProfileError:
        pass
    try:
        tags = _tags(profile)
    except (struct.error, IndexError):
        return "", [f"damaged ({len(profile):,} bytes)"], ""
    screen = tags.get(b"mmod", b"")
    return _name(tags.get(b"desc", b""), ""), [tag.decode("latin-1") for tag in tags], screen[16:20].hex()


def fits(profile: bytes, mode: str) -> bool:
    """Whether a profile is whole and of the colours of ``mode``."""
    try:
        opened(profile)
    except OSError:
        return False
    return bool(profile[16:20] == _SPACES.get(mode, b"RGB "))


def display_p3() -> bytes:
    """A profile of Display P3, which HEIC can name without a profile."""
    matrix = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tags = _tags(srgb)
    values = {name: _value(tags[name]) for name in _MATRIX}
    for column_name, column in zip(_MATRIX[:3], matrix, strict=True):
        values[column_name] = b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * side) for side in column))
    tags[b"desc"] = _text("Display P3", True, b"desc")
    return _write(srgb, values, tags)


def opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    """A profile as Little CMS has it. Raises OSError where it is damaged."""
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """The picture in sRGB, without a profile. Raises OSError where the profile is damaged."""
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    base = image.convert(image.mode.removesuffix("A")) if alpha else image
    try:
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(base, opened(profile), srgb, outputMode="RGB")
    except ImageCms.PyCMSError as error:
        raise OSError(str(error)) from error
    assert converted is not None  # it is None for inPlace alone
    if alpha:
        converted.putalpha(alpha)
    return converted


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    tags = {}
    for at in range(132, 132 + 12 * min(count, 256), 12):
        name, start, size = struct.unpack_from(">4sII", profile, at)
        if start + size > len(profile):
            raise IndexError
        tags[name] = profile[start : start + size]
    return tags


def _value(tag: bytes) -> bytes:
    """The numbers of a tag of XYZ values, a table of a curve or its parameters, with nothing behind them."""
    kind = tag[:4]
    if kind in (b"XYZ ", b"sf32"):
        size = 8 + (12 if kind == b"XYZ " else 36)
    elif kind == b"curv":
        size = 12 + 2 * int(struct.unpack_from(">I", tag, 8)[0])
    elif kind == b"para":
        size = 12 + 4 * _PARAMETERS[struct.unpack_from(">H", tag, 8)[0]]
        tag = tag[:10] + b"\0\0" + tag[12:]
    else:
        raise KeyError(kind)
    if len(tag) < size:
        raise IndexError
    return kind + bytes(4) + tag[8:size]


def _write(profile: bytes, values: dict[bytes, bytes], tags: dict[bytes, bytes]) -> bytes:
    newer = profile[8] >= 4
    for name in (b"wtpt", b"chad"):
        if name in tags:
            values[name] = _value(tags[name])
    title = _name(tags.get(b"desc", b""), profile[16:20].decode("ascii").strip())
    values[b"desc"], values[b"cprt"] = _text(title, newer, b"desc"), _text("CC0", newer, b"text")
    body, table = bytearray(), bytearray()
    start = 132 + 12 * len(values)
    for tag, value in values.items():
        table += struct.pack(">4sII", tag, start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    version = b"\4\x20\0\0" if newer else b"\2\x10\0\0"
    head = struct.pack(">I4s", start + len(body), b"") + version + b"mntr" + profile[16:24]
    head += bytes(12) + b"acsp" + bytes(24) + bytes(3) + bytes([profile[67] & 3]) + _D50
    return head.ljust(128, b"\0") + struct.pack(">I", len(values)) + bytes(table) + bytes(body)


def _name(tag: bytes, otherwise: str) -> str:
    """The public name of a colour space that a description is, whatever its form."""
    plain = tag[12 : 12 + int.from_bytes(tag[8:12], "big")].rstrip(b"\0")
    wide = tag[28 : 28 + int.from_bytes(tag[20:24], "big")] if tag[:4] == b"mluc" else b""
    return next((name for name in _PUBLIC if name.encode() == plain or name.encode("utf-16-be") == wide), otherwise)


def _text(text: str, newer: bool, older_kind: bytes) -> bytes:
    if newer:
        wide = text.encode("utf-16-be")
        return b"mluc" + struct.pack(">4xII2s2sII", 1, 12, b"en", b"US", len(wide), 28) + wide
    plain = text.encode("ascii") + b"\0"
    if older_kind == b"text":
        return b"text" + bytes(4) + plain
    return b"desc" + bytes(4) + struct.pack(">I", len(plain)) + plain + bytes(8 + 3 + 67)


def _alike(before: bytes, after: bytes, space: bytes) -> bool:
    """Whether two profiles give a grid of colours the same sRGB."""
    levels = (0, 26, 51, 102, 153, 204, 229, 255)
    mode = "L" if space == b"GRAY" else "RGB"
    colours = bytes(range(256)) if mode == "L" else bytes(v for colour in product(levels, repeat=3) for v in colour)
    grid = Image.frombytes(mode, (len(colours) // len(mode), 1), colours)
    sides = [to_srgb(grid, profile).tobytes() for profile in (before, after)]
    return all(abs(a - b) <= _MOST_OFF for a, b in zip(*sides, strict=True))
