"""What ``earthclip locate`` knows of the library that its pictures come from: which have a position, and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from earthclip.cli.status import note
from earthclip.errors import InputError
from earthclip.pictures.capture import ZERO, Capture, capture_of
from earthclip.pictures.prepare import Failure


@dataclass
class Library:
    """Reads what photos and sidecars say of time and place, each once, and counts what was left out."""

    only_missing: bool = False
    _captures: dict[Path, Capture | None] = field(default_factory=dict)
    _left_out: Counter[str] = field(default_factory=Counter)

    def capture(self, path: Path) -> Capture | None:
        """What a photo says; None where it cannot be read."""
        if path not in self._captures:
            try:
                self._captures[path] = capture_of(path)
            except InputError:
                self._captures[path] = None
        return self._captures[path]

    def has_position(self, path: Path) -> bool:
        """Whether a photo or its sidecar says where it was taken, measured or estimated."""
        capture = self.capture(path)
        return capture is not None and capture.position is not None

    def wanted(self, pictures: Iterator[Path | Failure]) -> Iterator[Path | Failure]:
        """``pictures`` without those that have a position, if only the others are asked for."""
        if not self.only_missing:
            yield from pictures
            return
        for picture in pictures:
            capture = self.capture(picture) if isinstance(picture, Path) else None
            if capture is None or capture.position is None:
                self._left_out["zero"] += capture is not None and ZERO in capture.faults
                yield picture
            else:
                self._left_out["estimated" if capture.estimated else "measured"] += 1
        self._sum_up()

    def _sum_up(self) -> None:
        measured, estimated, zero = (self._left_out[name] for name in ("measured", "estimated", "zero"))
        estimates = f" ({estimated:,} of them an estimate by EarthCLIP)" if estimated else ""
        note(f"left out: {measured + estimated:,} with a position{estimates}")
        if zero:
            note(f"located: {zero:,} with the position 0, 0, which cameras write when they have none")
