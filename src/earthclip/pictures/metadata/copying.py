"""A copy of a picture that holds only what is needed to show it, or a refusal that says what would be lost."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageSequence

from earthclip.errors import InputError
from earthclip.pictures import Reencoding
from earthclip.pictures.decode import FAULTS, MAX_PIXELS, as_rgb, decode_reduced, open_picture, orientation_of, upright
from earthclip.pictures.metadata import colour, heif, strip, tiff
from earthclip.pictures.metadata.containers import container_of
from earthclip.pictures.metadata.findings import DamagedError, LostError
from earthclip.pictures.warning_filter import without_pillow_warnings

_QUALITY = 95
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")
_ADVICE = "--reencode png or --reencode jpeg writes a copy of what is seen"


@dataclass(frozen=True)
class Copy:
    """A copy's bytes, the name of its format, and notes for the user. ``exact``: its pixels are the picture's."""

    data: bytes
    format: str
    notes: tuple[str, ...] = ()
    exact: bool = True


def without_metadata(data: bytes, where: str, reencode: Reencoding | None = None) -> Copy:
    """The file's picture without metadata; ``where`` names it in messages.

    JPEG, PNG, WebP and GIF keep their pixels byte for byte. TIFF is encoded again as TIFF; HEIC, AVIF and BMP as PNG.
    ``reencode`` has the first picture of any file that is read written as it is seen, in 8 bits and sRGB. Raises
    InputError where that is needed, since more would be lost than metadata, and where the picture is damaged.
    """
    container = container_of(data)
    with without_pillow_warnings():
        try:
            if reencode:
                return _reencoded(data, reencode, where)
            if container in strip.COPIES:
                try:
                    return Copy(strip.copy_of(data, container), container)
                except colour.TableProfileError:
                    return _converted(data, container, where)
            with open_picture(io.BytesIO(data), where) as image:
                if image.format == "TIFF":
                    copy, notes = tiff.rewritten(image, data)
                    return Copy(copy, "TIFF", tuple(notes), not notes)
                return _as_png(image, data, container, where)
        except LostError as error:
            raise InputError(f"{where}: no copy written, because it would lose {error}; {_ADVICE}") from error
        except DamagedError as error:
            raise InputError(f"{where}: no copy written ({error}); {_ADVICE}") from error
        except FAULTS as error:
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            raise InputError(f"{where}: no copy written, the picture is damaged ({reason}); copy it again") from error


def pixel_fault(data: bytes) -> str:
    """What is wrong with the pixels of a file, among it that other bytes follow them; empty where nothing is."""
    container = container_of(data)
    try:
        with without_pillow_warnings():
            if container in strip.COPIES:
                strip.copy_of(data, container)
    except DamagedError as error:
        return str(error)
    except FAULTS:
        return "its pixels cannot be read"
    return ""


def check_pixels(before: bytes, copy: Copy, where: str) -> None:
    """Make sure that a copy shows what the picture shows, all frames and pages of it. Raises InputError."""
    wrong = InputError(f"{where}: no copy written, because its pixels would change; {_ADVICE}")
    try:
        with without_pillow_warnings():
            old, new = (open_picture(io.BytesIO(data), where) for data in (before, copy.data))
            with old, new:
                if not copy.exact:
                    if sorted(as_rgb(new, where).size) != sorted(old.size):
                        raise wrong
                elif old.format == copy.format.upper() and copy.format in ("GIF", "PNG", "WebP"):
                    sides = zip(ImageSequence.Iterator(old), ImageSequence.Iterator(new), strict=True)
                    several = _frames(old) > 1 or old.has_transparency_data
                    if several and any(a.convert("RGBA").tobytes() != b.convert("RGBA").tobytes() for a, b in sides):
                        raise wrong
        if copy.exact:
            one, other = (decode_reduced(io.BytesIO(data), None, where=where).image for data in (before, copy.data))
            if one.size != other.size or one.tobytes() != other.tobytes():
                raise wrong
    except FAULTS as error:
        raise wrong from error


def _reencoded(data: bytes, kind: Reencoding, where: str, notes: tuple[str, ...] = ()) -> Copy:
    """The first picture as it is seen: upright, 8 bits, sRGB."""
    with open_picture(io.BytesIO(data), where) as image:
        _check_size(image, where)
        image.load()
        profile = _profile(image, data)
        if image.mode.startswith(("I", "F")):
            seen = as_rgb(image, where)
        else:
            bare = _bare(image)
            if profile and colour.fits(profile, bare.mode):
                bare = colour.to_srgb(bare, profile)
            if kind == "jpeg" or bare.mode != "RGBA":
                bare = as_rgb(bare, where)
            seen = upright(bare, orientation_of(image))
        exif = strip.exif_of(image, resolution=_dpi(image) is None, upright=True, colours=profile is None)
        return Copy(_saved(seen, kind.upper(), _dpi(image), exif), kind.upper(), notes, exact=False)


def _bare(image: Image.Image) -> Image.Image:
    """A loaded picture without any information beside its pixels, their transparency among them."""
    bare = image.convert("RGBA") if image.has_transparency_data else image.convert("RGB" if image.mode == "P" else None)
    bare.info = {}
    return bare


def _converted(data: bytes, container: str, where: str) -> Copy:
    with open_picture(io.BytesIO(data), where) as image:
        if _frames(image) > 1 and container != "JPEG":
            raise LostError("its animation, with a colour profile of tables")
        if image.mode.startswith("I"):
            raise LostError("16 bits a colour, with a colour profile of tables")
    note = "its colour profile describes one device: colours converted to sRGB"
    kind: Reencoding = "jpeg" if container == "JPEG" else "png"
    return _reencoded(data, kind, where, (f"{note}, and encoded again" if kind == "jpeg" else note,))


def _as_png(image: Image.Image, data: bytes, container: str, where: str) -> Copy:
    if image.format not in ("HEIF", "AVIF", "BMP"):
        raise LostError("what this program does not know of this format")
    _check_size(image, where)
    if container == "HEIC":
        lost = heif.contents(data).lost
        if lost:
            raise LostError(" and ".join(lost))
    if _frames(image) > 1:
        raise LostError("more pictures")
    image.load()
    if image.mode not in _PNG_MODES:
        raise LostError(f"colours of the kind {image.mode}")
    notes: tuple[str, ...] = (f"{image.format.replace('HEIF', 'HEIC')} written as PNG",)
    bare, profile = _bare(image), _profile(image, data)
    try:
        profile = colour.clean(profile, bare.mode)
    except colour.TableProfileError:
        bare, profile = colour.to_srgb(bare, image.info["icc_profile"]), None
        notes += ("colours converted to sRGB",)
    exif = strip.exif_of(image, resolution=_dpi(image) is None, upright=True, colours=profile is None)
    seen = upright(bare, orientation_of(image))
    return Copy(_saved(seen, "PNG", _dpi(image), exif, profile), "PNG", notes, len(notes) == 1)


def _frames(image: Image.Image) -> int:
    return int(getattr(image, "n_frames", 1))


def _check_size(image: Image.Image, where: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise InputError(
            f"{where}: {image.width * image.height:,} pixels, the limit is {MAX_PIXELS:,}; make it smaller"
        )


def _profile(image: Image.Image, data: bytes) -> bytes | None:
    profile = image.info.get("icc_profile")
    if profile is None and image.format in ("HEIF", "AVIF") and heif.contents(data).primaries == heif.DISPLAY_P3:
        return colour.display_p3()
    return profile if isinstance(profile, bytes) else None


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    """Its resolution in dots an inch, where it has one."""
    dpi = image.info.get("dpi")
    return (float(dpi[0]), float(dpi[1])) if isinstance(dpi, tuple) and all(1 < side < 1e6 for side in dpi) else None


def _saved(
    image: Image.Image, format: str, dpi: tuple[float, float] | None, exif: bytes, profile: bytes | None = None
) -> bytes:
    buffer = io.BytesIO()
    image.info = {}
    more: dict[str, Any] = {"quality": _QUALITY, "subsampling": 0} if format == "JPEG" else {}
    more |= {
        name: value
        for name, value in (("dpi", dpi), ("exif", exif and strip.EXIF_SIGN + exif), ("icc_profile", profile))
        if value
    }
    image.save(buffer, format, **more)
    return buffer.getvalue()
