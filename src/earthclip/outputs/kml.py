"""KML for Google Earth and similar programs: a Folder for each picture, with places and outlines of regions.

Source: OGC KML 2.3 (12-007r2); the elements used, and their order, are also those of 2.2, which more programs read.
"""

from __future__ import annotations

from typing import Any, TextIO

from earthclip.locating.prediction import Prediction
from earthclip.outputs.drawing import outline, ring_of
from earthclip.outputs.estimate import xml_text
from earthclip.outputs.structured import rounded, without_folders
from earthclip.outputs.table import area_text, level_word, trust_sentences, warning_text
from earthclip.pictures.prepare import Failure

# Colours are aabbggrr. The best place stands out; regions are seen through.
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<kml xmlns="http://www.opengis.net/kml/2.2">
<Document>
<name>EarthCLIP</name>
<open>1</open>
<Style id="best"><IconStyle><color>ff1e3ce6</color><scale>1.2</scale></IconStyle></Style>
<Style id="other"><IconStyle><color>ffb48246</color><scale>0.8</scale></IconStyle>\
<LabelStyle><scale>0.7</scale></LabelStyle></Style>
<Style id="region50"><LineStyle><color>ff1e3ce6</color><width>2</width></LineStyle>\
<PolyStyle><color>401e3ce6</color></PolyStyle></Style>
<Style id="region90"><LineStyle><color>ffb48246</color><width>1.5</width></LineStyle>\
<PolyStyle><color>26b48246</color></PolyStyle></Style>
"""


class KMLWriter:
    """One Document over all pictures."""

    def __init__(self, stream: TextIO, *, full_paths: bool = False) -> None:
        """Folders have the names of files, or with ``full_paths`` their paths."""
        self._stream, self._full_paths = stream, full_paths
        self._stream.write(_HEAD)

    def write(self, answer: Prediction | Failure) -> None:
        """Write the Folder of one picture."""
        self._stream.write(folder(answer if self._full_paths else without_folders(answer)))
        self._stream.flush()

    def close(self) -> None:
        """Close the document."""
        self._stream.write("</Document>\n</kml>\n")
        self._stream.flush()


def folder(answer: Prediction | Failure) -> str:
    """The Folder element of one answer; without placemarks where the picture failed or has no answer."""
    if isinstance(answer, Failure):
        return _element("Folder", _named(answer.path or "(image)", answer.error))
    parts = [_named(answer.subject, _description(answer)), _data(_facts(answer))]
    if not answer.abstained:
        rows = enumerate(zip(rounded(answer), answer.places, strict=True), start=1)
        parts += [_place(rank, *row, place) for rank, (row, place) in rows]
        parts += [_region(region) for region in answer.credible]
    return _element("Folder", "".join(parts))


def _place(rank: int, latitude: float, longitude: float, probability: float, place: Any) -> str:
    name = f"{rank}. {place}"
    facts = {"rank": rank, "probability": probability, "latitude": latitude, "longitude": longitude}
    if place.country_code:
        facts |= {"country_code": place.country_code}
    style = f"<styleUrl>#{'best' if rank == 1 else 'other'}</styleUrl>"
    point = f"<Point><coordinates>{longitude},{latitude}</coordinates></Point>"
    return _element("Placemark", _named(name, f"probability {100 * probability:.3g} %") + style + _data(facts) + point)


def _region(region: Any) -> str:
    shape = outline(region)
    if shape is None:
        return ""
    percent = f"{100 * region.mass:.3g}"
    style = f"<styleUrl>#region{50 if region.mass <= 0.5 else 90}</styleUrl>"
    polygons = "".join(
        "<Polygon><tessellate>1</tessellate>"
        + _boundary("outer", part.exterior)
        + "".join(_boundary("inner", hole) for hole in part.interiors)
        + "</Polygon>\n"
        for part in shape.geoms
    )
    named = _named(f"{percent} % region", f"{percent} % of the probability, {area_text(region.area_km2)}")
    return _element("Placemark", named + style + f"<MultiGeometry>\n{polygons}</MultiGeometry>")


def _boundary(side: str, ring: Any) -> str:
    positions = " ".join(f"{longitude},{latitude}" for longitude, latitude in ring_of(ring))
    return f"<{side}BoundaryIs><LinearRing><coordinates>{positions}</coordinates></LinearRing></{side}BoundaryIs>"


def _description(answer: Prediction) -> str:
    warnings = [warning.text for warning in answer.warnings]
    return "\n".join([*warnings, f"Estimated by the model {answer.model}, not measured.", *trust_sentences(answer)])


def _facts(answer: Prediction) -> dict[str, object]:
    facts = {**answer.asked, "model": answer.model, "warning": warning_text(answer), "verdict": level_word(answer)}
    return {name: value for name, value in facts.items() if value}


def _named(name: str, description: str) -> str:
    # Content is escaped twice where it is: viewers take a description for HTML.
    return f"<name>{xml_text(name)}</name>\n<description>{xml_text(_html(description))}</description>\n"


def _html(text: str) -> str:
    return "<br>".join(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").splitlines())


def _data(facts: dict[str, Any]) -> str:
    data = "".join(f'<Data name="{xml_text(k)}"><value>{xml_text(v)}</value></Data>' for k, v in facts.items())
    return f"<ExtendedData>{data}</ExtendedData>\n"


def _element(name: str, content: str) -> str:
    return f"<{name}>\n{content}\n</{name}>\n"
