"""Photos with metadata of every kind, written block by block."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import IFDRational

LATITUDE, LONGITUDE = -15.8402, -70.0219
XMP = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmlns:aux="http://ns.adobe.com/exif/1.0/aux/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 exif:GPSLatitude="15,50.412S" exif:GPSLongitude="70,1.314W" photoshop:City="Puno" aux:SerialNumber="SN-XMP">
 <dc:creator><rdf:Seq><rdf:li>A. Photographer</rdf:li></rdf:Seq></dc:creator></rdf:Description></rdf:RDF></x:xmpmeta>"""


def exif_block(orientation: int = 6, *, gps: bool = True) -> bytes:
    """A TIFF block as a phone writes it, without the sign before it in JPEG."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Apple", "iPhone", orientation
    details = exif.get_ifd(0x8769)
    details[0x9003], details[0xA431], details[0x927C] = "2024:01:02 03:04:05", "SN-EXIF", b"Apple iOS\0" + bytes(90)
    if gps:
        values: dict[int, Any] = {
            **{1: "S", 2: (IFDRational(15), IFDRational(50), IFDRational(2472, 100))},
            **{3: "W", 4: (IFDRational(70), IFDRational(1), IFDRational(1884, 100))},
            **{5: b"\0", 6: IFDRational(3827), 7: (IFDRational(3), IFDRational(4), IFDRational(5)), 0x1D: "2024:01:02"},
            **{0x10: "T", 0x11: IFDRational(1234, 10), 0x1F: IFDRational(5)},
        }
        exif.get_ifd(0x8825).update(values)
    return exif.tobytes().removeprefix(b"Exif\0\0")


def picture() -> Image.Image:
    """80 x 60, no two rows alike."""
    return Image.linear_gradient("L").resize((80, 60)).convert("RGB").rotate(30)


def jpeg_segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def iptc_resource() -> bytes:
    data = b"".join(
        struct.pack(">BBBH", 0x1C, 2, number, len(text)) + text for number, text in ((90, b"Puno"), (101, b"Peru"))
    )
    return b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(data)) + data + bytes(len(data) % 2)


def jpeg(**options: Any) -> bytes:
    """A JPEG with every kind of block: EXIF, XMP, IPTC, a comment, a colour profile, and a video behind its end."""
    buffer = io.BytesIO()
    picture().save(buffer, "JPEG", icc_profile=b"profile" * 9, **options)
    plain = buffer.getvalue()
    blocks = (
        jpeg_segment(0xE1, b"Exif\0\0" + exif_block())
        + jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)
        + jpeg_segment(0xED, iptc_resource())
        + jpeg_segment(0xE7, b"Maker\0secret")
        + jpeg_segment(0xFE, b"at home \x1b[2J")
    )
    return plain[:2] + blocks + plain[2:] + b"\0\0\0\x18ftypmp42" + bytes(40)


def png() -> bytes:
    """A PNG with EXIF, XMP, texts of three kinds, a time and what no standard knows."""
    buffer = io.BytesIO()
    picture().save(buffer, "PNG")
    plain = buffer.getvalue()
    raw = ("\nexif\n      99\n" + (b"Exif\0\0" + exif_block()).hex()).encode()
    blocks = [
        (b"eXIf", exif_block()),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
        (b"tEXt", b"Comment\0at home"),
        (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw)),
        (b"tIME", b"\x07\xe8\1\2\3\4\5"),
        (b"prVt", b"secret"),
    ]
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in blocks
    ]
    return plain[:33] + b"".join(chunks) + plain[33:] + b"behind the end"


def saved(format: str) -> bytes:
    """As Pillow writes WEBP, TIFF or AVIF with EXIF, and WEBP with XMP too."""
    buffer = io.BytesIO()
    more: dict[str, Any] = {"xmp": XMP} if format == "WEBP" else {}
    picture().save(buffer, format, exif=b"Exif\0\0" + exif_block(), **more)
    return buffer.getvalue()
