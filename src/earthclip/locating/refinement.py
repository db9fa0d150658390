"""Answers between the gallery's places: the location encoder on finer and finer local grids around the best of them.

The gallery answers with one of its places, however far they lie apart; the location encoder knows every point on
Earth. Around each leading place a grid is laid, its best point becomes the centre of the next, finer one, until
points are metres apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int

from earthclip.errors import InputError
from earthclip.geo.sphere import great_circle_km, local_grid
from earthclip.locating.posterior import Area, Posterior

EncodeLocation = Callable[[Float64[np.ndarray, "n 2"]], Float[np.ndarray, "n d"]]


@dataclass(frozen=True)
class Grids:
    """Which grids are laid. Raises InputError for what would not narrow down.

    The defaults were measured (benchmarks/refinement.py): from 150 km to 10 m apart in eleven rounds.
    """

    candidates: int = 8  # places that are followed at first; after the second round, half of them in each
    apart_km: float = 50.0  # of candidates, which would otherwise crowd in one town
    half_width_km: float = 150.0  # of the first grid
    points: int = 7  # along each side; odd, so that the centre is one of them
    shrink: float = 2.5  # factor by which the next grid is narrower; up to (points - 1) / 2 it reaches the neighbours
    rounds: int = 11

    def __post_init__(self) -> None:
        if self.candidates < 1 or self.rounds < 1 or self.points < 3 or self.points % 2 == 0:
            raise InputError(f"grids need candidates and rounds of 1 or more and odd points from 5, found {self}")
        if not (self.half_width_km > 0 and 1 < self.shrink <= (self.points - 1) / 2 and self.apart_km >= 0):
            raise InputError(f"grids must shrink by more than 1 and at most half their points, found {self}")


def refine(
    embedding: Float[np.ndarray, " d"],
    posterior: Posterior,
    encode_location: EncodeLocation,
    *,
    logit_scale: float,
    temperature: float = 1.0,
    top_k: int = 5,
    region: Area | None = None,
    grids: Grids | None = None,
) -> tuple[Float64[np.ndarray, "k 2"], Float64[np.ndarray, " k"]]:
    """The ``top_k`` best places of a picture, moved to where the model likes them best nearby, and log probabilities.

    ``embedding`` [d] and ``posterior`` are the picture's; the candidates keep together what the gallery's places held,
    and share it again by their new scores: a probability is still that of the ground a place of the gallery stands for,
    not of the point. Nothing moves out of ``region``; of several on the way to one summit only the best moves.
    Order and number are as in ``Posterior.top_k``, which says what is raised.
    """
    grids = grids or Grids()
    first = posterior.best(top_k)
    leading = _leading(posterior, grids)
    chosen = np.concatenate([leading, first[~np.isin(first, leading)]])
    places, gains = posterior.coordinates[chosen], np.zeros(len(chosen))
    moved, gained, reach_km = _follow(embedding, places[: len(leading)], encode_location, region, grids)
    scale = float(np.exp(logit_scale)) / temperature
    gains[: len(leading)] = gained * scale
    logs = posterior.log_probabilities[chosen]
    held = _log_sum(logs)
    # Best first, so that of those on the way to one summit it is the best that moves there.
    settled: list[int] = []
    for index in np.argsort(-(logs[: len(leading)] + gains[: len(leading)]), kind="stable").tolist():
        apart_km = great_circle_km(moved[settled], moved[index])
        if (apart_km < np.maximum(reach_km[settled], reach_km[index])).any():
            gains[index] = 0.0
        elif gains[index] > 0:
            settled.append(index)
            places[index] = moved[index]
    logs = logs + gains
    order = np.argsort(-logs, kind="stable")[: len(first)]
    return places[order], logs[order] - _log_sum(logs) + held


def _leading(posterior: Posterior, grids: Grids) -> Int[np.ndarray, " c"]:
    """The most probable places that lie ``apart_km`` from all that are more probable."""
    many = posterior.best(min(25 * grids.candidates, len(posterior.log_probabilities)))
    kept: list[int] = []
    for index in many.tolist():
        place = posterior.coordinates[index]
        if not kept or great_circle_km(posterior.coordinates[kept], place).min() > grids.apart_km:
            kept.append(index)
        if len(kept) == grids.candidates:
            break
    return np.array(kept, dtype=np.int64)


def _follow(
    embedding: Float[np.ndarray, " d"],
    places: Float64[np.ndarray, "c 2"],
    encode_location: EncodeLocation,
    region: Area | None,
    grids: Grids,
) -> tuple[Float64[np.ndarray, "c 2"], Float64[np.ndarray, " c"], Float64[np.ndarray, " c"]]:
    """Where each candidate goes, by how much its score grows, and how wide its last grid was, in km."""
    side = np.linspace(-1.0, 1.0, grids.points)
    offsets = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    centres, half_width_km = places.copy(), grids.half_width_km
    gains = np.zeros(len(places))
    start = np.zeros(len(places))
    reach_km = np.zeros(len(places))
    followed = np.arange(len(places))
    for turn in range(grids.rounds):
        points = local_grid(centres[followed], offsets * half_width_km).reshape(-1, 2)
        scores = (encode_location(points) @ embedding).astype(np.float64)
        at_centre = scores.reshape(len(followed), -1)[:, len(offsets) // 2].copy()
        if region is not None:
            scores[~np.asarray(region.contains(points), dtype=bool)] = -np.inf
        scores = scores.reshape(len(followed), -1)
        best = scores.argmax(axis=1)
        if turn == 0:
            start[followed] = at_centre
        better = scores.max(axis=1) > at_centre
        rows = np.arange(len(followed))
        centres[followed[better]] = points.reshape(len(followed), -1, 2)[rows, best][better]
        reached = np.maximum(scores.max(axis=1), at_centre)
        reach_km[followed] = half_width_km
        gains[followed] = np.maximum(reached - start[followed], 0.0)
        if turn >= 1:
            followed = followed[np.sort(np.argsort(-reached, kind="stable")[: (len(followed) + 1) // 2])]
        half_width_km /= grids.shrink
    return centres, gains, np.maximum(reach_km, 1.0)


def _log_sum(logs: Float64[np.ndarray, " c"]) -> float:
    return float(logs.max() + np.log(np.exp(logs - logs.max()).sum()))
