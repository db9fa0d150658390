"""What ``earthclip locate`` knows of the library that its pictures come from: which have a position, and when."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import click
import numpy as np
from jaxtyping import Float64

from earthclip.cli.status import note
from earthclip.errors import InputError
from earthclip.geo.motion import Whereabouts, whereabouts
from earthclip.geo.sphere import great_circle_km
from earthclip.geo.tracks import Track, read_track
from earthclip.pictures.capture import WRONG_CLOCK, ZERO, Capture, capture_of, offset_s
from earthclip.pictures.finding import STDIN, each_picture, walk
from earthclip.pictures.kinds import PassedOver, read_suffixes
from earthclip.pictures.prepare import Failure

_OFFSET = re.compile(r"(?:(.+)=)?([+-])(\d{1,2}):(\d\d)", re.ASCII)
_TRACK_H = 12.0  # the farthest a point of a track is from a photo, in time, to tell of it
_AGREE_KM, _AGREE_KM_H = 5.0, 30.0  # distance up to which two positions agree: fixed, and for each hour between


@dataclass(frozen=True)
class ClockOffset:
    """How far cameras' clocks are ahead of UTC; without ``camera``, of those that do not say their time zone."""

    camera: str | None
    seconds: float


def parse_clock_offset(text: str) -> ClockOffset:
    """``+02:00``, or ``Canon=+03:00`` for cameras whose name holds that. Raises click.UsageError for other text."""
    found = _OFFSET.fullmatch(text.strip())
    if found is None or int(found[3]) > 26 or int(found[4]) > 59:
        raise click.UsageError(f"--clock-offset {text}: expected +HH:MM, or CAMERA=+HH:MM for one camera.")
    return ClockOffset(found[1] and found[1].casefold(), offset_s(*found.groups()[1:]))


@dataclass
class Library:
    """Reads what photos and sidecars say of time and place, each once; counts what was left out or not believed."""

    only_missing: bool = False
    near_h: float | None = None
    track_files: tuple[Path, ...] = ()
    clock_offsets: tuple[ClockOffset, ...] = ()
    _captures: dict[Path, Capture | None] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)
    _tracks: list[Track] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)  # of the neighbours, by path
    _places: Float64[np.ndarray, "n 2"] = field(default_factory=lambda: np.empty((0, 2)))
    _clock_s: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.empty(0))
    _utc_s: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.empty(0))  # NaN where it is not known

    @property
    def tells_times(self) -> bool:
        """Whether times are to tell of places."""
        return self.near_h is not None or bool(self.track_files)

    def open(self, arguments: tuple[Path, ...], listed: Path | None) -> None:
        """Read the tracks, and the photos around those that are to be located. Raises InputError."""
        for path in self.track_files:
            track = read_track(path)
            for fault in track.faults:
                note(f"warning: {path}: {fault}")
            self._tracks.append(track)
        if self.near_h is None:
            return
        if Path(STDIN) in arguments or (listed is not None and str(listed) == STDIN):
            raise InputError("--near-in-time reads the photos around each one first; name them, not - for stdin")
        given = [path for path in each_picture(arguments, listed) if isinstance(path, Path)]
        around = (path for folder in sorted({path.parent for path in given}) for path in _beside(folder))
        rows = []
        for path in dict.fromkeys([*given, *around]):
            capture = self.capture(path)
            if capture and capture.position and not capture.estimated and capture.clock_s is not None:
                utc_s = self._utc(capture)
                rows.append((str(path), capture.position, capture.clock_s, np.nan if utc_s is None else utc_s))
        if rows:
            paths, places, clocks, times = zip(*rows, strict=True)
            self._numbers = {path: number for number, path in enumerate(paths)}
            self._places = np.array(places, np.float64)
            self._clock_s, self._utc_s = np.array(clocks, np.float64), np.array(times, np.float64)
        note(f"near in time: {len(rows):,} photos with a measured position and a time")

    @property
    def fingerprint(self) -> str:
        """A digest of everything that decides where photos were."""
        digest = hashlib.sha256(repr((self.near_h, self.clock_offsets, list(self._numbers))).encode())
        arrays = [self._places, self._clock_s, self._utc_s]
        for track in self._tracks:
            arrays += [track.times_s, track.coordinates]
        for array in arrays:
            digest.update(array.tobytes())
        return digest.hexdigest()[:16]

    def of(self, path: str | None) -> Sequence[Whereabouts]:
        """Where a photo was, by tracks and neighbours; of positions that agree, the nearest in time."""
        capture = self.capture(Path(path)) if path is not None else None
        if path is None or capture is None:
            return ()
        if capture.clock_s is None:
            self._counts["wrong clock" if WRONG_CLOCK in capture.faults else "no time"] += 1
            return ()
        utc_s = self._utc(capture)
        if self._tracks and utc_s is None:
            self._counts["no zone"] += 1
        found = [self._near(path, capture.clock_s, utc_s)] if self.near_h is not None else []
        if utc_s is not None:
            found += [whereabouts(one.times_s - utc_s, one.coordinates, _TRACK_H, "track") for one in self._tracks]
        known = _merged([one for one in found if one is not None])
        self._counts["with" if known else "too far"] += 1
        self._counts["disagree"] += len(known) > 1
        return known

    def _near(self, path: str, clock_s: float, utc_s: float | None) -> Whereabouts | None:
        relative_s = self._clock_s - clock_s  # two clocks without a zone are compared as they stand
        if utc_s is not None:
            relative_s = np.where(np.isnan(self._utc_s), relative_s, self._utc_s - utc_s)
        places = self._places
        if (itself := self._numbers.get(path)) is not None:
            relative_s, places = np.delete(relative_s, itself), np.delete(places, itself, axis=0)
        return whereabouts(relative_s, places, self.near_h or 0.0, "neighbours")

    def _utc(self, capture: Capture) -> float | None:
        """The time of a photo in UTC. An offset for its camera goes before its zone, one for all after it."""
        assert capture.clock_s is not None
        for offset in self.clock_offsets:
            if offset.camera is not None and offset.camera in capture.camera.casefold():
                return capture.clock_s - offset.seconds
        if capture.utc_s is not None:
            return capture.utc_s
        return next((capture.clock_s - offset.seconds for offset in self.clock_offsets if offset.camera is None), None)

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
        for picture in pictures:
            capture = self.capture(picture) if self.only_missing and isinstance(picture, Path) else None
            if capture is None or capture.position is None:
                self._counts["zero"] += capture is not None and ZERO in capture.faults
                yield picture
            else:
                self._counts["estimated" if capture.estimated else "measured"] += 1

    def sum_up(self) -> None:
        """Say what was left out, and of how many photos the time told something or not, and why."""
        counts = self._counts
        if self.only_missing:
            estimates = f" ({counts['estimated']:,} of them an estimate by EarthCLIP)" if counts["estimated"] else ""
            note(f"left out: {counts['measured'] + counts['estimated']:,} with a position{estimates}")
        if counts["zero"]:
            note(f"located: {counts['zero']:,} with the position 0, 0, which cameras write when they have none")
        if self.tells_times:
            told = [words.format(counts[name]) for name, words in _TOLD.items() if counts[name]]
            note(f"by their time: {'; '.join(told) or 'none'}")


_TOLD = {
    "with": "{:,} photos",
    "disagree": "for {:,} of them tracks or neighbours disagree, and each counts",
    "too far": "not {:,} too far in time from any track or neighbour",
    "no time": "not {:,} without a time",
    "wrong clock": "not {:,} whose clock says before 1990 or the future",
    "no zone": "no track for {:,} without a time zone (--clock-offset gives one)",
}


def _beside(folder: Path) -> Iterator[Path]:
    """The pictures in a folder itself."""
    found = walk(folder, read_suffixes(), PassedOver())
    return (path for path in found if isinstance(path, Path) and path.parent == folder)


def _merged(known: list[Whereabouts]) -> list[Whereabouts]:
    merged: list[Whereabouts] = []
    for one in sorted(known, key=lambda one: one.gap_h):
        for number, other in enumerate(merged):
            reach_km = _AGREE_KM + _AGREE_KM_H * (one.gap_h + other.gap_h) + one.spread_km + other.spread_km
            if great_circle_km(one.place, other.place) <= reach_km:
                merged[number] = replace(other, sources=tuple(dict.fromkeys([*other.sources, *one.sources])))
                break
        else:
            merged.append(one)
    return merged
