"""How locatable is a photo? What its metadata reveals, what its pixels reveal, and a copy without metadata.

earthclip privacy check photo.jpg, earthclip privacy strip photo.jpg --out clean/
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from earthclip.errors import InputError, OutputError
from earthclip.files import atomic_write, refuse_existing
from earthclip.geo.sphere import great_circle_km
from earthclip.locating.prediction import Prediction
from earthclip.outputs.structured import area90_km2, digits, to_object
from earthclip.outputs.table import area_text
from earthclip.pictures.decode import decode, decode_reduced
from earthclip.pictures.metadata import Metadata, Position, metadata_of, read_bytes, read_metadata, without_metadata
from earthclip.pictures.metadata.findings import shown
from earthclip.pictures.prepare import Failure

_LABEL_WIDTH = 11


@dataclass(frozen=True)
class PrivacyReport:
    """What a photo reveals; ``answer`` is None when its pixels were not examined, a Failure when that failed."""

    path: str | None
    metadata: Metadata
    answer: Prediction | Failure | None = None

    @property
    def distance_km(self) -> float | None:
        """From the model's best place to the position in the metadata; None where either is missing."""
        position = self.metadata.position
        if position is None or not isinstance(self.answer, Prediction) or not len(self.answer.coordinates):
            return None
        written = np.array([position.latitude, position.longitude])
        return float(great_circle_km(self.answer.coordinates[0], written))

    def to_object(self) -> dict[str, Any]:
        """The report as plain JSON values; the pixels' side has the keys of the answer's JSON object."""
        values: dict[str, Any] = {
            "path": self.path,
            "metadata": {
                "container": self.metadata.container,
                "damaged": self.metadata.damaged,
                "positions": [_position_object(position) for position in self.metadata.positions],
                "findings": [vars(finding) for finding in self.metadata.findings],
            },
        }
        if self.answer is not None:
            values["pixels"] = {name: value for name, value in to_object(self.answer).items() if name != "path"}
        if self.distance_km is not None:
            values["distance_km"] = digits(self.distance_km)
        return values

    def lines(self) -> list[str]:
        """The report for people to read: what the metadata says, then what the pixels show."""
        lines = [shown(self.path) if self.path else "(image)", "  its metadata reveals"]
        lines += _metadata_lines(self.metadata)
        if self.answer is not None:
            model = "" if isinstance(self.answer, Failure) else f", to the model {self.answer.model},"
            lines += [f"  its pixels{model} reveal", *self._pixel_lines()]
        return lines

    def _pixel_lines(self) -> list[str]:
        answer = self.answer
        if answer is None or isinstance(answer, Failure):
            return [_line("unknown", answer.error if answer else "not examined")]
        lines = []
        verdict, area = answer.verdict, area90_km2(answer)
        if verdict is not None:
            lines.append(_line("how far", ("no place to trust; " if answer.abstained else "") + verdict.sentence))
        if area is not None:
            lines.append(_line("90 % region", area_text(area)))
        if len(answer.coordinates):
            best = f"{answer.latitude:.4f}, {answer.longitude:.4f} ({answer.places[0]})"
            lines.append(_line("best guess", f"{best}, probability {answer.probabilities[0]:.3g}"))
        if self.distance_km is not None:
            lines.append(_line("distance", f"{_metres(1000 * self.distance_km)} from the position in the metadata"))
        return lines


def examine(path: str | Path, answer: Prediction | Failure | None = None) -> PrivacyReport:
    """What the photo at ``path`` reveals; ``answer`` is a model's answer for its pixels. Raises InputError."""
    return PrivacyReport(str(path), read_metadata(path), answer)


def examine_bytes(data: bytes, path: str | None = None, answer: Prediction | Failure | None = None) -> PrivacyReport:
    """As ``examine``, of a file's bytes."""
    return PrivacyReport(path, metadata_of(data), answer)


def strip_to(photo: Path, folder: Path, *, overwrite: bool = False) -> Path:
    """Write a copy of ``photo`` without metadata into ``folder``, made if need be; returns the copy's path.

    The pixels are bit for bit those of the photo: the copy is decoded and compared, and what is left of its metadata
    read, before it appears. The photo is not touched. Raises InputError when the format is one whose metadata cannot
    be taken out, or the picture is damaged; OutputError when the copy exists and not ``overwrite``, would take the
    place of the photo, or cannot be written.
    """
    copy = folder / photo.name
    if copy.exists() and photo.exists() and copy.samefile(photo):
        raise OutputError(f"{copy}: this is the photo itself; choose another folder for copies without metadata")
    if not overwrite:
        refuse_existing(copy)
    data = read_bytes(photo)
    stripped = without_metadata(data, str(photo))
    left = metadata_of(stripped)
    if kept := [position.source for position in left.positions] + [finding.kind for finding in left.findings]:
        raise InputError(
            f"{photo}: no copy written, because it would keep metadata ({kept[0]}); save the photo as PNG first"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be created ({error.strerror}); choose a folder you can write to"
        ) from error
    copied = decode_reduced(io.BytesIO(stripped), None, where=f"{photo} without metadata").image
    if copied.tobytes() != decode(photo).tobytes():
        raise InputError(f"{photo}: no copy written, because its pixels would change; save the photo as PNG first")
    with atomic_write(copy, overwrite=overwrite) as file:
        file.write(stripped)
    return copy


def check_strip_folder(folder: Path) -> None:
    """Raise OutputError, before any work is done, when copies cannot be written to ``folder``."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: expected a folder for copies without metadata, found a file; name another")


def _metadata_lines(metadata: Metadata) -> list[str]:
    lines = [_line("position", _position_text(position)) for position in metadata.positions]
    lines += [_line(finding.kind, f"{finding.value} ({finding.source})") for finding in metadata.findings]
    if metadata.container in ("other", "BigTIFF"):
        lines.append(_line("note", "this program does not know all metadata of this format"))
    if metadata.damaged:
        lines.append(_line("note", "some metadata is damaged and was not read"))
    return lines or [_line("nothing", "no position, time, camera, name or other metadata")]


def _position_text(position: Position) -> str:
    parts = [f"{position.latitude:.6f}, {position.longitude:.6f}", position.source]
    if position.precision_m is not None:
        parts.append(f"written to the nearest {_metres(position.precision_m)}")
    if position.error_m is not None:
        parts.append(f"stated error {_metres(position.error_m)}")
    return f"{parts[0]} ({'; '.join(parts[1:])})"


def _position_object(position: Position) -> dict[str, Any]:
    def rounded(metres: float | None) -> float | None:
        return None if metres is None else digits(metres)

    return {
        "latitude": round(position.latitude, 8),
        "longitude": round(position.longitude, 8),
        "source": position.source,
        "precision_m": rounded(position.precision_m),
        "error_m": rounded(position.error_m),
    }


def _metres(metres: float) -> str:
    if metres < 0.01:
        return "1 cm or less"
    if metres < 10_000:
        return f"{metres:.2g} m" if metres < 10 else f"{metres:,.0f} m"
    return f"{float(f'{metres / 1000:.3g}'):,.0f} km"


def _line(label: str, text: str) -> str:
    return f"    {label:<{_LABEL_WIDTH}} {shown(text)}"
