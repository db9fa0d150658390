"""Copies without metadata: the same picture, and nothing else, wherever in a file something is put."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps, ImageSequence, TiffImagePlugin

from earthclip.errors import InputError
from earthclip.pictures.decode import decode_reduced
from earthclip.pictures.metadata import containers, heif, metadata_of
from earthclip.pictures.metadata.copying import Copy, check_pixels, pixel_fault, without_metadata
from tests.pictures import photos

SECRET = b"Jane Doe, 1 Elm Street"


def animation(format: str, **options: Any) -> bytes:
    frames = [photos.picture().rotate(10 * i).convert("P" if format == "GIF" else "RGB") for i in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, format, save_all=True, append_images=frames[1:], duration=90, loop=0, **options)
    return buffer.getvalue()


def heic(**options: Any) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    exif = b"Exif\0\0" + photos.exif_block(1)
    pillow_heif.from_pillow(photos.picture()).save(buffer, exif=exif, xmp=photos.XMP, **options)
    return buffer.getvalue()


def tiff(*modes: str, **options: Any) -> bytes:
    pages = [photos.picture().convert(mode) for mode in modes]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:], **options)
    return buffer.getvalue()


def plain(format: str, mode: str = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    photos.picture().convert(mode).save(buffer, format, **options)
    return buffer.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    "jpeg": photos.jpeg,
    "progressive": lambda: photos.jpeg(progressive=True),
    "grey jpeg": lambda: plain("JPEG", "L"),
    "cmyk jpeg": lambda: plain("JPEG", "CMYK"),
    "jpeg of two pictures": lambda: animation("MPO"),
    "png": photos.png,
    "animated png": lambda: animation("PNG"),
    "1-bit png": lambda: plain("PNG", "1"),
    "webp": lambda: photos.saved("WEBP"),
    "lossless webp": lambda: plain("WEBP", "RGBA", lossless=True),
    "transparent webp": lambda: plain("WEBP", "RGBA", quality=70),
    "animated webp": lambda: animation("WEBP"),
    "gif": lambda: plain("GIF", "P", comment=SECRET),
    "animated gif": lambda: animation("GIF"),
    "tiff": lambda: photos.saved("TIFF"),
    "pages": lambda: tiff("RGB", "L", "P", "1", "CMYK", "RGBA"),
    "avif": lambda: photos.saved("AVIF"),
    "heic": heic,
    "bmp": lambda: plain("BMP"),
}
SECRETS = (b"Puno", b"SN-", b"Apple", b"secret", b"home", b"2024", b"iPhone", b"behind", SECRET)


def checked(data: bytes) -> Copy:
    """A copy that shows the picture and nothing else."""
    copy = without_metadata(data, "a")
    check_pixels(data, copy, "a")
    left = metadata_of(copy.data)
    assert (left.positions, left.findings, left.damaged) == ((), (), False)
    return copy


def pixels(data: bytes) -> list[bytes]:
    with Image.open(io.BytesIO(data)) as image:
        return [ImageOps.exif_transpose(frame).convert("RGBA").tobytes() for frame in ImageSequence.Iterator(image)]


@pytest.mark.parametrize("name", FILES)
def test_a_copy_has_the_pixels_and_nothing_else(name: str) -> None:
    data = FILES[name]()
    decode_reduced(io.BytesIO(data), None)  # which knows HEIC from then on
    copy = checked(data)
    assert not any(secret in copy.data for secret in SECRETS)
    assert pixels(copy.data) == pixels(data)[: None if name != "jpeg of two pictures" else 1]
    again = checked(copy.data)
    assert again.data == copy.data and again.notes == ()


@pytest.mark.parametrize("name", ["jpeg", "png", "webp"])
def test_the_orientation_stays(name: str) -> None:
    with Image.open(io.BytesIO(checked(FILES[name]()).data)) as image:
        assert image.getexif()[0x0112] == 6


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "BMP"])
def test_the_resolution_stays(format: str) -> None:
    with Image.open(io.BytesIO(checked(plain(format, dpi=(300, 150))).data)) as image:
        assert image.info["dpi"] == pytest.approx((300, 150), rel=1e-3)


def test_resolution_and_adobe_rgb_that_only_exif_tells_of() -> None:
    exif = Image.Exif()
    exif[0x011A], exif[0x011B], exif[0x0128] = 300.0, 300.0, 2
    exif[0x8769] = {0xA001: 0xFFFF, 0xA005: {1: "R03"}, 0xA431: SECRET.decode()}
    image = Image.open(io.BytesIO(checked(plain("JPEG", exif=exif)).data))
    kept = image.getexif()
    assert (kept[0x011A], kept[0x0128], kept.get_ifd(0x8769)[0xA001]) == (300, 2, 0xFFFF)
    assert kept.get_ifd(0xA005)[1] == "R03" and 0xA431 not in kept.get_ifd(0x8769)


def test_a_jfif_thumbnail_goes() -> None:
    data = plain("JPEG")
    jfif = photos.jpeg_segment(0xE0, data[6:18] + b"\2\2" + b"abcdefghijkl")
    small = data[:2] + jfif + data[20:]
    assert metadata_of(small).of_kind("thumbnail") and checked(small).data == data


def profile_with(tag: bytes, value: bytes) -> bytes:
    """sRGB as Little CMS makes it, with one tag more."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    count = int.from_bytes(srgb[128:132], "big")
    table = bytearray(srgb[132 : 132 + 12 * count])
    for at in range(4, len(table), 12):
        table[at : at + 4] = struct.pack(">I", int.from_bytes(table[at : at + 4], "big") + 12)
    entry = struct.pack(">4sII", tag, len(srgb) + 12, len(value))
    whole = srgb[:128] + struct.pack(">I", count + 1) + bytes(table) + entry + srgb[132 + 12 * count :] + value
    return struct.pack(">I", len(whole)) + whole[4:]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_colour_profile_tells_of_colours_alone(format: str) -> None:
    profile = profile_with(b"mmod", b"mmod" + bytes(12) + SECRET)
    data = plain(format, icc_profile=profile)
    found = metadata_of(data)
    assert [f.value for f in found.of_kind("serial")] == [f"screen: {SECRET[:4].hex()}"] and found.of_kind("other")
    copy = checked(data).data
    with Image.open(io.BytesIO(copy)) as image:
        clean = image.info["icc_profile"]
    assert SECRET not in clean and SECRET not in copy
    grid = photos.picture()
    before, after = (
        ImageCms.profileToProfile(
            grid, ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
        for icc in (profile, clean)
    )
    assert before is not None and after is not None
    assert np.abs(np.asarray(before, np.int16) - np.asarray(after, np.int16)).max() <= 1


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_profile_of_tables_is_converted(format: str) -> None:
    curves, corners = bytes(range(256)) * 3, bytes(255 * bit for c in range(8) for bit in (c >> 2, c >> 1 & 1, c & 1))
    identity = [65536 * (i % 4 == 0) for i in range(9)]
    table = struct.pack(">4s4x4B9i", b"mft1", 3, 3, 2, 0, *identity) + curves + corners + curves
    data = plain(format, icc_profile=profile_with(b"A2B0", table + SECRET))
    copy = without_metadata(data, "a")
    assert any("colours converted to sRGB" in note for note in copy.notes) and SECRET not in copy.data
    check_pixels(data, copy, "a")
    assert metadata_of(copy.data).findings == ()


def test_a_damaged_profile_goes() -> None:
    assert b"profile" not in checked(plain("PNG", icc_profile=b"profile" * 30)).data


def crafted(tags: dict[int, int], data_tag: int, pixels: bytes, bits: list[int], order: str = "<") -> bytes:
    """A TIFF of one directory of long integers; ``data_tag`` is to point to the pixels."""
    tags = dict(sorted({**tags, 258: 0}.items()))
    end = 8 + 2 + 12 * len(tags) + 4
    tags |= {258: end, data_tag: end + 2 * len(bits)}
    head = struct.pack(f"{order}2sHIH", b"II" if order == "<" else b"MM", 42, 8, len(tags))
    for tag, value in tags.items():
        head += struct.pack(f"{order}HHII", tag, 3 if tag == 258 else 4, len(bits) if tag == 258 else 1, value)
    return head + bytes(4) + struct.pack(f"{order}{len(bits)}H", *bits) + pixels


@pytest.mark.parametrize("samples", [3, 4])
@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
def test_all_16_bits_of_a_tiff_stay(samples: int, predictor: int, order: str) -> None:
    values = np.random.default_rng(0).integers(0, 1 << 16, (6, 5, samples), dtype=np.uint16)
    stored = np.diff(values, axis=1, prepend=np.zeros((6, 1, samples), np.uint16)) if predictor == 2 else values
    strip = zlib.compress(stored.astype(f"{order}u2").tobytes())
    tags = {256: 5, 257: 6, 259: 8, 262: 2, 277: samples, 278: 6, 317: predictor, 273: 0, 279: len(strip)}
    data = crafted(tags | ({338: 2} if samples == 4 else {}), 273, strip, [16] * samples, order)
    copy = checked(data).data
    with Image.open(io.BytesIO(copy)) as image:
        assert isinstance(image, TiffImagePlugin.TiffImageFile)
        (start,), (size,) = image.tag_v2[273], image.tag_v2[279]
    kept = np.frombuffer(zlib.decompress(copy[start : start + size]), "<u2").reshape(values.shape)
    np.testing.assert_array_equal(kept, values)


def test_what_cannot_be_kept_is_refused_and_can_be_encoded_again() -> None:
    deep = io.BytesIO()
    Image.fromarray(np.ones((4, 4), np.float32)).save(deep, "TIFF")
    smaller = tiff("RGB", tiffinfo={254: 1})
    tags = {256: 16, 257: 16, 259: 1, 262: 2, 277: 3, 322: 16, 323: 16, 324: 0, 325: 768}
    cases = {
        "signed or decimal numbers": deep.getvalue(),
        "its tiles": crafted(tags, 324, bytes(768), [8, 8, 8]),
        "the large picture": smaller,
        "a video ": heic() + struct.pack(">I4s", 8 + len(SECRET), b"mpvd") + SECRET,
        "what this program does not know": plain("JPEG2000"),
        "a video": animation("AVIF"),
    }
    for lost, data in cases.items():
        with pytest.raises(
            InputError, match=f"a: no copy written, because it would lose {lost.strip()}.*--reencode png"
        ):
            without_metadata(data, "a")
        for kind in ("png", "jpeg"):
            copy = without_metadata(data, "a", kind)
            check_pixels(data, copy, "a")
            assert copy.format == kind.upper() and SECRET not in copy.data


def test_what_heic_can_hold() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")

    def saved(file: Any, **options: Any) -> bytes:
        buffer = io.BytesIO()
        file.save(buffer, **options)
        return buffer.getvalue()

    picture = photos.picture().resize((200, 150))
    file = pillow_heif.from_pillow(picture)
    file[0].info["thumbnails"] = [64]
    small = saved(file)
    assert [f.value for f in metadata_of(small).of_kind("thumbnail")] == ["may show what was cropped away"]
    assert checked(small).format == "PNG"
    assert checked(saved(pillow_heif.from_pillow(picture.convert("RGBA")))).notes == ("HEIC written as PNG",)
    names = {"color_primaries": 12, "transfer_characteristics": 13, "matrix_coefficients": 6, "full_range_flag": 1}
    with Image.open(io.BytesIO(checked(saved(pillow_heif.from_pillow(picture), **names)).data)) as image:
        assert "Display P3".encode("utf-16-be") in image.info["icc_profile"]
    file = pillow_heif.from_pillow(picture)
    file.add_from_pillow(picture.rotate(20))
    deep = pillow_heif.from_bytes("RGB;16", (64, 64), bytes(64 * 64 * 6))
    for refused, lost in ((saved(file), "more pictures"), (saved(deep), "more than 8 bits a colour")):
        with pytest.raises(InputError, match=f"it would lose {lost}"):
            without_metadata(refused, "a")
        assert without_metadata(refused, "a", "jpeg").format == "JPEG"


def test_formats_and_faults() -> None:
    with pytest.raises(InputError, match=r"no copy written \(a PNG chunk ends beyond the file\)"):
        without_metadata(FILES["png"]()[:-60], "a.png")
    with pytest.raises(InputError, match="no copy written"):
        without_metadata(b"\xff\xd8\xff\xd9", "a.jpg")
    with pytest.raises(InputError, match="not a picture"):
        without_metadata(b"nothing at all", "a.txt")


def test_encoded_again() -> None:
    copy = without_metadata(photos.jpeg(), "a", "png")
    with Image.open(io.BytesIO(copy.data)) as image:
        assert (image.size, image.mode) == ((60, 80), "RGB")
        assert image.tobytes() == decode_reduced(io.BytesIO(photos.jpeg()), None).image.tobytes()


def planted(data: bytes, at: int) -> dict[str, bytes]:
    """The file with the secret in every place of its container, the parts chosen by ``at``."""
    container = containers.container_of(data)
    files = {"behind the end": data + SECRET}
    if container == "JPEG":
        segments = [part.start for part in containers.jpeg_parts(data) if part.start]
        start = segments[at % len(segments)]
        for marker in (*range(0xE0, 0xF0), 0xFE, 0xF0, 0xDC, 0xDE, 0xC8):
            files[f"{marker:X}"] = data[:start] + photos.jpeg_segment(marker, SECRET) + data[start:]
        for sign in (b"JFIF\0" + bytes(9), b"Adobe" + bytes(7), b"ICC_PROFILE\0\1\1", b"Exif\0\0", b"Exif\0\0II*\0"):
            marker = {b"J": 0xE0, b"A": 0xEE, b"I": 0xE2, b"E": 0xE1}[sign[:1]]
            files[f"after {sign!r}"] = data[:start] + photos.jpeg_segment(marker, sign + SECRET) + data[start:]
        files["between segments"] = data[:start] + SECRET + data[start:]
        end = next(part.end for part in containers.jpeg_parts(data) if part.name == "DA")
        files["in the scan"] = data[:end] + SECRET + data[end:]
    elif container == "PNG":
        chunks = list(containers.png_parts(data))
        start = chunks[1 + at % (len(chunks) - 1)].start
        for name in (
            b"tEXt",
            b"prVt",
            b"iTXt",
            b"eXIf",
            b"iCCP",
            b"pHYs",
            b"tRNS",
            b"IDAT",
            b"ABCD",
            b"gAMA",
            b"bKGD",
            b"PLTE",
        ):
            files[name.decode()] = data[:start] + containers.png_chunk(name, SECRET) + data[start:]
        pixels = next(chunk for chunk in chunks if chunk.name == "IDAT")
        more = data[pixels.content : pixels.content_end] + SECRET
        files["in IDAT"] = data[: pixels.start] + containers.png_chunk(b"IDAT", more) + data[pixels.end :]
    elif container == "WebP":
        chunks = list(containers.webp_parts(data))
        start = chunks[at % len(chunks)].start
        for name in ("EXIF", "XMP ", "ICCP", "ABCD", "ALPH", "ANIM"):
            inside = data[12:start] + containers.webp_chunk(name, SECRET) + data[start:]
            files[name] = b"RIFF" + struct.pack("<I", len(inside) + 4) + b"WEBP" + inside
        last = next(chunk for chunk in chunks if chunk.name in ("VP8 ", "VP8L", "ANMF"))
        longer = containers.webp_chunk(last.name, data[last.content : last.content_end] + SECRET)
        inside = data[12 : last.start] + longer + data[last.end :]
        files[f"in {last.name}"] = b"RIFF" + struct.pack("<I", len(inside) + 4) + b"WEBP" + inside
    elif container == "GIF":
        blocks = list(containers.gif_parts(data))
        start = blocks[1 + at % (len(blocks) - 1)].start
        text = bytes([len(SECRET)]) + SECRET + b"\0"
        for head in (b"\x21\xfe", b"\x21\x01", b"\x21\xf9", b"\x21\xff\x0bNETSCAPE2.0", b"\x21\xff\x0bXMP DataXMP"):
            files[head.hex()] = data[:start] + head + text + data[start:]
        image = next(block for block in blocks if block.name == "2C")
        files["in the pixels"] = data[: image.end - 1] + text + data[image.end :]
    elif container == "HEIC":
        tops = list(heif.boxes(data))
        for name in (b"uuid", b"mpvd", b"free", b"sefd", b"mdat", b"moov", b"udta", b"skip"):
            files[name.decode()] = data + struct.pack(">I4s", 8 + len(SECRET), name) + SECRET
        assert tops[-1].name == "mdat"
        size = tops[-1].end - tops[-1].start + len(SECRET)
        files["in mdat"] = data[: tops[-1].start] + struct.pack(">I", size) + data[tops[-1].start + 4 :] + SECRET
    elif container == "TIFF":
        first = int.from_bytes(data[4:8], "little")
        count = int.from_bytes(data[first : first + 2], "little")
        directory = data[first + 2 : first + 2 + 12 * count]
        entries = [directory[i : i + 12] for i in range(0, len(directory), 12)]
        for tag, kind in (
            (270, 2),
            (305, 2),
            (700, 1),
            (33723, 7),
            (34665, 4),
            (37724, 7),
            (330, 4),
            (65000, 129),
            (42112, 2),
        ):
            place = struct.pack("<HHII", tag, kind, len(SECRET), len(data))
            following = len(data) + len(SECRET)
            changed = sorted([e for e in entries if e[:2] != place[:2]] + [place], key=lambda e: e[:2][::-1])
            new = struct.pack("<H", len(changed)) + b"".join(changed) + data[first + 2 + 12 * count :][:4]
            files[str(tag)] = data[:4] + struct.pack("<I", following) + data[8:] + SECRET + new
    return files


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate])
@given(at=st.integers(0, 40))
def test_what_is_planted_anywhere_is_gone_and_was_reported(name: str, at: int) -> None:
    data = FILES[name]()
    before = metadata_of(data)
    for place, file in planted(data, at).items():
        # Of BMP no metadata is known, which reports say; a comment is told of once.
        told = metadata_of(file) != before or pixel_fault(file)
        assert told or containers.container_of(data) == "other" or SECRET in data, f"{place}: not in the report"
        try:
            copy = without_metadata(file, "a")
            check_pixels(file, copy, "a")
        except InputError as error:
            assert "\n" not in str(error)
            continue
        assert SECRET not in copy.data, place
        assert metadata_of(copy.data).findings == (), place


damage = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=12)


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate])
@given(changes=damage, cut=st.integers(0, 1 << 16), shorten=st.booleans())
def test_damaged_files_are_copied_or_refused(
    name: str, changes: list[tuple[int, int]], cut: int, shorten: bool
) -> None:
    data = bytearray(FILES[name]())
    for at, value in changes:
        data[at % min(len(data), 4096)] = value
    broken = bytes(data[: cut % len(data)] if shorten else data)
    try:
        copy = without_metadata(broken, "a")
        check_pixels(broken, copy, "a")
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert metadata_of(copy.data).position is None


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\xff\0\0\0WEBP", b"II*\0", b"MM\0*", b"GIF89a", b"BM"]
    ),
    st.binary(),
)
def test_noise_is_refused(start: bytes, noise: bytes) -> None:
    for data in (start + noise, b"\0\0\0\x18ftypheic" + noise):
        with pytest.raises(InputError):
            without_metadata(data, "a")
