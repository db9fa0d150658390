"""Hundreds of small pictures of every format that is read, each with one block of metadata that ExifTool writes."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from PIL import Image

from tests.pictures import photos

SECRET = "Zq9-Jane-Doe"
GPS = ["-GPSLatitude=48.8577", "-GPSLatitudeRef=N", "-GPSLongitude=2.295", "-GPSLongitudeRef=E"]
BLOCKS: dict[str, list[str]] = {
    "nothing": [],
    "gps": [*GPS, f"-GPSAreaInformation={SECRET}"],
    "camera": ["-Make=Maker", f"-Model={SECRET}", f"-SerialNumber={SECRET}", "-DateTimeOriginal=2024:01:02 03:04:05"],
    "serial": [f"-EXIF:CameraSerialNumber={SECRET}", f"-EXIF:OwnerName={SECRET}", f"-ImageUniqueID={SECRET}"],
    "turned": ["-Orientation#=6", f"-Artist={SECRET}"],
    "mirrored": ["-Orientation#=5", f"-Copyright={SECRET}"],
    "dpi": ["-XResolution=300", "-YResolution=300", "-ResolutionUnit=inches", f"-UserComment={SECRET}"],
    "adobe rgb": ["-ColorSpace#=65535", "-InteropIndex=R03", f"-Software={SECRET}"],
    "face": [f"-RegionName={SECRET}", "-RegionType=Face", f"-XMP:PersonInImage={SECRET}"],
    "contact": [f"-XMP:CreatorWorkEmail={SECRET}@example.org", f"-XMP:CreatorCity={SECRET}"],
    "place": [f"-XMP:City={SECRET}", f"-IPTC:City={SECRET}", "-XMP:LocationShownGPSLatitude=50 S"],
    "history": [f"-XMP-xmpMM:HistorySoftwareAgent={SECRET}", f"-XMP-xmpMM:DocumentID={SECRET}"],
    "words": [f"-Comment={SECRET}", f"-XMP:Description={SECRET}", f"-IPTC:Keywords={SECRET}", f"-PNG:Title={SECRET}"],
    "thumbnail": ["-ThumbnailImage<=thumbnail.jpg", "-PhotoshopThumbnail<=thumbnail.jpg"],
}
# What ExifTool calls the parts that show a picture; everything else identifies someone or something
_SHOWS = re.compile(
    r"SourceFile|(ExifTool|System|File|Composite|JFIF|Adobe|GIF|RIFF|ICC-header):.*"
    r"|PNG(-pHYs)?:(Image(Width|Height)|BitDepth|ColorType|Compression|Filter|Interlace|Palette|Transparency|ProfileName"
    r"|PixelsPerUnit[XY]|PixelUnits|BackgroundColor|Animation\w+|SRGBRendering|Gamma|SignificantBits)"
    r"|(IFD\d+):(ImageWidth|ImageHeight|BitsPerSample|Compression|PhotometricInterpretation|Strip(Offsets|ByteCounts)"
    r"|SamplesPerPixel|RowsPerStrip|ExtraSamples|ColorMap|[XY]Resolution|ResolutionUnit|Orientation)"
    r"|ExifIFD:ColorSpace|InteropIFD:InteropIndex"
    r"|ICC_Profile:((Red|Green|Blue)(MatrixColumn|TRC)|GrayTRC|MediaWhitePoint|ChromaticAdaptation|Profile(Description|Copyright))"
)


def installed() -> bool:
    return shutil.which("exiftool") is not None


def pictures() -> dict[str, bytes]:
    """A picture of each format and kind of colours, by a file name."""
    base = photos.picture().resize((40, 30))
    made: dict[str, bytes] = {}

    def add(name: str, format: str, image: Image.Image, **options: Any) -> None:
        buffer = io.BytesIO()
        image.save(buffer, format, **options)
        made[name] = buffer.getvalue()

    pages = [base.rotate(10 * i) for i in range(3)]
    for mode in ("RGB", "L", "CMYK"):
        add(f"{mode}.jpg", "JPEG", base.convert(mode))
    add("progressive.jpg", "JPEG", base, progressive=True, dpi=(72, 72))
    for mode in ("RGB", "L", "P", "RGBA", "LA", "1", "I;16"):
        add(
            f"{mode.replace(';', '')}.png",
            "PNG",
            base.convert("L").convert(mode) if ";" in mode else base.convert(mode),
        )
    for mode in ("RGB", "L", "P", "RGBA", "1", "CMYK", "I;16"):
        add(
            f"{mode.replace(';', '')}.tif",
            "TIFF",
            base.convert("L").convert(mode) if ";" in mode else base.convert(mode),
        )
    add("pages.tif", "TIFF", base, save_all=True, append_images=pages, compression="tiff_lzw")
    add("lossy.webp", "WEBP", base)
    add("lossless.webp", "WEBP", base.convert("RGBA"), lossless=True)
    add("animated.webp", "WEBP", base, save_all=True, append_images=pages)
    add("still.gif", "GIF", base.convert("P"))
    add("animated.gif", "GIF", base.convert("P"), save_all=True, append_images=[page.convert("P") for page in pages])
    add("RGB.avif", "AVIF", base)
    add("RGB.bmp", "BMP", base)
    add("RGB.jp2", "JPEG2000", base)
    return made


def write(folder: Path) -> list[Path]:
    """Every picture with every block; a block that a format cannot hold leaves the picture as it is."""
    (folder / "thumbnail.jpg").write_bytes(photos.jpeg())
    arguments: list[str] = []
    for name, data in pictures().items():
        for block, tags in BLOCKS.items():
            path = folder / f"{block.replace(' ', '-')}-{name}"
            path.write_bytes(data)
            if tags:
                arguments += [*tags, "-q", "-q", "-m", "-overwrite_original", path.name, "-execute"]
    (folder / "arguments").write_text("\n".join(arguments))
    subprocess.run(["exiftool", "-@", "arguments"], cwd=folder, capture_output=True, check=False, timeout=120)
    (folder / "arguments").unlink()
    (folder / "thumbnail.jpg").unlink()
    return sorted(path for path in folder.iterdir() if not path.name.startswith("thumbnail.") and path.is_file())


def identifying(folder: Path) -> dict[str, list[str]]:
    """What ExifTool finds in a folder's files beside what shows them, by the name of the file."""
    arguments = ["exiftool", "-j", "-G1", "-a", "-u", "-ee", "-q", "-q", "-r", str(folder)]
    answer = subprocess.run(arguments, capture_output=True, check=False, timeout=300)
    found = {}
    for fields in json.loads(answer.stdout or b"[]"):
        names = [name for name in fields if not _SHOWS.fullmatch(name)]
        if names:
            found[Path(fields["SourceFile"]).name] = names
    return found
