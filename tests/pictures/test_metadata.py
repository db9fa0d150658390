"""Metadata: found wherever it stands, gone from copies, and never a reason to crash."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earthclip.errors import InputError
from earthclip.pictures.metadata import Metadata, metadata_of, read_metadata
from earthclip.pictures.metadata.findings import Collector, DamagedError, shown
from earthclip.pictures.metadata.xmp import coordinate, read_xmp
from tests.pictures import photos

FILES = {
    "jpeg": photos.jpeg(),
    "progressive": photos.jpeg(progressive=True),
    "png": photos.png(),
    "webp": photos.saved("WEBP"),
    "tiff": photos.saved("TIFF"),
    "avif": photos.saved("AVIF"),
}


def heic() -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    exif = b"Exif\0\0" + photos.exif_block(1)
    pillow_heif.from_pillow(photos.picture()).save(buffer, exif=exif, xmp=photos.XMP)
    return buffer.getvalue()


def values(metadata: Metadata, kind: str) -> list[str]:
    return [finding.value for finding in metadata.of_kind(kind)]


@pytest.mark.parametrize("name", [*FILES, "heic"])
def test_the_position_is_found(name: str) -> None:
    metadata = metadata_of(FILES[name] if name in FILES else heic())
    position = metadata.position
    assert position is not None and position.source == "EXIF" and not metadata.damaged
    assert (position.latitude, position.longitude) == pytest.approx((photos.LATITUDE, photos.LONGITUDE), abs=1e-9)
    assert position.precision_m == pytest.approx(1.24, abs=0.01) and position.error_m == 5.0
    assert values(metadata, "altitude") == ["3,827.0 m"] and values(metadata, "camera") == ["Apple iPhone"]
    assert values(metadata, "direction") == ["123.4° from true north"]
    assert "satellites: 2024:01:02 03:04:05 UTC" in values(metadata, "time")
    assert "camera body: SN-EXIF" in values(metadata, "serial") and metadata.of_kind("maker note")


def test_what_else_a_jpeg_holds() -> None:
    metadata = metadata_of(FILES["jpeg"])
    assert [position.source for position in metadata.positions] == ["EXIF", "XMP"]
    assert metadata.positions[1].latitude == pytest.approx(photos.LATITUDE)
    assert metadata.positions[1].precision_m == pytest.approx(1.85, abs=0.01)
    places = [(finding.value, finding.source) for finding in metadata.of_kind("place")]
    assert places == [("city: Puno", "XMP"), ("city: Puno", "IPTC"), ("country: Peru", "IPTC")]
    assert values(metadata, "person") == ["creator: A. Photographer"]
    assert values(metadata, "text") == ["comment: at home \N{REPLACEMENT CHARACTER}[2J"]
    assert values(metadata, "hidden") == [
        "12 bytes of Maker",
        "52 bytes after the picture's end, probably a video",
    ]


def test_what_else_a_png_holds() -> None:
    metadata = metadata_of(FILES["png"])
    assert values(metadata, "text") == ["Comment: at home"]
    assert "changed: 2024-01-02 03:04:05" in values(metadata, "time")
    assert "14 bytes after the picture's end" in values(metadata, "hidden")


def test_a_thumbnail_has_metadata_too() -> None:
    small = io.BytesIO()
    photos.picture().save(small, "JPEG", exif=b"Exif\0\0" + photos.exif_block())
    # Directory 0 without entries of interest, then directory 1 with the thumbnail's place and length.
    head = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, 1, 0, 26)
    second = struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, 56, 0x0202, 4, 1, len(small.getvalue()), 0)
    block = head + second + small.getvalue()
    big = io.BytesIO()
    photos.picture().save(big, "JPEG")
    segment = photos.jpeg_segment(0xE1, b"Exif\0\0" + block)
    metadata = metadata_of(big.getvalue()[:2] + segment + big.getvalue()[2:])
    assert [position.source for position in metadata.positions] == ["thumbnail EXIF"]
    assert "may show what was cropped away" in values(metadata, "thumbnail")[0]


def test_nothing_found_in_what_has_nothing(tmp_path: Path) -> None:
    photos.picture().save(tmp_path / "a.png")
    assert read_metadata(tmp_path / "a.png") == Metadata("PNG")
    with pytest.raises(InputError, match=r"nope\.jpg: cannot be read"):
        read_metadata(tmp_path / "nope.jpg")


@pytest.mark.parametrize(
    ("text", "degrees", "step"),
    [
        ("52,30.25N", 52 + 30.25 / 60, 1 / 6000),
        ("52,30,15S", -(52 + 30 / 60 + 15 / 3600), 1 / 3600),
        ("0,0.0W", 0.0, 1 / 600),
        ("-15.8402", -15.8402, 1e-4),
        ("+7", 7.0, 1.0),
    ],
)
def test_coordinates_of_xmp(text: str, degrees: float, step: float) -> None:
    assert coordinate(text, 180.0) == pytest.approx((degrees, step))


@pytest.mark.parametrize("text", ["", "N", "91,0.0N", "nan", "1e3", "52,N", "52°", "٣,٣N"])
def test_what_is_no_coordinate(text: str) -> None:
    assert coordinate(text, 90.0) is None


def test_entities_are_not_expanded() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "' + b"x" * 1000 + b'">]><a City="&b;&b;">&b;</a>'
    with pytest.raises(DamagedError):
        read_xmp(bomb, Collector())
    with pytest.raises(DamagedError, match="not XML"):
        read_xmp(b"<a>" * 100_000, Collector())


def test_directories_that_point_at_each_other_end() -> None:
    loop = struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x8769, 4, 1, 8, 8)
    assert metadata_of(loop) == Metadata("TIFF")


@settings(deadline=None)
@given(st.text())
def test_what_is_shown_steers_no_terminal(text: str) -> None:
    line = shown(text)
    assert len(line) <= 200 and line.isprintable() | any(sign in line for sign in "\u3000\xa0\u2003")
    assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 or sign in "\u202e\u2028" for sign in line)


damage = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=12)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(FILES)), damage, st.integers(0, 1 << 16), st.booleans())
def test_damaged_files_never_crash(name: str, changes: list[tuple[int, int]], cut: int, shorten: bool) -> None:
    data = bytearray(FILES[name])
    for at, value in changes:
        data[at % min(len(data), 4096)] = value
    broken = bytes(data[: cut % len(data)] if shorten else data)
    metadata = metadata_of(broken)
    assert all(abs(position.latitude) <= 90 and abs(position.longitude) <= 180 for position in metadata.positions)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\xff\0\0\0WEBP", b"II*\0", b"MM\0*"]),
    st.binary(),
)
def test_noise_never_crashes(start: bytes, noise: bytes) -> None:
    metadata_of(start + noise)
    metadata_of(b"\0\0\0\x18ftypheic" + noise)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_noisy_xmp_never_crashes(noise: bytes) -> None:
    for packet in (noise, photos.XMP[: len(photos.XMP) // 2] + noise, b"\xff\xfe" + noise):
        try:
            read_xmp(packet, Collector())
        except DamagedError:
            continue
