"""Fitting how much the photos of an index count, by maximum likelihood on photos with known places.

What photos add to the probability of a place is linear in their shares (locating/evidence.py), so that for each width
the likelihood of the true cell needs four sums for each photo found, and every other parameter is tried on those.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64

from earthclip.datasets.photos import StoredPhotos
from earthclip.errors import InputError
from earthclip.evaluation.calibration import FEWEST, CellOutcomes, cell_loss, cell_outcome, conformal_masses, joined
from earthclip.evaluation.leave_out import LeaveOut, with_weights
from earthclip.geo.cells import cell_of, cosine_of_km
from earthclip.geo.sphere import EARTH_RADIUS_KM, unit_vectors
from earthclip.locating.evidence import Evidence, Neighbours, Weights, evidence_of, shares_of
from earthclip.locating.locator import Locator
from earthclip.locating.posterior import Posterior
from earthclip.locating.question import Question
from earthclip.locating.ranking import Ranking
from earthclip.locating.trust import cell_masses
from earthclip.pictures.prepare import Failure, batches
from earthclip.pictures.reader import Named, Reader

WIDTHS_KM = (1.0, 5.0, 25.0, 100.0, 200.0, 400.0)
WEIGHTS = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0)  # nats
SHARPNESS = (5.0, 15.0, 40.0, 100.0, 200.0, 400.0)
_QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9)  # of the best similarities: where photos begin to count
_REACH = 5.0  # of the largest widths; beyond, a kernel is 4e-6
_AT_ONCE = 16
_SURE = 2.0  # standard errors by which photos held out must gain, or the index is not used


@dataclass(frozen=True, eq=False)
class Asked:
    """Photos with known places: ``embeddings`` [n, d], ``truths`` [n, 2] in degrees, and the photos of the index that
    those to look at are chosen from, without those left out."""

    embeddings: Float32[np.ndarray, "n d"]
    truths: Float64[np.ndarray, "n 2"]
    found: list[Neighbours]

    def __len__(self) -> int:
        return len(self.truths)


@dataclass(frozen=True, eq=False)
class _Sums:
    """For each photo asked about: the model's probability of the true cell, and per width and photo found, what it adds
    to all places (``whole``) and to the true cell (``there``), both [n, widths, k] for a gain of 1."""

    plain: Float64[np.ndarray, " n"]
    levels: Int64[np.ndarray, " n"]
    whole: Float64[np.ndarray, "n widths k"]
    there: Float64[np.ndarray, "n widths k"]


@dataclass(frozen=True)
class IndexFit:
    """The ``weights``, and the summaries of photos held out ``before`` (the model alone) and ``after``; ``gain`` is the
    likelihood gained by photos held out, in nats a photo, and ``standard_error`` its error. ``used`` tells whether that
    is more than noise: if not, the weight is 0."""

    weights: Weights
    before: dict[str, Any]
    after: dict[str, Any]
    gain: float
    standard_error: float
    used: bool

    @property
    def sides(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Before and after."""
        return self.before, self.after


def asked_of(
    locator: Locator,
    index: LeaveOut,
    photos: StoredPhotos,
    progress: Callable[[int, int], None] | None = None,
    *,
    workers: int = 0,
) -> Asked:
    """Encode photos and search the index for each; those that cannot be read are left out.

    ``progress`` hears of photos done and in all. Raises InputError for fewer than 30 photos.
    """
    index.check_model(locator.folder)
    sources = (Named(name, partial(photos.open, number)) for number, name in enumerate(photos.ids))
    embeddings, found, numbers = [], list[Neighbours](), list[int]()
    with Reader(locator.folder.preprocessing, workers=workers) as reader:
        for batch in batches(enumerate(reader.read_ahead(sources, _AT_ONCE + 2 * workers)), _AT_ONCE):
            read = [(number, outcome) for number, outcome in batch if not isinstance(outcome, Failure)]
            if read:
                rows = locator.encode_image([outcome for _, outcome in read])
                embeddings.append(rows)
                numbers += [number for number, _ in read]
                found += index.candidates(rows, [outcome.path or photos.ids[number] for number, outcome in read])
            if progress:
                progress(batch[-1][0] + 1, len(photos))
    if len(numbers) < FEWEST:
        raise InputError(
            f"{photos.name}: {len(numbers)} readable photos are too few to calibrate on; give at least {FEWEST}, "
            "better 500"
        )
    return Asked(np.concatenate(embeddings), photos.coordinates[numbers], found)


def fit_index(locator: Locator, index: LeaveOut, asked: Asked, source: str) -> IndexFit:
    """The weights of the greatest likelihood over all photos; ``source`` says which they were.

    Embeddings are compared as they are and whitened, whichever is likelier. The figures are of each half of the photos
    under what was fitted on the other half. Where these do not gain more than noise, the weight is 0, and answers stay
    those of the model alone.
    """
    ranking = Ranking(Question(), locator.config, locator.gallery, locator.encode_location)
    found, grid, parts, plain = dict[int, list[Neighbours]](), list[Weights](), [], np.zeros(len(asked))
    for whitened in (0, len(index.index)):
        compared = with_weights(index.index, Weights(whitened=whitened)).compared(asked.embeddings, asked.found)
        sums = _sums(locator, ranking, index, asked, compared)
        tried, part = _losses(sums, compared, whitened)
        found[whitened], plain = compared, cell_loss(sums.plain, sums.levels)
        grid += tried
        parts.append(part)
    losses = np.concatenate(parts)
    n = len(asked)
    halves = [np.arange(n) % 2 == half for half in (0, 1)]
    chosen = np.empty(n, np.int64)
    for fitted, held_out in (halves, halves[::-1]):
        chosen[held_out] = losses[:, fitted].mean(axis=1).argmin()
    gains = plain - losses[chosen, np.arange(n)]
    gain, error = float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(n))
    used = gain > _SURE * error
    weights = grid[int(losses.mean(axis=1).argmin())]
    before, _ = _outcomes(ranking, index, asked, found, [Weights(weight=0.0)] * n)
    after, _ = _outcomes(ranking, index, asked, found, [grid[row] for row in chosen])
    _, added = _outcomes(ranking, index, asked, found, [weights] * n)
    measured = {"pictures": source, "before": before.summary(), "after": after.summary()}
    conformal = conformal_masses(added.before) if added is not None and len(added.held) >= FEWEST else {}
    weights = dataclasses.replace(
        weights, weight=weights.weight if used else 0.0, conformal=conformal, measured=measured
    )
    return IndexFit(weights, before.summary(), after.summary(), gain, error, used)


def format_index_fit(fitted: IndexFit) -> str:
    """The fit for people."""
    weights = fitted.weights
    rows = [
        ("true place within 200 km", [f"{100 * side['within_200_km']['found']:.1f} %" for side in fitted.sides]),
        ("negative log likelihood", [f"{side['loss']:.3f}" for side in fitted.sides]),
        ("calibration error", [f"{side['calibration_error']:.3f}" for side in fitted.sides]),
    ]
    gained = f"{fitted.gain:.3f} ± {fitted.standard_error:.3f} nats a photo held out"
    verdict = f"gain: {gained}" if fitted.used else f"no gain beyond noise ({gained}): the index will not be used"
    lines = [
        verdict,
        f"weight {weights.weight:g} nats, counted from a similarity of {weights.least_similarity:g}, "
        f"sharpness {weights.sharpness:g}, width {weights.width_km:g} km, embeddings "
        f"{'whitened' if weights.whitened else 'as they are'}",
        f"{'':<32}{'model alone':>14}{'with index':>14}",
    ]
    return "\n".join(lines + [f"{name:<32}{before:>14}{after:>14}" for name, (before, after) in rows])


def _sums(locator: Locator, ranking: Ranking, index: LeaveOut, asked: Asked, found: list[Neighbours]) -> _Sums:
    n, k = len(asked), max((len(near.rows) for near in found), default=0)
    plain, levels = np.zeros(n), np.zeros(n, np.int64)
    whole, there = np.zeros((n, len(WIDTHS_KM), k)), np.zeros((n, len(WIDTHS_KM), k))
    for row, near in enumerate(found):
        embedding = asked.embeddings[row]
        posterior = ranking.posterior_of(embedding)
        level = cell_masses(posterior).level
        cell = int(cell_of(asked.truths[row : row + 1], level)[0])
        in_cell = np.zeros(len(posterior.coordinates), bool)
        in_cell[posterior.place_cells.in_cell(cell, level)] = True
        plain[row], levels[row] = posterior.probabilities[in_cell].sum(), level
        if not len(near.rows):
            continue
        places = index.coordinates[near.rows]
        at_photos = _probabilities_at(locator, posterior, embedding, places)
        rows, columns, near_cosines = _reached(posterior.place_cells.vectors, unit_vectors(places))
        inside = in_cell[rows]
        for column, width_km in enumerate(WIDTHS_KM):
            candidates = Evidence(places, np.ones(len(places)), 1.0, width_km).places
            kept = (places[:, None] == candidates[None]).all(axis=2).any(axis=1)
            _, first = np.unique(places, axis=0, return_index=True)
            kept &= np.isin(np.arange(len(places)), first)
            beside = cell_of(places[kept], level) == cell
            mutual = _kernel(unit_vectors(places[kept]) @ unit_vectors(places).T, width_km) * at_photos[kept, None]
            values = posterior.probabilities[rows] * _kernel(near_cosines, width_km)
            size = len(places)
            whole[row, column, :size] = np.bincount(columns, values, size) + mutual.sum(axis=0)
            there[row, column, :size] = np.bincount(columns[inside], values[inside], size) + mutual[beside].sum(axis=0)
    return _Sums(plain, levels, whole, there)


def _reached(vectors: np.ndarray, photos: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places within reach of photos, by their row, the photo's, and their cosine; one photo at a time is 8 times as
    fast as all cosines in one matrix."""
    least, found = cosine_of_km(_REACH * max(WIDTHS_KM)), []
    for number, photo in enumerate(photos):
        cosines = vectors @ photo
        rows = np.flatnonzero(cosines > least)
        found.append((rows, np.full(len(rows), number), cosines[rows]))
    rows, columns, near = (np.concatenate(side) for side in zip(*found, strict=True))
    return rows, columns, near


def _probabilities_at(
    locator: Locator, posterior: Posterior, embedding: np.ndarray, places: Float64[np.ndarray, "k 2"]
) -> Float64[np.ndarray, " k"]:
    """The model's probability of places beside the gallery's, each as if it were one more of them."""
    scale = np.exp(locator.config.logit_scale) / locator.config.temperature
    best = posterior.best(1)
    scores = locator.encode_location(np.concatenate([posterior.coordinates[best], places])) @ embedding
    shifted = scale * (scores[1:] - scores[0]).astype(np.float64)
    return np.asarray(posterior.probabilities[best[0]] * np.exp(shifted))


def _kernel(cosines: np.ndarray, width_km: float) -> np.ndarray:
    return np.asarray(np.exp((EARTH_RADIUS_KM / width_km) ** 2 * (np.minimum(cosines, 1.0) - 1.0)))


def _losses(sums: _Sums, found: list[Neighbours], whitened: int) -> tuple[list[Weights], Float64[np.ndarray, "grid n"]]:
    """All weights that are tried, and the negative log likelihood in nats of each photo's true cell under each."""
    best = np.array([near.similarities[0] if len(near.similarities) else -1.0 for near in found])
    quantiles = {round(float(np.quantile(best, share)) - 1e-3, 3) for share in _QUANTILES}
    tried, losses = [], []
    for low, sharp in itertools.product(sorted(min(max(one, -1.0), 0.99) for one in quantiles), SHARPNESS):
        shares = np.zeros(sums.whole[:, 0].shape)
        counted = Weights(1.0, low, sharp)
        for row, near in enumerate(found):
            shares[row, : len(near.rows)] = shares_of(near, counted)
        strength = np.clip((best - low) / (1 - low), 0.0, 1.0)
        for column, width_km in enumerate(WIDTHS_KM):
            whole, there = (np.vecdot(shares, side[:, column]) for side in (sums.whole, sums.there))
            for weight in WEIGHTS:
                gain = strength * np.expm1(weight)
                tried.append(Weights(weight, low, sharp, width_km, whitened))
                losses.append(cell_loss((sums.plain + gain * there) / (1 + gain * whole), sums.levels))
    return tried, np.stack(losses)


def _outcomes(
    ranking: Ranking,
    index: LeaveOut,
    asked: Asked,
    found: dict[int, list[Neighbours]],
    weights: list[Weights],
) -> tuple[CellOutcomes, CellOutcomes | None]:
    """What answers with these weights are worth, one for each photo; and of those to which photos added something."""
    rows, added = [], []
    for row in range(len(asked)):
        evidence = evidence_of(found[weights[row].whitened][row], index.coordinates, weights[row])
        posterior = ranking.posterior_of(asked.embeddings[row], [evidence] if evidence else [])
        rows.append(cell_outcome(posterior, asked.truths[row]))
        if evidence:
            added.append(rows[-1])
    return joined(rows), joined(added) if added else None
