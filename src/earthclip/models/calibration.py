"""What was measured of a model's probabilities, kept in its ``config.json`` beside the temperature."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import Any

from earthclip.errors import ConfigError


@dataclass(frozen=True)
class Calibration:
    """How much of the posterior a region has to hold so that the truth lies in it as often as it says.

    ``conformal`` maps a promise ("0.5", "0.9": the share of truths inside) to the mass, in [0, 1], whose smallest
    region kept it on validation pictures; ``measured`` says on what, and the figures before and after.
    Raises ConfigError for promises or masses outside their range, or masses that fall as the promises rise.
    """

    conformal: dict[str, float] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for promise, mass in self.conformal.items():
            if not (_fraction(promise) and 0 <= mass <= 1):
                raise ConfigError(f"conformal maps shares in (0, 1) to masses in [0, 1], found {promise!r}: {mass}")
        masses = [mass for _, mass in self._points()]
        if masses != sorted(masses):
            raise ConfigError(f"conformal masses must rise with what they promise, found {self.conformal}")

    def mass_for(self, promise: float) -> float:
        """The mass that a region must hold to keep ``promise``; between those fitted it is interpolated."""
        points = [(0.0, 0.0), *self._points(), (1.0, 1.0)]
        for (low, mass_low), (high, mass_high) in itertools.pairwise(points):
            if low <= promise <= high:
                return mass_low + (mass_high - mass_low) * (promise - low) / (high - low)
        return 1.0

    def _points(self) -> list[tuple[float, float]]:
        return sorted((float(promise), mass) for promise, mass in self.conformal.items())


def _fraction(text: str) -> bool:
    try:
        value = float(text)
    except ValueError:
        return False
    return math.isfinite(value) and 0 < value < 1
