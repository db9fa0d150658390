"""The prior of a photo by its time: where its photographer was before and after, and a floor for what that misses.

It is a mixture. With probability ``FLOOR`` the times say nothing (a wrong clock, another photographer), and the answer
is the picture's alone. Else the photo lies around a position that is known from fixes before and after, in one of four
ways of moving, whose distances are normal and grow with the time to the fixes. What one way rules out, another allows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64

from earthclip.geo.cells import cell_width_km
from earthclip.geo.motion import Whereabouts
from earthclip.geo.sphere import EARTH_RADIUS_KM, from_unit_vectors, great_circle_km, local_grid, unit_vectors
from earthclip.geo.tracks import FASTEST_KM_H
from earthclip.locating.posterior import Area, Posterior, normalised

FLOOR = 0.05
_WAYS = (  # their share, km without a gap in time, and km for each hour of it
    (0.30, 0.3, 1.5),  # about the same place, or at an even pace between two
    (0.35, 0.5, 15.0),  # on foot or by bicycle, with stops
    (0.20, 3.0, 90.0),  # by car or train
    (0.10, 75.0, 400.0),  # by air, or by a clock that is an hour off
)
_NARROW_KM = 150.0  # below it a way has places of its own, finer than those of galleries
_POINTS = 64  # that stand for one way of moving
_GOLDEN = np.pi * (3 - np.sqrt(5))

Evidence: TypeAlias = Callable[[Float64[np.ndarray, "n 2"]], Float64[np.ndarray, " n"]]


@runtime_checkable  # so that the checks of signatures in tests can see it
class WhereaboutsOf(Protocol):
    """Tells where photos were by their time; ``cli.library.Library`` is one."""

    @property
    def fingerprint(self) -> str:
        """What tells it from others: a resumed run must have the same."""

    def of(self, path: str | None) -> Sequence[Whereabouts]:
        """Where a photo was, by each of the things that know it; none where nothing does."""


@dataclass(frozen=True, eq=False)
class Moved:
    """A posterior with places beside the gallery's, and each group of these as one place of its own for lists.

    A group holds the gallery's places within a cell's width of its centre too: a gallery tells nothing finer.
    """

    posterior: Posterior
    listed: Bool[np.ndarray, " m"]  # which of the gallery's places, the first ones, are in no group
    centres: Float64[np.ndarray, "c 2"]
    masses: Float64[np.ndarray, " c"]

    def top_k(self, k: int) -> tuple[Float64[np.ndarray, "k 2"], Float64[np.ndarray, " k"]]:
        """The ``k`` most probable of the gallery's places and the groups, best first."""
        logs = np.where(self.listed, self.posterior.log_probabilities[: len(self.listed)], -np.inf)
        best = np.argpartition(-logs, min(k, len(logs)) - 1)[:k]
        best = best[np.isfinite(logs[best])]
        places = np.concatenate([self.centres, self.posterior.coordinates[best]])
        masses = np.concatenate([self.masses, np.exp(logs[best])])
        order = np.argsort(-masses, kind="stable")[:k]
        order = order[masses[order] > 0]
        return places[order], masses[order]


def moved(
    posterior: Posterior,
    log_prior: Float64[np.ndarray, " m"],
    known: Sequence[Whereabouts],
    evidence: Evidence,
    region: Area | None = None,
    gallery: int | None = None,
) -> Moved:
    """The posterior of a picture, multiplied with what its time tells.

    ``log_prior`` [m] is the prior that ``posterior`` has already, summing to 1. ``evidence`` gives logarithms of the
    picture's evidence at coordinates, up to a constant; it is asked at the most probable of the ``gallery`` first
    places, by default all, too: those of photos behind them have another constant.
    """
    best = int(np.argmax(posterior.log_probabilities[:gallery]))
    shares = np.array([1 / (one.gap_h + 1 / 60) for one in known])
    shares = (1 - FLOOR) * shares / shares.sum()
    weights = np.full(len(log_prior), FLOOR)
    groups: list[Float64[np.ndarray, "n 2"]] = []
    masses: list[Float64[np.ndarray, " n"]] = []
    for one, share in zip(known, shares.tolist(), strict=True):
        points, sizes = [], []
        for number, (way, still_km, speed_km_h) in enumerate(_WAYS):
            scale_km = float(np.hypot(still_km + speed_km_h * one.gap_h, one.spread_km if number else 0.0))
            if scale_km < _NARROW_KM:
                points.append(_around(one, scale_km))
                sizes.append(np.full(_POINTS, share * way / (1 - FLOOR) / _POINTS))
            else:
                weights += share * way / (1 - FLOOR) * _wide(posterior, log_prior, one, scale_km)
        if points:
            groups.append(np.concatenate(points))
            masses.append(np.concatenate(sizes))
    logs = posterior.log_probabilities + np.log(weights)
    m = len(logs)
    if not groups:
        alone = replace(posterior, log_probabilities=normalised(logs))
        return Moved(alone, np.ones(m, bool), np.empty((0, 2)), np.empty(0))
    places = np.concatenate(groups)
    found = evidence(np.concatenate([posterior.coordinates[[best]], places]))
    # The posterior is evidence times prior over a sum; at its best place all but the sum is known.
    log_sum = found[0] + log_prior[best] - posterior.log_probabilities[best]
    beside = np.log(np.concatenate(masses)) + found[1:] - log_sum
    if region is not None:
        beside[~np.asarray(region.contains(places), dtype=bool)] = -np.inf
    mixed = normalised(np.concatenate([logs, beside]))
    whole = replace(
        posterior,
        coordinates=np.concatenate([posterior.coordinates, places]),
        log_probabilities=mixed,
        arranged=None,
    )
    reach_km = cell_width_km(posterior.place_cells.typical_level(posterior.probabilities))
    centres, held, first, listed = [], [], m, np.ones(m, bool)
    for group in groups:
        mass = np.exp(mixed[first : first + len(group)])
        first += len(group)
        nearest = mass[:_POINTS] if mass[:_POINTS].any() else np.ones(_POINTS)  # of the slowest way
        centres.append(from_unit_vectors(nearest @ unit_vectors(group[:_POINTS])))
        near = listed & (great_circle_km(posterior.coordinates, centres[-1][None]) <= reach_km)
        held.append(mass.sum() + np.exp(mixed[:m][near]).sum())
        listed &= ~near
    return Moved(whole, listed, np.stack(centres), np.array(held))


def _around(one: Whereabouts, scale_km: float) -> Float64[np.ndarray, "n 2"]:
    """Points that each stand for the same share of a normal distribution around a position."""
    numbers = np.arange(_POINTS) + 0.5
    radius_km = scale_km * np.sqrt(-2 * np.log(1 - numbers / _POINTS))
    turn = _GOLDEN * numbers
    offsets_km = np.stack([radius_km * np.cos(turn), radius_km * np.sin(turn)], axis=1)
    return np.asarray(local_grid(one.place[None], offsets_km)[0])


def _wide(
    posterior: Posterior, log_prior: Float64[np.ndarray, " m"], one: Whereabouts, scale_km: float
) -> Float64[np.ndarray, " m"]:
    """What a way of moving makes of each place's prior, as a factor that leaves the sum 1; 0 where none is in reach."""
    apart_km = great_circle_km(posterior.coordinates, one.place[None])
    logs = -0.5 * (apart_km / scale_km) ** 2
    logs[apart_km > max(FASTEST_KM_H * (one.gap_h + 1), EARTH_RADIUS_KM / 50)] = -np.inf
    with_prior = logs + log_prior
    highest = with_prior.max()
    if not np.isfinite(highest):
        return np.zeros(len(logs))
    total = highest + np.log(np.exp(with_prior - highest).sum())
    return np.asarray(np.exp(logs - total))
