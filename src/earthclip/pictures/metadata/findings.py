"""What a photo's metadata reveals, from any kind of block."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass, field

METRES_PER_DEGREE = 111_195.0  # of latitude, on the sphere of geo.geodesy
_LONGEST = 200  # letters of a value that are kept

# The kinds of findings, in the order in which they are shown, by the heading under which they are. "hidden" is data
# that no picture needs: a video after its end, for instance. "other" are fields that only their names tell of.
GROUPS = {
    "position": ("altitude", "direction"),
    "place": ("place",),
    "time": ("time",),
    "people": ("person",),
    "camera": ("serial", "camera", "maker note"),
    "words": ("text",),
    "history": ("history",),
    "previews": ("thumbnail", "hidden"),
    "other": ("other",),
}
KINDS = tuple(kind for kinds in GROUPS.values() for kind in kinds)


class DamagedError(ValueError):
    """A block that ends early or contradicts itself; caught within ``pictures.metadata``."""


class LostError(ValueError):
    """What a copy would not keep; caught within ``pictures.metadata``."""


@dataclass(frozen=True)
class Position:
    """A position in degrees as one block has it; ``precision_m`` is how finely it is written, ``error_m`` its claim.

    ``of_camera`` is false for the place of what was photographed, and of a thumbnail.
    """

    latitude: float
    longitude: float
    source: str  # "EXIF", "XMP", "thumbnail EXIF" and so on
    precision_m: float | None = None
    error_m: float | None = None
    of_camera: bool = True


@dataclass(frozen=True)
class Finding:
    """Something else: ``kind`` is one of ``KINDS``, ``value`` fit to be shown in a terminal."""

    kind: str
    value: str
    source: str


@dataclass(frozen=True)
class Metadata:
    """All metadata found in a file of the format ``container``; ``damaged`` when some could not be read."""

    container: str
    positions: tuple[Position, ...] = ()
    findings: tuple[Finding, ...] = ()
    damaged: bool = False

    @property
    def position(self) -> Position | None:
        """Where the camera was, as its own block says before others; None where that is not known."""
        return next((position for position in self.positions if position.of_camera), None)

    def of_kind(self, kind: str) -> list[Finding]:
        """The findings of a kind, in the order of the file."""
        return [finding for finding in self.findings if finding.kind == kind]


@dataclass
class Collector:
    """Takes what the parsers find, each thing once."""

    positions: list[Position] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    names: dict[str, dict[str, None]] = field(default_factory=dict)
    damaged: bool = False

    def name(self, field: str, source: str) -> None:
        """Keep the name of a field whose value is not shown."""
        self.names.setdefault(source, {})[shown(field)] = None

    def add(self, kind: str, value: object, source: str) -> None:
        """Keep a finding, unless it is empty or known already."""
        finding = Finding(kind, shown(value), source)
        if finding.value and finding not in self.findings:
            self.findings.append(finding)

    def add_position(self, position: Position) -> None:
        """Keep a position, unless it is none on Earth or known already."""
        valid = abs(position.latitude) <= 90.0 and abs(position.longitude) <= 180.0  # NaN is not
        if valid and position not in self.positions:
            self.positions.append(position)

    def metadata(self, container: str) -> Metadata:
        """All of it, by kind; positions of the camera's own block before those of others."""
        for source, names in self.names.items():
            fields = "1 field" if len(names) == 1 else f"{len(names):,} fields"
            self.add("other", f"{fields}: {', '.join(names)}", source)
        positions = sorted(self.positions, key=lambda position: (not position.of_camera, position.source != "EXIF"))
        ordered = sorted(self.findings, key=lambda finding: KINDS.index(finding.kind))
        return Metadata(container, tuple(positions), tuple(ordered), self.damaged)


def shown(value: object) -> str:
    """Untrusted text in one line without what would control a terminal: control and format characters, line breaks."""
    text = " ".join(str(value)[: 4 * _LONGEST].replace("\0", " ").split())
    clean = "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(sign)[0] == "C" else sign for sign in text)
    return clean if len(clean) <= _LONGEST else clean[: _LONGEST - 1] + "…"


def precision_m(latitude: float, latitude_step: float | None, longitude_step: float | None) -> float | None:
    """Metres that the last digit stands for, from the steps in degrees in which the two angles are written."""
    if latitude_step is None or longitude_step is None:
        return None
    return METRES_PER_DEGREE * max(latitude_step, longitude_step * math.cos(math.radians(latitude)))
