"""An estimated position, and how XMP says it: the position, that it is an estimate, whose, and how exact."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from earthclip.errors import InputError, readable
from earthclip.locating.prediction import Prediction
from earthclip.outputs.structured import area90_km2, digits
from earthclip.outputs.xmp_packet import RDF, Packet, Property
from earthclip.pictures.capture import BY_HAND, ESTIMATE

# What XML 1.0 cannot hold, not even escaped: control signs, halves of surrogate pairs, two that are no characters
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
HAND = "hand"  # the source of a position that a person has corrected

_EXIF = "http://ns.adobe.com/exif/1.0/"
_OWN = "https://github.com/earthclip/earthclip/ns/1.0/"
_NAMESPACES = {
    "exif": _EXIF,
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "earthclip": _OWN,
}
# A place's name is written only where the verdict reaches down to it: a city named for a guess at a continent misleads.
_NAMED_AT = {
    "photoshop:City": ("street", "city"),
    "photoshop:State": ("street", "city", "region"),
    "photoshop:Country": ("street", "city", "region", "country"),
    "Iptc4xmpCore:CountryCode": ("street", "city", "region", "country"),
}
_OF_POSITION = frozenset(
    (_EXIF, f"GPS{name}")
    for name in (
        *("Latitude", "Longitude", "LatitudeRef", "LongitudeRef"),
        *("VersionID", "MapDatum", "ProcessingMethod", "HPositioningError"),
    )
)
_BLOCK = re.compile(
    rb' <rdf:Description xmlns:rdf="[^"]*" rdf:about="[^"]*"'
    rb'(?:\n    xmlns:\w+="[^"<>]*")*\n    xmlns:earthclip="[^"<>]*"(?:\n   \w+:\w+="[^"<>]*")+/>\n '
)


def xml_text(value: object) -> str:
    """``value`` as text for element content or a quoted attribute; what XML cannot hold becomes U+FFFD."""
    text = _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", readable(str(value)))
    return escape(text, {'"': "&quot;", "'": "&apos;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"})


@dataclass(frozen=True)
class Estimate:
    """A position in degrees with its probability and radius where they are known, and what it came from.

    ``source`` is "MODEL: picture, track" or the like, or ``HAND``. ``more`` are properties that are written only into
    a sidecar that holds nothing else, by their names in XMP.
    """

    latitude: float
    longitude: float
    probability: float | None
    radius_km: float | None
    source: str
    more: tuple[tuple[str, str], ...] = ()

    @property
    def note(self) -> str:
        """What GPSProcessingMethod says."""
        if self.source == HAND:
            return f"{BY_HAND}; not measured"
        model, _, sources = self.source.partition(": ")
        came_from = "" if sources in ("", "picture") else f", from {sources}"
        probability = "" if self.probability is None else f", probability {self.probability:.3g}"
        return f"{ESTIMATE}, model {model}{came_from}{probability}; not measured"

    @property
    def properties(self) -> dict[str, Any]:
        """The properties of XMP without ``more``."""
        values: dict[str, Any] = {
            "exif:GPSVersionID": "2.3.0.0",
            "exif:GPSLatitude": xmp_coordinate(self.latitude, "N", "S"),
            "exif:GPSLongitude": xmp_coordinate(self.longitude, "E", "W"),
            "exif:GPSMapDatum": "WGS-84",
            "exif:GPSProcessingMethod": self.note,
        }
        if self.radius_km is not None and self.source != HAND:
            values["exif:GPSHPositioningError"] = f"{math.ceil(self.radius_km * 1000)}/1"  # metres
        values["earthclip:Model"] = self.source.partition(": ")[0]
        if self.probability is not None and self.source != HAND:
            values["earthclip:Probability"] = self.probability
        return values

    def block(self, about: bytes = b"", *, alone: bool = False) -> bytes:
        """The rdf:Description of the estimate; with ``more`` where it is ``alone`` in its packet."""
        values = self.properties | (dict(self.more) if alone else {})
        prefixes = {name.partition(":")[0] for name in values}
        namespaces = "".join(f'\n    xmlns:{name}="{_NAMESPACES[name]}"' for name in _NAMESPACES if name in prefixes)
        attributes = "".join(f'\n   {name}="{xml_text(value)}"' for name, value in values.items())
        head = f' <rdf:Description xmlns:rdf="{RDF}" rdf:about="'.encode() + about.replace(b'"', b"&quot;")
        return head + f'"{namespaces}{attributes}/>\n '.encode()


def estimate_of(answer: Prediction) -> Estimate:
    """The best place of an answer. Raises InputError where there is no place to trust."""
    if answer.abstained or not len(answer.coordinates):
        why = answer.advice or "no confident answer, so no sidecar was written; lower --min-confidence to write one"
        raise InputError(f"{answer.subject}: {why}")
    verdict, area = answer.verdict, area90_km2(answer)
    more = _names(answer)
    if more:
        more["earthclip:Place"] = " | ".join(more.values())  # so that they are known again when they are taken out
    if verdict is not None:
        more["earthclip:Verdict"] = verdict.sentence
    if area is not None:
        more["earthclip:Area90Km2"] = str(area)
    probability = digits(float(answer.probabilities[0]))
    radius_km = None if verdict is None else verdict.radius_km
    return Estimate(
        *(answer.latitude, answer.longitude, probability, radius_km, source_of(answer)), more=tuple(more.items())
    )


def source_of(answer: Prediction) -> str:
    """What an answer came from, as a plan says it: "orbit: picture, track"."""
    return f"{answer.model}: {', '.join(answer.sources or ('picture',))}"


def has_position(packet: Packet) -> bool:
    """Whether a packet says where its photo was taken."""
    return packet.text((_EXIF, "GPSLatitude")) is not None and packet.text((_EXIF, "GPSLongitude")) is not None


def is_ours(packet: Packet) -> bool:
    """Whether the position in a packet was written here."""
    return (packet.text((_EXIF, "GPSProcessingMethod")) or "").startswith((ESTIMATE, BY_HAND))


def position_texts(packet: Packet) -> tuple[str | None, str | None]:
    """Latitude and longitude as a packet has them."""
    return packet.text((_EXIF, "GPSLatitude")), packet.text((_EXIF, "GPSLongitude"))


def without_position(packet: Packet) -> bytes:
    """The bytes of a packet without the properties that an estimate sets."""
    return packet.without(lambda one: one.name in _OF_POSITION)


def without_block(packet: Packet) -> bytes | None:
    """The bytes before the block of an estimate was put in; None where it does not stand there as it was written."""
    blocks = list(_BLOCK.finditer(packet.data))
    if len(blocks) != 1:
        return None
    return packet.data[: blocks[0].start()] + packet.data[blocks[0].end() :]


def without_estimate(packet: Packet) -> bytes:
    """The bytes without what an estimate wrote, in whatever form another program has put it since."""
    written = set((packet.text((_OWN, "Place")) or "").split(" | "))
    names = {(_NAMESPACES[prefix], local) for prefix, local in (name.split(":") for name in _NAMED_AT)}

    def ours(one: Property) -> bool:
        return one.name in _OF_POSITION or one.name[0] == _OWN or (one.name in names and one.value in written)

    return packet.without(ours)


def xmp_coordinate(degrees: float, positive: str, negative: str) -> str:
    """XMP's GPSCoordinate ``DDD,MM.mmmmmmK``: whole degrees, minutes to 6 decimals (2 mm), then the direction."""
    # In whole millionths of a minute, so that 59.9999999 minutes become the next degree and not 60.000000 minutes
    whole, minutes = divmod(round(abs(degrees) * 60e6), 60_000_000)
    direction = negative if degrees < 0 else positive
    return f"{whole},{minutes // 1_000_000}.{minutes % 1_000_000:06d}{direction}"


def _names(answer: Prediction) -> dict[str, str]:
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
