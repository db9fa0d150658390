"""Published figures of the field's benchmarks, from leaderboard.toml beside this file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from earthclip.configuration import from_mapping
from earthclip.errors import ConfigError, InputError
from earthclip.metrics import THRESHOLDS_KM

_DATA = "leaderboard.toml"


@dataclass(frozen=True)
class Published:
    """One row: ``within`` maps distances in km to shares in percent; those that nobody gave are missing.

    ``note`` says what sets the row apart from the benchmark's protocol. Raises ConfigError for a row without a figure
    or a source, for other distances than the field's, and for shares that fall with the distance.
    """

    system: str
    year: int
    idea: str
    source: str
    within: dict[str, float] = field(default_factory=dict)
    geoscore: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        shares = [self.within[str(km)] for km in THRESHOLDS_KM if str(km) in self.within]
        if len(shares) != len(self.within) or shares != sorted(shares) or not all(0 < share < 100 for share in shares):
            raise ConfigError(f"{self.system}: shares in percent must rise with the field's distances: {self.within}")
        if not self.source or not (shares or self.geoscore):
            raise ConfigError(f"{self.system}: expected a source, and shares or a GeoScore")

    @property
    def fractions(self) -> dict[str, float]:
        """The accuracy as a Report has it."""
        return {km: share / 100 for km, share in self.within.items()}


@dataclass(frozen=True)
class Leaderboard:
    """The published rows of one benchmark of so many ``pictures`` (None: no source gives the number)."""

    name: str
    title: str
    rows: tuple[Published, ...]
    pictures: int | None = None

    def warning(self, n: int) -> str | None:
        """Why figures of n pictures are not comparable with these, or None."""
        if self.pictures is None or n == self.pictures:
            return None
        return (
            f"measured on {n:,} pictures, but {self.title} has {self.pictures:,}: the rows cannot be compared as they "
            "stand"
        )


@dataclass(frozen=True)
class _File:
    board: tuple[Leaderboard, ...]


@cache
def leaderboards() -> dict[str, Leaderboard]:
    """All leaderboards by name."""
    text = files(__package__).joinpath(_DATA).read_text(encoding="utf-8")
    return {board.name: board for board in from_mapping(_File, tomllib.loads(text), _DATA).board}


def leaderboard(name: str, dataset: str = "") -> Leaderboard:
    """The leaderboard of that name; "auto" is that of ``dataset`` (``yfcc26k:FOLDER``), or else Im2GPS3k's.

    Raises InputError for a name that is none.
    """
    boards = leaderboards()
    if name == "auto":
        return boards.get(dataset.partition(":")[0], boards["im2gps3k"])
    if name not in boards:
        known = ", ".join(boards)
        raise InputError(
            f"unknown leaderboard {name!r}; expected {known}, or put a bare --leaderboard at the end of the command"
        )
    return boards[name]
