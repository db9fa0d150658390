"""What ExifTool finds beyond this program, where it is installed: it reads more makers' notes than anything else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

from earthclip.pictures.metadata.findings import Collector, Metadata, shown

_SECONDS = 30
_PROGRAM = "exiftool"
# Without a configuration of the user's: it could be any program. Embedded files and unknown tags too; from stdin.
_ARGUMENTS = ("-config", "", "-j", "-G1", "-a", "-ee", "-u", "-api", "RequestAll=2", "-")
# Groups and fields of the file system, of what is computed, and of how the picture is stored
_STORED = re.compile(
    r"SourceFile|(ExifTool|System|File|Composite|JFIF|Adobe|MPF0|RIFF|GIF|ICC-.*|ICC_Profile.*|QuickTime|Meta|BMP"
    r"|Jpeg2000):.*|XMP-x:XMPToolkit"
    r"|PNG(-.*)?:(ProfileName|Image|Bit|Color|Compression|Filter|Interlace|Palette|Transparency|Pixel|SRGB|Gamma|White"
    r"|Red|Green|Blue|Animation|Background|Significant).*"
    r"|(IFD\d|SubIFD\d?):(ImageWidth|ImageHeight|BitsPerSample|Compression|Photometric.*|Strip.*|Samples.*|Rows.*"
    r"|Planar.*|Predictor|Sample.*|ExtraSamples|ColorMap|[XY]Resolution|ResolutionUnit|Orientation|YCbCr.*"
    r"|SubfileType|Tile.*)"
    r"|ExifIFD:(ExifVersion|ComponentsConfiguration|FlashpixVersion|ColorSpace|ExifImage.*)|InteropIFD:.*"
)
_COORDINATES = re.compile(r"\w*GPS(Latitude|Longitude)(Ref)?|GDALMetadata")
_QUICKTIME = re.compile(r"QuickTime:.*(Date|Video|Location|Maker|Model|Software|GPS|Unknown)")
_KINDS = (
    ("time", re.compile("Date|Time")),
    ("serial", re.compile("Serial|UniqueID|UUID|DocumentID|InternalID", re.I)),
    ("place", re.compile("GPS|Location|City|Country|State|Latitude|Longitude", re.I)),
    ("person", re.compile("Artist|Author|Owner|Creator|Person|Face|Name|Copyright|Email|Contact", re.I)),
    ("thumbnail", re.compile("Thumbnail|Preview", re.I)),
    ("hidden", re.compile("Video|Trailer", re.I)),
)


def installed() -> bool:
    """Whether ExifTool is on this machine."""
    return shutil.which(_PROGRAM) is not None


def with_exiftool(metadata: Metadata, data: bytes) -> Metadata:
    """``metadata`` of a file's bytes with what ExifTool adds; as it is where ExifTool is not installed."""
    program = shutil.which(_PROGRAM)
    if program is None:
        return metadata
    found = Collector(list(metadata.positions), list(metadata.findings), damaged=metadata.damaged)
    try:
        answer = subprocess.run([program, *_ARGUMENTS], input=data, capture_output=True, timeout=_SECONDS, check=False)
        fields = json.loads(answer.stdout)[0]
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        found.add("other", "no answer: it cannot read the file, or took too long", "ExifTool")
        fields = {}
    known = " ".join(finding.value for finding in metadata.findings).lower()
    for name, value in fields.items():
        stored = _STORED.fullmatch(name) and not _QUICKTIME.match(name)
        field = name.partition(":")[2]
        if metadata.positions and _COORDINATES.fullmatch(field):
            continue  # known, and with the right sign
        if stored or (text := shown(value)).lower() in known or field.lower() in known:
            continue
        kind = next((kind for kind, words in _KINDS if words.search(field)), "other")
        found.add(kind, f"{name}: {text}", "ExifTool")
    return found.metadata(metadata.container)
