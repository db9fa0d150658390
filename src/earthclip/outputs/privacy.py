"""How locatable is a photo? What its metadata reveals, what its pixels reveal, and a copy without metadata.

earthclip privacy check photo.jpg, earthclip privacy strip photo.jpg --out clean/
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from earthclip.errors import InputError, OutputError
from earthclip.files import atomic_write, refuse_existing
from earthclip.geo.sphere import great_circle_km
from earthclip.locating.prediction import Prediction
from earthclip.outputs.structured import area90_km2, digits, to_object
from earthclip.outputs.table import area_text
from earthclip.pictures import Reencoding
from earthclip.pictures.kinds import SUFFIXES_OF, kind_of
from earthclip.pictures.metadata import Finding, Metadata, Position, metadata_of, read_bytes
from earthclip.pictures.metadata.copying import check_pixels, pixel_fault, without_metadata
from earthclip.pictures.metadata.exiftool import with_exiftool
from earthclip.pictures.metadata.findings import GROUPS, shown
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
        lines = [_line("warning", warning.text) for warning in answer.warnings]
        verdict, area = answer.verdict, area90_km2(answer)
        if answer.advice is not None:
            lines.append(_line("unknown", answer.advice))
        if verdict is not None:
            lines.append(_line("how far", verdict.sentence))
        if area is not None:
            lines.append(_line("90 % region", area_text(area)))
        if len(answer.coordinates):
            best = f"{answer.latitude:.4f}, {answer.longitude:.4f} ({answer.places[0]})"
            lines.append(_line("best guess", f"{best}, probability {answer.probabilities[0]:.3g}"))
        if self.distance_km is not None:
            lines.append(_line("distance", f"{_metres(1000 * self.distance_km)} from the position in the metadata"))
        return lines


@dataclass(frozen=True)
class WrittenCopy:
    """Where a copy is, and notes about it for the user."""

    path: Path
    notes: tuple[str, ...] = ()


def examine(path: str | Path, answer: Prediction | Failure | None = None) -> PrivacyReport:
    """What the photo at ``path`` reveals; ``answer`` is a model's answer for its pixels. Raises InputError.

    Where ExifTool is installed, the report has what it finds as well.
    """
    return examine_bytes(read_bytes(Path(path)), str(path), answer)


def examine_bytes(data: bytes, path: str | None = None, answer: Prediction | Failure | None = None) -> PrivacyReport:
    """As ``examine``, of a file's bytes."""
    metadata = with_exiftool(metadata_of(data), data)
    if not metadata.damaged and (fault := pixel_fault(data)):
        metadata = replace(metadata, findings=(*metadata.findings, Finding("hidden", fault, "pixels")))
    return PrivacyReport(path, metadata, answer)


def copy_path(photo: Path, folder: Path, format: str) -> Path:
    """Where a folder's copy of a photo goes: under its name, with another suffix where that names another format."""
    before = kind_of(photo)
    same = before is None or before.name == format
    return folder / (photo.name if same else photo.stem + SUFFIXES_OF[format][0])


def write_copy(photo: Path, to: Callable[[str], Path], *, reencode: Reencoding | None, overwrite: bool) -> WrittenCopy:
    """Write a copy of ``photo`` without metadata; ``to`` is called with the copy's format and gives its path.

    The copy shows the same picture: before it appears its pixels are decoded and compared, and what is left of its
    metadata is read. The photo is not touched. Raises InputError when the copy would lose more than metadata (see
    ``without_metadata``) or the picture is damaged; OutputError when the copy exists and not ``overwrite``, would take
    the place of the photo, or cannot be written.
    """
    data = read_bytes(photo)
    copy = without_metadata(data, str(photo), reencode)
    path = to(copy.format)
    if path.exists() and path.samefile(photo):
        raise OutputError(f"{path}: this is the photo itself; choose another folder for copies without metadata")
    if not overwrite:
        refuse_existing(path)
    left = metadata_of(copy.data)
    if left.damaged or left.positions or left.findings:
        kept = [position.source for position in left.positions] + [finding.kind for finding in left.findings]
        raise InputError(
            f"{photo}: no copy written, because it would keep metadata ({', '.join(kept) or 'damaged'}); "
            "--reencode png or --reencode jpeg writes a copy of what is seen"
        )
    check_pixels(data, copy, str(photo))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path.parent}: cannot be created ({error.strerror}); choose a folder you can write to"
        ) from error
    with atomic_write(path, overwrite=overwrite) as file:
        file.write(copy.data)
    return WrittenCopy(path, copy.notes)


def strip_to(
    photo: Path,
    folder: Path,
    *,
    reencode: Reencoding | None = None,
    overwrite: bool = False,
    taken: Collection[Path] = (),
) -> WrittenCopy:
    """Write a copy of ``photo`` without metadata into ``folder``, made if need be. Raises as ``write_copy``.

    InputError too when the copy's path is among those ``taken`` by other photos.
    """

    def chosen(format: str) -> Path:
        path = copy_path(photo, folder, format)
        if path in taken:
            raise InputError(f"{photo}: the copy of another photo has the same name; write this one to another folder")
        return path

    return write_copy(photo, chosen, reencode=reencode, overwrite=overwrite)


def strip_file(photo: Path, to: Path, *, reencode: Reencoding | None = None, overwrite: bool = False) -> WrittenCopy:
    """Write a copy of ``photo`` without metadata to the file ``to``. Raises as ``write_copy``.

    OutputError too when the suffix of ``to`` is of another format than the copy.
    """

    def checked(format: str) -> Path:
        if to.suffix.lower() not in SUFFIXES_OF[format]:
            raise OutputError(f"{to}: the copy is a {format} file; choose a name that ends in {SUFFIXES_OF[format][0]}")
        return to

    return write_copy(photo, checked, reencode=reencode, overwrite=overwrite)


def check_strip_folder(folder: Path) -> None:
    """Raise OutputError, before any work is done, when copies cannot be written to ``folder``."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: expected a folder for copies without metadata, found a file; name another")


def _metadata_lines(metadata: Metadata) -> list[str]:
    lines = [_line("position", _position_text(position)) for position in metadata.positions]
    for group, kinds in GROUPS.items():
        lines += [
            _line(group, f"{finding.value} ({finding.source})")
            for finding in metadata.findings
            if finding.kind in kinds
        ]
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
