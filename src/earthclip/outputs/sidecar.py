"""An answer as an XMP sidecar beside its photo, and text made safe inside XML 1.0."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from earthclip.errors import InputError, OutputError, readable
from earthclip.files import atomic_write, refuse_existing
from earthclip.locating.prediction import Prediction
from earthclip.outputs.structured import area90_km2, digits
from earthclip.pictures.metadata import read_metadata

# What XML 1.0 cannot hold, not even escaped: control signs, halves of surrogate pairs, two that are no characters
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(value: object) -> str:
    """``value`` as text for element content or a quoted attribute; what XML cannot hold becomes U+FFFD."""
    text = _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", readable(str(value)))
    return escape(text, {'"': "&quot;", "'": "&apos;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"})


_NAMESPACES = {
    "exif": "http://ns.adobe.com/exif/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "earthclip": "https://github.com/earthclip/earthclip/ns/1.0/",
}
# A place's name is written only where the verdict reaches down to it: a city named for a guess at a continent misleads.
_NAMED_AT = {
    "photoshop:City": ("street", "city"),
    "photoshop:State": ("street", "city", "region"),
    "photoshop:Country": ("street", "city", "region", "country"),
    "Iptc4xmpCore:CountryCode": ("street", "city", "region", "country"),
}


def sidecar_path(photo: Path) -> Path:
    """The path of a photo's sidecar: beside the photo, with ``.xmp`` after its whole name."""
    return photo.with_name(photo.name + ".xmp")


def objection(answer: Prediction) -> str | None:
    """Why the sidecar of an answer would do harm, after "the answer" or "the photo"; None where nothing speaks against.

    A sidecar goes before what the photo says itself: a guess would hide a position that was measured. Raises
    InputError when the photo cannot be read.
    """
    if answer.advice is not None:
        return "the picture is out of the model's scope"
    if answer.abstained or not len(answer.coordinates):
        return "the answer abstains"
    if answer.verdict is not None and answer.verdict.level is None:
        return "no region stands out"
    if answer.path is not None and read_metadata(answer.path).position is not None:
        return "the photo has a position"
    return None


def write_sidecar(answer: Prediction, *, overwrite: bool = False) -> Path:
    """Write the best place of an answer as the sidecar of its photo; returns the sidecar's path.

    It is written whatever ``objection`` says. Raises InputError for an answer without photo or without a place,
    OutputError when there is a sidecar already and not ``overwrite``, when that holds anything this function did not
    write (editors keep their edits there), or when it cannot be written.
    """
    if answer.path is None:
        raise InputError(f"{answer.subject}: a sidecar is written beside a photo's file, but this answer has no file")
    photo = Path(answer.path)
    if not photo.is_file():
        raise OutputError(f"{photo}: the photo no longer exists; a sidecar can only be written beside its photo")
    text = sidecar(answer)
    path = sidecar_path(photo)
    if not overwrite:
        refuse_existing(path)
    elif path.exists() and not _is_ours(path):
        raise OutputError(
            f"{path}: holds what other programs wrote, such as edits, and is left as it is; move it to have another"
        )
    with atomic_write(path, overwrite=overwrite) as file:
        file.write(text.encode())
    return path


def sidecar(answer: Prediction) -> str:
    """The best place of an answer as an XMP packet. Raises InputError where there is no place to trust."""
    if answer.abstained or not len(answer.coordinates):
        why = answer.advice or "no confident answer, so no sidecar was written; lower --min-confidence to write one"
        raise InputError(f"{answer.subject}: {why}")
    values = _position(answer) | _names(answer)
    namespaces = "".join(f'\n    xmlns:{name}="{address}"' for name, address in _NAMESPACES.items())
    attributes = "".join(f'\n   {name}="{xml_text(value)}"' for name, value in values.items())
    return f"{_HEAD}{namespaces}{attributes}{_TAIL}"


_HEAD = (
    '<?xpacket begin="\N{ZERO WIDTH NO-BREAK SPACE}" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="EarthCLIP">\n'
    ' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
    '  <rdf:Description rdf:about=""'
)
_TAIL = '/>\n </rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="w"?>\n'
_OURS = re.compile(
    re.escape(_HEAD)
    + r'(?:\n    xmlns:\w+="[^"<>]*")+'
    + r'(?:\n   (?:exif:GPS\w+|photoshop:(?:City|State|Country)|Iptc4xmpCore:CountryCode|earthclip:\w+)="[^"<>]*")+'
    + re.escape(_TAIL)
)
_LARGEST = 1 << 16  # bytes, far more than a sidecar of ours


def _is_ours(path: Path) -> bool:
    """Whether a sidecar is to the letter of the form written here: a program that adds to one writes it anew."""
    try:
        with path.open("rb") as file:
            return _OURS.fullmatch(file.read(_LARGEST).decode()) is not None
    except (OSError, UnicodeDecodeError):
        return False


def xmp_coordinate(degrees: float, positive: str, negative: str) -> str:
    """XMP's GPSCoordinate ``DDD,MM.mmmmmmK``: whole degrees, minutes to 6 decimals (2 mm), then the direction."""
    # In whole millionths of a minute, so that 59.9999999 minutes become the next degree and not 60.000000 minutes
    whole, minutes = divmod(round(abs(degrees) * 60e6), 60_000_000)
    direction = negative if degrees < 0 else positive
    return f"{whole},{minutes // 1_000_000}.{minutes % 1_000_000:06d}{direction}"


def _position(answer: Prediction) -> dict[str, Any]:
    probability, verdict, area = digits(float(answer.probabilities[0])), answer.verdict, area90_km2(answer)
    note = f"Estimate by EarthCLIP, model {answer.model}, probability {probability:.3g}; not measured"
    values: dict[str, Any] = {
        "exif:GPSVersionID": "2.3.0.0",
        "exif:GPSLatitude": xmp_coordinate(answer.latitude, "N", "S"),
        "exif:GPSLongitude": xmp_coordinate(answer.longitude, "E", "W"),
        "exif:GPSMapDatum": "WGS-84",
        "exif:GPSProcessingMethod": note,
    }
    if verdict is not None and verdict.radius_km is not None:
        values["exif:GPSHPositioningError"] = f"{math.ceil(verdict.radius_km * 1000)}/1"  # metres
    values |= {"earthclip:Model": answer.model, "earthclip:Probability": probability}
    if verdict is not None:
        values["earthclip:Verdict"] = verdict.sentence
    if area is not None:
        values["earthclip:Area90Km2"] = area
    return values


def _names(answer: Prediction) -> dict[str, Any]:
    place, verdict = answer.places[0], answer.verdict
    if verdict is None:
        return {}
    names = {
        "photoshop:City": place.name,
        "photoshop:State": place.admin,
        "photoshop:Country": place.country,
        "Iptc4xmpCore:CountryCode": place.country_code,
    }
    return {name: value for name, value in names.items() if value and verdict.level in _NAMED_AT[name]}
